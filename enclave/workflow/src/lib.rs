//! Runs one workflow in wasmtime, bounded, with no network of its own.
//!
//! ```text
//!  binary ──► ModuleCache ──► Module ──┐
//!             admitted, compiled fast,  ├──► Engine::run ──► Outcome: result and metering
//!  Request, Limits, cancel ─────────────┤        ▲ │
//!                                       │   calls│ │answers
//!  Services ────────────────────────────┴────────┘ ▼
//!  what a workflow may ask for: capabilities, secrets, time, log lines, metrics
//! ```
//!
//! One [`Engine`] serves a process. A run is a fresh instance of a [`Module`] in a place of the
//! engine's pool, zeroed before and after; it shares nothing with other runs but compiled code. While
//! it waits it holds no thread, while it computes it yields every 10 ms, and it ends at its deadline
//! or when its caller leaves, wherever it is.
//!
//! The workflow is hostile: every pointer, length, message and name it hands over is bounded and
//! checked, everything it may pile up on the host has a limit in [`Limits`], and no panic of a service
//! goes further than its run. The interface is that of CRE workflows, in the words guests match on;
//! section numbers in this crate refer to the specification of that interface.
//!
//! ```no_run
//! # async fn example(
//! #     binary: Vec<u8>,
//! #     execute_request: Vec<u8>,
//! #     services: std::sync::Arc<dyn enclave_workflow::Services>,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! use enclave_workflow::{
//!     Binary, BinaryLimits, Capacity, Engine, Limits, ModuleCache, Request,
//! };
//! use tokio_util::sync::CancellationToken;
//!
//! let engine = Engine::new(Capacity::default())?;
//! let modules = ModuleCache::new(engine.clone(), 256 << 20);
//! let module = modules.load("owner", Binary::new(binary), &BinaryLimits::default()).await?;
//!
//! let request = Request::new(execute_request, "workflow-id");
//! let (limits, cancel) = (Limits::default(), CancellationToken::new());
//! let ended = engine.run(&module, request, services, &limits, &cancel).await;
//! println!("{:?} of processor time", ended.metering.cpu);
//! println!("{} bytes", ended.result?.encoded.len());
//! # Ok(())
//! # }
//! ```
//!
//! What it does not do: decide who may run what, fetch binaries, reach a network, or keep anything
//! once a run has ended.

mod admit;
mod cache;
mod calls;
mod compile;
mod effort;
mod engine;
mod imports;
pub mod inspect;
mod limits;
mod memory;
mod meter;
mod module;
mod outcome;
mod request;
mod requirements;
mod restricted;
mod router;
mod run;
pub mod scenario;
mod seeds;
mod services;
mod state;
mod stop;
mod survey;
mod wasi;
mod wire;

pub use admit::{AdmitError, Cause, MemoryExport, TooComplex, TooLarge};
pub use cache::{Loading, ModuleCache, NoRoom, Room};
pub use engine::{Capacity, Engine, EngineError, Tier};
pub use limits::{BinaryLimits, Limits, MetricLimits};
pub use module::{Binary, BinaryHash, Facts, Module};
pub use outcome::{Ended, LinkError, Metering, Outcome, RunError};
pub use request::{MalformedRequest, Request};
pub use requirements::{EnclaveTee, RequirementsError, TeeOffer, TeeProvider, satisfies};
pub use restricted::Restricted;
pub use router::{Job, LocalRunner, Place, RouteError, Router, Runner};
pub use services::{GuestText, NoDonTime, NodeTime, NotEmitted, ServiceFuture, Services};
pub use survey::Survey;
