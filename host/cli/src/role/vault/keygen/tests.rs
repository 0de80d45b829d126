use std::{collections::BTreeMap, os::unix::fs::PermissionsExt as _};

use clap::Parser;
use crypto::{
    secret::Secret,
    tdh2::{Ciphertext, DecryptionShare, Label},
};
use tempfile::TempDir;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    keygen: Keygen,
}

/// A folder in which keys are made.
struct Scene(TempDir);

impl Scene {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn run(&self, t: &str, n: &str, out: &str, others: &[&str]) -> Result<Exit, Failure> {
        let out = self.text(out);
        let fixed = ["keygen", "--threshold", t, "--members", n, "--out", &out];
        let line = Line::try_parse_from([&fixed[..], others].concat()).unwrap();
        line.keygen.run()
    }

    fn key(&self, out: &str) -> MasterPublicKey {
        MasterPublicKey::parse(&fs::read(self.path(out).join(PUBLIC_KEY)).unwrap()).unwrap()
    }

    fn share(&self, out: &str, number: usize) -> PrivateShare {
        let text = secret_file::read(&self.path(out).join(share_file(number))).unwrap();
        PrivateShare::parse(text.expose()).unwrap()
    }

    /// Opens a ciphertext with shares of these members.
    fn opens(&self, out: &str, members: &[usize], t: u32, stored: &[u8]) -> bool {
        let key = self.key(out);
        let ciphertext = Ciphertext::parse(stored, &key).unwrap();
        let share = |number: &usize| {
            DecryptionShare::create(&self.share(out, *number), &ciphertext, &mut OsRng).to_json()
        };
        let shares: Vec<Secret> = members.iter().map(share).collect();
        let threshold = Threshold::new(t).unwrap();
        let opened = tdh2::combine(&key, &ciphertext, shares.iter().map(Secret::expose), threshold);
        opened.is_ok_and(|secret| secret.expose() == b"hunter2")
    }

    fn store(&self, out: &str) -> Vec<u8> {
        let key = self.key(out);
        tdh2::encrypt(&key, Label::NONE, b"hunter2", &mut OsRng).unwrap().as_bytes().to_vec()
    }
}

#[test]
fn every_member_gets_a_share_and_t_of_them_decrypt() {
    let scene = Scene::new();
    assert_eq!(scene.run("3", "5", "vault", &[]).unwrap(), Exit::Success);
    let key = scene.key("vault");
    assert!(key.parties() == 5 && key.derives_g_bar());
    assert!((1..=5).all(|number| scene.share("vault", number).belongs_to(&key)));
    assert!((1_u32..=5).zip(1..).all(|(n, i)| scene.share("vault", i).index() + 1 == n));
    let stored = scene.store("vault");
    assert!(scene.opens("vault", &[5, 1, 3], 3, &stored));
    assert!(!scene.opens("vault", &[5, 1], 2, &stored));
}

#[test]
fn shares_are_their_owners_and_there_is_no_file_too_many() {
    let scene = Scene::new();
    scene.run("1", "2", "vault", &[]).unwrap();
    scene.run("1", "2", "with-secret/", &["--keep-master-secret"]).unwrap();
    let modes = |out: &str| -> BTreeMap<String, u32> {
        let entries = fs::read_dir(scene.path(out)).unwrap().map(Result::unwrap);
        let mode = |entry: &fs::DirEntry| entry.metadata().unwrap().permissions().mode() & 0o777;
        entries.map(|entry| (entry.file_name().into_string().unwrap(), mode(&entry))).collect()
    };
    let expected = |names: &[(&str, u32)]| -> BTreeMap<String, u32> {
        names.iter().map(|(name, mode)| ((*name).to_owned(), *mode)).collect()
    };
    let shares = [("member-1.share", 0o600), ("member-2.share", 0o600)];
    let public = [(PUBLIC_KEY, 0o644)];
    assert_eq!(modes("vault"), expected(&[&shares[..], &public].concat()));
    let secret = [(MASTER_SECRET, 0o600)];
    assert_eq!(modes("with-secret"), expected(&[&shares[..], &public, &secret].concat()));
    let folder = scene.path("vault").metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(folder, 0o700);
    assert_eq!(fs::read_dir(scene.0.path()).unwrap().count(), 2);
}

#[test]
fn resharing_keeps_the_key_and_ends_old_shares() {
    let scene = Scene::new();
    scene.run("2", "3", "old", &["--keep-master-secret"]).unwrap();
    let stored = scene.store("old");
    let public = scene.text(&format!("old/{PUBLIC_KEY}"));
    let (one, three) = (scene.text("old/member-1.share"), scene.text("old/member-3.share"));
    let secret = scene.text(&format!("old/{MASTER_SECRET}"));
    let sources: [(&str, &[&str]); 2] = [
        ("by-shares", &["--reshare", &public, "--share", &one, "--share", &three]),
        ("by-secret", &["--reshare", &public, "--master-secret", &secret]),
    ];
    for (out, source) in sources {
        scene.run("3", "6", out, source).unwrap();
        let (old, new) = (scene.key("old"), scene.key(out));
        assert_eq!(old.without_parties(), new.without_parties());
        assert!(new.parties() == 6 && new != old);
        assert!(!scene.share("old", 1).belongs_to(&new));
        assert!(scene.opens(out, &[6, 2, 4], 3, &stored));
        assert!(!scene.opens(out, &[6, 2], 2, &stored));
    }
}

