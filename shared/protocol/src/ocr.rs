//! The attestation that lets one answer of a capability DON stand for F + 1 equal ones
//! (relay-protocol 12).

use std::collections::BTreeSet;

use crypto::{address::Address, ocr};
use sha3::{Digest as _, Keccak256, Sha3_256};

mod replies;

pub use replies::{CapabilityDon, Progress, Replies, ReplyError, UnreachableQuorum};

use crate::{
    ids::{ExecutionId, FaultBound},
    messages::{
        self,
        capabilities::{CapabilityResponse, MeteringReportNodeDetail},
    },
    proto::WireError,
};

/// Why bytes are no answer of a capability DON; the texts are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeResponseError {
    /// They are no such message.
    #[error(transparent)]
    Message(#[from] WireError),
    /// The attestation's digest is not 32 bytes long.
    #[error("invalid config digest length: expected 32 bytes, got {got}")]
    ConfigDigest {
        /// Its length in bytes.
        got: usize,
    },
}

/// Why an answer's attestation does not hold; the texts are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyResponseError {
    /// There is none.
    #[error("attestation is missing")]
    Missing,
    /// The digest of the configuration is not 32 bytes long, so nobody can have signed it.
    #[error("invalid config digest length: expected 32 bytes, got {got}")]
    ConfigDigest {
        /// Its length in bytes.
        got: usize,
    },
    /// Too few signatures.
    #[error("not enough signatures: got {got}, need at least {want}")]
    TooFewSignatures {
        /// Signatures.
        got: usize,
        /// F + 1.
        want: usize,
    },
    /// Too few signers are known.
    #[error(
        "number of configured OCR signers is less than required confirmations: got {got}, need at least {want}"
    )]
    TooFewSigners {
        /// Known signers.
        got: usize,
        /// F + 1.
        want: usize,
    },
    /// There is nothing that the signatures could cover.
    #[error("failed to convert response to report data: {0}")]
    ReportData(#[from] ReportDataError),
    /// A signature names a signer that is not known.
    #[error("invalid signer index: {index}")]
    SignerIndex {
        /// The index.
        index: u32,
    },
    /// Two signatures are of one signer.
    #[error("duplicate signature from signer index: {index}")]
    DuplicateSigner {
        /// The index.
        index: u32,
    },
    /// A signature is not its signer's.
    #[error("invalid signature from signer index: {index}")]
    Signature {
        /// The index.
        index: u32,
    },
}

/// Why an answer has no report data; the texts are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportDataError {
    /// There is not exactly one record of what it cost. The peer is not known here, so the text
    /// names the peer id of 32 zero bytes.
    #[error(
        "failed to extract metering from metadata: unexpected number of metering records received \
         from peer 12D3KooW9pNAk8aiBuGVQtWRdbkLmo5qVL3e2h5UxbN2Nz9ttwiw: got {got}, want 1"
    )]
    Metering {
        /// Records.
        got: usize,
    },
    /// There is no payload, so whoever checked would check nothing.
    #[error("response has no payload")]
    NoPayload,
}

/// Decodes an answer and looks at the length of its attestation's digest.
///
/// # Errors
///
/// [`DecodeResponseError`].
pub fn decode_response(bytes: &[u8]) -> Result<CapabilityResponse, DecodeResponseError> {
    let response: CapabilityResponse = messages::decode_known(bytes)?;
    match response.ocr_attestation.as_ref().map(|attestation| attestation.config_digest.len()) {
        None | Some(32) => Ok(response),
        Some(got) => Err(DecodeResponseError::ConfigDigest { got }),
    }
}

