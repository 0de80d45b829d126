//! Results of relay nodes in the enclave: a minority may be absent, wrong or noise
//! (relay-protocol 8).

use std::collections::BTreeMap;

use crypto::sign::{Domain, Signature, SignatureError, payload};

use super::{
    Agreed, CanonicalError, Grouping, Quorum, Voices,
    checks::{Outcome, Signatures},
    diagnostics::{Line, NoQuorum, Report},
};
use crate::{
    committee::Committee,
    ids::ResultHash,
    relay::{Bundle, HashResultError, Hasher, SignedResult},
};

/// The result that a quorum stands behind.
#[derive(Clone, Copy, Debug)]
pub struct Selected<'b, R> {
    /// The result as its sender wrote it.
    pub result: &'b R,
    /// Its position in the bundle, from 0: the first of its group with a valid signature.
    pub index: usize,
}

/// Selects the result of a bundle behind which F + 1 distinct members stand.
///
/// Signatures are checked over each result exactly as it came and over the caller's own params. Of
/// several such results the one with most signers is taken, then the one with the smallest hash.
///
/// # Errors
///
/// [`NoQuorum`], with the text that workflows and logs get, if no result reaches a quorum.
pub fn select<'b, P: Grouping>(
    params: &P,
    bundle: &'b Bundle<P::Result>,
    committee: &Committee,
) -> Result<Agreed<Selected<'b, P::Result>>, Box<NoQuorum>> {
    let responses = bundle.responses.as_deref().unwrap_or_default();
    let hasher = match params.hasher() {
        Ok(hasher) => hasher,
        Err(error) => return Err(unhashable::<P>(responses, committee, error)),
    };
    let mut poll = Poll::new(&hasher, responses, committee);
    // Before all results are read: most bundles hold one result only.
    let tally = poll.undisputed().or_else(|| poll.winner());
    let first = tally.as_ref().and_then(|tally| tally.first);
    match (tally, first.and_then(|index| Some((index, responses.get(index)?)))) {
        (Some(Tally { voices, .. }), Some((index, response))) => Ok(Agreed {
            value: Selected { result: &response.result, index },
            signers: voices.keys(),
        }),
        _ => Err(poll.report()),
    }
}

/// A bundle that is being read, with no more work than the answer needs: each result is hashed once,
/// however often it occurs, and each signature is checked once with each key that matters.
struct Poll<'b, P: Grouping> {
    hasher: &'b Hasher<P>,
    responses: &'b [SignedResult<P::Result>],
    committee: &'b Committee,
    quorum: Quorum,
    /// The number of each result. They are found by their order, so that many results that resemble
    /// each other cost no square.
    numbers: BTreeMap<&'b P::Result, usize>,
    results: Vec<Distinct>,
    /// Those that were read so far.
    entries: Vec<Entry<'b>>,
    signatures: Signatures<'b>,
}

/// One result, however many nodes sent it.
struct Distinct {
    hash: ResultHash,
    /// What is signed for it.
    payload: Vec<u8>,
    group: Option<Group>,
}

/// One signed result.
struct Entry<'b> {
    /// The number of the result.
    result: usize,
    signature: Result<Signature, SignatureError>,
    /// The claimed key, as it came.
    claimed: &'b [u8],
    claimed_position: Option<usize>,
}

/// What a result is grouped by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub(super) hash: ResultHash,
    pub(super) form: Form,
}

/// Where a group's hash comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// The result itself.
    Exact,
    /// The result itself, because it could not be read.
    Failed(CanonicalError),
    /// The result without the signatures of its report.
    ReportWithoutSignatures,
}

/// Who signed a group so far, and its first valid entry.
struct Tally<'b> {
    first: Option<usize>,
    voices: Voices<'b>,
}

/// Whose signature is looked for.
#[derive(Clone, Copy, PartialEq)]
enum Effort {
    /// That of the claimed key.
    Claimed,
    /// That of any member.
    Anybody,
}

impl<'b, P: Grouping> Poll<'b, P> {
    fn new(
        hasher: &'b Hasher<P>,
        responses: &'b [SignedResult<P::Result>],
        committee: &'b Committee,
    ) -> Self {
        Self {
            hasher,
            responses,
            committee,
            quorum: Quorum::honest(committee.fault_bound()),
            numbers: BTreeMap::new(),
            results: Vec::new(),
            entries: Vec::new(),
            signatures: Signatures::of(committee.signers()),
        }
    }

