//! Where a handler runs: the enclaves it accepts.

use std::ops::Deref;

use protocol::messages::{
    http as wire,
    sdk::{Regions, Requirements, Tee, TeeItem, TeeType, TeeTypeAndRegions, TeeTypesAndRegions},
};

use crate::{Promise, Runtime, http};

/// The enclaves that a handler accepts, by type and region.
///
/// ```
/// use enclave_sdk::{Enclave, Setup, WorkflowError, testing::Double, trigger};
///
/// fn init(setup: &mut Setup<'_>) -> Result<(), WorkflowError> {
///     let hourly = || trigger::cron("0 0 * * * *");
///     setup.on_in(Enclave::any(), hourly(), |_runtime, _event| Ok("anywhere"));
///     setup.on_in(Enclave::any().in_regions(["eu-west-1"]), hourly(), |_runtime, _event| Ok("EU"));
///     let nitro = Enclave::nitro().in_regions(["us-west-2", "us-east-1"]);
///     setup.on_in(nitro, hourly(), |runtime, _event| {
///         let key = runtime.secret("API_KEY")?;
///         Ok(key.expose().len() as u32)
///     });
///     Ok(())
/// }
///
/// let double = Double::new().secret("main", "API_KEY", "12345");
/// let subscriptions = double.subscriptions(init).unwrap();
/// assert!(subscriptions.iter().all(|subscription| subscription.requirements.is_some()));
/// assert_eq!(double.trigger(init, 2, &trigger::Cron::default()).value::<u32>().unwrap(), 5);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a handler is registered with it by `Setup::on_in`"]
pub struct Enclave {
    kind: Option<TeeType>,
    regions: Vec<String>,
}

/// What a handler can do inside an enclave: all that a [`Runtime`] can, and HTTP without a node
/// section, because the enclave itself is what one trusts.
#[derive(Clone, Copy, Debug)]
pub struct EnclaveRuntime<'s> {
    runtime: Runtime<'s>,
}

impl Enclave {
    /// Every enclave in every region.
    pub fn any() -> Self {
        Self { kind: None, regions: Vec::new() }
    }

    /// AWS Nitro enclaves in every region.
    pub fn nitro() -> Self {
        Self { kind: Some(TeeType::AwsNitro), regions: Vec::new() }
    }

    /// Only those in one of these regions; without any, in all.
    pub fn in_regions<R: Into<String>>(self, regions: impl IntoIterator<Item = R>) -> Self {
        Self { regions: regions.into_iter().map(Into::into).collect(), ..self }
    }

    pub(crate) fn into_message(self) -> Requirements {
        let Self { kind, regions } = self;
        let item = match kind {
            None => TeeItem::AnyRegions(Regions { regions }),
            Some(kind) => {
                let typed = TeeTypeAndRegions { r#type: kind.into(), regions };
                TeeItem::TypesAndRegions(TeeTypesAndRegions { tee_type_and_regions: vec![typed] })
            }
        };
        Requirements { tee: Some(Tee { item: Some(item) }) }
    }
}

impl<'s> EnclaveRuntime<'s> {
    pub(crate) fn new(runtime: Runtime<'s>) -> Self {
        Self { runtime }
    }

    /// Sends an HTTP request.
    pub fn http(&self, request: http::Request) -> Promise<'s, http::Response> {
        let answer = self.call(wire::ACTIONS, wire::SEND_REQUEST, &request.into_message());
        answer.map(|answer| Ok(http::Response::new(answer)))
    }
}

impl<'s> Deref for EnclaveRuntime<'s> {
    type Target = Runtime<'s>;

    fn deref(&self) -> &Runtime<'s> {
        &self.runtime
    }
}
