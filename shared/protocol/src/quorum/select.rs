//! Results of relay nodes in the enclave: a minority may be absent, wrong or noise
//! (relay-protocol 8).

use std::collections::{BTreeMap, HashMap};

use crypto::sign::{Domain, Signature, SignatureError, payload};

use super::{
    Agreed, CanonicalError, Grouping,
    checks::{Budget, Members},
    diagnostics::{NoQuorum, Report},
};
use crate::{
    committee::Committee,
    ids::ResultHash,
    relay::{Bundle, HashResultError, Hasher, ResponseSignature, SignedResult},
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
    let results: Vec<&P::Result> = responses.iter().map(|response| &response.result).collect();
    let prepare = |hashes: &[ResultHash], groups: &[Group]| -> Vec<Entry<'b>> {
        let prepared = responses.iter().zip(hashes.iter().zip(groups));
        let entry = |(response, (hash, group)): (&'b SignedResult<_>, (&_, &_))| {
            Entry::new(&response.signature, *hash, *group, committee)
        };
        prepared.map(entry).collect()
    };
    let agreed = |(index, voices): (usize, Members<'_>)| {
        let result = results.get(index)?;
        Some(Agreed { value: Selected { result: *result, index }, signers: voices.keys() })
    };
    // Before all results are compared: most bundles hold one result only.
    if let Some(first) = results.first() {
        let hash = hasher.hash(first);
        let groups = vec![Group { hash, form: Form::Exact }; results.len()];
        let entries = prepare(&vec![hash; results.len()], &groups);
        let undisputed = Count::new(committee, &entries).undisputed(&results);
        if let Some(agreed) = undisputed.and_then(agreed) {
            return Ok(agreed);
        }
    }
    let hashes = hash_all(&hasher, &results);
    let entries = prepare(&hashes, &group_all(&hasher, &results, &hashes));
    let mut count = Count::new(committee, &entries);
    match count.winner().and_then(agreed) {
        Some(agreed) => Ok(agreed),
        None => Err(count.report::<P>(&results)),
    }
}

/// One signed result, prepared.
#[derive(Debug)]
pub(super) struct Entry<'b> {
    pub(super) signature: Result<Signature, SignatureError>,
    /// The claimed key, as it came.
    pub(super) claimed: &'b [u8],
    claimed_position: Option<usize>,
    pub(super) hash: ResultHash,
    pub(super) group: Group,
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

impl<'b> Entry<'b> {
    fn new(
        signature: &'b ResponseSignature,
        hash: ResultHash,
        group: Group,
        committee: &Committee,
    ) -> Self {
        let claimed = signature.signer.as_slice();
        Self {
            signature: Signature::from_slice(signature.signature.as_slice()),
            claimed,
            claimed_position: committee.position(claimed),
            hash,
            group,
        }
    }
}

/// Who signed an entry, or why nobody did.
pub(super) type Outcome = Result<usize, SignatureError>;

/// Counting signers, with no more checks than the answer needs.
struct Count<'c, 'e> {
    committee: &'c Committee,
    entries: &'e [Entry<'e>],
    outcomes: Vec<Option<Outcome>>,
    budget: Budget<'c>,
    /// Outcomes by result and signature, for entries that repeat others.
    known: HashMap<(ResultHash, [u8; 64]), Outcome>,
}

