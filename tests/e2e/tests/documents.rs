//! The form of the documents: what they promise about the tree is true.

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
