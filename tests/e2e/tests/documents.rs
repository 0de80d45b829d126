//! The form of the documents: what they promise about the tree is true.
#![cfg(test)]

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn the_changelog_keeps_its_form() {
    let text = read("CHANGELOG.md");
    let headings: Vec<_> = text.lines().filter(|line| line.starts_with('#')).collect();
    assert_eq!(headings.first(), Some(&"# Changelog"));
    assert_eq!(headings.get(1), Some(&"## [Unreleased]"));
    let kinds =
        ["### Added", "### Changed", "### Deprecated", "### Fixed", "### Removed", "### Security"];
    for heading in headings.iter().skip(2) {
        let release = heading.starts_with("## [") && heading.contains("] - 20");
        assert!(release || kinds.contains(heading), "{heading}");
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for name in ["README.md", "ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        let text = read(name);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains("://") {
                assert!(root().join(file).exists(), "{name} links to {target}");
            }
        }
    }
}

#[test]
fn the_readme_names_the_two_commands() {
    let text = read("README.md");
    for command in ["scripts/demo", "scripts/test"] {
        assert!(text.contains(command), "{command}");
        assert!(root().join(command).exists(), "{command}");
    }
}

#[test]
fn the_architecture_names_every_crate() {
    let text = read("ARCHITECTURE.md");
    for side in ["shared", "enclave", "host"] {
        for entry in std::fs::read_dir(root().join(side)).unwrap() {
            let folder = entry.unwrap().file_name().into_string().unwrap();
            assert!(text.contains(&format!("{side}/{folder}")), "{side}/{folder}");
        }
    }
}

#[test]
fn the_tests_that_the_security_page_names_are_there() {
    let mut sources = String::new();
    let mut folders: Vec<_> =
        ["shared", "enclave", "host", "tests/e2e"].map(|folder| root().join(folder)).into();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let text = read("SECURITY.md");
    let is_name =
        |word: &&str| word.contains('_') && word.chars().all(|c| c.is_alphanumeric() || c == '_');
    let is_test = |word: &&str| word.matches('_').count() >= 3;
    let names: Vec<_> =
        text.split('`').skip(1).step_by(2).filter(is_name).filter(is_test).collect();
    assert!(names.len() > 40, "{names:?}");
    for name in names {
        assert!(sources.contains(&format!("fn {name}(")), "there is no test {name}");
    }
}
