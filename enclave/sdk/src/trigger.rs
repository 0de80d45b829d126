//! What fires a workflow.
//!
//! ```
//! use enclave_sdk::{Setup, WorkflowError, testing::Double, trigger};
//!
//! #[derive(serde::Deserialize)]
//! struct Order {
//!     amount: u64,
//! }
//!
//! fn init(setup: &mut Setup<'_>) -> Result<(), WorkflowError> {
//!     setup.on(trigger::cron("0 */5 * * * *"), |_runtime, event| {
//!         Ok(format!("due at {:?}", trigger::due(&event)))
//!     });
//!     let key = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
//!     setup.on(trigger::http([key]), |_runtime, event| {
//!         let order: Order = trigger::input(&event)?;
//!         Ok(order.amount)
//!     });
//!     Ok(())
//! }
//!
//! // Handlers are numbered in the order in which they were registered.
//! let double = Double::new();
//! assert_eq!(double.subscriptions(init).unwrap()[1].id, "http-trigger@1.0.0-alpha");
//! let event = trigger::Http { input: br#"{"amount": 3}"#.to_vec(), ..Default::default() };
//! assert_eq!(double.trigger(init, 1, &event).value::<u64>().unwrap(), 3);
//! ```

use std::{marker::PhantomData, time::SystemTime};

use protocol::messages::{
    self, Message, cron as cron_messages, http,
    sdk::{TRIGGER, TriggerSubscription},
};
use serde::de::DeserializeOwned;

use crate::WorkflowError;

/// A trigger whose events carry a `P`.
#[derive(Clone, Debug)]
pub struct Trigger<P> {
    pub(crate) subscription: TriggerSubscription,
    payload: PhantomData<fn() -> P>,
}

/// The event of a [`cron`] trigger.
pub type Cron = cron_messages::Payload;

/// The event of an [`http`](fn@http) trigger; its `input` is JSON text.
pub type Http = http::Payload;

impl<P: Message> Trigger<P> {
    /// Any trigger: its capability, its method and its configuration. The type of the events is the
    /// author's to name.
    pub fn new(
        capability: impl Into<String>,
        method: impl Into<String>,
        config: &impl Message,
    ) -> Self {
        let subscription = TriggerSubscription {
            id: capability.into(),
            payload: Some(messages::pack(config)),
            method: method.into(),
            requirements: None,
            pre_hook: false,
        };
        Self { subscription, payload: PhantomData }
    }
}

/// Fires by the clock: `0 */5 * * * *` is every five minutes, the first field counts seconds.
pub fn cron(schedule: impl Into<String>) -> Trigger<Cron> {
    let config = cron_messages::Config { schedule: schedule.into() };
    Trigger::new(cron_messages::CAPABILITY, TRIGGER, &config)
}

/// Fires on requests that one of these EVM keys signed.
pub fn http<K: Into<String>>(keys: impl IntoIterator<Item = K>) -> Trigger<Http> {
    let key = |public_key: K| http::AuthorizedKey {
        r#type: http::KeyType::EcdsaEvm.into(),
        public_key: public_key.into(),
    };
    let config = http::Config { authorized_keys: keys.into_iter().map(key).collect() };
    Trigger::new(http::TRIGGERS, TRIGGER, &config)
}

/// When a [`Cron`] event was due, if the event says so.
#[must_use]
pub fn due(event: &Cron) -> Option<SystemTime> {
    event.scheduled_execution_time.and_then(|time| time.try_into().ok())
}

/// What an [`Http`] event carries, as JSON.
///
/// # Errors
///
/// [`WorkflowError::Failed`] if it is not JSON of this form.
pub fn input<T: DeserializeOwned>(event: &Http) -> Result<T, WorkflowError> {
    let input = serde_json::from_slice(&event.input);
    // serde's own text may quote the input, which may be confidential.
    input.map_err(|_error| WorkflowError::new("the input is not the expected JSON"))
}
