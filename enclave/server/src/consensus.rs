//! The capability `consensus@1.0.0-alpha`, method `Simple`: of one enclave, its own observation
//! (enclave-and-host 8.9).
//!
//! A DON makes one value of what its nodes observed, as the workflow's descriptors say. An enclave is
//! one node, so there is one observation, and the reference's enclave answers it as it is, whatever
//! the descriptors say. So does this one, for every aggregation:
//!
//! | Aggregation | Fits | Of one observation |
//! |---|---|---|
//! | `MEDIAN` | numbers, decimals, times | itself |
//! | `IDENTICAL` | everything | itself |
//! | `COMMON_PREFIX`, `COMMON_SUFFIX` | lists | itself |
//! | `FREQUENCY_LIST` | everything | itself: the reference's enclave does not count, where a DON would answer a list of values with their numbers |
//! | a map of fields | maps with each of these fields, which fit in turn | itself, with the fields that have no descriptor |
//!
//! Descriptors that do not fit the value are no reason to refuse it: a workflow that has a result in
//! the reference's enclave would have none here. Such a [`Misfit`] is reported instead, so that its
//! author hears of it before a DON refuses it.

use protocol::{
    messages::{
        self, DecodeMessageError,
        consensus::{
            AggregationType, ConsensusDescriptor, Descriptor, FieldsMap, Observation,
            SimpleConsensusInputs,
        },
        sdk::{CapabilityOutcome, CapabilityResponse},
        values::{Kind, Value},
        well_known::Any,
    },
    proto::WireError,
};

/// An answer, and whether a DON would have refused it.
pub(crate) struct Agreed {
    /// The answer. A refusal is one too: its `error` member.
    pub(crate) response: CapabilityResponse,
    /// What does not fit, the first of it.
    pub(crate) misfit: Option<Misfit>,
}

/// A descriptor that does not fit the value it describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// The aggregation, by its name in the schema.
    pub(crate) aggregation: &'static str,
    /// What it would have to aggregate, without any of its contents.
    pub(crate) value: &'static str,
}

/// Why there is no value. The text is the guest's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConsensusError {
    /// The payload is not the inputs of this method.
    #[error("consensus.Simple: unmarshalling inputs: the payload is not SimpleConsensusInputs")]
    Inputs,
    /// They would take too much memory.
    #[error("consensus.Simple: unmarshalling inputs: {}", WireError::Expansion)]
    Dense,
    /// The workflow failed to observe, and named no default.
    #[error("consensus.Simple: observation error: {0}")]
    Observation(String),
    /// The workflow observed nothing.
    #[error("consensus.Simple: missing observation")]
    Missing,
}

/// Answers a call.
pub(crate) fn simple(payload: &Any) -> Agreed {
    let (outcome, misfit) = match agree(payload) {
        Ok((value, misfit)) => (CapabilityOutcome::Payload(messages::pack(&value)), misfit),
        Err(error) => (CapabilityOutcome::Error(error.to_string()), None),
    };
    Agreed { response: CapabilityResponse { response: Some(outcome) }, misfit }
}

fn agree(payload: &Any) -> Result<(Value, Option<Misfit>), ConsensusError> {
    let inputs = messages::unpack(payload).map_err(|error| match error {
        DecodeMessageError::Malformed { source: WireError::Expansion, .. } => ConsensusError::Dense,
        DecodeMessageError::Malformed { .. } | DecodeMessageError::OtherType { .. } => {
            ConsensusError::Inputs
        }
    })?;
    let SimpleConsensusInputs { descriptors, default, observation } = inputs;
    let value = match observation {
        Some(Observation::Value(value)) => value,
        // The Go SDK always sends a default, without a member where the workflow has none. Taking
        // that for a default makes its guests crash on a failed observation instead of failing.
        Some(Observation::Error(text)) => default
            .filter(|default| default.kind.is_some())
            .ok_or(ConsensusError::Observation(text))?,
        None => return Err(ConsensusError::Missing),
    };
    let misfit = misfit(descriptors.as_ref(), &value);
    Ok((value, misfit))
}

fn misfit(descriptor: Option<&ConsensusDescriptor>, value: &Value) -> Option<Misfit> {
    use AggregationType::{CommonPrefix, CommonSuffix, FrequencyList, Identical, Median};
    let unless =
        |fits: bool, aggregation| (!fits).then(|| Misfit { aggregation, value: name_of(value) });
    let aggregation = match descriptor.and_then(|descriptor| descriptor.descriptor.as_ref()) {
        Some(Descriptor::FieldsMap(fields)) => return misfit_of_fields(fields, value),
        Some(Descriptor::Aggregation(aggregation)) => AggregationType::try_from(*aggregation),
        None => Ok(AggregationType::Unspecified),
    };
    match aggregation {
        Ok(Identical | FrequencyList) => None,
        Ok(Median) => unless(has_an_order(value), "MEDIAN"),
        Ok(CommonPrefix) => unless(matches!(value.kind, Some(Kind::List(_))), "COMMON_PREFIX"),
        Ok(CommonSuffix) => unless(matches!(value.kind, Some(Kind::List(_))), "COMMON_SUFFIX"),
        Ok(AggregationType::Unspecified) | Err(_) => unless(false, "UNSPECIFIED"),
    }
}

