//! What opens a ciphertext, and everything that must not.
#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

use proptest::{prelude::*, sample::subsequence};
use rand_core::OsRng;
use serde_json::Value;

use super::{
    group::{Point, commitment, decode_scalar},
    hash::{h1, h2},
    *,
};
use crate::secret::Secret;

const PLAINTEXT: &[u8] = b"hunter2";

pub(super) fn threshold(shares: u32) -> Threshold {
    Threshold::new(shares).unwrap()
}

/// A key with five parties of which three decrypt, a ciphertext, and every party's share of it.
pub(super) struct Vault {
    pub(super) deal: Deal,
    pub(super) ciphertext: Ciphertext,
    pub(super) shares: Vec<Secret>,
}

impl Vault {
    pub(super) fn new() -> Self {
        let deal = deal(threshold(3), 5, &mut OsRng).unwrap();
        let label = Label::from([7; 32]);
        let ciphertext = encrypt(&deal.public_key, label, PLAINTEXT, &mut OsRng).unwrap();
        let shares = shares_of(&deal.shares, &ciphertext);
        Self { deal, ciphertext, shares }
    }

    pub(super) fn combine(&self, shares: &[&[u8]], t: u32) -> Result<Secret, CombineError> {
        combine(&self.deal.public_key, &self.ciphertext, shares.iter().copied(), threshold(t))
    }

    /// The shares at these positions.
    pub(super) fn picked(&self, positions: &[usize]) -> Vec<&[u8]> {
        positions.iter().map(|position| self.shares[*position].expose()).collect()
    }
}

pub(super) fn shares_of(parties: &[PrivateShare], ciphertext: &Ciphertext) -> Vec<Secret> {
    let share = |party| DecryptionShare::create(party, ciphertext, &mut OsRng).to_json();
    parties.iter().map(share).collect()
}

pub(super) fn opens(result: &Result<Secret, CombineError>) -> bool {
    result.as_ref().is_ok_and(|secret| secret.expose() == PLAINTEXT)
}

pub(super) fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let position = bit / 8 % bytes.len();
    bytes[position] ^= 1 << (bit % 8);
    bytes
}

#[test]
fn garbage_and_foreign_shares_are_skipped_and_named_by_position() {
    let (vault, other) = (Vault::new(), Vault::new());
    let foreign = other.shares[0].expose();
    let mut shares = vec![b"garbage".as_slice(), foreign];
    shares.extend(vault.picked(&[4, 0]));
    let too_few = CombineError::NotEnough { got: 2, want: 3, invalid: vec![0, 1] };
    assert_eq!(vault.combine(&shares, 3).unwrap_err(), too_few);
    shares.extend(vault.picked(&[2]));
    assert!(opens(&vault.combine(&shares, 3)));
}

#[test]
fn one_party_twice_is_one_share() {
    let vault = Vault::new();
    let again = DecryptionShare::create(&vault.deal.shares[1], &vault.ciphertext, &mut OsRng);
    let again = again.to_json();
    let mut shares = vault.picked(&[1, 1, 2]);
    shares.insert(0, again.expose());
    let too_few = CombineError::NotEnough { got: 2, want: 3, invalid: vec![] };
    assert_eq!(vault.combine(&shares, 3).unwrap_err(), too_few);
    shares.extend(vault.picked(&[0]));
    assert!(opens(&vault.combine(&shares, 3)));
}

#[test]
fn a_bad_share_does_not_take_the_place_of_a_good_one() {
    let vault = Vault::new();
    let (one, two) = (vault.shares[0].expose(), vault.shares[1].expose());
    let text = String::from_utf8(two.to_vec()).unwrap();
    let relabelled = text.replace("\"Index\":1", "\"Index\":0");
    let shares = [relabelled.as_bytes(), one, two, vault.shares[2].expose()];
    assert!(opens(&vault.combine(&shares, 3)));
}