    /// The winner if all results are the first one, as far as they must be compared to know that no
    /// other can win: while fewer than a quorum are left.
    fn undisputed(&mut self) -> Option<Tally<'b>> {
        let mut tally = Tally::none(self.committee);
        while let Some(index) = self.read_next() {
            if self.results.len() > 1 {
                return None;
            }
            if !tally.voices.reach(self.quorum) {
                self.count(index, Effort::Claimed, &mut tally);
            }
            let left = self.responses.len().saturating_sub(self.entries.len());
            if tally.voices.reach(self.quorum) && left < self.quorum.get() {
                return Some(tally);
            }
        }
        None
    }

    /// The group with most signers, if they are a quorum; of equals the one with the smallest hash.
    fn winner(&mut self) -> Option<Tally<'b>> {
        while self.read_next().is_some() {}
        if self.results.len() > 1 {
            self.group_all();
        }
        let mut groups: BTreeMap<ResultHash, Vec<usize>> = BTreeMap::new();
        for (index, entry) in self.entries.iter().enumerate() {
            if let Some(result) = self.results.get(entry.result) {
                groups.entry(result.group().hash).or_default().push(index);
            }
        }
        // A group with fewer entries than the quorum cannot win.
        groups.retain(|_hash, entries| entries.len() >= self.quorum.get());
        let enough = if groups.len() == 1 { self.quorum.get() } else { usize::MAX };
        let mut best: Option<Tally<'b>> = None;
        for entries in groups.values() {
            let tally = self.tally(entries, enough);
            let most = best.as_ref().map_or(0, |best| best.voices.count());
            if tally.voices.reach(self.quorum) && tally.voices.count() > most {
                best = Some(tally);
            }
        }
        best
    }

    /// Counts a group until there are `enough` voices: first whoever says who it is, then the rest.
    fn tally(&mut self, entries: &[usize], enough: usize) -> Tally<'b> {
        let mut tally = Tally::none(self.committee);
        for effort in [Effort::Claimed, Effort::Anybody] {
            for index in entries {
                if tally.voices.count() >= enough {
                    return tally;
                }
                self.count(*index, effort, &mut tally);
            }
        }
        tally
    }

    /// Counts one entry. Only keys that are not counted yet are tried: the claimed one, and, if so
    /// much effort is to be made or the first valid entry is still looked for, all others.
    fn count(&mut self, index: usize, effort: Effort, tally: &mut Tally<'b>) {
        let Some(entry) = self.entries.get(index) else { return };
        let (Ok(signature), Some(result)) = (&entry.signature, self.results.get(entry.result))
        else {
            return;
        };
        let claimed = entry.claimed_position.filter(|claimed| !tally.voices.contains(*claimed));
        let all = effort == Effort::Anybody || tally.first.is_none();
        let others = tally.voices.missing().filter(|_| all);
        let mut positions = claimed.into_iter().chain(others).peekable();
        if positions.peek().is_none() {
            return;
        }
        let signer = self.signatures.signer(entry.result, &result.payload, signature, positions);
        if let Some(signer) = signer {
            tally.first.get_or_insert(index);
            tally.voices.insert(signer);
        }
    }

    /// Reads the next response and gives its position.
    fn read_next(&mut self) -> Option<usize> {
        let index = self.entries.len();
        let SignedResult { result, signature, .. } = self.responses.get(index)?;
        let next = self.results.len();
        let number = *self.numbers.entry(result).or_insert(next);
        if number == next {
            self.results.push(Distinct::new(self.hasher.hash(result)));
        }
        let claimed = signature.signer.as_slice();
        self.entries.push(Entry {
            result: number,
            signature: Signature::from_slice(signature.signature.as_slice()),
            claimed,
            claimed_position: self.committee.position(claimed),
        });
        Some(index)
    }

    /// Says by what each result is grouped.
    fn group_all(&mut self) {
        for (result, number) in &self.numbers {
            let Some(distinct) = self.results.get_mut(*number) else { continue };
            let exact = Group { hash: distinct.hash, form: Form::Exact };
            distinct.group.get_or_insert_with(|| match P::canonical(result) {
                Ok(None) => exact,
                Ok(Some(canonical)) => Group {
                    hash: self.hasher.hash(&canonical),
                    form: Form::ReportWithoutSignatures,
                },
                Err(error) => Group { form: Form::Failed(error), ..exact },
            });
        }
    }

    /// Looks at what was not needed before, and tells it all.
    fn report(mut self) -> Box<NoQuorum> {
        self.group_all();
        let mut report = Report::new(self.quorum, self.responses.len());
        let signers = self.committee.signers();
        let mut groups: BTreeMap<ResultHash, Voices<'_>> = BTreeMap::new();
        for (index, (entry, response)) in self.entries.iter().zip(self.responses).enumerate() {
            let Some(result) = self.results.get(entry.result) else { continue };
            let outcome: Outcome =
                entry.signature.as_ref().map_err(|error| *error).and_then(|signature| {
                    let positions =
                        entry.claimed_position.into_iter().chain(0..signers.keys().len());
                    let signer =
                        self.signatures.signer(entry.result, &result.payload, signature, positions);
                    signer.ok_or(SignatureError::NotAllowed)
                });
            let group = result.group();
            if let Ok(signer) = outcome {
                let none = || Voices::none(signers);
                groups.entry(group.hash).or_insert_with(none).insert(signer);
            }
            let line = Line {
                index,
                hash: result.hash,
                group,
                claimed: entry.claimed,
                outcome: outcome.map(|signer| signers.keys().get(signer)),
            };
            report.entry(&line, || P::describe(&response.result));
        }
        report.finish(groups.iter().map(|(hash, voices)| (*hash, voices.count())))
    }
}

impl Distinct {
    fn new(hash: ResultHash) -> Self {
        Self { hash, payload: payload(Domain::RelayResponse, hash.as_bytes()), group: None }
    }

    /// The group; while all results are one, nothing needs to be read to know it.
    fn group(&self) -> Group {
        self.group.unwrap_or(Group { hash: self.hash, form: Form::Exact })
    }
}

impl<'b> Tally<'b> {
    fn none(committee: &'b Committee) -> Self {
        Self { first: None, voices: Voices::none(committee.signers()) }
    }
}

fn unhashable<P: Grouping>(
    responses: &[SignedResult<P::Result>],
    committee: &Committee,
    error: HashResultError,
) -> Box<NoQuorum> {
    let quorum = Quorum::honest(committee.fault_bound());
    let mut report = Report::new(quorum, responses.len());
    for (index, response) in responses.iter().enumerate() {
        report.skipped(index, error, || P::describe(&response.result));
    }
    report.finish(std::iter::empty())
}
