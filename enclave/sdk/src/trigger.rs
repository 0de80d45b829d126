//! What fires a workflow.

use std::{marker::PhantomData, time::SystemTime};

use protocol::messages::{
    self, Message, cron as cron_messages, http,
    sdk::{
        Requirements, TRIGGER, Tee, TeeItem, TeeType, TeeTypeAndRegions, TeeTypesAndRegions,
        TriggerSubscription,
    },
};

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
    /// Any trigger: its capability, its method and its configuration.
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

/// A requirement to run in a Nitro enclave, in one of these regions; without any, in all.
pub(crate) fn in_nitro(regions: Vec<String>) -> Requirements {
    let entry = TeeTypeAndRegions { r#type: TeeType::AwsNitro.into(), regions };
    let typed = TeeTypesAndRegions { tee_type_and_regions: vec![entry] };
    Requirements { tee: Some(Tee { item: Some(TeeItem::TypesAndRegions(typed)) }) }
}
