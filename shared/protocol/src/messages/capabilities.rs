//! Package `capabilities`: the answer of a remote capability DON, with its OCR attestation.

use super::{values, well_known::Any};

message! {
    /// The answer of a capability as its DON sends it.
    CapabilityResponse = "capabilities.CapabilityResponse" {
        1 value: (message, optional) Option<values::Map>,
        2 error: (string) String,
        3 metadata: (message, optional) Option<ResponseMetadata>,
        4 payload: (message, optional) Option<Any>,
        5 ocr_attestation: (message, optional) Option<OcrAttestation>,
    }
}

message! {
    /// What an answer cost and how many nodes took part.
    ResponseMetadata = "capabilities.ResponseMetadata" {
        1 metering: (message, repeated) Vec<MeteringReportNodeDetail>,
        2 capdon_n: (uint32) u32,
    }
}

message! {
    /// What one node spent.
    MeteringReportNodeDetail = "capabilities.MeteringReportNodeDetail" {
        1 peer_2_peer_id: (string) String,
        2 spend_unit: (string) String,
        3 spend_value: (string) String,
        4 spend_value_in_gas_units: (string) String,
    }
}

message! {
    /// Signatures of a capability DON over one answer.
    OcrAttestation = "capabilities.OCRAttestation" {
        1 config_digest: (bytes) Vec<u8>,
        2 sequence_number: (uint64) u64,
        3 signatures: (message, repeated) Vec<AttributedSignature>,
    }
}

message! {
    /// One signature and the index of its signer.
    AttributedSignature = "capabilities.AttributedSignature" {
        1 signature: (bytes) Vec<u8>,
        2 signer: (uint32) u32,
    }
}
