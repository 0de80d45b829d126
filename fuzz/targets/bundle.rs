//! Bundles of signed results: as any JSON, and put together from results and signatures of a known
//! committee.
//!
//! Holds: a result is believed exactly if F + 1 distinct members signed it or one that differs from it
//! in a report's signatures alone, and of several such results the one with most signers is; a
//! failure is told in a text of bounded length; a report's canonical form is its own canonical form.
//!
//! Memory: four times `json::EXPANSION`: that much for what is read, for what is read again, and
//! for the text of each, which is about as long as they are large. A report takes less.

#![no_main]

use std::collections::{BTreeMap, BTreeSet};

use crypto::sign::{Domain, SignerKey};
use fuzz::{
    Bound, Input,
    known::{COMMITTEE, MEMBERS, SIGNERS},
};
use protocol::{
    base64,
    ids::ResultHash,
    json::{self, RawJson},
    limits,
    quorum::{self, Grouping, NoQuorum, canonical_payload},
    relay::{
        AnswerError, Bundle, CapabilityRequestParams, CapabilityResult, ResponseSignature,
        SecretEntry, SecretIdentifier, SecretsRequestParams, SecretsResult, SignedResult,
    },
};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (capability, secrets) = (capability(), secrets());
    let _committee = &*COMMITTEE;
    BOUND.hold(input, || {
        let mut input = Input::new(input);
        match input.below(4) {
            0 => read_capability(&capability, input.rest()),
            1 => read_secrets(&secrets, input.rest()),
            2 => check(&capability, &bundle(&capability, &mut input, capability_result)),
            _ => check(&secrets, &bundle(&secrets, &mut input, secrets_result)),
        }
    });
});

/// Any text as what a gateway answered to a call.
fn read_capability(params: &CapabilityRequestParams, text: &[u8]) {
    let Some(answer) = raw(text) else { return };
    if let Err(error) = params.read_answer(Some(&answer), &COMMITTEE) {
        is_short(&error);
    }
    let Ok(bundle) = answer.decode::<Bundle<CapabilityResult>>() else { return };
    assert_eq!(json::to_vec(&decoded(&bundle)), json::to_vec(&bundle));
    for response in bundle.responses.iter().flatten() {
        if let Ok(Some(canonical)) = canonical_payload(&response.result.payload) {
            assert_eq!(canonical_payload(&canonical), Ok(Some(canonical.clone())));
        }
    }
}

/// Any text as what a gateway answered to a request for secrets.
fn read_secrets(params: &SecretsRequestParams, text: &[u8]) {
    let Some(answer) = raw(text) else { return };
    if let Err(error) = params.read_answer(Some(&answer), &COMMITTEE) {
        is_short(&error);
    }
    let Ok(bundle) = answer.decode::<Bundle<SecretsResult>>() else { return };
    assert_eq!(json::to_vec(&decoded(&bundle)), json::to_vec(&bundle));
}

fn raw(text: &[u8]) -> Option<RawJson> {
    RawJson::parse(String::from_utf8(text.to_vec()).ok()?).ok()
}

fn decoded<R: json::Wire + Default>(bundle: &Bundle<R>) -> Bundle<R> {
    json::from_slice(&json::to_vec(bundle)).expect("it was decoded before")
}

fn is_short(error: &AnswerError) {
    assert!(error.to_string().len() < TEXT_BYTES, "{error}");
}