fn misfit_of_fields(fields: &FieldsMap, value: &Value) -> Option<Misfit> {
    let Some(Kind::Map(map)) = &value.kind else {
        return Some(Misfit { aggregation: FIELDS_MAP, value: name_of(value) });
    };
    fields.fields.iter().find_map(|(name, descriptor)| match map.fields.get(name) {
        Some(value) => misfit(Some(descriptor), value),
        None => Some(Misfit { aggregation: FIELDS_MAP, value: "map without one of the fields" }),
    })
}

fn has_an_order(value: &Value) -> bool {
    match value.kind {
        Some(
            Kind::Decimal(_)
            | Kind::Int64(_)
            | Kind::BigInt(_)
            | Kind::Time(_)
            | Kind::Float64(_)
            | Kind::Uint64(_),
        ) => true,
        Some(Kind::String(_) | Kind::Bool(_) | Kind::Bytes(_) | Kind::Map(_) | Kind::List(_))
        | None => false,
    }
}

/// The kind of a value, as the schema calls it.
fn name_of(value: &Value) -> &'static str {
    match value.kind {
        None => "null",
        Some(Kind::String(_)) => "string",
        Some(Kind::Bool(_)) => "bool",
        Some(Kind::Bytes(_)) => "bytes",
        Some(Kind::Map(_)) => "map",
        Some(Kind::List(_)) => "list",
        Some(Kind::Decimal(_)) => "decimal",
        Some(Kind::Int64(_)) => "int64",
        Some(Kind::BigInt(_)) => "bigint",
        Some(Kind::Time(_)) => "time",
        Some(Kind::Float64(_)) => "float64",
        Some(Kind::Uint64(_)) => "uint64",
    }
}

