//! Sections whose outputs are equal byte for byte: keys, ciphertexts, shares, labels, generators.

use crypto::secret::Secret;
use crypto::{
    address::Address,
    tdh2::{
        Ciphertext, DecryptionShare, Label, MasterPublicKey, MasterSecret, PrivateShare, Threshold,
        combine, dangerous_deal, deal, encrypt, production_g_bar, redeal,
    },
};
use rand_core::OsRng;
use vectors::model::hex;

use crate::{
    FILE, from_base64,
    schema::{Encrypted, Intermediate, Origin},
    scripted::Scripted,
    shares_of, walk,
};

fn joined<'h>(parts: impl IntoIterator<Item = &'h String>) -> Vec<u8> {
    parts.into_iter().flat_map(|part| hex(part)).collect()
}

fn same<T, U>(what: &str, ours: &T, theirs: &U) -> Result<(), String>
where
    T: PartialEq<U> + std::fmt::Debug + ?Sized,
    U: std::fmt::Debug + ?Sized,
{
    if ours == theirs {
        Ok(())
    } else {
        Err(format!("{what}\n  theirs {theirs:?}\n  ours   {ours:?}"))
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn keys_are_dealt_like_the_reference_s() {
    let Some(file) = &*FILE else { return };
    walk(
        "keysets",
        &file.keysets,
        |keys| keys.id.clone(),
        |keys| {
            let random = joined(keys.coefficients_hex.iter().chain([&keys.g_bar_dlog_hex]));
            let threshold = Threshold::new(keys.k).unwrap();
            let dealt = dangerous_deal(threshold, keys.n, &mut Scripted::new(&random)).unwrap();
            same("public key", text(dealt.public_key.as_bytes()), keys.public_key.as_str())?;
            let master_secret = dealt.master_secret.to_json();
            same("master secret", text(master_secret.expose()), keys.master_secret.as_str())?;
            let shares: Vec<Secret> = dealt.shares.iter().map(PrivateShare::to_json).collect();
            let shares: Vec<&str> = shares.iter().map(|share| text(share.expose())).collect();
            same("private shares", &shares, &keys.private_shares)?;
            let key = keys.key();
            same("parties", &key.parties(), &keys.private_shares.len())?;
            same(
                "of the key",
                &(0..key.parties()).all(|index| keys.party(index).belongs_to(&key)),
                &true,
            )
        },
    );
}

#[test]
fn a_redealt_key_decrypts_what_the_first_one_encrypted() {
    let Some(file) = &*FILE else { return };
    let (first, second) = (file.keyset(&file.redeal.from), &file.redeal);
    let key = MasterPublicKey::parse(second.public_key.as_bytes()).unwrap();
    let parties: Vec<PrivateShare> = second
        .private_shares
        .iter()
        .map(|share| PrivateShare::parse(share.as_bytes()).unwrap())
        .collect();
    assert_eq!(parties.len(), usize::try_from(second.n).unwrap());
    assert!(parties.iter().all(|party| party.belongs_to(&key)));

    let secret = MasterSecret::parse(first.master_secret.as_bytes()).unwrap();
    let threshold = Threshold::new(second.k).unwrap();
    let (ours, _) = redeal(&first.key(), &secret, threshold, second.n, &mut OsRng).unwrap();
    assert_eq!(ours.without_parties(), key.without_parties());

    for encrypted in file.ciphertexts.iter().filter(|encrypted| encrypted.keyset == first.id) {
        let ciphertext = encrypted.under(&key);
        let share = |party| DecryptionShare::create(party, &ciphertext, &mut OsRng).to_json();
        let shares: Vec<Secret> = parties.iter().map(share).collect();
        let opened = combine(&key, &ciphertext, shares.iter().map(Secret::expose), threshold);
        assert_eq!(opened.unwrap().expose(), hex(&encrypted.plaintext_hex), "{}", encrypted.id);
    }
}

#[test]
fn ciphertexts_are_the_reference_s() {
    let Some(file) = &*FILE else { return };
    walk(
        "ciphertexts",
        &file.ciphertexts,
        |encrypted| encrypted.id.clone(),
        |encrypted| {
            let keys = file.keyset(&encrypted.keyset);
            let key = keys.key();
            let ciphertext = encrypted.under(&key);
            same("label", &hex::encode(ciphertext.label().as_bytes()), &encrypted.label_hex)?;
            let parties: Vec<usize> = (0..key.parties()).rev().collect();
            let shares = shares_of(keys, &ciphertext, &parties);
            let threshold = Threshold::new(keys.k).unwrap();
            let opened = combine(&key, &ciphertext, shares.iter().map(Secret::expose), threshold);
            let opened = opened.map_err(|error| error.to_string())?;
            same("plaintext", &hex::encode(opened.expose()), &encrypted.plaintext_hex)?;
            if encrypted.origin == Origin::GoReference {
                made_again(encrypted, &key)
            } else {
                Ok(())
            }
        },
    );
}

/// Encrypts with the recorded randomness.
fn made_again(encrypted: &Encrypted, key: &MasterPublicKey) -> Result<(), String> {
    let parts = [&encrypted.sym_key_hex, &encrypted.nonce_hex, &encrypted.r_hex, &encrypted.s_hex];
    let random = joined(parts.into_iter().map(|part| part.as_ref().unwrap()));
    let label = Label::from(<[u8; 32]>::try_from(hex(&encrypted.label_hex)).unwrap());
    let plaintext = hex(&encrypted.plaintext_hex);
    let made = encrypt(key, label, &plaintext, &mut Scripted::new(&random)).unwrap();
    same("ciphertext", text(made.as_bytes()), encrypted.ciphertext.as_str())?;

    let inner = encrypted.inner_ciphertext.as_ref().unwrap();
    same("inner", &inner_of(&made), inner)?;
    let Intermediate { c, u, u_bar, e, f, .. } = encrypted.intermediate.as_ref().unwrap();
    let members: serde_json::Value = serde_json::from_str(inner).unwrap();
    for (name, value) in [("C", c), ("U", u), ("U_bar", u_bar), ("E", e), ("F", f)] {
        let member = members[name].as_str().unwrap();
        same(name, &hex::encode(from_base64(member)), value)?;
    }
    Ok(())
}

fn inner_of(ciphertext: &Ciphertext) -> String {
    let outer: serde_json::Value = serde_json::from_slice(ciphertext.as_bytes()).unwrap();
    String::from_utf8(from_base64(outer["TDH2Ctxt"].as_str().unwrap())).unwrap()
}

#[test]
fn decryption_shares_are_the_reference_s() {
    let Some(file) = &*FILE else { return };
    let name = |share: &crate::schema::Share| format!("{} of {}", share.index, share.ciphertext);
    walk("decryption_shares", &file.decryption_shares, name, |share| {
        let encrypted = file.encrypted(&share.ciphertext);
        let keys = file.keyset(&encrypted.keyset);
        let key = keys.key();
        let ciphertext = encrypted.under(&key);
        let random = hex(&share.s_i_hex);
        let party = keys.party(share.index);
        let made = DecryptionShare::create(&party, &ciphertext, &mut Scripted::new(&random));
        same("share", text(made.to_json().expose()), share.share.as_str())?;
        let parsed = DecryptionShare::parse(share.share.as_bytes()).map_err(|e| e.to_string())?;
        parsed.verify(&key, &ciphertext).map_err(|error| error.to_string())?;
        same("written again", text(parsed.to_json().expose()), share.share.as_str())
    });
}

#[test]
fn owners_have_the_labels_of_the_reference() {
    let Some(file) = &*FILE else { return };
    walk(
        "owner_labels",
        &file.owner_labels,
        |case| case.owner.clone(),
        |case| {
            let address = Address::parse_permissive(&case.owner);
            same("address", &address.to_string(), &case.checksummed)?;
            let label = Label::of_any_owner(&address);
            same("label", &hex::encode(label.as_bytes()), &case.label_hex)?;
            // What we accept ourselves means the same.
            match Address::parse(&case.owner) {
                Ok(strict) => same("strict address", &strict, &address),
                Err(_) => Ok(()),
            }
        },
    );
}

#[test]
fn production_generators_are_the_reference_s() {
    let Some(file) = &*FILE else { return };
    walk(
        "production_g_bar",
        &file.production_g_bar,
        |case| case.instance_id.clone(),
        |case| {
            let ours = hex::encode(production_g_bar(&case.instance_id));
            same("point", &ours, &case.g_bar_hex)?;
            let is_odd = hex(&ours)[64] % 2 == 1;
            let compressed = format!("{}{}", if is_odd { "03" } else { "02" }, &ours[2..66]);
            same("compressed point", &compressed, &case.g_bar_compressed_hex)
        },
    );
}

#[test]
fn objects_have_the_sizes_of_the_reference() {
    let Some(file) = &*FILE else { return };
    let dealt = deal(Threshold::new(3).unwrap(), 5, &mut OsRng).unwrap();
    let key = &dealt.public_key;
    let encrypted = |plaintext| encrypt(key, Label::NONE, plaintext, &mut OsRng).unwrap();
    let (empty, five) = (encrypted(b""), encrypted(b"hello"));
    let share = DecryptionShare::create(&dealt.shares[0], &empty, &mut OsRng);
    assert_eq!(share.to_json().len(), file.sizes.decryption_share_bytes_index0);
    assert_eq!(empty.as_bytes().len(), file.sizes.hybrid_ciphertext_bytes_for_empty_plaintext);
    assert_eq!(five.as_bytes().len(), file.sizes.hybrid_ciphertext_bytes_for_5_byte_plaintext);
    assert_eq!(inner_of(&five).len(), file.sizes.inner_ciphertext_bytes);
    assert_eq!(dealt.shares[0].to_json().len(), file.sizes.private_share_bytes);
    assert_eq!(key.as_bytes().len(), file.sizes.public_key_bytes_n5);
}