impl<'c, 'e> Count<'c, 'e> {
    fn new(committee: &'c Committee, entries: &'e [Entry<'e>]) -> Self {
        Self {
            committee,
            entries,
            outcomes: vec![None; entries.len()],
            budget: Budget::of(committee),
            known: HashMap::new(),
        }
    }

    /// The winner if all results are the first one, as far as they must be compared to know that no
    /// other can win: while fewer than a quorum are left.
    fn undisputed<R: PartialEq>(&mut self, results: &[&R]) -> Option<(usize, Members<'c>)> {
        let quorum = self.committee.fault_bound().quorum();
        let mut tally = Tally::none(self.committee);
        for (index, result) in results.iter().enumerate() {
            if results.first() != Some(result) {
                return None;
            }
            if tally.voices.len() < quorum {
                self.count_cheaply(index, &mut tally);
            }
            let left = results.len().saturating_sub(index).saturating_sub(1);
            if tally.voices.len() >= quorum && left < quorum {
                return tally.finish();
            }
        }
        None
    }

    /// The first valid entry of the winning group, and who signed the group.
    fn winner(&mut self) -> Option<(usize, Members<'c>)> {
        let quorum = self.committee.fault_bound().quorum();
        let mut groups: BTreeMap<ResultHash, Vec<usize>> = BTreeMap::new();
        for (index, entry) in self.entries.iter().enumerate() {
            groups.entry(entry.group.hash).or_default().push(index);
        }
        // A group with fewer entries than the quorum cannot win.
        groups.retain(|_hash, entries| entries.len() >= quorum);
        if let [entries] = groups.values().collect::<Vec<_>>().as_slice() {
            return self.first_quorum(entries, quorum);
        }
        let mut best: Option<(usize, Members<'c>)> = None;
        // In the order of their hashes, so that of equals the smallest hash stays.
        for entries in groups.values() {
            let counted = self.count_all(entries);
            if let Some((first, voices)) = counted
                && voices.len()
                    >= best.as_ref().map_or(quorum, |(_, best)| best.len().saturating_add(1))
            {
                best = Some((first, voices));
            }
        }
        best
    }

    /// Counts the only group that can win, and stops at the quorum.
    fn first_quorum(&mut self, entries: &[usize], quorum: usize) -> Option<(usize, Members<'c>)> {
        let mut tally = Tally::none(self.committee);
        for index in entries {
            self.count_cheaply(*index, &mut tally);
            if tally.voices.len() >= quorum {
                return tally.finish();
            }
        }
        self.count_all(entries).filter(|(_first, voices)| voices.len() >= quorum)
    }

    /// The first valid entry is looked for with every key. After it an entry costs one check with the
    /// key it claims, if that key is not counted yet; if that does not suffice, [`Self::count_all`]
    /// tries every key.
    fn count_cheaply(&mut self, index: usize, tally: &mut Tally<'c>) {
        let claimed = self.entries.get(index).and_then(|entry| entry.claimed_position);
        let is_new = claimed.is_some_and(|claimed| !tally.voices.contains(claimed));
        if is_new || tally.first.is_none() {
            let signer = self.signer(index, tally.first.is_none());
            tally.insert(index, signer);
        }
    }

    fn count_all(&mut self, entries: &[usize]) -> Option<(usize, Members<'c>)> {
        let mut tally = Tally::none(self.committee);
        for index in entries {
            let signer = self.signer(*index, true);
            tally.insert(*index, signer);
        }
        tally.finish()
    }

    /// The member that signed an entry. An outcome that holds for every key is kept.
    fn signer(&mut self, index: usize, try_others: bool) -> Option<usize> {
        if let Some(Some(outcome)) = self.outcomes.get(index) {
            return outcome.ok();
        }
        let entry = self.entries.get(index)?;
        let outcome = match &entry.signature {
            Err(error) => Err(*error),
            Ok(signature) => {
                let key = (entry.hash, *signature.as_bytes());
                match self.known.get(&key) {
                    Some(outcome) => *outcome,
                    None => {
                        let payload = payload(Domain::RelayResponse, entry.hash.as_bytes());
                        let claimed = entry.claimed_position;
                        let found =
                            self.budget.find_signer(&payload, signature, claimed, try_others);
                        if found.is_none() && !try_others {
                            return None;
                        }
                        let outcome = found.ok_or(SignatureError::NotAllowed);
                        self.known.insert(key, outcome);
                        outcome
                    }
                }
            }
        };
        if let Some(place) = self.outcomes.get_mut(index) {
            *place = Some(outcome);
        }
        outcome.ok()
    }

    /// Looks at what was not needed before, and tells it all.
    fn report<P: Grouping>(mut self, results: &[&P::Result]) -> Box<NoQuorum> {
        let quorum = self.committee.fault_bound().quorum();
        let mut report = Report::new(quorum, self.entries.len());
        let mut groups: BTreeMap<ResultHash, Members<'_>> = BTreeMap::new();
        for (index, (entry, result)) in self.entries.iter().zip(results).enumerate() {
            self.signer(index, true);
            let outcome = self.outcomes.get(index).copied().flatten();
            let outcome = outcome.unwrap_or(Err(SignatureError::NotAllowed));
            if let Ok(signer) = outcome {
                let none = || Members::none(self.committee);
                groups.entry(entry.group.hash).or_insert_with(none).insert(signer);
            }
            let signer = outcome.ok().and_then(|signer| self.committee.members().get(signer));
            report.entry(index, entry, outcome.map(|_| signer), || P::describe(result));
        }
        report.finish(groups.iter().map(|(hash, voices)| (*hash, voices.len())))
    }
}

/// Who signed a group so far, and its first valid entry.
struct Tally<'c> {
    first: Option<usize>,
    voices: Members<'c>,
}

impl<'c> Tally<'c> {
    fn none(committee: &'c Committee) -> Self {
        Self { first: None, voices: Members::none(committee) }
    }

