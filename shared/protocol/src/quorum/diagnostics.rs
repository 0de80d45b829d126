//! Why no result reached a quorum, in the words that tests and operators look for
//! (relay-protocol 8.4).

use std::fmt::{self, Write as _};

use crypto::sign::{SignatureError, SignerKey};

use super::{
    Quorum,
    select::{Form, Group},
};
use crate::{ids::ResultHash, limits, quote::TRUNCATED, relay::HashResultError};

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

/// A list that is cut at its limit while it grows; a character that the cut would split goes with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Excerpt {
    text: String,
    is_cut: bool,
}

impl Excerpt {
    fn push(&mut self, item: &str) {
        if !self.text.is_empty() {
            self.append(" ");
        }
        self.append(item);
    }

    fn append(&mut self, text: &str) {
        if self.is_cut {
            return;
        }
        let room = limits::DIAGNOSTIC_LIST_BYTES.saturating_sub(self.text.len());
        let end = (0..=room.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
        self.text.push_str(end.and_then(|end| text.get(..end)).unwrap_or_default());
        self.is_cut = text.len() > room;
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        f.write_str(if self.is_cut { TRUNCATED } else { "" })
    }
}

/// What is said about one entry.
pub(super) struct Line<'a> {
    /// Its position in the bundle, from 0.
    pub(super) index: usize,
    /// The hash of its result.
    pub(super) hash: ResultHash,
    /// What its result is grouped by.
    pub(super) group: Group,
    /// The claimed key, as it came.
    pub(super) claimed: &'a [u8],
    /// Who signed it.
    pub(super) outcome: Result<Option<&'a SignerKey>, SignatureError>,
}

/// A [`NoQuorum`] under construction.
#[derive(Debug)]
pub(super) struct Report(Box<NoQuorum>);

impl Report {
    pub(super) fn new(quorum: Quorum, raw: usize) -> Self {
        Self(Box::new(NoQuorum {
            required: quorum.get(),
            raw,
            hashable: 0,
            valid: 0,
            invalid: 0,
            signers: Vec::new(),
            lists: Default::default(),
        }))
    }

    /// Counts an entry; it is described only while there is room.
    pub(super) fn entry(&mut self, line: &Line<'_>, describe: impl FnOnce() -> String) {
        let report = &mut *self.0;
        report.hashable = report.hashable.saturating_add(1);
        let counter = if line.outcome.is_ok() { &mut report.valid } else { &mut report.invalid };
        *counter = counter.saturating_add(1);
        let [entries, _skipped] = &mut report.lists;
        if entries.is_cut {
            return;
        }
        let Line { index, hash, group, claimed, outcome } = line;
        let (short_group, hash) = (short(group.hash), short(*hash));
        let mut item = format!("[idx={index} group={short_group} sigHash={hash} ");
        let _infallible = match outcome {
            Ok(signer) => {
                let key = signer.map_or(&[][..], |signer| signer.as_bytes().as_slice());
                write!(item, "signature=valid signer={}", head(key))
            }
            Err(error) => {
                write!(item, "signature=invalid({error}) claimedSigner={}", head(claimed))
            }
        };
        let _infallible = write!(item, " {}", describe());
        let _infallible = match group.form {
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
        if !skipped.is_cut {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_fills_its_room_is_not_cut_and_one_byte_more_is() {
        let mut excerpt = Excerpt::default();
        excerpt.push(&"x".repeat(limits::DIAGNOSTIC_LIST_BYTES));
        assert_eq!(excerpt.to_string().len(), limits::DIAGNOSTIC_LIST_BYTES);
        excerpt.append("x");
        assert!(excerpt.to_string().ends_with(TRUNCATED));
    }
}
