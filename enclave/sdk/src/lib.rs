//! Rust SDK for workflow authors (wasm32-wasip1).
//!
//! A workflow is a program that registers handlers for triggers. For every event a fresh instance
//! of it starts, sets itself up, runs one handler and ends; nothing is kept in between. What a
//! handler returns, a value or an error, is the result of the run.
//!
//! ```
//! use enclave_sdk::{
//!     Consensus, Runtime, Setup, WorkflowError, http,
//!     testing::{Double, http_response}, trigger,
//! };
//!
//! /// What the owner configures, as JSON.
//! #[derive(serde::Deserialize)]
//! struct Config {
//!     schedule: String,
//!     url: String,
//! }
//!
//! fn main() {
//!     # if false {
//!     enclave_sdk::run(init);
//!     # }
//!     # let double = Double::new()
//!     #     .config(r#"{"schedule": "0 * * * * *", "url": "https://prices.example/"}"#)
//!     #     .secret("main", "API_KEY", "12345")
//!     #     .http(|_request| http_response(200, "4321.5"));
//!     # let run = double.trigger(init, 0, &trigger::Cron::default());
//!     # assert_eq!(run.value::<f64>().unwrap(), 4321.5);
//! }
//!
//! fn init(setup: &mut Setup<'_>) -> Result<(), WorkflowError> {
//!     let config: Config = setup.runtime().config_json()?;
//!     let url = config.url;
//!     setup.on(trigger::cron(config.schedule), move |runtime, _event| price(runtime, &url));
//!     Ok(())
//! }
//!
//! /// Every node asks the server; the median counts.
//! fn price(runtime: &Runtime<'_>, url: &str) -> Result<f64, WorkflowError> {
//!     let key = runtime.secret("API_KEY")?;
//!     let request = http::Request::get(url).header("X-Api-Key", key.expose());
//!     let price = runtime.in_node_mode(Consensus::median(), |node| {
//!         let response = node.http(request).wait()?.success()?;
//!         response.text()?.trim().parse().map_err(WorkflowError::new)
//!     });
//!     let price = price.wait()?;
//!     runtime.info("price agreed", &[("price", &price)]);
//!     Ok(price)
//! }
//! ```
//!
//! Each of these has an example of its own:
//!
//! | What | Where |
//! |---|---|
//! | triggers: cron, HTTP, any other | [`trigger`] |
//! | handlers in an enclave, by type and region | [`Enclave`] |
//! | what a run may call and read, decided before it | [`restrictions`] |
//! | capabilities: calls that run side by side | [`Runtime`], [`Promise`] |
//! | sections of one node, and how nodes agree | [`NodeRuntime`], [`consensus`] |
//! | secrets | [`Secret`] |
//! | HTTP | [`http`] |
//! | signed reports | [`report`] |
//! | log lines with levels and fields | [`mod@log`] |
//! | metrics | [`metric`] |
//! | random numbers, alike on all nodes or a node's own | [`Random`] |
//! | times | [`time`] |
//! | values and structs | [`Serde`], [`value`] |
//! | errors: of capabilities by their codes, and one's own | [`mod@error`] |
//! | tests without a host | `testing`, on every target but WebAssembly |
//! | requests answered by hand | [`serve`] |
//!
//! Whatever can fail is a `Result` of [`WorkflowError`], or of a smaller error that becomes one by
//! `?`; nothing here panics but [`run`] and [`serve`] without a host. [`messages`] holds the messages
//! of the known capabilities.
//!
//! A folder to copy and begin with is `examples` of this repository. A workflow that greets has 124 kB
//! as a release, one that reads JSON and asks a server 240 kB.
#![forbid(unsafe_code)]

pub mod consensus;
mod enclave;
pub mod error;
pub mod http;
#[cfg(target_arch = "wasm32")]
mod imports;
#[cfg(not(target_arch = "wasm32"))]
#[path = "imports_native.rs"]
mod imports;
pub mod log;
pub mod metric;
mod node;
mod promise;
mod random;
pub mod report;
pub mod restrictions;
mod runtime;
mod secret;
mod session;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod time;
pub mod trigger;
pub mod value;
mod workflow;

