//! How nodes agree on what each of them observed.
//!
//! ```
//! use enclave_sdk::{
//!     Consensus, Serde, Setup, WorkflowError, consensus::Aggregation, http,
//!     testing::{Double, http_response}, trigger,
//! };
//!
//! /// What each node observes, and what all agree on.
//! #[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug)]
//! struct Quote {
//!     symbol: String,
//!     price: f64,
//! }
//!
//! fn init(setup: &mut Setup<'_>) -> Result<(), WorkflowError> {
//!     setup.on(trigger::cron("0 * * * * *"), |runtime, _event| {
//!         let fields = [("symbol", Aggregation::Identical), ("price", Aggregation::Median)];
//!         let quote = runtime.in_node_mode(Consensus::fields(fields), |node| {
//!             let answer = node.http(http::Request::get("https://prices.example/eth")).wait()?;
//!             Ok(Serde(answer.success()?.json::<Quote>()?))
//!         });
//!         let Serde(quote): Serde<Quote> = quote.wait()?;
//!
//!         // What to take when observing fails.
//!         let height = Consensus::median().or(0_u64)?;
//!         let height = runtime.in_node_mode(height, |_node| Err::<u64, _>("no block".into()));
//!         Ok(format!("{} {} {}", quote.symbol, quote.price, height.wait()?))
//!     });
//!     Ok(())
//! }
//!
//! let double = Double::new()
//!     .http(|_request| http_response(200, r#"{"symbol": "ETH", "price": 4321.5}"#));
//! let run = double.trigger(init, 0, &trigger::Cron::default());
//! assert_eq!(run.value::<String>().unwrap(), "ETH 4321.5 0");
//! ```

use std::{collections::BTreeMap, marker::PhantomData};

use protocol::messages::{
    consensus::{
        AggregationType, ConsensusDescriptor, Descriptor, FieldsMap, Observation,
        SimpleConsensusInputs,
    },
    values::{Kind, Map, Value},
};

use crate::{FromValue, ToValue, WorkflowError};

/// How the nodes' observations, each a `T`, become one value that all agree on, an `A`.
#[derive(Clone, Debug)]
pub struct Consensus<T, A = T> {
    descriptor: ConsensusDescriptor,
    default: Option<Value>,
    types: PhantomData<fn(T) -> A>,
}

/// How observations, or one member of them, become one value.
#[derive(Clone, Debug, PartialEq)]
pub enum Aggregation {
    /// The median of numbers or times.
    Median,
    /// What enough nodes observed alike.
    Identical,
    /// The longest beginning that lists have in common.
    CommonPrefix,
    /// The longest end that lists have in common.
    CommonSuffix,
    /// All values, each with the number of nodes that observed it: a list of [`Frequency`].
    FrequencyList,
    /// A map whose members are agreed on one by one, by their names.
    Fields(BTreeMap<String, Self>),
}

/// A value and how many nodes observed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frequency<T> {
    /// What was observed.
    pub value: T,
    /// By how many nodes.
    pub count: u64,
}

impl<T> Consensus<T> {
    /// The median of numbers or times.
    #[must_use]
    pub fn median() -> Self {
        Self::of(&Aggregation::Median)
    }

    /// What enough nodes observed alike.
    #[must_use]
    pub fn identical() -> Self {
        Self::of(&Aggregation::Identical)
    }

    /// The longest beginning that lists have in common.
    #[must_use]
    pub fn common_prefix() -> Self {
        Self::of(&Aggregation::CommonPrefix)
    }

    /// The longest end that lists have in common.
    #[must_use]
    pub fn common_suffix() -> Self {
        Self::of(&Aggregation::CommonSuffix)
    }
}

impl<T> Consensus<T, Vec<Frequency<T>>> {
    /// All values, each with the number of nodes that observed it.
    #[must_use]
    pub fn frequency_list() -> Self {
        Self::of(&Aggregation::FrequencyList)
    }
}

impl<T, A> Consensus<T, A> {
    /// A map whose members are agreed on one by one. Its form changes where a member becomes a
    /// frequency list; otherwise both types are one.
    #[must_use]
    pub fn fields<N: Into<String>>(fields: impl IntoIterator<Item = (N, Aggregation)>) -> Self {
        let fields = fields.into_iter().map(|(name, field)| (name.into(), field));
        Self::of(&Aggregation::Fields(fields.collect()))
    }

    /// What to take when this node's observation is an error.
    ///
    /// # Errors
    ///
    /// [`WorkflowError::Value`] if no value can hold it.
    pub fn or(self, default: A) -> Result<Self, WorkflowError>
    where
        A: ToValue,
    {
        Ok(Self { default: Some(default.to_value()?), ..self })
    }

    /// The message for what this node observed. Without a default none is sent: an empty one would
    /// count as one.
    pub(crate) fn inputs(self, observed: Result<T, WorkflowError>) -> SimpleConsensusInputs
    where
        T: ToValue,
    {
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

    fn of(aggregation: &Aggregation) -> Self {
        Self { descriptor: aggregation.descriptor(), default: None, types: PhantomData }
    }
}

impl Aggregation {
    fn descriptor(&self) -> ConsensusDescriptor {
        let aggregation =
            |aggregation: AggregationType| Descriptor::Aggregation(aggregation.into());
        let descriptor = match self {
            Self::Median => aggregation(AggregationType::Median),
            Self::Identical => aggregation(AggregationType::Identical),
            Self::CommonPrefix => aggregation(AggregationType::CommonPrefix),
            Self::CommonSuffix => aggregation(AggregationType::CommonSuffix),
            Self::FrequencyList => aggregation(AggregationType::FrequencyList),
            Self::Fields(fields) => {
                let fields = fields.iter().map(|(name, field)| (name.clone(), field.descriptor()));
                Descriptor::FieldsMap(FieldsMap { fields: fields.collect() })
            }
        };
        ConsensusDescriptor { descriptor: Some(descriptor) }
    }
}

impl<T: FromValue> FromValue for Frequency<T> {
    fn from_value(value: Value) -> Result<Self, WorkflowError> {
        let want = || WorkflowError::Value { want: "a value with its count" };
        let Some(Kind::Map(Map { mut fields })) = value.kind else { return Err(want()) };
        let (Some(value), Some(count)) = (fields.remove(VALUE), fields.remove(COUNT)) else {
            return Err(want());
        };
        let count = match count.kind {
            Some(Kind::Uint64(count)) => count,
            Some(Kind::Int64(count)) => u64::try_from(count).map_err(|_negative| want())?,
            _ => return Err(want()),
        };
        Ok(Self { value: T::from_value(value)?, count })
    }
}

impl<T: ToValue> ToValue for Frequency<T> {
    fn to_value(self) -> Result<Value, WorkflowError> {
        let value = self.value.to_value()?;
        BTreeMap::from([(VALUE.to_owned(), value), (COUNT.to_owned(), self.count.to_value()?)])
            .to_value()
    }
}

/// The members of an entry of a frequency list.
const VALUE: &str = "value";
const COUNT: &str = "count";
