//! Does what a workflow should not, by the mode its configuration names: `{"mode": "loop"}`.

use std::time::Duration;

use enclave_sdk::{
    Runtime, Setup, ToValue, WorkflowError,
    messages::{
        devnet::echo::{CAPABILITY, ECHO, EchoRequest, EchoResponse},
        values::{Kind, List, Value},
    },
    trigger,
};

/// What the test configures, as JSON.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    mode: String,
    /// How much of it, where the mode asks; otherwise a lot.
    #[serde(default)]
    amount: Option<usize>,
}

fn main() {
    enclave_sdk::run(init);
}

fn init(setup: &mut Setup<'_>) -> Result<(), WorkflowError> {
    let config: Config = setup.runtime().config_json()?;
    setup.on(trigger::cron("0 */5 * * * *"), move |runtime, _event| {
        misbehave(runtime, &config.mode, config.amount)
    });
    Ok(())
}

fn misbehave(
    runtime: &Runtime<'_>,
    mode: &str,
    amount: Option<usize>,
) -> Result<Value, WorkflowError> {
    match mode {
        "none" => {}
        "loop" => loop {
            std::hint::black_box(());
        },
        "recurse" => return Ok(Value { kind: Some(Kind::Uint64(recurse(1))) }),
        "hog" => hog(amount.unwrap_or(usize::MAX)),
        "panic" => panic!("told to panic"),
        "exit" => std::process::exit(i32::try_from(amount.unwrap_or(9)).unwrap_or(9)),
        "silent" => std::process::exit(0),
        "sleep" => sleep(Duration::from_millis(amount.unwrap_or(3_600_000) as u64)),
        "huge-log" => runtime.log("x".repeat(amount.unwrap_or(20_000_000))),
        "many-logs" => {
            for number in 0..amount.unwrap_or(1_000_000) {
                runtime.log(format!("line {number}"));
            }
        }
        "huge-result" => return "y".repeat(amount.unwrap_or(20_000_000)).to_value(),
        "deep-result" => return Ok(nested(amount.unwrap_or(1_000))),
        "many-calls" => {
            for _ in 0..amount.unwrap_or(1_000) {
                drop(echo(runtime, Vec::new()));
            }
        }
        "huge-call" => drop(echo(runtime, vec![7; amount.unwrap_or(20_000_000)]).wait()?),
        "unknown-capability" => {
            drop(runtime.call::<EchoResponse>("nope@1.0.0", "M", &EchoRequest::default()).wait()?)
        }
        "unknown-secret" => drop(runtime.secret("NO_SUCH_SECRET")?),
        "files" => return files().to_value(),
        _ => return Err("no such mode".into()),
    }
    "survived".to_value()
}

fn echo<'s>(runtime: &Runtime<'s>, payload: Vec<u8>) -> enclave_sdk::Promise<'s, EchoResponse> {
    runtime.call(CAPABILITY, ECHO, &EchoRequest { payload })
}

/// Goes down further than any stack is deep; the addition keeps it from becoming a loop.
fn recurse(depth: u64) -> u64 {
    if std::hint::black_box(depth) == 0 {
        return 0;
    }
    recurse(depth.wrapping_add(1)).wrapping_add(std::hint::black_box(depth))
}

#[expect(clippy::disallowed_methods, reason = "to see how a host ends a sleep")]
fn sleep(time: Duration) {
    std::thread::sleep(time);
}

fn hog(mebibytes: usize) {
    let mut kept = Vec::new();
    while kept.len() < mebibytes {
        kept.push(vec![1_u8; 1 << 20]);
        std::hint::black_box(&kept);
    }
}

fn nested(depth: usize) -> Value {
    let mut value = Value::default();
    for _ in 0..depth {
        value = Value { kind: Some(Kind::List(List { fields: vec![value] })) };
    }
    value
}

/// What the world outside shows to a workflow: nothing.
fn files() -> String {
    let file = std::fs::read("/etc/passwd").is_ok();
    let folder = std::fs::create_dir("/tmp/x").is_ok();
    let variables = std::env::vars().count();
    println!("to nobody");
    eprintln!("to nobody");
    format!("file {file} folder {folder} variables {variables}")
}
