//! What is dealt, and what must not be.

use rand_core::OsRng;

use super::*;
use crate::tdh2::{
    CombineError, combine, production_g_bar,
    tests::{Vault, opens, shares_of, threshold},
};

#[test]
fn a_redeal_keeps_ciphertexts_and_ends_old_shares() {
    let Vault { deal, ciphertext, shares } = Vault::new();
    let secret = MasterSecret::parse(deal.master_secret.to_json().expose()).unwrap();
    let (key, parties) = redeal(&deal.public_key, &secret, threshold(2), 4, &mut OsRng).unwrap();
    assert!(ciphertext.is_for(&key) && key != deal.public_key);
    let old = combine(&key, &ciphertext, shares.iter().map(Secret::expose), threshold(2));
    let too_few = CombineError::NotEnough { got: 0, want: 2, invalid: vec![0, 1, 2, 3, 4] };
    assert_eq!(old.unwrap_err(), too_few);
    let new = shares_of(&parties, &ciphertext);
    let opened = combine(&key, &ciphertext, new[1..3].iter().map(Secret::expose), threshold(2));
    assert!(opens(&opened));
}

#[test]
fn nobody_knows_the_logarithm_of_a_dealt_second_generator() {
    let fresh = deal(threshold(2), 3, &mut OsRng).unwrap();
    assert!(fresh.public_key.derives_g_bar());
    let (again, _) =
        redeal(&fresh.public_key, &fresh.master_secret, threshold(1), 2, &mut OsRng).unwrap();
    assert!(again.derives_g_bar() && again.g_bar() == fresh.public_key.g_bar());
    let other = dangerous_deal(threshold(2), 3, &mut OsRng).unwrap();
    assert!(!other.public_key.derives_g_bar());
    let id = format!("enclavectl/vault/v1/{}", hex::encode(fresh.public_key.h.encoded()));
    assert_eq!(*fresh.public_key.g_bar(), production_g_bar(&id));
}

#[test]
fn as_many_private_shares_as_the_threshold_are_the_master_secret() {
    let Deal { master_secret, public_key, shares } = deal(threshold(3), 5, &mut OsRng).unwrap();
    let own = master_secret.to_json();
    for parties in [&[0, 1, 2][..], &[4, 0, 3], &[2, 2, 1, 0], &[0, 1, 2, 3, 4]] {
        let picked = parties.iter().map(|party: &usize| &shares[*party]);
        let recovered = MasterSecret::recover(&public_key, picked).unwrap();
        assert!(recovered.to_json() == own, "{parties:?}");
    }
}

#[test]
fn too_few_or_foreign_private_shares_are_no_master_secret() {
    let vault = deal(threshold(3), 5, &mut OsRng).unwrap();
    let other = deal(threshold(3), 5, &mut OsRng).unwrap();
    let recover = |shares: &[&PrivateShare]| {
        MasterSecret::recover(&vault.public_key, shares.iter().copied()).map(|_| ())
    };
    let [a, b, c, ..] = &vault.shares[..] else { panic!("five shares") };
    assert_eq!(recover(&[]), Err(RecoverError::TooFew { got: 0 }));
    assert_eq!(recover(&[a, b]), Err(RecoverError::TooFew { got: 2 }));
    assert_eq!(recover(&[a, b, b]), Err(RecoverError::TooFew { got: 2 }));
    assert_eq!(recover(&[a, b, &other.shares[2]]), Err(RecoverError::OtherKey { index: 2 }));
    assert_eq!(recover(&[a, b, c]), Ok(()));
}

#[test]
fn a_key_is_redealt_only_with_its_own_secret() {
    let (vault, other) = (Vault::new(), Vault::new());
    let result =
        redeal(&vault.deal.public_key, &other.deal.master_secret, threshold(2), 4, &mut OsRng);
    assert_eq!(result.unwrap_err(), DealError::OtherKey);
}

#[test]
fn impossible_deals_are_refused() {
    let dealt = |t, n| deal(threshold(t), n, &mut OsRng).err();
    assert_eq!(dealt(10, 9), Some(DealError::TooFewParties { got: 9, want: 10 }));
    assert_eq!(dealt(1, 0), Some(DealError::TooFewParties { got: 0, want: 1 }));
    assert_eq!(dealt(1, 718), Some(DealError::TooManyParties { got: 718, limit: 717 }));
    assert_eq!(dealt(u32::MAX, u32::MAX).map(|_| ()), Some(()));
}

#[test]
fn the_longest_key_is_still_parsed() {
    let largest = deal(threshold(1), 717, &mut OsRng).unwrap().public_key;
    assert_eq!(MasterPublicKey::parse(largest.as_bytes()), Ok(largest));
}

#[test]
fn a_private_share_knows_its_key() {
    let (vault, other) = (Vault::new(), Vault::new());
    let share = &vault.deal.shares[2];
    assert!(share.belongs_to(&vault.deal.public_key));
    assert!(!share.belongs_to(&other.deal.public_key));
    assert!(!share.belongs_to(&vault.deal.public_key.without_parties()));
}

#[test]
fn zero_is_no_master_secret() {
    let vault = Vault::new();
    let text = r#"{"Group":"P256","S":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}"#;
    let refused = MasterSecret::parse(text.as_bytes()).unwrap_err();
    assert_eq!(refused, ParseError::Scalar { member: "S", error: ScalarError::Zero });
    let own = vault.deal.master_secret.to_json();
    assert!(MasterSecret::parse(own.expose()).is_ok());
}

#[test]
fn a_master_secret_is_wiped_on_drop() {
    fn wiped<T: zeroize::ZeroizeOnDrop>(_: &T) {}
    wiped(&*deal(threshold(1), 1, &mut OsRng).unwrap().master_secret.0);
}
