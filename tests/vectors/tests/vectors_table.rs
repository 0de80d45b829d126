//! The table of files against the files and against the crates that it names.
#![cfg(test)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use vectors::{FILES, LATER, Outcome, cases, folder, skip};

#[test]
fn every_file_of_the_folder_has_an_owner() {
    let (folder, committed) = folder();
    let mut found = 0_usize;
    for entry in fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.ends_with(".json") || LATER.iter().any(|(later, _part)| *later == name) {
            continue;
        }
        assert!(FILES.iter().any(|file| file.name == name), "unknown file {name}");
        found += 1;
    }
    assert!(!committed || found == FILES.len(), "a committed file is missing");
}

#[test]
fn what_waits_for_its_part_says_so() {
    for (file, part) in LATER {
        let exists = workspace().join(part).exists();
        assert!(!exists, "{part} exists, and nothing walks over {file}");
        skip(file, &format!("{part} does not exist yet"));
    }
}

#[test]
fn every_question_is_in_the_table_and_has_the_outcome_that_it_says() {
    for file in FILES.iter().filter(|file| file.has_cases) {
        let mut counts: BTreeMap<String, [usize; 2]> = BTreeMap::new();
        for case in cases(file.name) {
            // An output beside an error is an HTTP status.
            counts.entry(case.op).or_default()[usize::from(case.error.is_some())] += 1;
        }
        let known: BTreeSet<_> = file.ops.iter().map(|op| op.name.to_owned()).collect();
        let asked: BTreeSet<_> = counts.keys().cloned().collect();
        if !folder().1 {
            assert!(asked.is_subset(&known), "{}: {asked:?}", file.name);
            continue;
        }
        assert_eq!(asked, known, "{}", file.name);
        for op in file.ops {
            let [answered, refused] = counts[op.name];
            let fits = match op.outcome {
                Outcome::Both => answered > 0 && refused > 0,
                Outcome::Answers(why) => refused == 0 && why.len() > 15,
                Outcome::Refuses => answered == 0,
            };
            assert!(fits, "{} {}: {answered} answers, {refused} refusals", file.name, op.name);
        }
    }
}

#[test]
fn every_question_is_asked_by_the_crates_that_the_table_names() {
    let packages = packages();
    for file in FILES {
        for op in file.ops {
            assert!(!op.by.is_empty(), "{} {}: nobody", file.name, op.name);
            for walker in op.by {
                let folder = packages.get(*walker).unwrap_or_else(|| panic!("no crate {walker}"));
                let text = sources(folder);
                let names = |word: &str| text.contains(&format!("\"{word}\""));
                let is_asked = !file.has_cases || names(op.name);
                assert!(names(file.name) && is_asked, "{walker}: {} {}", file.name, op.name);
            }
        }
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The folders of all crates by name.
fn packages() -> BTreeMap<String, PathBuf> {
    let mut packages = BTreeMap::new();
    for group in ["shared", "enclave", "host"] {
        for entry in fs::read_dir(workspace().join(group)).unwrap() {
            let folder = entry.unwrap().path();
            let Ok(manifest) = fs::read_to_string(folder.join("Cargo.toml")) else { continue };
            let manifest: toml::Table = manifest.parse().unwrap();
            packages.insert(manifest["package"]["name"].as_str().unwrap().to_owned(), folder);
        }
    }
    packages
}

/// All code of a crate.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
    text
}
