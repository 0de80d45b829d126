//! A limit that nobody keeps is none.
#![cfg(test)]

use std::{collections::BTreeSet, fs, path::Path};

/// The words of all code below a folder but the table itself. Tests and comments keep no limit.
fn words(folder: &Path, words: &mut BTreeSet<String>) {
    let others = ["target", "tests", "tests.rs", "benches", "protocol/src/limits.rs"];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if others.iter().any(|other| path.ends_with(other)) {
            continue;
        }
        if path.is_dir() {
            self::words(&path, words);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let code = text.lines().filter_map(|line| line.split("//").next());
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
            words.extend(code.flat_map(|line| line.split(|c| !is_part(c))).map(str::to_owned));
        }
    }
}

#[test]
fn every_limit_is_kept_by_somebody() {
    let protocol = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(protocol.join("src/limits.rs")).unwrap();
    let names: Vec<_> = table
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.split_once(':'))
        .map(|(name, _type)| name)
        .collect();
    assert!(names.len() > 30, "{names:?}");
    let mut used = BTreeSet::new();
    for folder in ["shared", "enclave", "host"] {
        words(&protocol.join("../..").join(folder), &mut used);
    }
    // The crate that keeps this one may know nothing of the table; a test beside it holds the two
    // together.
    used.insert("SHORT_MESSAGE_BYTES".to_owned());
    let idle: Vec<_> = names.iter().filter(|name| !used.contains(**name)).collect();
    assert!(idle.is_empty(), "nobody keeps {idle:?}");
}