/// Checks an answer's attestation: every signature must be good, and F + 1 of them there.
///
/// `signers` are the DON's addresses by index, from the registry; an address that it lists twice is one
/// signer. The digest of the configuration is not compared with anything: signatures of current
/// signers stand for older configurations too.
///
/// # Errors
///
/// The first [`VerifyResponseError`] in the order of its variants.
pub fn verify_response(
    response: &CapabilityResponse,
    execution_id: &ExecutionId,
    reference_id: &str,
    signers: &[Address],
    fault_bound: FaultBound,
) -> Result<(), VerifyResponseError> {
    let attestation = response.ocr_attestation.as_ref().ok_or(VerifyResponseError::Missing)?;
    let (config_digest, want) = (&attestation.config_digest, fault_bound.quorum());
    let config_digest: &[u8; 32] = config_digest
        .as_slice()
        .try_into()
        .map_err(|_length| VerifyResponseError::ConfigDigest { got: config_digest.len() })?;
    let got = attestation.signatures.len();
    if got < want {
        return Err(VerifyResponseError::TooFewSignatures { got, want });
    }
    if signers.len() < want {
        return Err(VerifyResponseError::TooFewSigners { got: signers.len(), want });
    }
    let payload = response.payload.as_ref().ok_or(ReportDataError::NoPayload)?;
    let metering = response.metadata.as_ref().map_or(&[][..], |metadata| &metadata.metering);
    let report = report_data(execution_id, reference_id, &payload.value, metering)?;
    let digest = signing_digest(&report, config_digest, attestation.sequence_number);
    let mut seen = BTreeSet::new();
    for signature in &attestation.signatures {
        let index = signature.signer;
        let signer = usize::try_from(index).ok().and_then(|index| signers.get(index));
        let signer = signer.ok_or(VerifyResponseError::SignerIndex { index })?;
        if !seen.insert(signer) {
            return Err(VerifyResponseError::DuplicateSigner { index });
        }
        if ocr::verify(signer, &digest, &signature.signature).is_err() {
            return Err(VerifyResponseError::Signature { index });
        }
    }
    Ok(())
}

/// What a DON reports about one answer: the call, the payload's bytes without its type, and the cost.
///
/// # Errors
///
/// [`ReportDataError::Metering`] unless there is exactly one record of what it cost.
pub fn report_data(
    execution_id: &ExecutionId,
    reference_id: &str,
    payload: &[u8],
    metering: &[MeteringReportNodeDetail],
) -> Result<[u8; 32], ReportDataError> {
    let [spent] = metering else {
        return Err(ReportDataError::Metering { got: metering.len() });
    };
    let fields = [
        execution_id.as_str().as_bytes(),
        reference_id.as_bytes(),
        payload,
        spent.spend_unit.as_bytes(),
        spent.spend_value.as_bytes(),
    ];
    let mut hash = Sha3_256::new_with_prefix(REPORT_PREFIX);
    for field in fields {
        // No address space is larger than 64 bits.
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field);
    }
    Ok(hash.finalize().into())
}

/// What a member of the DON signs for a report.
#[must_use]
pub fn signing_digest(report: &[u8], config_digest: &[u8; 32], sequence_number: u64) -> [u8; 32] {
    Keccak256::new()
        .chain_update(Keccak256::digest(report))
        .chain_update(config_digest)
        .chain_update([0; 24])
        .chain_update(sequence_number.to_be_bytes())
        .finalize()
        .into()
}

/// What keeps reports of this kind apart from others; its length does not precede it.
const REPORT_PREFIX: &str = "CapabilityResponseReportData:v1";

#[cfg(test)]
pub(crate) mod tests {
    use crypto::ocr::OcrSigningKey;
    use proptest::prelude::*;

    use super::*;
    use crate::messages::{
        capabilities::{AttributedSignature, OcrAttestation, ResponseMetadata},
        well_known::Any,
    };

    pub(crate) fn key(seed: u8) -> OcrSigningKey {
        OcrSigningKey::from_bytes(&[seed; 32]).unwrap()
    }

    pub(crate) fn execution() -> ExecutionId {
        "e".into()
    }

    pub(crate) fn attested(signers: &[(u8, u32)]) -> CapabilityResponse {
        let metering = vec![MeteringReportNodeDetail {
            spend_unit: "unit".to_owned(),
            spend_value: "42".to_owned(),
            ..MeteringReportNodeDetail::default()
        }];
        let payload = Any { type_url: "t".to_owned(), value: b"payload".to_vec() };
        let report = report_data(&execution(), "7", &payload.value, &metering).unwrap();
        let digest = signing_digest(&report, &[1; 32], 5);
        let sign = |(seed, signer): &(u8, u32)| AttributedSignature {
            signature: key(*seed).sign(&digest).unwrap().to_vec(),
            signer: *signer,
        };
        CapabilityResponse {
            metadata: Some(ResponseMetadata { metering, capdon_n: 4 }),
            payload: Some(payload),
            ocr_attestation: Some(OcrAttestation {
                config_digest: vec![1; 32],
                sequence_number: 5,
                signatures: signers.iter().map(sign).collect(),
            }),
            ..CapabilityResponse::default()
        }
    }

    fn verified(response: &CapabilityResponse) -> Result<(), VerifyResponseError> {
        let signers: Vec<_> = (1..=4).map(|seed| key(seed).address()).collect();
        verify_response(response, &execution(), "7", &signers, FaultBound::new(1))
    }

