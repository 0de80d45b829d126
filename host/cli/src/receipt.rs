//! What a run leaves behind for a check without a network: the signed requests and the attested answer.
//!
//! ```json
//! {"version":1,"at":"2026-01-01T00:00:00Z","nonce":"…","requests":[…],"response":{…},"sha256":"…"}
//! ```
//!
//! `requests` are the compute requests with the committee's signatures, `response` is the enclave's
//! answer without the events that no attestation covers, both in the protocol's own JSON. `at` is when
//! the answer was verified: attestation documents are believed for minutes, receipts are kept. `nonce`
//! is the challenge that the document answers, if it was asked for with one. `sha256` is over all that;
//! it shows damage and proves nothing, which the signatures do.

use std::{io, path::Path, time::SystemTime};

use attestation::Challenge;
use protocol::{
    answer::ExecuteResponse,
    compute::SignedComputeRequest,
    hash::Canonical,
    json::{self, DecodeError},
    time::{ParseTimeError, Rfc3339},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::files::{self, Readers};

/// A receipt as it was read; nothing of it has been verified.
#[derive(Debug)]
pub(crate) struct Receipt {
    /// When the answer was verified, as the receipt says.
    pub(crate) at: SystemTime,
    /// The challenge that the document answers, if there was one.
    pub(crate) nonce: Option<Challenge>,
    /// The signed requests, at least one.
    pub(crate) requests: Vec<SignedComputeRequest>,
    /// The answer's JSON.
    pub(crate) response: Vec<u8>,
    /// Whether the receipt is as it was written.
    pub(crate) is_intact: bool,
}

/// Why a text is no receipt.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiptError {
    /// It is not the JSON of one.
    #[error("it is not the JSON of a receipt (line {line}, column {column})")]
    Form {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// It is of another version.
    #[error("it is of version {got}, this enclavectl reads version {VERSION}")]
    Version {
        /// The version.
        got: u32,
    },
    /// The time is none.
    #[error("its time: {0}")]
    Time(#[from] ParseTimeError),
    /// The requests are none.
    #[error("its requests: {0}")]
    Requests(#[from] DecodeError),
    /// There is no request.
    #[error("it has no request")]
    Empty,
    /// The challenge is none.
    #[error("its nonce is not 1 to 1,024 bytes in hexadecimal digits")]
    Nonce,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    requests: Box<RawValue>,
    response: Box<RawValue>,
    sha256: String,
}

impl Receipt {
    /// Reads a receipt.
    ///
    /// # Errors
    ///
    /// [`ReceiptError`].
    pub(crate) fn parse(text: &[u8]) -> Result<Self, ReceiptError> {
        let form = |error: serde_json::Error| ReceiptError::Form {
            line: error.line(),
            column: error.column(),
        };
        let file: File = serde_json::from_slice(text).map_err(form)?;
        if file.version != VERSION {
            return Err(ReceiptError::Version { got: file.version });
        }
        let is_intact = file.sha256 == file.digest();
        let requests: Vec<_> = json::from_slice(file.requests.get().as_bytes())?;
        if requests.is_empty() {
            return Err(ReceiptError::Empty);
        }
        let at = file.at.parse::<Rfc3339>()?.try_into()?;
        let nonce = file.nonce.as_deref().map(parse_challenge).transpose();
        let nonce = nonce.map_err(|_form| ReceiptError::Nonce)?;
        let response = file.response.get().as_bytes().to_vec();
        Ok(Self { at, nonce, requests, response, is_intact })
    }

    /// Writes the receipt of an answer that was verified `at` this time. The answer has no events but
    /// those that its document covers.
    ///
    /// # Errors
    ///
    /// What the system reports.
    pub(crate) fn store(
        path: &Path,
        at: SystemTime,
        requests: &Vec<SignedComputeRequest>,
        response: &ExecuteResponse,
        nonce: Option<&Challenge>,
    ) -> io::Result<()> {
        let mut text = receipt(at, requests, response, nonce)?;
        text.push(b'\n');
        files::write(path, &text, Readers::All)
    }
}

impl File {
    /// The hash over everything else, in hexadecimal.
    fn digest(&self) -> String {
        let hash = Canonical::bare()
            .field(self.version.to_string())
            .field(&self.at)
            .field(self.requests.get())
            .field(self.response.get());
        // Last, so that a receipt without one has the hash it always had.
        let hash = self.nonce.iter().fold(hash, Canonical::field);
        hex::encode(hash.finish())
    }
}

fn receipt(
    at: SystemTime,
    requests: &Vec<SignedComputeRequest>,
    response: &ExecuteResponse,
    nonce: Option<&Challenge>,
) -> io::Result<Vec<u8>> {
    let raw = |json: Vec<u8>| {
        let text = String::from_utf8(json).map_err(io::Error::other)?;
        RawValue::from_string(text).map_err(io::Error::other)
    };
    let mut file = File {
        version: VERSION,
        at: Rfc3339::try_from(at).map_err(io::Error::other)?.to_string(),
        nonce: nonce.map(ToString::to_string),
        requests: raw(json::to_vec(requests))?,
        response: raw(json::to_vec(response))?,
        sha256: String::new(),
    };
    file.sha256 = file.digest();
    Ok(serde_json::to_vec(&file)?)
}

/// Reads a challenge: hexadecimal digits.
///
/// # Errors
///
/// What is wrong with the text.
pub(crate) fn parse_challenge(text: &str) -> Result<Challenge, String> {
    let bytes = hex::decode(text).map_err(|error| error.to_string())?;
    Challenge::try_from(bytes.as_slice()).map_err(|error| error.to_string())
}

/// The version of receipts that this program writes and reads.
const VERSION: u32 = 1;

#[cfg(test)]
pub(crate) mod tests {
    use protocol::compute::ComputeRequest;

    use super::*;

    /// The receipt of an answer that nobody attested.
    pub(crate) fn example() -> Vec<u8> {
        let request = ComputeRequest::default();
        let request_hash = request.hash();
        let response = ExecuteResponse { request_hash, ..ExecuteResponse::default() };
        let signed = SignedComputeRequest { request, signature: vec![1; 64].into() };
        let nonce = Challenge::from([0xab; 32]);
        receipt(SystemTime::UNIX_EPOCH, &vec![signed], &response, Some(&nonce)).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let receipt = Receipt::parse(&example()).unwrap();
        assert!(receipt.is_intact);
        assert_eq!((receipt.at, receipt.requests.len()), (SystemTime::UNIX_EPOCH, 1));
        assert_eq!(receipt.nonce, Some(Challenge::from([0xab; 32])));
    }

    #[test]
    fn a_receipt_without_a_nonce_has_the_hash_it_always_had() {
        let parts = ["1", "1970-01-01T00:00:00Z", "[{}]", "{}"];
        let hash = parts.into_iter().fold(Canonical::bare(), Canonical::field).finish();
        let hash = hex::encode(hash);
        let [version, at, requests, response] = parts;
        let text = format!(
            r#"{{"version":{version},"at":"{at}","requests":{requests},"response":{response},"sha256":"{hash}"}}"#
        );
        let receipt = Receipt::parse(text.as_bytes()).unwrap();
        assert!(receipt.is_intact && receipt.nonce.is_none());
    }

    #[test]
    fn every_byte_that_changes_is_noticed() {
        let text = example();
        for index in 0..text.len() {
            for change in [0x01, 0x20] {
                let mut changed = text.clone();
                changed[index] ^= change;
                let is_noticed = Receipt::parse(&changed).is_ok_and(|receipt| !receipt.is_intact)
                    || Receipt::parse(&changed).is_err();
                let around =
                    String::from_utf8_lossy(&changed[index.saturating_sub(9)..]).into_owned();
                assert!(is_noticed, "byte {index}: {around}");
            }
        }
    }

    #[test]
    fn what_is_no_receipt_is_refused() {
        let change = |from: &str, to: &str| {
            let text = String::from_utf8(example()).unwrap().replace(from, to);
            Receipt::parse(text.as_bytes()).unwrap_err()
        };
        assert!(matches!(Receipt::parse(b""), Err(ReceiptError::Form { .. })));
        assert!(matches!(
            change("\"version\":1", "\"version\":2"),
            ReceiptError::Version { got: 2 }
        ));
        assert!(matches!(change("1970-", "1970/"), ReceiptError::Time(_)));
        assert!(matches!(change("\"at\"", "\"more\":1,\"at\""), ReceiptError::Form { .. }));
        assert!(matches!(change(&"ab".repeat(32), "xy"), ReceiptError::Nonce));
        assert!(matches!(change(&"ab".repeat(32), ""), ReceiptError::Nonce));
        assert!(matches!(
            change("\"requestID\":[0", "\"requestID\":[\"0\""),
            ReceiptError::Requests(_)
        ));
        let text =
            r#"{"version":1,"at":"1970-01-01T00:00:00Z","requests":[],"response":{},"sha256":""}"#;
        assert!(matches!(Receipt::parse(text.as_bytes()), Err(ReceiptError::Empty)));
    }
}