    fn insert(&mut self, index: usize, signer: Option<usize>) {
        if let Some(signer) = signer {
            self.first.get_or_insert(index);
            self.voices.insert(signer);
        }
    }

    fn finish(self) -> Option<(usize, Members<'c>)> {
        self.first.map(|first| (first, self.voices))
    }
}

/// Hashes each distinct result once. Comparing is cheaper than hashing, but only with a few others:
/// many distinct results must not cost their square.
fn hash_all<P: Grouping>(hasher: &Hasher<P>, results: &[&P::Result]) -> Vec<ResultHash> {
    let mut compared: Vec<(&P::Result, ResultHash)> = Vec::new();
    let mut hashes = Vec::with_capacity(results.len());
    for result in results {
        let known = compared.iter().find(|(known, _)| known == result).map(|(_, hash)| *hash);
        let hash = known.unwrap_or_else(|| hasher.hash(result));
        if known.is_none() && compared.len() < COMPARED_RESULTS {
            compared.push((result, hash));
        }
        hashes.push(hash);
    }
    hashes
}

/// Says by what each result is grouped. While all results are one, nothing needs to be read.
fn group_all<P: Grouping>(
    hasher: &Hasher<P>,
    results: &[&P::Result],
    hashes: &[ResultHash],
) -> Vec<Group> {
    let exact = |hash: &ResultHash| Group { hash: *hash, form: Form::Exact };
    if hashes.windows(2).all(|pair| pair.first() == pair.last()) {
        return hashes.iter().map(exact).collect();
    }
    let mut known: HashMap<ResultHash, Group> = HashMap::new();
    let group = |(result, hash): (&&P::Result, &ResultHash)| {
        let group = known.entry(*hash).or_insert_with(|| canonical_group(hasher, result, *hash));
        *group
    };
    results.iter().zip(hashes).map(group).collect()
}

fn canonical_group<P: Grouping>(hasher: &Hasher<P>, result: &P::Result, hash: ResultHash) -> Group {
    match P::canonical(result) {
        Ok(None) => Group { hash, form: Form::Exact },
        Ok(Some(canonical)) => {
            Group { hash: hasher.hash(&canonical), form: Form::ReportWithoutSignatures }
        }
        Err(error) => Group { hash, form: Form::Failed(error) },
    }
}

fn unhashable<P: Grouping>(
    responses: &[SignedResult<P::Result>],
    committee: &Committee,
    error: HashResultError,
) -> Box<NoQuorum> {
    let mut report = Report::new(committee.fault_bound().quorum(), responses.len());
    for (index, response) in responses.iter().enumerate() {
        report.skipped(index, error, || P::describe(&response.result));
    }
    report.finish(std::iter::empty())
}

/// With how many earlier results a result is compared before it is hashed.
const COMPARED_RESULTS: usize = 8;
