//! How nodes agree on what each of them observed.

use std::{collections::BTreeMap, marker::PhantomData};

use protocol::messages::{
    consensus::{
        AggregationType, ConsensusDescriptor, Descriptor, FieldsMap, Observation,
        SimpleConsensusInputs,
    },
    values::Value,
};

use crate::{FromValue, ToValue, WorkflowError};

/// How the nodes' observations become one value, and what to take when a node fails.
#[derive(Clone, Debug)]
pub struct Consensus<T> {
    descriptor: ConsensusDescriptor,
    default: Option<Value>,
    observed: PhantomData<fn(T)>,
}

impl<T: ToValue> Consensus<T> {
    /// The median of numbers or times.
    #[must_use]
    pub fn median() -> Self {
        Self::of(AggregationType::Median)
    }

    /// What enough nodes observed alike.
    #[must_use]
    pub fn identical() -> Self {
        Self::of(AggregationType::Identical)
    }

    /// The longest beginning that lists have in common.
    #[must_use]
    pub fn common_prefix() -> Self {
        Self::of(AggregationType::CommonPrefix)
    }

    /// The longest end that lists have in common.
    #[must_use]
    pub fn common_suffix() -> Self {
        Self::of(AggregationType::CommonSuffix)
    }

    /// All values, each with the number of nodes that observed it.
    #[must_use]
    pub fn frequency_list() -> Self {
        Self::of(AggregationType::FrequencyList)
    }

    /// A map whose members are agreed on one by one.
    #[must_use]
    pub fn fields<N: Into<String>>(
        fields: impl IntoIterator<Item = (N, Consensus<Value>)>,
    ) -> Self {
        let fields = fields.into_iter();
        let fields = fields.map(|(name, field)| (name.into(), field.descriptor));
        let fields: BTreeMap<_, _> = fields.collect();
        Self::from_descriptor(Descriptor::FieldsMap(FieldsMap { fields }))
    }

    /// What to take when this node's observation is an error.
    ///
    /// # Errors
    ///
    /// [`WorkflowError::Value`] if no value can hold it.
    pub fn or(self, default: T) -> Result<Self, WorkflowError> {
        Ok(Self { default: Some(default.to_value()?), ..self })
    }

    /// The message for what this node observed. Without a default none is sent: an empty one would
    /// count as one.
    pub(crate) fn inputs(self, observed: Result<T, WorkflowError>) -> SimpleConsensusInputs {
        let observation = match observed.and_then(ToValue::to_value) {
            Ok(value) => Observation::Value(value),
            Err(error) => Observation::Error(error.to_string()),
        };
        SimpleConsensusInputs {
            descriptors: Some(self.descriptor),
            default: self.default,
            observation: Some(observation),
        }
    }

    fn of(aggregation: AggregationType) -> Self {
        Self::from_descriptor(Descriptor::Aggregation(aggregation.into()))
    }

    fn from_descriptor(descriptor: Descriptor) -> Self {
        let descriptor = ConsensusDescriptor { descriptor: Some(descriptor) };
        Self { descriptor, default: None, observed: PhantomData }
    }
}

/// Reads what was agreed on.
pub(crate) fn agreed<T: FromValue>(value: Value) -> Result<T, WorkflowError> {
    T::from_value(value)
}