    #[test]
    fn a_quorum_of_good_signatures_holds() {
        assert_eq!(verified(&attested(&[(1, 0), (3, 2)])), Ok(()));
    }

    #[test]
    fn one_bad_signature_spoils_a_quorum_of_good_ones() {
        let response = attested(&[(1, 0), (3, 2), (9, 1)]);
        assert_eq!(verified(&response), Err(VerifyResponseError::Signature { index: 1 }));
        let response = attested(&[(1, 0), (1, 0)]);
        assert_eq!(verified(&response), Err(VerifyResponseError::DuplicateSigner { index: 0 }));
        let response = attested(&[(1, 0), (2, 4)]);
        assert_eq!(verified(&response), Err(VerifyResponseError::SignerIndex { index: 4 }));
    }

    #[test]
    fn an_address_that_is_listed_twice_is_one_signer() {
        let signers = [key(1).address(), key(1).address(), key(2).address()];
        let verified = |response: &CapabilityResponse| {
            verify_response(response, &execution(), "7", &signers, FaultBound::new(1))
        };
        let duplicate = Err(VerifyResponseError::DuplicateSigner { index: 1 });
        assert_eq!(verified(&attested(&[(1, 0), (1, 1)])), duplicate);
        assert_eq!(verified(&attested(&[(1, 1), (2, 2)])), Ok(()));
    }

    #[test]
    fn an_attestation_that_nobody_signed_is_refused_even_where_all_are_trusted() {
        let signers = [key(1).address()];
        let verified = |response: &CapabilityResponse, signers: &[Address]| {
            verify_response(response, &execution(), "7", signers, FaultBound::new(0))
        };
        let few = VerifyResponseError::TooFewSignatures { got: 0, want: 1 };
        assert_eq!(verified(&attested(&[]), &signers), Err(few));
        let few = VerifyResponseError::TooFewSigners { got: 0, want: 1 };
        assert_eq!(verified(&attested(&[(1, 0)]), &[]), Err(few));
        assert_eq!(verified(&attested(&[(1, 0)]), &signers), Ok(()));
    }

    #[test]
    fn a_digest_of_another_length_is_refused_before_anything_is_hashed() {
        for got in [0, 31, 33] {
            let mut response = attested(&[(1, 0), (2, 1)]);
            response.ocr_attestation.as_mut().unwrap().config_digest = vec![1; got];
            assert_eq!(verified(&response), Err(VerifyResponseError::ConfigDigest { got }));
            let decoded = decode_response(&messages::encode(&response));
            assert_eq!(decoded, Err(DecodeResponseError::ConfigDigest { got }));
        }
    }

    #[test]
    fn an_answer_without_an_attestation_is_read_and_proves_nothing() {
        let response = CapabilityResponse { ocr_attestation: None, ..attested(&[]) };
        assert_eq!(decode_response(&messages::encode(&response)), Ok(response.clone()));
        assert_eq!(verified(&response), Err(VerifyResponseError::Missing));
    }

    #[test]
    fn an_attestation_of_nothing_is_refused() {
        let mut response = attested(&[(1, 0), (2, 1)]);
        response.payload = None;
        let none = VerifyResponseError::ReportData(ReportDataError::NoPayload);
        assert_eq!(verified(&response), Err(none));
        response.metadata = None;
        response.payload = Some(Any::default());
        let none = VerifyResponseError::ReportData(ReportDataError::Metering { got: 0 });
        assert_eq!(verified(&response), Err(none));
    }

    proptest! {
        #[test]
        fn a_flipped_bit_in_what_is_signed_is_refused(byte in 0..7_usize, bit in 0..8_u8) {
            let good = attested(&[(1, 0), (2, 1)]);
            let mut payload = good.clone();
            payload.payload.as_mut().unwrap().value[byte] ^= 1 << bit;
            let mut digest = good.clone();
            digest.ocr_attestation.as_mut().unwrap().config_digest[byte] ^= 1 << bit;
            let mut sequence = good.clone();
            sequence.ocr_attestation.as_mut().unwrap().sequence_number ^= 1 << bit;
            let mut signature = good;
            signature.ocr_attestation.as_mut().unwrap().signatures[1].signature[byte] ^= 1 << bit;
            for changed in [payload, digest, sequence, signature] {
                prop_assert!(verified(&changed).is_err());
            }
        }
    }
}
