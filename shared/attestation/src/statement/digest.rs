//! The hashes in a statement: each SHA-256 over a name of its own and its items, which have their
//! lengths before them.

use std::{collections::BTreeSet, fmt};

use crate::hash::{Sha256, sha256};

/// Hash of an enclave's settings: the body in which they were posted, as it was.
#[must_use]
pub fn settings_hash(body: &[u8]) -> [u8; 32] {
    let mut hash = named("settings");
    hash.field(body);
    hash.finish()
}

/// Hash of the sealed decryption shares of a request. Neither their order nor who sent one twice
/// makes a difference, because several members of the committee send the same ones.
#[must_use]
pub fn shares_hash<'s>(sealed: impl IntoIterator<Item = &'s [u8]>) -> [u8; 32] {
    let distinct: BTreeSet<_> = sealed.into_iter().map(sha256).collect();
    let mut hash = named("shares");
    distinct.iter().for_each(|share| hash.field(share));
    hash.finish()
}

/// Hash of the events beside an answer, in their order, each in the canonical JSON of the protocol.
///
/// An enclave makes its document before its last events happen, so what the document covers is a
/// beginning of the list. A verifier finds where it ends by asking after each event.
#[derive(Clone)]
pub struct TelemetryHash(Sha256);

impl TelemetryHash {
    /// The hash of no events.
    #[must_use]
    pub fn new() -> Self {
        Self(named("telemetry"))
    }

    /// Adds the next event.
    pub fn add(&mut self, event: &[u8]) {
        self.0.field(event);
    }

    /// The hash of the events so far.
    #[must_use]
    pub fn value(&self) -> [u8; 32] {
        self.0.clone().finish()
    }
}

impl Default for TelemetryHash {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TelemetryHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TelemetryHash({})", hex::encode(self.value()))
    }
}

fn named(name: &str) -> Sha256 {
    let mut hash = Sha256::new();
    hash.field(b"enclave statement");
    hash.field(name.as_bytes());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_settings_is_fixed() {
        let head = b"\0\0\0\0\0\0\0\x11enclave statement\0\0\0\0\0\0\0\x08settings";
        let want = sha256(&[head.as_slice(), b"\0\0\0\0\0\0\0\x02{}"].concat());
        assert_eq!(settings_hash(b"{}"), want);
        assert_ne!(settings_hash(b"{} "), want);
    }

    #[test]
    fn the_order_and_the_senders_of_shares_make_no_difference() {
        let hash = |shares: &[&[u8]]| shares_hash(shares.iter().copied());
        assert_eq!(hash(&[b"a", b"b"]), hash(&[b"b", b"a", b"b"]));
        assert_ne!(hash(&[b"a", b"b"]), hash(&[b"a"]));
        assert_ne!(hash(&[b"a", b"b"]), hash(&[b"ab"]));
        assert_ne!(hash(&[]), hash(&[b""]));
    }

    #[test]
    fn the_order_of_events_makes_a_difference_and_so_does_each() {
        let hash = |events: &[&[u8]]| {
            let mut hash = TelemetryHash::default();
            events.iter().for_each(|event| hash.add(event));
            hash.value()
        };
        assert_ne!(hash(&[b"a", b"b"]), hash(&[b"b", b"a"]));
        assert_ne!(hash(&[b"a", b"b"]), hash(&[b"ab"]));
        assert_ne!(hash(&[]), hash(&[b""]));
        assert_ne!(hash(&[]), shares_hash([]));
    }

    #[test]
    fn asking_between_events_changes_nothing() {
        let (mut asked, mut silent) = (TelemetryHash::new(), TelemetryHash::new());
        for event in [b"a", b"b"] {
            asked.add(event);
            silent.add(event);
            let _value = asked.value();
        }
        assert_eq!(asked.value(), silent.value());
        assert_eq!(format!("{asked:?}"), format!("TelemetryHash({})", hex::encode(silent.value())));
    }
}
