//! Sections that say what is accepted and what is refused, in which class.

use crypto::{
    secret::Secret,
    tdh2::{
        Ciphertext, DecryptionShare, MasterPublicKey, MasterSecret, PrivateShare, Threshold,
        combine, deal,
    },
};
use rand_core::OsRng;
use vectors::model::hex;

use crate::{
    FILE,
    class::{Expected, Refused},
    from_base64,
    schema::{Combiner, Kind, Outcome, Unmarshal, VerifyShare},
    shares_of, threshold, walk,
};

#[test]
fn shares_aggregate_like_the_reference_s() {
    let Some(file) = &*FILE else { return };
    walk(
        "aggregate",
        &file.aggregate,
        |case| case.name.clone(),
        |case| {
            let encrypted = file.encrypted(&case.ciphertext);
            let keys = file.keyset(&encrypted.keyset);
            let key = keys.key();
            let ciphertext = encrypted.under(&key);
            let shares = shares_of(keys, &ciphertext, &case.share_indices);
            // The reference uses every share handed in; its other count is ignored.
            let ours = threshold(shares.len()).map_err(Refused::from).and_then(|all| {
                Ok(combine(&key, &ciphertext, shares.iter().map(Secret::expose), all)?)
            });
            if let Ok(opened) = &ours {
                let recorded = case.plaintext_hex.as_ref().unwrap_or(&encrypted.plaintext_hex);
                plaintext_is(opened, Some(recorded))?;
            }
            Expected::of(case.expect, case.error_code.as_ref(), case.hardened.as_ref()).agrees(ours)
        },
    );
}

#[test]
fn the_combiner_answers_like_the_hardened_reference() {
    let Some(file) = &*FILE else { return };
    walk(
        "combiner",
        &file.combiner,
        |case| case.name.clone(),
        |case| {
            let hardened = case.hardened.as_ref();
            let expected = Expected::of(case.expect, case.error_code.as_ref(), hardened);
            let ours = combined(case);
            if let Ok(opened) = &ours {
                let stricter = hardened.and_then(|stricter| stricter.plaintext_hex.as_ref());
                plaintext_is(opened, stricter.or(case.plaintext_hex.as_ref()))?;
            }
            expected.agrees(ours)
        },
    );
}

fn combined(case: &Combiner) -> Result<Secret, Refused> {
    // The order of the combiner, with the threshold typed before anything is read.
    let threshold = Threshold::new(u32::try_from(case.threshold).unwrap_or(0))?;
    let key = MasterPublicKey::parse(&from_base64(&case.public_key_b64))
        .map_err(|error| Refused::from(error).within("PK"))?;
    let ciphertext = Ciphertext::parse(&from_base64(&case.ciphertext_b64), &key)
        .map_err(|error| Refused::from(error).within("CT"))?;
    let shares: Vec<Vec<u8>> = case.shares_b64.iter().map(|share| from_base64(share)).collect();
    Ok(combine(&key, &ciphertext, shares.iter().map(Vec::as_slice), threshold)?)
}

fn plaintext_is(opened: &Secret, recorded: Option<&String>) -> Result<(), String> {
    let recorded = recorded.ok_or("opened, and the case has no plaintext")?;
    if opened.expose() == hex(recorded) { Ok(()) } else { Err("another plaintext".to_owned()) }
}

#[test]
fn ciphertexts_are_read_like_by_the_hardened_reference() {
    let Some(file) = &*FILE else { return };
    walk(
        "unmarshal_verify",
        &file.unmarshal_verify,
        |case| case.name.clone(),
        |case| {
            let key = MasterPublicKey::parse(case.public_key.as_bytes()).unwrap();
            let ours = Ciphertext::parse(&from_base64(&case.ciphertext_b64), &key);
            if let (Ok(ciphertext), Some(label)) = (&ours, &case.label_hex) {
                assert_eq!(ciphertext.label().as_bytes().as_slice(), hex(label), "{}", case.name);
            }
            Expected::of(case.expect, case.error_code.as_ref(), case.hardened.as_ref())
                .agrees(ours.map_err(Refused::from))
        },
    );
}

#[test]
fn shares_are_verified_like_by_the_hardened_reference() {
    let Some(file) = &*FILE else { return };
    walk(
        "verify_share",
        &file.verify_share,
        |case| case.name.clone(),
        |case| {
            let ours = verified(file, case);
            Expected::of(case.expect, case.error_code.as_ref(), case.hardened.as_ref()).agrees(ours)
        },
    );
}

fn verified(file: &crate::File, case: &VerifyShare) -> Result<(), Refused> {
    let encrypted = file.encrypted(&case.ciphertext);
    let ciphertext = encrypted.under(&file.keyset(&encrypted.keyset).key());
    let share = DecryptionShare::parse(&from_base64(&case.share_b64))?;
    let key = MasterPublicKey::parse(case.public_key.as_bytes())?;
    Ok(share.verify(&key, &ciphertext)?)
}

#[test]
fn keys_and_private_shares_are_read_like_by_the_hardened_reference() {
    let Some(file) = &*FILE else { return };
    walk(
        "unmarshal",
        &file.unmarshal,
        |case| case.name.clone(),
        |case| {
            let ours = written_again(case);
            if let (Ok(ours), Some(theirs)) = (&ours, &case.reencoded) {
                assert_eq!(ours.expose(), theirs.as_bytes(), "{}", case.name);
            }
            Expected::of(case.expect, case.error_code.as_ref(), case.hardened.as_ref()).agrees(ours)
        },
    );
}

fn written_again(case: &Unmarshal) -> Result<Secret, Refused> {
    let input = from_base64(&case.input_b64);
    Ok(match case.kind {
        Kind::PublicKey => {
            let key = MasterPublicKey::parse(&input)?;
            assert_eq!(key.as_bytes(), input, "{}: received bytes are kept", case.name);
            Secret::new(key.to_json())
        }
        Kind::PrivateShare => PrivateShare::parse(&input)?.to_json(),
        Kind::MasterSecret => MasterSecret::parse(&input)?.to_json(),
    })
}

#[test]
fn impossible_deals_are_refused_like_by_the_reference() {
    let Some(file) = &*FILE else { return };
    walk(
        "keygen",
        &file.keygen,
        |case| format!("{} of {}", case.k, case.n),
        |case| {
            let unsigned = |number: i64| u32::try_from(number).unwrap_or(0);
            let ours = Threshold::new(unsigned(case.k))
                .map_err(Refused::from)
                .and_then(|threshold| Ok(deal(threshold, unsigned(case.n), &mut OsRng)?));
            Expected::of(case.expect, case.error_code.as_ref(), None).agrees(ours)
        },
    );
}

#[test]
fn both_outcomes_occur_where_both_can() {
    let Some(file) = &*FILE else { return };
    if !vectors::folder().1 {
        return;
    }
    let outcomes: [Vec<Outcome>; 5] = [
        file.aggregate.iter().map(|case| case.expect).collect(),
        file.combiner.iter().map(|case| case.expect).collect(),
        file.unmarshal_verify.iter().map(|case| case.expect).collect(),
        file.verify_share.iter().map(|case| case.expect).collect(),
        file.unmarshal.iter().map(|case| case.expect).collect(),
    ];
    for section in outcomes {
        assert!(section.contains(&Outcome::Ok) && section.contains(&Outcome::Error));
    }
}
