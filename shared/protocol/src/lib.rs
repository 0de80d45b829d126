//! The rules both sides must agree on: JSON, hashes, quorum, limits, messages.
//!
//! Everything here is a function of its arguments: no I/O, no clock but the one in [`clock`], no
//! randomness. A type that crosses a border exists twice: as it is written ([`json`], [`messages`]),
//! where anything may stand in it, and as it is believed, where only a check can make one:
//!
//! ```text
//! wire                          check                     believed
//! config::EnclaveConfig         Config::check             config::Config
//! settings::WorkflowSettings    Settings::decode          settings::Settings
//! Vec<SignedComputeRequest>     quorum::unanimous         Agreed<Batch>
//! [ForwardedComputeRequest]     quorum::forwarded         Agreed<&ComputeRequest>
//! relay::Bundle<R>              quorum::select            Agreed<Selected<R>>
//! a gateway's answer            Params::read_answer       Agreed<CapabilityResponse>, ...
//! ```
//!
//! ```
//! use crypto::sign::SigningKey;
//! use protocol::{committee::Committee, compute::ComputeRequest, ids::FaultBound, quorum};
//!
//! let keys: Vec<_> = (1..=4).map(|seed| SigningKey::from_seed(&[seed; 32])).collect();
//! let members = keys.iter().map(SigningKey::public).collect();
//! let committee = Committee::new(members, FaultBound::new(1))?;
//!
//! let request = ComputeRequest { app_id: "app".to_owned(), ..ComputeRequest::default() };
//! let batch = keys.iter().take(2).map(|key| request.clone().sign(key)).collect();
//! let agreed = quorum::unanimous(batch, &committee)?;
//! assert_eq!(agreed.get().request(), &request);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What peers write is read as strictly as it is written: the decoders take what the reference's
//! encoders emit and refuse what only its decoders tolerate, each with its own error. Nothing that
//! may hold a share, a secret or user data is printed, and memory and time grow with the size of
//! what came, whatever it is.

#[macro_use]
pub mod json;
pub mod answer;
pub mod base64;
pub mod clock;
pub mod committee;
pub mod compute;
pub mod config;
pub mod hash;
pub mod ids;
pub mod limits;
pub mod link;
mod memory;
pub mod messages;
pub mod ocr;
pub mod proto;
pub mod quorum;
pub mod quote;
pub mod relay;
pub mod restrictions;
pub mod rpc;
pub mod seed;
pub mod settings;
pub mod time;
pub mod values;
