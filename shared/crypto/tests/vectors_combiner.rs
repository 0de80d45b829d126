//! The enclave's combiner: which shares open a ciphertext, and how the rest is refused.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]

use crypto::{
    seal::EphemeralKey,
    secret::Secret,
    tdh2::{
        Ciphertext, CiphertextError, CombineError, DecryptionShare, MasterPublicKey, Threshold,
        combine,
    },
};
use serde::Deserialize;
use serde_json::{Value, json};
use vectors::{Answer, Case, Deviations, Refusal, Text, model, variant_of};

const FILE: &str = "combiner.json";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    public_key: Value,
    ciphertext: Value,
    threshold: i64,
    #[serde(default)]
    shares: Vec<Value>,
    #[serde(default)]
    shares_sealed: Vec<String>,
    enclave_secret_key: Option<String>,
}

impl Input {
    fn of(case: &Case) -> Self {
        serde_json::from_value(case.input.clone()).unwrap()
    }

    /// The shares as the combiner gets them: boxes that do not open are dropped before.
    fn shares(&self) -> Vec<Secret> {
        let Some(secret) = &self.enclave_secret_key else {
            return self.shares.iter().map(|share| Secret::new(bytes(share))).collect();
        };
        let key = EphemeralKey::from_bytes(&model::hex(secret).try_into().unwrap());
        self.shares_sealed.iter().filter_map(|sealed| key.open(&model::hex(sealed)).ok()).collect()
    }

    fn threshold(&self) -> u32 {
        // The wire has unsigned numbers; a negative one is as absurd as zero.
        u32::try_from(self.threshold).unwrap_or(0)
    }

    /// Whether a party speaks twice: the reference counts it twice and then fails.
    fn repeats_a_party(&self) -> bool {
        let shares = self.shares();
        let parsed = shares.iter().filter_map(|share| DecryptionShare::parse(share.expose()).ok());
        let mut parties: Vec<u32> = parsed.map(|share| share.index()).collect();
        let all = parties.len();
        parties.sort_unstable();
        parties.dedup();
        parties.len() < all
    }
}

fn bytes(text: &Value) -> Vec<u8> {
    model::text(text).map_or_else(|bytes| bytes, String::into_bytes)
}

#[test]
fn the_combiner_answers_like_the_reference() {
    let text = |case: &Case| {
        let input = Input::of(case);
        if input.threshold() == 0 || input.repeats_a_party() { Text::Any } else { Text::Exact }
    };
    let cases = vectors::cases(FILE);
    vectors::run(FILE, &["combine", "combine_sealed"], &[], text, |case| {
        let answer = answer(&Input::of(case));
        if let (Some(error), Answer::Value(opened)) = (&case.error, &answer) {
            assert!(Input::of(case).repeats_a_party(), "{}: {error}", case.name);
            assert_eq!(opened_by_others(&cases, case), Some(opened), "{}", case.name);
        }
        answer
    });
}

/// What the reference opens the same ciphertext to with other shares.
fn opened_by_others<'c>(cases: &'c [Case], case: &Case) -> Option<&'c Value> {
    let is_same = |other: &&Case| {
        ["public_key", "ciphertext"].iter().all(|part| other.input[part] == case.input[part])
    };
    cases.iter().filter(is_same).find_map(|other| other.output.as_ref())
}

fn answer(input: &Input) -> Answer {
    let key = match MasterPublicKey::parse(&bytes(&input.public_key)) {
        Ok(key) => key,
        Err(error) => return refused(&error, "cannot unmarshal public key"),
    };
    let ciphertext = match Ciphertext::parse(&bytes(&input.ciphertext), &key) {
        Ok(ciphertext) => ciphertext,
        Err(CiphertextError::Parse(error)) => {
            return refused(&error, "cannot unmarshal ciphertext");
        }
        Err(error) => return refused(&error, "cannot unmarshal ciphertext"),
    };
    let threshold = match Threshold::new(input.threshold()) {
        Ok(threshold) => threshold,
        Err(error) => return Answer::refused(&error),
    };
    let shares = input.shares();
    match combine(&key, &ciphertext, shares.iter().map(Secret::expose), threshold) {
        Ok(secret) => Answer::Value(json!({ "plaintext": hex::encode(secret.expose()) })),
        Err(error) => Answer::Refused(Refusal {
            variant: refused_share(&error, &shares).unwrap_or_else(|| variant_of(&error)),
            text: error.to_string(),
        }),
    }
}

fn refused(error: &impl std::error::Error, class: &str) -> Answer {
    Answer::Refused(Refusal { variant: variant_of(error), text: class.to_owned() })
}

/// A share that is missing because we read more strictly: then that is the reason, not the count.
fn refused_share(error: &CombineError, shares: &[Secret]) -> Option<String> {
    let CombineError::NotEnough { invalid, .. } = error else { return None };
    let refusal = |position: &usize| DecryptionShare::parse(shares[*position].expose()).err();
    let refusals = invalid.iter().filter_map(refusal).map(|error| variant_of(&error));
    let deviations = Deviations::read();
    refusals.into_iter().find(|variant| deviations.may_refuse(FILE, variant))
}

#[test]
fn no_refusal_repeats_a_byte_of_a_share() {
    for case in vectors::cases(FILE) {
        let input = Input::of(&case);
        if let Answer::Refused(refusal) = answer(&input) {
            assert!(refusal.text.len() < 120, "{}: {}", case.name, refusal.text);
            let digits = refusal.text.chars().filter(char::is_ascii_digit).count();
            assert!(digits < 8, "{}: {}", case.name, refusal.text);
        }
    }
}