#[test]
fn a_threshold_below_the_true_one_decrypts_nothing() {
    let vault = Vault::new();
    let result = vault.combine(&vault.picked(&[0, 1, 2, 3, 4]), 2);
    assert_eq!(result.unwrap_err(), CombineError::Decrypt);
}

#[test]
fn a_threshold_above_the_true_one_asks_for_more_shares() {
    let vault = Vault::new();
    assert!(opens(&vault.combine(&vault.picked(&[0, 1, 2, 3]), 4)));
    let too_few = CombineError::NotEnough { got: 3, want: 4, invalid: vec![] };
    assert_eq!(vault.combine(&vault.picked(&[0, 1, 2]), 4).unwrap_err(), too_few);
}

#[test]
fn shares_of_one_ciphertext_do_not_open_another() {
    let vault = Vault::new();
    let key = &vault.deal.public_key;
    let other = encrypt(key, Label::NONE, b"other", &mut OsRng).unwrap();
    let shares = vault.picked(&[0, 1, 2]);
    let result = combine(key, &other, shares, threshold(3));
    let too_few = CombineError::NotEnough { got: 0, want: 3, invalid: vec![0, 1, 2] };
    assert_eq!(result.unwrap_err(), too_few);
}

#[test]
fn no_error_text_holds_a_share() {
    let vault = Vault::new();
    let other = encrypt(&vault.deal.public_key, Label::NONE, b"other", &mut OsRng).unwrap();
    let shares = vault.picked(&[0, 1, 2]);
    let error = combine(&vault.deal.public_key, &other, shares, threshold(3)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to aggregate decryption shares: not enough valid shares to decrypt (0/3)"
    );
    let debug = format!("{error:?}");
    assert_eq!(debug, "NotEnough { got: 0, want: 3, invalid: [0, 1, 2] }");
}

#[test]
fn a_ciphertext_of_another_key_is_refused() {
    let (vault, other) = (Vault::new(), Vault::new());
    let parsed = Ciphertext::parse(vault.ciphertext.as_bytes(), &other.deal.public_key);
    assert_eq!(parsed.unwrap_err(), CiphertextError::Proof);
    let shares = vault.picked(&[0, 1, 2]);
    let result = combine(&other.deal.public_key, &vault.ciphertext, shares, threshold(3));
    assert_eq!(result.unwrap_err(), CombineError::OtherKey);
    let share = DecryptionShare::parse(vault.shares[0].expose()).unwrap();
    let answer = share.verify(&other.deal.public_key, &vault.ciphertext);
    assert_eq!(answer, Err(ShareError::OtherKey));
}

#[test]
fn a_key_without_parties_encrypts_and_verifies_no_share() {
    let vault = Vault::new();
    let short = vault.deal.public_key.without_parties();
    let short = MasterPublicKey::parse(short.as_bytes()).unwrap();
    assert!(short.as_bytes().ends_with(b"\"HArray\":[]}"));
    let ciphertext = encrypt(&short, Label::NONE, PLAINTEXT, &mut OsRng).unwrap();
    let shares = shares_of(&vault.deal.shares, &ciphertext);
    let share = DecryptionShare::parse(shares[0].expose()).unwrap();
    assert_eq!(share.verify(&short, &ciphertext), Err(ShareError::Index));
    let opened = combine(
        &vault.deal.public_key,
        &ciphertext,
        shares.iter().map(Secret::expose),
        threshold(3),
    );
    assert!(opens(&opened));
}

#[test]
fn the_longest_plaintext_fits_and_one_byte_more_is_refused() {
    let key = deal(threshold(1), 1, &mut OsRng).unwrap().public_key;
    let plaintext = vec![0; 785_954];
    let ciphertext = encrypt(&key, Label::NONE, &plaintext, &mut OsRng).unwrap();
    assert!(ciphertext.as_bytes().len() <= 1024 * 1024);
    assert!(Ciphertext::parse(ciphertext.as_bytes(), &key).is_ok());
    let longer = encrypt(&key, Label::NONE, &[plaintext, vec![0]].concat(), &mut OsRng);
    let (got, limit) = (785_955, 785_954);
    assert_eq!(longer.unwrap_err(), EncryptError::TooLong { got, limit });
}

