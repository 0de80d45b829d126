//! The examples for workflow authors: every command of their page does what the page says.
#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "the folder of built workflows comes by environment"
)]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde_json::{Value as Json, json};

#[path = "../../../enclave/workflow/tests/support/built.rs"]
mod built;
#[path = "support/enclavectl.rs"]
mod program;

use program::text;

/// A copy of the examples, as an author makes one, and what is built of them.
struct Examples {
    copy: tempfile::TempDir,
    built: PathBuf,
}

impl Examples {
    fn new() -> Option<Self> {
        let built = built::workflows("examples through simulate")?;
        let copy = tempfile::tempdir().unwrap();
        copy_folder(&folder(), copy.path());
        Some(Self { copy, built })
    }

    /// Runs a command of the page, with more arguments that replace nothing.
    fn run(&self, name: &str, more: &[&str]) -> (i32, Json) {
        let line = commands().into_iter().find(|line| line.contains(&format!("/{name}.wasm")));
        let line = line.unwrap_or_else(|| panic!("the page does not run {name}"));
        let arguments = line.split_whitespace().skip(1).map(|word| self.argument(word));
        let arguments: Vec<_> = arguments.chain(more.iter().map(|&word| word.to_owned())).collect();
        program::object(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// A word of a command, whose paths lead into the copy.
    fn argument(&self, word: &str) -> String {
        match word.strip_prefix(RELEASE) {
            Some(binary) => text(&self.built.join(binary)),
            None if word.contains('/') => text(&self.copy.path().join(word)),
            None => word.to_owned(),
        }
    }

    fn write(&self, file: &str, contents: &str) {
        let path = self.copy.path().join(file);
        assert!(path.exists(), "{file} is not among the examples");
        fs::write(path, contents).unwrap();
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

fn page() -> String {
    fs::read_to_string(folder().join("README.md")).unwrap()
}

/// The commands by which the page runs the examples.
fn commands() -> Vec<String> {
    let page = page();
    page.lines()
        .filter(|line| line.starts_with("enclavectl simulate "))
        .map(str::to_owned)
        .collect()
}

/// Copies files that nobody else may read, but for what is built.
fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        if path.is_file() {
            fs::copy(&path, &copy).unwrap();
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).unwrap();
        } else if entry.file_name() != "target" {
            fs::create_dir(&copy).unwrap();
            copy_folder(&path, &copy);
        }
    }
}

#[test]
fn every_command_of_the_page_gives_its_result() {
    let Some(examples) = Examples::new() else { return };
    let results = [
        ("order", json!({ "items": 2, "total_cents": 2899 })),
        ("status", json!("up, 7 waiting")),
        ("price", json!({ "symbol": "ETH-USD", "price": 3456.78 })),
        ("payout", json!("P-2026-0001")),
        ("basket", json!({ "cents": 10_403_701, "signatures": 2 })),
    ];
    assert_eq!(commands().len(), results.len());
    for (name, want) in results {
        let (code, object) = examples.run(name, &[]);
        assert_eq!((code, &object["result"]), (0, &want), "{name}: {object}");
        assert!(!object.to_string().contains("only an example"), "{name} shows its secret");
    }
}

#[test]
fn what_an_example_refuses_is_its_error() {
    let Some(examples) = Examples::new() else { return };
    let answer = |status: u16, body: &str| {
        json!({ "method": "GET", "host": "x", "answers": [{ "status": status, "body": body }] })
            .to_string()
    };
    examples.write("order/payload.json", r#"{"items": []}"#);
    examples.write("status/secrets.toml", "OTHER = \"\"");
    examples.write(PRICE, &answer(503, ""));
    examples.write("payout/payload.json", r#"{"account": "ADA", "cents": 100001}"#);
    examples.write(
        "basket/config.json",
        r#"{"schedule": "", "basket": [{"symbol": "?", "amount": 1}]}"#,
    );
    for (name, said) in [
        ("order", "the order is empty"),
        ("status", "no secret \"STATUS_TOKEN\" in namespace \"main\""),
        ("price", "observation error: HTTP status 503"),
        ("payout", "the payout is too large"),
        ("basket", "no price of"),
    ] {
        let (code, object) = examples.run(name, &[]);
        let error = object["error"].as_str().unwrap_or_default();
        assert!(code == 5 && error.contains(said), "{name}: {code} {object}");
    }
    examples.write(PRICE, &answer(200, r#"{"symbol": "ETH-USD", "price": -1}"#));
    let (_code, object) = examples.run("price", &[]);
    assert!(object["error"].as_str().unwrap().contains("the price is no price"), "{object}");
}

#[test]
fn a_handler_names_its_enclaves_and_its_pre_hook() {
    let Some(examples) = Examples::new() else { return };
    let binary = examples.argument(&format!("{RELEASE}payout.wasm"));
    let (code, object) = program::object(&["simulate", "--subscribe", &binary]);
    let trigger = &object["result"][0];
    let regions = json!(["eu-central-1", "eu-west-1"]);
    let nitro = json!({ "types": [{ "type": "AWS_NITRO", "regions": regions }] });
    assert_eq!((code, &trigger["requirements"]["tee"]), (0, &nitro), "{object}");
    assert_eq!(
        (&trigger["pre_hook"], &trigger["id"]),
        (&json!(true), &json!("http-trigger@1.0.0-alpha"))
    );
}

#[test]
fn lines_below_the_level_and_metrics_that_are_not_taken_do_not_end_a_run() {
    let Some(examples) = Examples::new() else { return };
    let (_code, object) = examples.run("basket", &[]);
    let logs: Vec<_> =
        object["logs"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert_eq!(
        logs,
        [
            "level=INFO msg=priced symbol=ETH-USD price=3456.78",
            "level=INFO msg=priced symbol=BTC-USD price=97123.45",
            "level=WARN msg=\"no metric\" error=\"the host does not take the metric\"",
        ]
    );
}

#[test]
fn examples_are_as_small_as_the_page_says() {
    let Some(examples) = Examples::new() else { return };
    let (page, mut rows) = (page(), 0);
    for row in page.lines().filter(|line| line.ends_with(" kB |")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let (name, size) = (cells[1].trim_matches('`'), cells[3].trim_end_matches(" kB"));
        let stated: u64 = size.parse().unwrap();
        let bytes = fs::metadata(examples.built.join(format!("{name}.wasm"))).unwrap().len();
        let near = stated.abs_diff(bytes.div_ceil(1000));
        assert!(near.saturating_mul(20) <= stated, "{name} has {bytes} bytes, not {stated} kB");
        rows += 1;
    }
    assert_eq!(rows, commands().len());
}

/// Where an author's cargo puts what it builds.
const RELEASE: &str = "target/wasm32-wasip1/release/";

/// What the exchange answers.
const PRICE: &str = "price/answers/exchange.example-e6c5b9b7473b94ef30360c1eb9cdb1ec.json";
