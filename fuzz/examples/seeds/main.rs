//! Makes `fuzz/corpus` from the vectors of the reference, the same each time:
//!
//! ```sh
//! cargo run --manifest-path fuzz/Cargo.toml --example seeds
//! ```
//!
//! What the fuzzer itself finds is kept beside the build, not here.

use std::{collections::BTreeMap, fs, io, path::PathBuf};

use serde_json::{Value, value::RawValue};

mod attested;
mod keys;
mod texts;
mod workflows;

/// The seeds of one target.
struct Corpus {
    target: &'static str,
    seeds: Vec<Vec<u8>>,
}

fn main() -> io::Result<()> {
    let corpora = [attested::all(), keys::all(), texts::all(), workflows::all()];
    for Corpus { target, seeds } in corpora.into_iter().flatten() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir_all(&folder)?,
        }
        let mut bytes = 0;
        let kept = spread(seeds);
        for (index, seed) in kept.iter().enumerate() {
            bytes += seed.len();
            fs::write(folder.join(format!("{index:02}")), seed)?;
        }
        println!("{target}: {} seeds, {bytes} bytes", kept.len());
    }
    Ok(())
}

/// At most [`MOST_SEEDS`] different seeds, from everywhere in the list.
fn spread(seeds: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut distinct: Vec<Vec<u8>> = Vec::new();
    for seed in seeds {
        if seed.len() <= LONGEST_SEED_BYTES && !distinct.contains(&seed) {
            distinct.push(seed);
        }
    }
    let count = distinct.len();
    let step = |index: usize| index * MOST_SEEDS / count.max(MOST_SEEDS);
    let is_kept = |index: usize| index == 0 || step(index) != step(index - 1);
    let kept = distinct.into_iter().enumerate().filter(|(index, _)| is_kept(*index));
    kept.map(|(_, seed)| seed).collect()
}

/// The cases of a file of vectors with one of these operations: the operation and the input.
fn cases(file: &str, ops: &[&str]) -> Vec<(String, Value)> {
    let cases = all_cases(file).into_iter();
    let named = cases.map(|case| (text(&case, "op"), case["input"].clone()));
    named.filter(|(op, _)| ops.contains(&op.as_str())).collect()
}

/// The cases of a file of vectors but those that nest too deep for a [`Value`].
fn all_cases(file: &str) -> Vec<Value> {
    let file = read(file);
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(&file).expect("JSON");
    let cases: Vec<&RawValue> = serde_json::from_str(members["cases"].get()).expect("a list");
    cases.into_iter().filter_map(|case| serde_json::from_str(case.get()).ok()).collect()
}

/// A whole file of vectors.
fn vectors(file: &str) -> Value {
    serde_json::from_str(&read(file)).expect("JSON")
}

fn read(file: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    fs::read_to_string(folder.join(file)).expect("a file of vectors")
}

/// A member that is a text.
fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_default().to_owned()
}

/// A member that is bytes in hexadecimal digits.
fn bytes(value: &Value, member: &str) -> Vec<u8> {
    hex::decode(text(value, member)).unwrap_or_default()
}

/// A seed that begins with choices.
fn chosen(choices: &[u8], rest: impl AsRef<[u8]>) -> Vec<u8> {
    [choices, rest.as_ref()].concat()
}

/// Bytes behind their length, as a target takes a piece.
fn piece(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let length = u16::try_from(bytes.len()).expect("a short piece");
    chosen(&length.to_le_bytes(), bytes)
}

const MOST_SEEDS: usize = 36;

const LONGEST_SEED_BYTES: usize = 8192;
