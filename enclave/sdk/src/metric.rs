//! Numbers that a workflow measures, for its owner's dashboards.
//!
//! ```
//! use enclave_sdk::{Metric, Setup, WorkflowError, testing::Double, trigger};
//!
//! fn init(setup: &mut Setup<'_>) -> Result<(), WorkflowError> {
//!     setup.on(trigger::cron("0 * * * * *"), |runtime, _event| {
//!         runtime.metric(Metric::counter("checks", 1.0).label("region", "eu"))?;
//!         // A metric that the host does not take need not end the run.
//!         if let Err(error) = runtime.metric(Metric::gauge("price", 4321.5)) {
//!             runtime.warn("no metric", &[("error", &error)]);
//!         }
//!         Ok(())
//!     });
//!     Ok(())
//! }
//!
//! let run = Double::new().trigger(init, 0, &trigger::Cron::default());
//! assert_eq!(run.metrics[0].labels["region"], "eu");
//! assert_eq!(run.metrics[1].value, 4321.5);
//! ```

use protocol::{
    limits,
    messages::{
        self,
        telemetry::{UserMetricType, WorkflowUserMetric},
    },
};

use crate::imports;

/// A number that a workflow measured.
///
/// A host takes names of up to [`limits::METRIC_NAME_BYTES`] bytes and up to
/// [`limits::METRIC_LABELS`] labels whose values have up to [`limits::METRIC_LABEL_BYTES`] bytes,
/// [`limits::METRIC_BYTES`] bytes in all, unless it is set up otherwise.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a metric is handed over by `Runtime::metric`"]
pub struct Metric(WorkflowUserMetric);

/// Why the host did not take a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetricError {
    /// It has no name.
    #[error("a metric has a name")]
    NoName,
    /// It is neither a number nor infinite; nobody can add or show it.
    #[error("the value of a metric is a number")]
    NotANumber,
    /// Its name is long.
    #[error("the name of a metric has {got} bytes, the host's limit is {limit}")]
    Name {
        /// Bytes it has.
        got: usize,
        /// Bytes it may have.
        limit: usize,
    },
    /// It has many labels.
    #[error("a metric has {got} labels, the host's limit is {limit}")]
    Labels {
        /// Labels it has.
        got: usize,
        /// Labels it may have.
        limit: usize,
    },
    /// The value of a label is long.
    #[error("the value of a metric's label has {got} bytes, the host's limit is {limit}")]
    Label {
        /// Bytes it has.
        got: usize,
        /// Bytes it may have.
        limit: usize,
    },
    /// All of it is large.
    #[error("a metric has {got} bytes, the host's limit is {limit}")]
    Size {
        /// Bytes it has.
        got: usize,
        /// Bytes it may have.
        limit: usize,
    },
    /// It is within all limits that are known: the host takes no metrics, or no more.
    #[error("the host does not take the metric")]
    Dropped,
}

impl Metric {
    /// A number to be added to what was counted before.
    pub fn counter(name: impl Into<String>, increment: f64) -> Self {
        Self::new(name.into(), UserMetricType::Counter, increment)
    }

    /// A number that replaces the one before.
    pub fn gauge(name: impl Into<String>, value: f64) -> Self {
        Self::new(name.into(), UserMetricType::Gauge, value)
    }

    /// Adds a label, or changes its value.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.labels.insert(name.into(), value.into());
        self
    }

    fn new(name: String, kind: UserMetricType, value: f64) -> Self {
        Self(WorkflowUserMetric { name, value, r#type: kind.into(), ..Default::default() })
    }

    /// Hands it to the host.
    pub(crate) fn emit(&self) -> Result<(), MetricError> {
        if self.0.name.is_empty() {
            return Err(MetricError::NoName);
        }
        if self.0.value.is_nan() {
            return Err(MetricError::NotANumber);
        }
        let encoded = messages::encode(&self.0);
        // The host has the word, for it may be set up otherwise; a refusal is explained afterwards.
        if imports::emit_metric(&encoded) { Ok(()) } else { Err(self.why_dropped(encoded.len())) }
    }

    fn why_dropped(&self, bytes: usize) -> MetricError {
        let (name, labels) = (self.0.name.len(), self.0.labels.len());
        let longest = self.0.labels.values().map(String::len).max().unwrap_or_default();
        let exceeded = |got: usize, limit: usize| (got > limit).then_some((got, limit));
        let why = exceeded(name, limits::METRIC_NAME_BYTES)
            .map(|(got, limit)| MetricError::Name { got, limit })
            .or_else(|| {
                exceeded(labels, limits::METRIC_LABELS)
                    .map(|(got, limit)| MetricError::Labels { got, limit })
            })
            .or_else(|| {
                exceeded(longest, limits::METRIC_LABEL_BYTES)
                    .map(|(got, limit)| MetricError::Label { got, limit })
            })
            .or_else(|| {
                exceeded(bytes, limits::METRIC_BYTES)
                    .map(|(got, limit)| MetricError::Size { got, limit })
            });
        why.unwrap_or(MetricError::Dropped)
    }
}