const FIELDS_MAP: &str = "FIELDS_MAP";

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::messages::{
        values::{BigInt, Decimal, List, Map},
        well_known::Timestamp,
    };

    fn value(text: &str) -> Value {
        Kind::String(text.to_owned()).into_value()
    }

    trait IntoValue {
        fn into_value(self) -> Value;
    }

    impl IntoValue for Kind {
        fn into_value(self) -> Value {
            Value { kind: Some(self) }
        }
    }

    fn of(aggregation: AggregationType) -> ConsensusDescriptor {
        ConsensusDescriptor { descriptor: Some(Descriptor::Aggregation(aggregation.into())) }
    }

    fn fields(fields: &[(&str, ConsensusDescriptor)]) -> ConsensusDescriptor {
        let fields = fields.iter().map(|(name, of)| ((*name).to_owned(), of.clone())).collect();
        ConsensusDescriptor { descriptor: Some(Descriptor::FieldsMap(FieldsMap { fields })) }
    }

    fn map(members: &[(&str, Kind)]) -> Kind {
        let members =
            members.iter().map(|(name, kind)| ((*name).to_owned(), kind.clone().into_value()));
        Kind::Map(Map { fields: members.collect() })
    }

    fn inputs(
        observation: Option<Observation>,
        default: Option<Value>,
        descriptors: Option<ConsensusDescriptor>,
    ) -> Any {
        messages::pack(&SimpleConsensusInputs { observation, default, descriptors })
    }

    fn answer(observation: Option<Observation>, default: Option<Value>) -> Result<Value, String> {
        outcome(simple(&inputs(observation, default, None)).response)
    }

    fn outcome(response: CapabilityResponse) -> Result<Value, String> {
        match response.response.unwrap() {
            CapabilityOutcome::Payload(any) => {
                assert_eq!(any.type_url, "type.googleapis.com/values.v1.Value");
                Ok(messages::unpack(&any).unwrap())
            }
            CapabilityOutcome::Error(text) => Err(text),
        }
    }

    /// Has an observation aggregated; whatever the descriptor, it is answered as it is.
    fn aggregated(descriptor: Option<ConsensusDescriptor>, kind: Kind) -> Option<Misfit> {
        let value = kind.into_value();
        let observation = Some(Observation::Value(value.clone()));
        let agreed = simple(&inputs(observation, None, descriptor));
        assert_eq!(outcome(agreed.response), Ok(value));
        agreed.misfit
    }

    fn everything() -> Vec<Kind> {
        vec![
            Kind::String("a".to_owned()),
            Kind::Bool(true),
            Kind::Bytes(vec![1]),
            map(&[("a", Kind::Bool(true))]),
            Kind::List(List { fields: vec![value("x")] }),
            Kind::Decimal(Decimal { coefficient: Some(BigInt::default()), exponent: 2 }),
            Kind::Int64(-1),
            Kind::BigInt(BigInt { abs_val: vec![5], sign: -1 }),
            Kind::Time(Timestamp { seconds: 1, nanos: 2 }),
            Kind::Float64(0.5),
            Kind::Uint64(u64::MAX),
        ]
    }

    /// The kinds of value that an aggregation does not fit, by name.
    fn misfits(aggregation: AggregationType) -> Vec<&'static str> {
        let of_kind = |kind| aggregated(Some(of(aggregation)), kind);
        everything().into_iter().filter_map(of_kind).map(|misfit| misfit.value).collect()
    }

    #[test]
    fn the_own_observation_is_the_consensus() {
        assert_eq!(answer(Some(Observation::Value(value("x"))), None), Ok(value("x")));
        assert_eq!(answer(Some(Observation::Value(Value::default())), None), Ok(Value::default()));
    }

    #[test]
    fn a_median_is_one_of_numbers_or_times() {
        assert_eq!(misfits(AggregationType::Median), ["string", "bool", "bytes", "map", "list"]);
    }

    #[test]
    fn anything_can_be_identical_or_counted() {
        assert!(misfits(AggregationType::Identical).is_empty());
        assert!(misfits(AggregationType::FrequencyList).is_empty());
    }

    #[test]
    fn lists_have_a_beginning_and_an_end_in_common() {
        for aggregation in [AggregationType::CommonPrefix, AggregationType::CommonSuffix] {
            let misfits = misfits(aggregation);
            assert!(misfits.len() == everything().len() - 1 && !misfits.contains(&"list"));
        }
    }

    #[test]
    fn fields_are_aggregated_one_by_one_and_the_others_stay() {
        let described = fields(&[
            ("price", of(AggregationType::Median)),
            ("more", fields(&[("tags", of(AggregationType::CommonPrefix))])),
        ]);
        let with = |price, tags| {
            map(&[("price", price), ("more", map(&[("tags", tags)])), ("other", Kind::Bool(true))])
        };
        let list = Kind::List(List::default());
        assert_eq!(aggregated(Some(described.clone()), with(Kind::Int64(1), list.clone())), None);
        let misfit = |kind| aggregated(Some(described.clone()), kind).unwrap();
        let wrong = misfit(with(Kind::Int64(1), Kind::Bool(true)));
        assert_eq!(wrong, Misfit { aggregation: "COMMON_PREFIX", value: "bool" });
        let wrong = misfit(with(Kind::Bool(true), list));
        assert_eq!(wrong, Misfit { aggregation: "MEDIAN", value: "bool" });
        let wrong = misfit(map(&[("price", Kind::Int64(1))]));
        assert_eq!((wrong.aggregation, wrong.value), (FIELDS_MAP, "map without one of the fields"));
        assert_eq!(misfit(Kind::Int64(1)), Misfit { aggregation: FIELDS_MAP, value: "int64" });
    }

    #[test]
    fn a_value_without_an_aggregation_fits_none() {
        let unknown = ConsensusDescriptor { descriptor: Some(Descriptor::Aggregation(77)) };
        let unspecified = of(AggregationType::Unspecified);
        for descriptor in
            [None, Some(ConsensusDescriptor::default()), Some(unspecified), Some(unknown)]
        {
            let misfit = aggregated(descriptor, Kind::Int64(1));
            assert_eq!(misfit, Some(Misfit { aggregation: "UNSPECIFIED", value: "int64" }));
        }
    }

    #[test]
    fn a_failed_observation_falls_back_to_the_default() {
        let failed = || Some(Observation::Error("no".to_owned()));
        assert_eq!(answer(failed(), Some(value("d"))), Ok(value("d")));
        let text = "consensus.Simple: observation error: no";
        assert_eq!(answer(failed(), None), Err(text.to_owned()));
    }

    #[test]
    fn a_default_without_a_member_is_no_default() {
        let failed = Some(Observation::Error("no".to_owned()));
        let text = "consensus.Simple: observation error: no";
        assert_eq!(answer(failed, Some(Value::default())), Err(text.to_owned()));
    }

    fn varint(number: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        prost::encode_length_delimiter(number, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn inputs_that_would_take_the_memory_of_others_are_refused() {
        // Maps with one empty entry each, 840 bytes of six.
        let list = [0x12, 4, 0x22, 2, 0x0a, 0].repeat(800_000);
        let value = [&[0x2a][..], &varint(list.len()), &list].concat();
        let inputs = [&[0x0a][..], &varint(value.len()), &value].concat();
        let dense = Any { value: inputs, ..messages::pack(&SimpleConsensusInputs::default()) };
        let text = outcome(simple(&dense).response).unwrap_err();
        assert!(text.ends_with("take far more memory than it does"), "{text}");
    }

    #[test]
    fn no_observation_and_other_payloads_are_refused() {
        assert_eq!(answer(None, None), Err("consensus.Simple: missing observation".to_owned()));
        let other = Any { type_url: "x/other.Message".to_owned(), value: Vec::new() };
        let text = outcome(simple(&other).response).unwrap_err();
        assert!(text.starts_with("consensus.Simple: unmarshalling inputs: "), "{text}");
    }
}