pub use protocol::messages;

pub use consensus::Consensus;
pub use enclave::{Enclave, EnclaveRuntime};
pub use error::{CapabilityError, ErrorCode, WorkflowError};
pub use metric::Metric;
pub use node::NodeRuntime;
pub use promise::Promise;
pub use random::Random;
pub use report::Report;
pub use runtime::{Runtime, secure_random};
pub use secret::{Secret, SecretId};
pub use trigger::Trigger;
pub use value::{FromValue, Serde, ToValue};
pub use workflow::{Registration, Setup};

use messages::sdk::{ExecuteRequest, Outcome};

/// Runs a workflow: call this in `main`, once, with the function that registers its handlers.
///
/// A panic is written to the workflow's log and ends the run without a result.
///
/// # Panics
///
/// Where there is no host, that is, on every target but WebAssembly; tests use the double in
/// `testing`.
pub fn run(init: impl FnOnce(&mut Setup<'_>) -> Result<(), WorkflowError>) {
    serve(|request, runtime| workflow::serve(request, runtime, init));
}

/// Answers the host's request by hand, for workflows that handlers do not suit.
///
/// ```no_run
/// use enclave_sdk::{
///     ToValue as _, WorkflowError,
///     messages::sdk::{Outcome, Phase, TriggerSubscriptionRequest},
/// };
///
/// enclave_sdk::serve(|request, runtime| match request.request {
///     Some(Phase::Trigger(event)) => Ok(Outcome::Value(event.id.to_value()?)),
///     Some(Phase::Subscribe(_)) => {
///         Ok(Outcome::TriggerSubscriptions(TriggerSubscriptionRequest::default()))
///     }
///     Some(Phase::PreHook(_)) | None => {
///         runtime.warn("unexpected request", &[]);
///         Err("neither subscribe nor trigger".into())
///     }
/// });
/// ```
///
/// # Panics
///
/// As [`run`].
pub fn serve(workflow: impl FnOnce(ExecuteRequest, Runtime<'_>) -> Result<Outcome, WorkflowError>) {
    program::serve(workflow);
}

#[cfg(target_arch = "wasm32")]
mod program {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use crate::{
        Runtime, WorkflowError, imports,
        messages::{
            self,
            sdk::{ExecuteRequest, Mode, Outcome},
        },
        workflow,
    };

    pub(super) fn serve(
        answer: impl FnOnce(ExecuteRequest, Runtime<'_>) -> Result<Outcome, WorkflowError>,
    ) {
        imports::mark_version();
        imports::switch_modes(Mode::Don.into());
        std::panic::set_hook(Box::new(|panic| imports::log(&panic.to_string())));
        let Some(request) = request() else { exit(INVALID_REQUEST) };
        let result = workflow::answer(request, answer);
        if !imports::send_response(&messages::encode(&result)) {
            exit(NOT_SENT);
        }
    }

    /// The request is the second of exactly two arguments.
    fn request() -> Option<ExecuteRequest> {
        let mut arguments = std::env::args();
        let (_program, request) = (arguments.next()?, arguments.next()?);
        if arguments.next().is_some() {
            return None;
        }
        messages::decode(&STANDARD.decode(request).ok()?).ok()
    }

    #[expect(clippy::exit, reason = "the exit code is all that a host learns without a result")]
    fn exit(code: i32) -> ! {
        std::process::exit(code)
    }

    /// What hosts know as `invalid request to runner`.
    const INVALID_REQUEST: i32 = 111;

    /// What hosts know as `host errored during sendResponse`.
    const NOT_SENT: i32 = 113;
}

#[cfg(not(target_arch = "wasm32"))]
mod program {
    use crate::{
        Runtime, WorkflowError,
        messages::sdk::{ExecuteRequest, Outcome},
    };

    #[expect(clippy::panic, reason = "documented: there is nothing to answer to")]
    pub(super) fn serve(
        _answer: impl FnOnce(ExecuteRequest, Runtime<'_>) -> Result<Outcome, WorkflowError>,
    ) {
        panic!("a workflow runs in a WebAssembly host: build it for wasm32-wasip1");
    }
}
