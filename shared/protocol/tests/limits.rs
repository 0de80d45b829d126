//! A limit that nobody keeps is none.
#![cfg(test)]

use std::{collections::BTreeSet, fs, path::Path};

/// The words of all code below a folder but the table itself.
fn words(folder: &Path, words: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_code = path.extension().is_some_and(|extension| extension == "rs");
        if path.is_dir() && !path.ends_with("target") {
            self::words(&path, words);
        } else if is_code && !path.ends_with("protocol/src/limits.rs") {
            let text = fs::read_to_string(path).unwrap();
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
            words.extend(text.split(|c| !is_part(c)).map(str::to_owned));
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
