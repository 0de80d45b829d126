//! Structs and bytes of every message mean the same, whatever the order of the fields.

use proptest::prelude::*;
use protocol::{
    messages::{
        self, Message, capabilities, confidential_http, confidential_workflow, conformance,
        consensus, cron, devnet, http, sdk, storage, telemetry, values, vault, well_known,
    },
    proto::{self, Field, Kind, Label, Schema},
};

/// Choices, read from bytes; once they are used up, all are zero.
struct Choices<'b>(&'b [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit.max(1)
    }

    fn bytes(&mut self) -> Vec<u8> {
        (0..self.below(5)).map(|_| self.byte()).collect()
    }

    fn number(&mut self) -> u64 {
        match self.byte() % 4 {
            0 => 0,
            1 => self.byte().into(),
            2 => u64::MAX - u64::from(self.byte()),
            _ => u64::from(self.byte()) << 31,
        }
    }
}

/// Bytes of a message: its fields in any order, repeated as chance has it, numbers packed or not.
fn message(schema: &Schema, choices: &mut Choices<'_>, depth: usize) -> Vec<u8> {
    let mut out = Vec::new();
    if schema.fields.is_empty() || depth > 6 {
        return out;
    }
    for _field in 0..choices.below(6) {
        let field = &schema.fields[choices.below(schema.fields.len())];
        one(field, choices, depth, &mut out);
    }
    out
}

fn one(field: &Field, choices: &mut Choices<'_>, depth: usize, out: &mut Vec<u8>) {
    let plain = Field { label: Label::Optional, ..*field };
    match (field.label, field.kind) {
        (Label::Map(kind), _) => {
            let mut entry = Vec::new();
            for _part in 0..choices.below(4) {
                match choices.byte() % 2 {
                    0 => one(&Field { number: 1, kind, ..plain }, choices, depth, &mut entry),
                    _ => one(&Field { number: 2, ..plain }, choices, depth, &mut entry),
                }
            }
            bytes(field.number, &entry, out);
        }
        (_, Kind::Message(schema)) => {
            bytes(field.number, &message(schema(), choices, depth + 1), out)
        }
        (_, Kind::Bytes) => bytes(field.number, &choices.bytes(), out),
        (_, Kind::Text) => {
            let text = String::from_utf8_lossy(&choices.bytes()).into_owned();
            bytes(field.number, text.as_bytes(), out);
        }
        (_, Kind::Double) => {
            varint(u64::from(field.number) << 3 | 1, out);
            out.extend(choices.number().to_le_bytes());
        }
        (Label::Repeated, _) if choices.byte().is_multiple_of(2) => {
            let mut run = Vec::new();
            (0..choices.below(4)).for_each(|_| varint(choices.number(), &mut run));
            bytes(field.number, &run, out);
        }
        _ => {
            varint(u64::from(field.number) << 3, out);
            varint(choices.number(), out);
        }
    }
}

fn bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    varint(u64::from(number) << 3 | 2, out);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap());
}

/// The struct that is read from these bytes, written, gives their canonical form; and that returns.
fn means_the_same<M: Message + PartialEq>(choices: &[u8]) -> Result<(), TestCaseError> {
    let bytes = message(M::schema(), &mut Choices(choices), 0);
    let canonical = proto::canonical(M::schema(), &bytes);
    prop_assert_eq!(&proto::canonical_known(M::schema(), &bytes), &canonical, "{}", M::NAME);
    let canonical = canonical.unwrap();
    let read: M = messages::decode(&bytes).unwrap();
    prop_assert_eq!(hex::encode(messages::encode(&read)), hex::encode(&canonical), "{}", M::NAME);
    let again: M = messages::decode(&canonical).unwrap();
    prop_assert_eq!(messages::encode(&again), canonical, "{}", M::NAME);
    Ok(())
}

macro_rules! every_message {
    ($($type:ty,)*) => {
        const ALL: &[fn(&[u8]) -> Result<(), TestCaseError>] = &[$(means_the_same::<$type>,)*];
        const NAMES: &[&str] = &[$(<$type as Message>::NAME,)*];
    };
}

every_message! {
    capabilities::AttributedSignature,
    capabilities::CapabilityResponse,
    capabilities::MeteringReportNodeDetail,
    capabilities::OcrAttestation,
    capabilities::ResponseMetadata,
    confidential_http::ConfidentialHttpRequest,
    confidential_http::HeaderValues,
    confidential_http::HttpRequest,
    confidential_http::HttpResponse,
    confidential_http::SecretIdentifier,
    confidential_workflow::ConfidentialWorkflowRequest,
    confidential_workflow::ConfidentialWorkflowResponse,
    confidential_workflow::ProvidedTeesResponse,
    confidential_workflow::SecretIdentifier,
    confidential_workflow::WorkflowExecution,
    conformance::basic_trigger::Outputs,
    consensus::ConsensusDescriptor,
    consensus::FieldsMap,
    consensus::SimpleConsensusInputs,
    cron::Config,
    cron::LegacyPayload,
    cron::Payload,
    devnet::echo::EchoRequest,
    http::AuthorizedKey,
    http::CacheSettings,
    http::Config,
    http::HeaderValues,
    http::MtlsAuth,
    http::Payload,
    http::Request,
    http::Response,
    sdk::AttributedSignature,
    sdk::AwaitCapabilitiesRequest,
    sdk::AwaitCapabilitiesResponse,
    sdk::AwaitSecretsRequest,
    sdk::AwaitSecretsResponse,
    sdk::CapabilityRequest,
    sdk::CapabilityResponse,
    sdk::CapabilityRestriction,
    sdk::CapabilityRestrictions,
    sdk::ExecuteRequest,
    sdk::ExecutionResult,
    sdk::GetSecretsRequest,
    sdk::MethodRestriction,
    sdk::Regions,
    sdk::ReportRequest,
    sdk::ReportResponse,
    sdk::Requirements,
    sdk::Restrictions,
    sdk::Secret,
    sdk::SecretError,
    sdk::SecretPrefixRestriction,
    sdk::SecretRequest,
    sdk::SecretResponse,
    sdk::SecretResponses,
    sdk::SecretRestriction,
    sdk::SecretsRestrictions,
    sdk::Tee,
    sdk::TeeTypeAndRegions,
    sdk::TeeTypesAndRegions,
    sdk::Trigger,
    sdk::TriggerSubscription,
    sdk::TriggerSubscriptionRequest,
    storage::DownloadArtifactRequest,
    storage::DownloadArtifactResponse,
    telemetry::CreInfo,
    telemetry::WorkflowKey,
    telemetry::WorkflowUserLog,
    telemetry::WorkflowUserMetric,
    values::BigInt,
    values::Decimal,
    values::List,
    values::Map,
    values::Value,
    vault::EncryptedShares,
    vault::GetSecretsRequest,
    vault::GetSecretsResponse,
    vault::SecretData,
    vault::SecretIdentifier,
    vault::SecretRequest,
    vault::SecretResponse,
    well_known::Any,
    well_known::Duration,
    well_known::Empty,
    well_known::Timestamp,
}

proptest! {
    #[test]
    fn structs_and_bytes_mean_the_same(choices in proptest::collection::vec(any::<u8>(), 0..200)) {
        for means_the_same in ALL {
            means_the_same(&choices)?;
        }
    }
}

#[test]
fn each_message_is_there_once() {
    let names: std::collections::BTreeSet<_> = NAMES.iter().collect();
    assert_eq!(names.len(), ALL.len());
}
