//! What groups results: their hash, or for consensus reports the hash without the signatures that
//! each node chose (relay-protocol 8.2), and the words that describe a result in a failed quorum.

use sha2::{Digest as _, Sha256};

use crate::{
    base64::{self, Base64Error},
    limits,
    messages::{
        self, Described, Message,
        sdk::{CapabilityOutcome, CapabilityResponse, ReportResponse},
        well_known::Any,
    },
    proto::{self, WireError},
    quote::{TRUNCATED, quote},
    relay::{
        CapabilityRequestParams, CapabilityResult, Params, SecretsRequestParams, SecretsResult,
    },
};

/// How results of one kind of call are grouped and described.
pub trait Grouping: Params {
    /// The result that stands for a group, if it is another than the result itself.
    ///
    /// # Errors
    ///
    /// [`CanonicalError`] if the result cannot be read; it then stands for itself.
    fn canonical(result: &Self::Result) -> Result<Option<Self::Result>, CanonicalError>;

    /// What a person needs to tell results apart: lengths and the beginnings of hashes, no contents
    /// but error texts.
    fn describe(result: &Self::Result) -> String;
}

/// Why a capability's payload has no canonical form; the texts are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// The payload is not base64.
    #[error("decoding payload: {0}")]
    Base64(#[from] Base64Error),
    /// The payload is no response.
    #[error("unmarshalling capability response: {0}")]
    Response(WireError),
    /// The response holds no report, although it says so.
    #[error("unmarshalling report response: {0}")]
    Report(WireError),
}

/// The payload without the signatures of a consensus report, or `None` if it holds no report.
///
/// Unknown fields of the report stay, those around it go.
///
/// # Errors
///
/// [`CanonicalError`], in the order of its variants.
pub fn canonical_payload(payload: &str) -> Result<Option<String>, CanonicalError> {
    let Some(report) = Report::of(&base64::decode(payload)?).map_err(CanonicalError::Response)?
    else {
        return Ok(None);
    };
    let value = proto::canonical_without(ReportResponse::schema(), &report.0, REPORT_SIGNATURES)
        .map_err(CanonicalError::Report)?;
    let payload = Any { type_url: messages::type_url(ReportResponse::NAME), value };
    let response = CapabilityResponse { response: Some(CapabilityOutcome::Payload(payload)) };
    Ok(Some(base64::encode(&messages::encode(&response))))
}

/// The bytes of a report inside a response.
struct Report(Vec<u8>);

impl Report {
    fn of(response: &[u8]) -> Result<Option<Self>, WireError> {
        match outcome(response)? {
            Some(CapabilityOutcome::Payload(any))
                if messages::names(&any, ReportResponse::NAME) =>
            {
                Ok(Some(Self(any.value)))
            }
            Some(_) | None => Ok(None),
        }
    }
}

fn outcome(response: &[u8]) -> Result<Option<CapabilityOutcome>, WireError> {
    Ok(messages::decode_known::<CapabilityResponse>(response)?.response)
}

impl Grouping for CapabilityRequestParams {
    fn canonical(result: &CapabilityResult) -> Result<Option<CapabilityResult>, CanonicalError> {
        let payload = canonical_payload(&result.payload)?;
        Ok(payload.map(|payload| CapabilityResult { payload, error: result.error.clone() }))
    }

    fn describe(result: &CapabilityResult) -> String {
        let mut words = Vec::new();
        if !result.error.is_empty() {
            words.push(format!("resultError={}", quoted(&result.error)));
        }
        describe_payload(&result.payload, &mut words);
        words.join(" ")
    }
}

fn describe_payload(payload: &str, words: &mut Vec<String>) {
    let bytes = match base64::decode(payload) {
        Ok(bytes) => bytes,
        Err(error) => return words.push(format!("payload=undecodable({error})")),
    };
    words.push(format!("payload={}", sized(&bytes)));
    if bytes.is_empty() {
        return;
    }
    match outcome(&bytes) {
        Err(error) => words.push(format!("payload=unparseable({error})")),
        Ok(Some(CapabilityOutcome::Error(error))) => {
            words.push(format!("responseError={}", quoted(&error)));
        }
        Ok(Some(CapabilityOutcome::Payload(any))) => {
            words.push(format!("type={}", cut(messages::name(&any))));
            if messages::names(&any, ReportResponse::NAME) {
                words.push(describe_report(&any.value));
            }
        }
        Ok(None) => {}
    }
}

fn describe_report(bytes: &[u8]) -> String {
    let report: ReportResponse = match messages::decode_known(bytes) {
        Ok(report) => report,
        Err(error) => return format!("report=unparseable({error})"),
    };
    // More are cut off anyway.
    let sigs = report.sigs.iter().take(limits::DIAGNOSTIC_LIST_BYTES / 4);
    let sigs: Vec<_> =
        sigs.map(|sig| format!("{}/{}", sig.signer_id, digest(&sig.signature))).collect();
    format!(
        "configDigest={} seqNr={} reportContext={} rawReport={} sigs={}[{}]",
        digest(&report.config_digest),
        report.seq_nr,
        digest(&report.report_context),
        sized(&report.raw_report),
        report.sigs.len(),
        sigs.join(",")
    )
}

impl Grouping for SecretsRequestParams {
    fn canonical(_result: &SecretsResult) -> Result<Option<SecretsResult>, CanonicalError> {
        Ok(None)
    }

    fn describe(result: &SecretsResult) -> String {
        let entries = result.secrets.as_deref().unwrap_or_default();
        let words: Vec<_> = entries
            .iter()
            // More are cut off anyway.
            .take(limits::DIAGNOSTIC_LIST_BYTES / 4)
            .map(|entry| {
                format!(
                    "{}/{}:ct={},shares={}",
                    cut(&entry.id.namespace),
                    cut(&entry.id.key),
                    digest(entry.ciphertext.as_bytes()),
                    entry.encrypted_shares.as_deref().unwrap_or_default().len()
                )
            })
            .collect();
        format!("secrets={}[{}]", entries.len(), words.join(" "))
    }
}

/// The length and the digest of bytes.
fn sized(bytes: &[u8]) -> String {
    format!("{}B/{}", bytes.len(), digest(bytes))
}

/// The first four bytes of SHA-256, or a word for nothing.
fn digest(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "empty".to_owned();
    }
    let hash: [u8; 32] = Sha256::digest(bytes).into();
    hex::encode(hash.first_chunk::<4>().copied().unwrap_or_default())
}

/// A text of a peer, cut and quoted. The cut may split a character.
fn quoted(text: &str) -> String {
    let limit = limits::DIAGNOSTIC_FIELD_BYTES;
    match text.as_bytes().get(..limit).filter(|_| text.len() > limit) {
        Some(head) => quote(&[head, TRUNCATED.as_bytes()].concat()),
        None => quote(text.as_bytes()),
    }
}

/// A name, cut at the last whole character, in one line whatever a peer wrote into it.
fn cut(text: &str) -> String {
    let limit = limits::DIAGNOSTIC_FIELD_BYTES;
    let end = (0..=limit).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let head = text.get(..end).unwrap_or(text);
    let shown = |c: char| if breaks_a_line(c) { char::REPLACEMENT_CHARACTER } else { c };
    let head: String = head.chars().map(shown).collect();
    if text.len() > limit { head + TRUNCATED } else { head }
}

fn breaks_a_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// The field of a report that holds its signatures.
const REPORT_SIGNATURES: u32 = 5;