#[test]
fn texts_over_their_limit_are_refused_unread() {
    let vault = Vault::new();
    let padded = |text: &[u8], length: usize| [text, &vec![b' '; length - text.len()]].concat();
    let too_long = |limit: usize| ParseError::TooLong { got: limit + 1, limit };
    let share = vault.shares[0].expose();
    assert!(DecryptionShare::parse(&padded(share, 1024)).is_ok());
    assert_eq!(DecryptionShare::parse(&padded(share, 1025)).unwrap_err(), too_long(1024));
    let secret = vault.deal.master_secret.to_json();
    let refused = MasterSecret::parse(&padded(secret.expose(), 1025)).unwrap_err();
    assert_eq!(refused, too_long(1024));
    let party = vault.deal.shares[0].to_json();
    let refused = PrivateShare::parse(&padded(party.expose(), 1025)).unwrap_err();
    assert_eq!(refused, too_long(1024));
    let key = &vault.deal.public_key;
    let long = padded(key.as_bytes(), 65_537);
    assert_eq!(MasterPublicKey::parse(&long).unwrap_err(), too_long(65_536));
    let long = padded(vault.ciphertext.as_bytes(), 1_048_577);
    let refused = Ciphertext::parse(&long, key).unwrap_err();
    assert_eq!(refused, CiphertextError::Parse(too_long(1_048_576)));
}

#[test]
fn the_share_of_a_zero_belongs_to_no_key_and_counts_nowhere() {
    let vault = Vault::new();
    let text = r#"{"Group":"P256","Index":0,"V":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}"#;
    let party = PrivateShare::parse(text.as_bytes()).unwrap();
    assert!(!party.belongs_to(&vault.deal.public_key));
    let share = DecryptionShare::create(&party, &vault.ciphertext, &mut OsRng);
    let refused = DecryptionShare::parse(share.to_json().expose()).unwrap_err();
    assert_eq!(refused, ParseError::Point { member: "U_i", error: PointError::Identity });
    let key = &vault.deal.public_key;
    assert_eq!(share.verify(key, &vault.ciphertext), Err(ShareError::Proof));
}

#[test]
fn what_is_secret_is_wiped_on_drop() {
    fn wiped<T: zeroize::ZeroizeOnDrop>(_: &T) {}
    let vault = Vault::new();
    let share = DecryptionShare::parse(vault.shares[0].expose()).unwrap();
    wiped(&*vault.deal.shares[0].value);
    wiped(&*share.u_i);
    wiped(&vault.shares[0]);
}

#[test]
fn the_key_schedule_of_the_cipher_is_wiped_on_drop() {
    // Holds only as long as the manifest turns the feature on.
    fn wiped<T: zeroize::ZeroizeOnDrop>() {}
    wiped::<aes::Aes256>();
}

#[test]
fn secrets_print_nothing() {
    let vault = Vault::new();
    let party = &vault.deal.shares[1];
    let share = DecryptionShare::parse(vault.shares[1].expose()).unwrap();
    assert_eq!(format!("{:?}", vault.deal.master_secret), "MasterSecret");
    assert_eq!(format!("{party:?}"), "PrivateShare(of party 1)");
    assert_eq!(format!("{share:?}"), "DecryptionShare(of party 1)");
}

