use std::time::{Duration, SystemTime};

use crypto::tdh2::{Deal, DecryptionShare, Label, deal, encrypt};
use rand_core::OsRng;

use super::*;
use crate::keychain::Keychain;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;
const LIFE: Duration = Duration::from_secs(3600);

/// A vault of four parties, two of which decrypt, and an enclave key.
struct Scene {
    deal: Deal,
    keychain: Keychain,
}

impl Scene {
    fn new() -> Self {
        let deal = deal(Threshold::new(2).unwrap(), 4, &mut OsRng).unwrap();
        Self { deal, keychain: Keychain::new(LIFE, &mut OsRng, NOW) }
    }

    fn encrypt(&self, plaintext: &[u8]) -> Ciphertext {
        encrypt(&self.deal.public_key, Label::NONE, plaintext, &mut OsRng).unwrap()
    }

    fn share(&self, party: usize, ciphertext: &Ciphertext) -> Vec<u8> {
        let share = DecryptionShare::create(&self.deal.shares[party], ciphertext, &mut OsRng);
        self.seal(share.to_json().expose())
    }

    fn seal(&self, message: &[u8]) -> Vec<u8> {
        self.keychain.live(NOW)[0].public().seal(message, &mut OsRng).unwrap()
    }

    fn open(&self, ciphertext: &[u8], sealed: &[Vec<u8>]) -> Result<Vec<u8>, OpenSecretError> {
        self.open_at(ciphertext, sealed, NOW)
    }

    fn open_at(
        &self,
        ciphertext: &[u8],
        sealed: &[Vec<u8>],
        now: SystemTime,
    ) -> Result<Vec<u8>, OpenSecretError> {
        let key = self.keychain.live(NOW).remove(0);
        let threshold = Threshold::new(2).unwrap();
        let opener = Opener { key: &key, master: &self.deal.public_key, threshold };
        let secret = opener.open(ciphertext, sealed.iter().map(Vec::as_slice), now)?;
        Ok(secret.expose().to_vec())
    }
}

#[test]
fn two_parties_open_a_secret() {
    let scene = Scene::new();
    let ciphertext = scene.encrypt(b"hunter2");
    let sealed = [scene.share(3, &ciphertext), scene.share(0, &ciphertext)];
    assert_eq!(scene.open(ciphertext.as_bytes(), &sealed).unwrap(), b"hunter2");
}

#[test]
fn w28_bad_boxes_and_bad_shares_are_passed_over() {
    let scene = Scene::new();
    let (ciphertext, other) = (scene.encrypt(b"hunter2"), scene.encrypt(b"other"));
    let first = scene.share(0, &ciphertext);
    let sealed = [
        b"no box".to_vec(),
        scene.seal(b"no share"),
        scene.share(1, &other),
        first.clone(),
        first,
        scene.share(0, &ciphertext),
        scene.share(2, &ciphertext),
    ];
    assert_eq!(scene.open(ciphertext.as_bytes(), &sealed).unwrap(), b"hunter2");
}

#[test]
fn one_party_twice_is_one_share() {
    let scene = Scene::new();
    let ciphertext = scene.encrypt(b"hunter2");
    let sealed = [scene.share(1, &ciphertext), scene.share(1, &ciphertext)];
    let error = scene.open(ciphertext.as_bytes(), &sealed).unwrap_err();
    assert_eq!(error, OpenSecretError::TooFew { got: 1, want: 2, invalid: 0 });
    assert_eq!(
        error.to_string(),
        "failed to aggregate decryption shares: not enough valid shares to decrypt (1/2). \
         invalid shares: none"
    );
}

#[test]
fn w01_shares_of_another_secret_are_counted_and_not_shown() {
    let scene = Scene::new();
    let (ciphertext, other) = (scene.encrypt(b"hunter2"), scene.encrypt(b"other"));
    let share = DecryptionShare::create(&scene.deal.shares[0], &other, &mut OsRng).to_json();
    let sealed = [scene.seal(share.expose()), scene.share(1, &other)];
    let error = scene.open(ciphertext.as_bytes(), &sealed).unwrap_err();
    let text = format!("{error} {error:?}");
    assert_eq!(error, OpenSecretError::TooFew { got: 0, want: 2, invalid: 2 });
    assert!(text.len() < 250, "{text}");
    assert!(!text.contains(&hex::encode(&share.expose()[..8])));
    assert!(!text.contains(std::str::from_utf8(&share.expose()[20..60]).unwrap()));
}

#[test]
fn an_expired_key_opens_no_share() {
    let scene = Scene::new();
    let ciphertext = scene.encrypt(b"hunter2");
    let sealed = [scene.share(3, &ciphertext), scene.share(0, &ciphertext)];
    let late = NOW + LIFE + Duration::from_millis(1);
    let error = scene.open_at(ciphertext.as_bytes(), &sealed, late).unwrap_err();
    assert_eq!(error, OpenSecretError::TooFew { got: 0, want: 2, invalid: 0 });
}

#[test]
fn a_ciphertext_for_another_vault_is_refused() {
    let (scene, other) = (Scene::new(), Scene::new());
    let ciphertext = other.encrypt(b"hunter2");
    for bytes in [ciphertext.as_bytes(), b"", b"{}", b"\0\0\0\x01"] {
        assert_eq!(scene.open(bytes, &[]).unwrap_err(), OpenSecretError::Ciphertext);
    }
}

#[test]
fn boxes_beyond_the_limit_are_not_tried() {
    let scene = Scene::new();
    let ciphertext = scene.encrypt(b"hunter2");
    let mut sealed: Vec<_> = (0..BOXES_PER_CIPHERTEXT).map(|n| n.to_be_bytes().to_vec()).collect();
    sealed.extend([scene.share(3, &ciphertext), scene.share(0, &ciphertext)]);
    let error = scene.open(ciphertext.as_bytes(), &sealed).unwrap_err();
    assert_eq!(error, OpenSecretError::TooFew { got: 0, want: 2, invalid: 0 });
}

#[test]
fn w28_one_nodes_rubbish_does_not_starve_another_nodes_shares() {
    let scene = Scene::new();
    let ciphertext = scene.encrypt(b"hunter2");
    let rubbish: Vec<_> = (0..1000_u32).map(|n| n.to_be_bytes().to_vec()).collect();
    let shares = [scene.share(3, &ciphertext), scene.share(0, &ciphertext)];
    let nodes: Vec<Vec<&[u8]>> = vec![
        rubbish.iter().map(Vec::as_slice).collect(),
        shares.iter().map(Vec::as_slice).collect(),
    ];
    let sealed: Vec<_> = in_turn(&nodes).map(<[u8]>::to_vec).collect();
    assert_eq!(scene.open(ciphertext.as_bytes(), &sealed).unwrap(), b"hunter2");
}
