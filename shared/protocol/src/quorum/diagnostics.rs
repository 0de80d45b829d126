//! Why no result reached a quorum, in the words that tests and operators look for
//! (relay-protocol 8.4).

use std::fmt::{self, Write as _};

use crypto::sign::{SignatureError, SignerKey};

use super::{
    report::TRUNCATED,
    select::{Entry, Form},
};
use crate::{ids::ResultHash, limits, relay::HashResultError};

/// No result of a bundle reached a quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoQuorum {
    /// F + 1.
    pub required: usize,
    /// Entries in the bundle.
    pub raw: usize,
    /// Entries whose result could be hashed.
    pub hashable: usize,
    /// Entries that a member signed.
    pub valid: usize,
    /// Entries that no member signed.
    pub invalid: usize,
    /// Distinct signers by group of results, at least one each.
    pub signers: Vec<(ResultHash, usize)>,
    /// What is said about each entry, and about each that was skipped; cut.
    lists: [Excerpt; 2],
}

impl NoQuorum {
    /// The distinct signers of the result that has most.
    #[must_use]
    pub fn best(&self) -> usize {
        self.signers.iter().map(|(_hash, count)| *count).max().unwrap_or(0)
    }
}

impl std::error::Error for NoQuorum {}

impl fmt::Display for NoQuorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tally: Vec<_> =
            self.signers.iter().map(|(hash, count)| format!("{}={count}", short(*hash))).collect();
        tally.sort_unstable();
        let [entries, skipped] = &self.lists;
        write!(
            f,
            "no relay-DON result reached quorum: need {} valid distinct signers (raw bundle {}, \
             hashable {}, {} valid signatures, {} invalid, {} distinct results, max {} for any \
             single result); signers by result: {}; entries: {entries}; skipped: {skipped}",
            self.required,
            self.raw,
            self.hashable,
            self.valid,
            self.invalid,
            self.signers.len(),
            self.best(),
            tally.join(" "),
        )
    }
}

/// A list that stops growing at its limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Excerpt(String);

impl Excerpt {
    fn is_full(&self) -> bool {
        self.0.len() > limits::DIAGNOSTIC_LIST_BYTES
    }

    fn push(&mut self, item: &str) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        self.0.push_str(item);
    }
}

impl fmt::Display for Excerpt {
    /// Cuts at the limit; a character that the cut would split goes with it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = limits::DIAGNOSTIC_LIST_BYTES;
        if self.0.len() <= limit {
            return f.write_str(&self.0);
        }
        let end = (0..=limit).rev().find(|end| self.0.is_char_boundary(*end)).unwrap_or(0);
        f.write_str(self.0.get(..end).unwrap_or_default())?;
        f.write_str(TRUNCATED)
    }
}

/// A [`NoQuorum`] under construction.
#[derive(Debug)]
pub(super) struct Report(Box<NoQuorum>);

impl Report {
    pub(super) fn new(required: usize, raw: usize) -> Self {
        Self(Box::new(NoQuorum {
            required,
            raw,
            hashable: 0,
            valid: 0,
            invalid: 0,
            signers: Vec::new(),
            lists: Default::default(),
        }))
    }

    /// Counts an entry; it is described only while there is room.
    pub(super) fn entry(
        &mut self,
        index: usize,
        entry: &Entry<'_>,
        outcome: Result<Option<&SignerKey>, SignatureError>,
        describe: impl FnOnce() -> String,
    ) {
        let report = &mut *self.0;
        report.hashable = report.hashable.saturating_add(1);
        let counter = if outcome.is_ok() { &mut report.valid } else { &mut report.invalid };
        *counter = counter.saturating_add(1);
        let [entries, _skipped] = &mut report.lists;
        if entries.is_full() {
            return;
        }
        let (group, hash) = (short(entry.group.hash), short(entry.hash));
        let mut item = format!("[idx={index} group={group} sigHash={hash} ");
        let _infallible = match outcome {
            Ok(signer) => {
                let key = signer.map_or(&[][..], |signer| signer.as_bytes().as_slice());
                write!(item, "signature=valid signer={}", head(key))
            }
            Err(error) => {
                write!(item, "signature=invalid({error}) claimedSigner={}", head(entry.claimed))
            }
        };
        let _infallible = write!(item, " {}", describe());
        let _infallible = match entry.group.form {
            Form::Exact => Ok(()),
            Form::Failed(error) => write!(item, " canonical=failed({error})"),
            Form::ReportWithoutSignatures => item.write_str(" canonical=reportSigsExcluded"),
        };
        item.push(']');
        entries.push(&item);
    }

    /// Counts an entry whose result cannot be hashed.
    pub(super) fn skipped(
        &mut self,
        index: usize,
        error: HashResultError,
        describe: impl FnOnce() -> String,
    ) {
        let [_entries, skipped] = &mut self.0.lists;
        if !skipped.is_full() {
            skipped.push(&format!("[idx={index} unhashable={error} {}]", describe()));
        }
    }

    pub(super) fn finish(
        mut self,
        signers: impl Iterator<Item = (ResultHash, usize)>,
    ) -> Box<NoQuorum> {
        self.0.signers = signers.collect();
        self.0
    }
}

/// The first four bytes of a hash.
fn short(hash: ResultHash) -> String {
    hex::encode(hash.as_bytes().first_chunk::<4>().copied().unwrap_or_default())
}

/// The first eight bytes of a key, or a word for nothing.
fn head(key: &[u8]) -> String {
    if key.is_empty() { "none".to_owned() } else { hex::encode(key.get(..8).unwrap_or(key)) }
}
