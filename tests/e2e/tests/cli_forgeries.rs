//! `enclavectl verify --document` names the check that refuses each forged document.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a test that stops has failed"
)]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, UNIX_EPOCH},
};

use attestation::{Check, TrustRoot};
use e2e::programs::program;
use testkit::forge::{self, Forger};

/// What the forger's policy asks for, as files and options.
struct Case {
    folder: tempfile::TempDir,
    forger: Forger,
}

/// 2026-08-19T12:00:00Z
const NOW: u64 = 1_787_140_800;

impl Case {
    fn new() -> Self {
        let case = Self {
            folder: tempfile::tempdir().unwrap(),
            forger: Forger::new(UNIX_EPOCH + Duration::from_secs(NOW)),
        };
        for (index, root) in case.forger.roots().iter().enumerate() {
            std::fs::write(case.path(&format!("root-{index}.der")), root.der()).unwrap();
        }
        std::fs::write(case.path("revoked.der"), case.forger.revoked()).unwrap();
        let measurements = case.forger.image().to_registry_json();
        std::fs::write(case.path("measurements.json"), measurements).unwrap();
        case
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn verify(&self, document: &[u8], more: &[&str]) -> Output {
        let path = self.path("document.cose");
        std::fs::write(&path, document).unwrap();
        let mut command = Command::new(program("enclavectl"));
        command.arg("verify").arg("--document").arg(&path);
        command.arg("--measurements").arg(self.path("measurements.json"));
        command.args(["--at", "2026-08-19T12:00:00Z"]).args(more).output().unwrap()
    }

    /// With everything that the forger's policy asks for.
    fn verify_all(&self, document: &[u8]) -> Output {
        let file = |name: &str| self.path(name).display().to_string();
        let roots = [0, 1, 2].map(|index| file(&format!("root-{index}.der")));
        let [first, second, third] = &roots;
        let nonce = hex::encode(self.forger.nonce());
        let user_data = self.forger.user_data().to_string();
        let revoked = file("revoked.der");
        let options = [
            ["--root", first],
            ["--root", second],
            ["--root", third],
            ["--user-data", &user_data],
            ["--nonce", &nonce],
            ["--revoked", &revoked],
        ];
        self.verify(document, &options.concat())
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The checks that were printed, each with what became of it.
fn checks(output: &Output) -> Vec<(String, String)> {
    let text = stdout(output);
    let lines = text.lines().take(Check::ALL.len());
    let halves = lines.map(|line| line.split_at_checked(38).unwrap());
    halves.map(|(name, mark)| (name.trim().to_owned(), mark.trim().to_owned())).collect()
}

#[test]
fn each_forged_document_is_refused_by_the_name_of_its_check() {
    let case = Case::new();
    for forgery in forge::all() {
        let output = case.verify_all(&forgery.document(&case.forger));
        assert_eq!(output.status.code(), Some(1), "{forgery:?}: {}", stderr(&output));
        let want = Check::ALL.map(|check| {
            let mark = match check.cmp(&forgery.check()) {
                std::cmp::Ordering::Less => "passed",
                std::cmp::Ordering::Equal => "FAILED",
                std::cmp::Ordering::Greater => "not reached",
            };
            (check.name().to_owned(), mark.to_owned())
        });
        assert_eq!(checks(&output), want, "{forgery:?}");
        let said = format!("enclavectl: not verified: {}: ", forgery.check().name());
        assert!(stderr(&output).contains(&said), "{forgery:?}: {}", stderr(&output));
    }
}

#[test]
fn a_good_document_passes_every_check() {
    let case = Case::new();
    let output = case.verify_all(&case.forger.good());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(checks(&output).iter().all(|(_name, mark)| mark == "passed"));
    let text = stdout(&output);
    assert!(text.contains("\nstatement      none\n"), "{text}");
    assert!(text.ends_with("verified as of 2026-08-19T12:00:00Z\n"), "{text}");
}

#[test]
fn what_is_not_said_is_not_checked_and_shown() {
    let case = Case::new();
    let root = case.path("root-0.der").display().to_string();
    let output = case.verify(&case.forger.good(), &["--root", &root]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let unchecked: Vec<_> =
        checks(&output).into_iter().filter(|(_name, mark)| mark != "passed").collect();
    let want = [
        ("user data", "not checked (no --user-data is given)"),
        ("nonce", "not checked (no --nonce is given)"),
    ];
    assert_eq!(unchecked, want.map(|(name, mark)| (name.to_owned(), mark.to_owned())));
    let text = stdout(&output);
    for bytes in [case.forger.user_data().as_bytes().as_slice(), case.forger.nonce()] {
        assert!(text.contains(&hex::encode(bytes)), "{text}");
    }
}

#[test]
fn a_root_that_is_not_awss_is_warned_of() {
    let case = Case::new();
    let warns = |path: &Path| {
        let path = path.display().to_string();
        let output = case.verify(&case.forger.good(), &["--root", &path]);
        stderr(&output).contains(&format!(
            "warning: attestation documents are believed under the root in {path}"
        ))
    };
    assert!(warns(&case.path("root-0.der")));
    assert_eq!(std::fs::read(case.path("root-2.der")).unwrap(), TrustRoot::aws().der());
    assert!(!warns(&case.path("root-2.der")));
}

#[test]
fn without_a_root_it_is_awss() {
    let case = Case::new();
    let output = case.verify(&case.forger.good(), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("enclavectl: not verified: path to a trusted root: "));
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_read() {
    let case = Case::new();
    for (options, code) in [
        (&["--user-data", "00"][..], 2),
        (&["--nonce", ""], 2),
        (&["--nonce", "zz"], 2),
        (&["--root", "no such file"], 3),
        (&["--network", "devnet.json"], 2),
    ] {
        let output = case.verify(&case.forger.good(), options);
        assert_eq!(output.status.code(), Some(code), "{options:?}: {}", stderr(&output));
    }
}
