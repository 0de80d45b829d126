//! `keychain.json`: which key is found, pinned, listed and opens, over rotations and expiries.
#![cfg(test)]
#![expect(clippy::arithmetic_side_effects, reason = "a test that stops has failed")]

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use crypto::seal::EphemeralPublicKey;
use enclave_server::keychain::{KeyPair, Keychain};
use protocol::ids::RequestId;
use rand_core::OsRng;
use serde_json::{Value, json};
use vectors::{Answer, Case, Text};

#[test]
fn keys_live_and_die_as_in_the_reference() {
    vectors::run("keychain.json", &["sequence", "lookup_length"], &[], |_case| Text::Exact, answer);
}

fn answer(case: &Case) -> Answer {
    match case.op.as_str() {
        "lookup_length" => {
            let keychain = Keychain::new(Duration::from_secs(1), &mut OsRng, at(0));
            let length = number(&case.input["length"]);
            let found = keychain.find(&vec![7; usize::try_from(length).unwrap()], at(0));
            found.map(|_key| json!({ "found": true })).into()
        }
        _ => Answer::Value(json!({ "results": Play::new(&case.input).results() })),
    }
}

/// A keychain with its clock, and every key it ever made.
struct Play<'c> {
    keychain: Keychain,
    made: Vec<Arc<KeyPair>>,
    input: &'c Value,
    rotation: u64,
    sweep: u64,
    now: u64,
}

impl<'c> Play<'c> {
    fn new(input: &'c Value) -> Self {
        let life = Duration::from_millis(number(&input["expiration_ms"]));
        let keychain = Keychain::new(life, &mut OsRng, at(0));
        let made = keychain.live(at(0));
        let (rotation, sweep) = (number(&input["rotation_ms"]), number(&input["gc_ms"]));
        Self { keychain, made, input, rotation, sweep, now: 0 }
    }

    fn results(mut self) -> Vec<Value> {
        let events = self.input["events"].as_array().unwrap();
        events.iter().map(|event| self.event(event)).collect()
    }

    /// Lets time pass: rotations and sweeps happen when they are due.
    fn pass_until(&mut self, until: u64) {
        let next = |now: u64, every: u64| (now / every + 1) * every;
        loop {
            let (rotation, sweep) = (next(self.now, self.rotation), next(self.now, self.sweep));
            let due = rotation.min(sweep);
            if due > until {
                break;
            }
            self.now = due;
            if due == rotation {
                self.keychain.rotate(&mut OsRng, at(due));
                self.made.extend(self.keychain.live(at(due)).last().cloned());
            }
            if due == sweep {
                self.keychain.sweep(at(due));
            }
        }
        self.now = until;
    }

    fn event(&mut self, event: &Value) -> Value {
        self.pass_until(number(&event["at_ms"]));
        let now = at(self.now);
        let key = || Arc::clone(&self.made[usize::try_from(number(&event["key"])).unwrap()]);
        match event["do"].as_str().unwrap() {
            "list" => {
                let live = self.keychain.live(now);
                live.iter().map(|key| self.name(key.public())).collect()
            }
            "get" => match self.keychain.find(key().public().as_bytes(), now) {
                Ok(_key) => json!({ "found": true }),
                Err(error) => json!({ "error": error.to_string() }),
            },
            "decrypt" => {
                let sealed = key().public().seal(b"x", &mut OsRng).unwrap();
                match key().open(&sealed, now) {
                    Ok(opened) => json!({ "ok": opened.expose() == b"x" }),
                    Err(error) => json!({ "error": error.to_string() }),
                }
            }
            "pin" => {
                let mut id = [0; 32];
                id[0] = u8::try_from(number(&event["request"])).unwrap();
                match self.keychain.pinned(RequestId::from(id), now) {
                    Ok(key) => json!({ "key": self.name(key.public()) }),
                    Err(error) => json!({ "error": error.to_string() }),
                }
            }
            other => panic!("unknown event {other}"),
        }
    }

    fn name(&self, public: &EphemeralPublicKey) -> Value {
        let position = self.made.iter().position(|key| key.public() == public).unwrap();
        Value::from(format!("k{position}"))
    }
}

fn at(ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(ms)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}