fn refusal(result: Result<Exit, Failure>, exit: Exit) -> String {
    let failure = result.unwrap_err();
    assert_eq!(failure.exit, exit, "{failure}");
    failure.to_string()
}

#[test]
fn what_does_not_make_up_the_key_reshares_nothing() {
    let scene = Scene::new();
    scene.run("2", "3", "old", &["--keep-master-secret"]).unwrap();
    scene.run("2", "3", "other", &["--keep-master-secret"]).unwrap();
    let public = scene.text(&format!("old/{PUBLIC_KEY}"));
    let one = scene.text("old/member-1.share");
    let foreign = scene.text("other/member-2.share");
    let secret = scene.text(&format!("other/{MASTER_SECRET}"));
    let cases: [(&[&str], &str); 6] = [
        (&["--share", &one], "--share: the shares of 1 members are fewer than the threshold"),
        (&["--share", &one, "--share", &one], "--share: the shares of 1 members are fewer"),
        (
            &["--share", &one, "--share", &foreign],
            "--share: the share of index 1 belongs to another",
        ),
        (
            &["--master-secret", &secret],
            "--master-secret: the master secret belongs to another key",
        ),
        (&["--master-secret", &one], "does not hold the master secret of a vault: S is missing"),
        (&["--share", &public], "the share: "),
    ];
    for (source, expected) in cases {
        let source = [&["--reshare", &public], source].concat();
        let text = refusal(scene.run("2", "3", "new", &source), Exit::Input);
        assert!(text.contains(expected), "{text}");
        assert!(!scene.path("new").exists());
    }
    let text =
        refusal(scene.run("2", "3", "new", &["--reshare", &one, "--share", &one]), Exit::Input);
    assert!(text.contains("is not the public key of a vault"), "{text}");
}

#[test]
fn numbers_that_no_vault_has_are_refused() {
    let scene = Scene::new();
    for (t, n, expected) in [
        ("4", "3", "--threshold and --members: 4 shares are needed and 3 dealt"),
        ("1", "0", "--threshold and --members: 1 shares are needed and 0 dealt"),
        ("1", "718", "--threshold and --members: 718 parties are too many, the limit is 717"),
    ] {
        assert_eq!(refusal(scene.run(t, n, "vault", &[]), Exit::Usage), expected);
        assert!(!scene.path("vault").exists());
    }
    for t in ["0", "-1", "x", "4294967296"] {
        assert!(parse_threshold(t).unwrap_err().contains("at least 1"), "{t}");
    }
}

#[test]
fn nothing_that_is_there_is_replaced() {
    let scene = Scene::new();
    scene.run("1", "2", "vault", &[]).unwrap();
    let before = fs::read(scene.path("vault").join(share_file(1))).unwrap();
    fs::create_dir(scene.path("empty")).unwrap();
    fs::write(scene.path("file"), "mine").unwrap();
    std::os::unix::fs::symlink("nowhere", scene.path("link")).unwrap();
    for out in ["vault", "vault/", "empty", "file", "link"] {
        let text = refusal(scene.run("1", "2", out, &[]), Exit::Input);
        assert!(text.ends_with("is there already; name a folder that is not"), "{text}");
    }
    assert_eq!(fs::read(scene.path("vault").join(share_file(1))).unwrap(), before);
    assert_eq!(fs::read(scene.path("file")).unwrap(), b"mine");
}

#[test]
fn a_folder_that_cannot_be_written_leaves_nothing_behind() {
    let scene = Scene::new();
    let text = refusal(scene.run("1", "2", "no/such/vault", &[]), Exit::Input);
    assert!(text.contains("cannot be written"), "{text}");
    assert_eq!(fs::read_dir(scene.0.path()).unwrap().count(), 0);
}

#[test]
fn a_source_without_a_key_and_a_key_without_a_source_are_refused() {
    let fixed = ["keygen", "--threshold", "1", "--members", "1", "--out", "x"];
    for others in [
        &["--reshare", "k"][..],
        &["--share", "s"],
        &["--master-secret", "m"],
        &["--reshare", "k", "--share", "s", "--master-secret", "m"],
    ] {
        let line = Line::try_parse_from([&fixed[..], others].concat());
        assert_eq!(line.unwrap_err().exit_code(), 2, "{others:?}");
    }
}

#[test]
fn no_error_repeats_a_share() {
    let scene = Scene::new();
    scene.run("1", "1", "vault", &[]).unwrap();
    let path = scene.path("broken");
    fs::write(&path, br#"{"Group":"P256","Index":0,"V":"hunter2"}"#).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let public = scene.text(&format!("vault/{PUBLIC_KEY}"));
    let source = ["--reshare", &public, "--share", path.to_str().unwrap()];
    let text = refusal(scene.run("1", "1", "new", &source), Exit::Input);
    assert!(text.contains("V is not canonical base64") && !text.contains("hunter2"), "{text}");
}