/// Results of a small number, each signed by somebody over something.
fn bundle<P: Grouping>(
    params: &P,
    input: &mut Input<'_>,
    mut result: impl FnMut(&mut Input<'_>) -> P::Result,
) -> Bundle<P::Result> {
    let results: Vec<_> = (0..=input.below(4)).map(|_| result(input)).collect();
    let mut responses = Vec::new();
    while !input.is_empty() && responses.len() < LONGEST_BUNDLE {
        let result = &results[input.below(results.len())];
        let signed = &results[input.below(results.len())];
        let (signer, claimed) = (input.below(SIGNERS.len()), input.below(SIGNERS.len()));
        let hash = params.hash_result(signed).expect("the params are valid");
        let signature = match input.byte() {
            0 => input.piece().to_vec(),
            1 => SIGNERS[signer].sign(Domain::ComputeRequest, hash.as_bytes()).as_bytes().to_vec(),
            _ => SIGNERS[signer].sign(Domain::RelayResponse, hash.as_bytes()).as_bytes().to_vec(),
        };
        let signature = ResponseSignature {
            signer: SIGNERS[claimed].public().as_bytes().as_slice().into(),
            signature: signature.into(),
        };
        responses.push(SignedResult { result: result.clone(), signatures: None, signature });
    }
    Bundle { responses: Some(responses) }
}

/// Compares with a count that tries every signature with every key.
fn check<P: Grouping>(params: &P, bundle: &Bundle<P::Result>) {
    let entries = bundle.responses.as_deref().unwrap_or_default();
    let hash = |result: &P::Result| params.hash_result(result).expect("the params are valid");
    let group = |result: &P::Result| match P::canonical(result) {
        Ok(Some(canonical)) => hash(&canonical),
        Ok(None) | Err(_) => hash(result),
    };
    let mut groups: BTreeMap<ResultHash, BTreeSet<[u8; 32]>> = BTreeMap::new();
    for entry in entries {
        let hash = hash(&entry.result);
        let signed = |key: &&SignerKey| {
            let signature =
                crypto::sign::Signature::from_slice(entry.signature.signature.as_slice());
            signature.is_ok_and(|s| key.verify(Domain::RelayResponse, hash.as_bytes(), &s).is_ok())
        };
        if let Some(key) = COMMITTEE.members().iter().find(signed) {
            groups.entry(group(&entry.result)).or_default().insert(*key.as_bytes());
        }
    }
    let most = groups.values().map(BTreeSet::len).max().unwrap_or(0);

    match quorum::select(params, bundle, &COMMITTEE) {
        Ok(agreed) => {
            let selected = agreed.get();
            let voices = &groups[&group(selected.result)];
            assert!(most >= COMMITTEE.fault_bound().quorum());
            assert_eq!(voices.len(), most);
            assert!(agreed.signers().len() >= COMMITTEE.fault_bound().quorum());
            assert!(agreed.signers().iter().all(|signer| voices.contains(signer.as_bytes())));
            assert!(entries[selected.index].result == *selected.result);
            let first = groups.iter().find(|(_hash, voices)| voices.len() == most);
            assert_eq!(first.map(|(hash, _voices)| *hash), Some(group(selected.result)));
        }
        Err(failure) => {
            assert!(most < COMMITTEE.fault_bound().quorum());
            assert_eq!((failure.raw, failure.best()), (entries.len(), most));
            assert!(text_of(&failure).len() < TEXT_BYTES);
        }
    }
}

fn text_of(failure: &NoQuorum) -> String {
    failure.to_string()
}

fn capability_result(input: &mut Input<'_>) -> CapabilityResult {
    match input.below(3) {
        0 => CapabilityResult { payload: String::new(), error: text(input) },
        1 => CapabilityResult { payload: base64::encode(input.piece()), error: String::new() },
        _ => CapabilityResult { payload: report(input), error: String::new() },
    }
}

/// A consensus report with any number of signatures.
fn report(input: &mut Input<'_>) -> String {
    use protocol::messages::{
        self,
        sdk::{AttributedSignature, CapabilityOutcome, CapabilityResponse, ReportResponse},
    };
    let signature = |input: &mut Input<'_>| AttributedSignature {
        signature: input.piece().to_vec(),
        signer_id: input.byte().into(),
    };
    let report = ReportResponse {
        raw_report: vec![input.byte()],
        sigs: (0..input.below(4)).map(|_| signature(input)).collect(),
        ..ReportResponse::default()
    };
    let response = Some(CapabilityOutcome::Payload(messages::pack(&report)));
    base64::encode(&messages::encode(&CapabilityResponse { response }))
}

fn secrets_result(input: &mut Input<'_>) -> SecretsResult {
    let entry = SecretEntry {
        id: SecretIdentifier { key: text(input), namespace: "main".to_owned() },
        ciphertext: text(input),
        encrypted_shares: Some((0..input.below(3)).map(|_| text(input)).collect()),
    };
    SecretsResult { secrets: Some(vec![entry]) }
}

fn text(input: &mut Input<'_>) -> String {
    String::from_utf8_lossy(input.piece()).into_owned()
}

fn capability() -> CapabilityRequestParams {
    CapabilityRequestParams {
        workflow_id: "1".repeat(64),
        owner: OWNER.to_owned(),
        execution_id: "2".repeat(64),
        reference_id: "7".to_owned(),
        capability_id: "consensus@1.0.0-alpha".to_owned(),
        payload: "AA==".to_owned(),
        ..CapabilityRequestParams::default()
    }
}

fn secrets() -> SecretsRequestParams {
    let id = SecretIdentifier { key: "API_KEY".to_owned(), namespace: "main".to_owned() };
    SecretsRequestParams {
        workflow_id: "1".repeat(64),
        owner: OWNER.to_owned(),
        execution_id: "2".repeat(64),
        secrets: Some(vec![id]),
        enclave_public_key: "03".repeat(32),
        ..SecretsRequestParams::default()
    }
}

const OWNER: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

/// The two lists of a failed quorum, a hash and a count for each result that a check may have been
/// spent on, and the words around them.
const TEXT_BYTES: usize =
    2 * (limits::DIAGNOSTIC_LIST_BYTES + 20) + MEMBERS * limits::CHECKS_PER_MEMBER * 11 + 600;

/// Few enough that no bundle runs out of signature checks.
const LONGEST_BUNDLE: usize = limits::CHECKS_PER_MEMBER - 1;

const BOUND: Bound = Bound { times: 4 * json::EXPANSION, plus: 64 * 1024 };