/// The values that encryption and sharing compute on the way and that no output shows.
#[test]
fn intermediate_values_are_the_reference_s() {
    let Some(text) = vectors::text("tdh2.json") else { return };
    let file: Value = serde_json::from_str(&text).unwrap();
    let bytes = |value: &Value| vectors::model::hex(value.as_str().unwrap());
    let scalar = |value: &Value| decode_scalar(&bytes(value)).unwrap();
    let is = |point: &Point, value: &Value| assert_eq!(point.encoded().as_slice(), bytes(value));
    let find = |section: &str, id: &Value| {
        file[section].as_array().unwrap().iter().find(|entry| entry["id"] == *id).unwrap()
    };
    let key_of = |encrypted: &Value| {
        let text = &find("keysets", &encrypted["keyset"])["public_key"];
        MasterPublicKey::parse(text.as_str().unwrap().as_bytes()).unwrap()
    };
    let g = Point::generator();
    for encrypted in file["ciphertexts"].as_array().unwrap() {
        let Some(within) = encrypted.get("intermediate") else { continue };
        let key = key_of(encrypted);
        let (r, s) = (scalar(&encrypted["r_hex"]), scalar(&encrypted["s_hex"]));
        let (e, f) = (scalar(&within["e_hex"]), scalar(&within["f_hex"]));
        let pad_point = key.h.times(&r);
        is(&pad_point, &within["rH_hex"]);
        assert_eq!(h1(&pad_point).as_slice(), bytes(&within["hash1_mask_hex"]));
        let (u, u_bar) = (g.times(&r), key.g_bar.times(&r));
        let (w, w_bar) = (g.times(&s), key.g_bar.times(&s));
        is(&w, &within["W_hex"]);
        is(&w_bar, &within["W_bar_hex"]);
        is(&commitment(&f, &g, &e, &u), &within["W_hex"]);
        is(&commitment(&f, &key.g_bar, &e, &u_bar), &within["W_bar_hex"]);
        let (c, label) = (bytes(&within["C_hex"]), bytes(&encrypted["label_hex"]));
        let (c, label) = (c.try_into().unwrap(), label.try_into().unwrap());
        assert_eq!(h2(&c, &label, [&u, &w, &u_bar, &w_bar]), e);
    }
    for share in file["decryption_shares"].as_array().unwrap() {
        let encrypted = find("ciphertexts", &share["ciphertext"]);
        let text = encrypted["ciphertext"].as_str().unwrap();
        let ciphertext = Ciphertext::parse(text.as_bytes(), &key_of(encrypted)).unwrap();
        let t = scalar(&share["s_i_hex"]);
        is(&ciphertext.u.times(&t), &share["u_hat_hex"]);
        is(&g.times(&t), &share["h_hat_hex"]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn what_is_encrypted_is_decrypted(
        plaintext in prop::collection::vec(any::<u8>(), 0..200),
        label: [u8; 32],
        t in 1_u32..4,
        spare in 0_u32..3,
    ) {
        let deal = deal(threshold(t), t + spare, &mut OsRng).unwrap();
        let key = MasterPublicKey::parse(deal.public_key.as_bytes()).unwrap();
        let made = encrypt(&key, label.into(), &plaintext, &mut OsRng).unwrap();
        let length = 615 + 4 * (plaintext.len() + 16).div_ceil(3);
        prop_assert_eq!(made.as_bytes().len(), length);
        let ciphertext = Ciphertext::parse(made.as_bytes(), &key).unwrap();
        prop_assert_eq!(ciphertext.label(), label.into());
        let shares = shares_of(&deal.shares, &ciphertext);
        let last = shares.iter().rev().map(Secret::expose);
        let secret = combine(&key, &ciphertext, last, threshold(t)).unwrap();
        prop_assert_eq!(secret.expose(), plaintext.as_slice());
    }

    #[test]
    fn parsing_what_was_written_changes_nothing(t in 1_u32..4, spare in 0_u32..9) {
        let deal = deal(threshold(t), t + spare, &mut OsRng).unwrap();
        let key = MasterPublicKey::parse(deal.public_key.as_bytes()).unwrap();
        prop_assert_eq!(key.to_json(), deal.public_key.as_bytes());
        prop_assert_eq!(key.parties(), deal.shares.len());
        let ciphertext = encrypt(&key, Label::NONE, b"", &mut OsRng).unwrap();
        for party in &deal.shares {
            let text = party.to_json();
            let again = PrivateShare::parse(text.expose()).unwrap().to_json();
            prop_assert_eq!(again.expose(), text.expose());
            let text = DecryptionShare::create(party, &ciphertext, &mut OsRng).to_json();
            let again = DecryptionShare::parse(text.expose()).unwrap().to_json();
            prop_assert_eq!(again.expose(), text.expose());
        }
    }

    #[test]
    fn the_order_of_shares_does_not_matter(
        positions in Just(vec![0_usize, 1, 2, 3, 4]).prop_shuffle(),
    ) {
        let vault = Vault::new();
        prop_assert!(opens(&vault.combine(&vault.picked(&positions), 3)));
    }

    #[test]
    fn one_share_less_never_decrypts(
        positions in subsequence(vec![0_usize, 1, 2, 3, 4], 2).prop_shuffle(),
    ) {
        let vault = Vault::new();
        let shares = vault.picked(&positions);
        let too_few = CombineError::NotEnough { got: 2, want: 3, invalid: vec![] };
        prop_assert_eq!(vault.combine(&shares, 3).unwrap_err(), too_few);
        prop_assert_eq!(vault.combine(&shares, 2).unwrap_err(), CombineError::Decrypt);
    }

    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let vault = Vault::new();
        prop_assert!(MasterPublicKey::parse(&bytes).is_err());
        prop_assert!(Ciphertext::parse(&bytes, &vault.deal.public_key).is_err());
        prop_assert!(DecryptionShare::parse(&bytes).is_err());
        prop_assert!(PrivateShare::parse(&bytes).is_err());
        prop_assert!(MasterSecret::parse(&bytes).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn one_flipped_bit_of_a_ciphertext_is_refused(bit in 0_usize..650 * 8) {
        let vault = Vault::new();
        let key = &vault.deal.public_key;
        let bytes = flipped(vault.ciphertext.as_bytes(), bit);
        if let Ok(ciphertext) = Ciphertext::parse(&bytes, key) {
            let shares = vault.picked(&[0, 1, 2]);
            let result = combine(key, &ciphertext, shares, threshold(3));
            prop_assert_eq!(result.unwrap_err(), CombineError::Decrypt);
        }
    }

    /// `H` is not part of any proof, so another `H` is another key, for encryptors alone.
    #[test]
    fn one_flipped_bit_of_a_public_key_is_no_key_or_another_one(bit in 0_usize..676 * 8) {
        let vault = Vault::new();
        let key = &vault.deal.public_key;
        let bytes = flipped(key.as_bytes(), bit);
        let Ok(other) = MasterPublicKey::parse(&bytes) else { return Ok(()) };
        prop_assert_ne!(&other, key);
        let points = |key: &MasterPublicKey| {
            let parties: Vec<_> = key.shares.iter().map(|point| *point.encoded()).collect();
            (*key.g_bar(), *key.h.encoded(), parties)
        };
        // A name that is not known any more takes the list of parties with it, as an absent one does.
        let is_shorter = other.parties() == 0 && other.without_parties() == key.without_parties();
        prop_assert!(points(&other) != points(key) || is_shorter);
    }

    #[test]
    fn one_flipped_bit_of_a_share_is_refused(party in 0_usize..5, bit in 0_usize..230 * 8) {
        let vault = Vault::new();
        let bytes = flipped(vault.shares[party].expose(), bit);
        let answer = DecryptionShare::parse(&bytes)
            .map(|share| share.verify(&vault.deal.public_key, &vault.ciphertext));
        prop_assert!(!matches!(answer, Ok(Ok(()))));
    }
}
