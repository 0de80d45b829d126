//! Plays recorded scenarios against this runtime and tells the first difference.
//!
//! A scenario says what a workflow was asked, what its embedder answered, and everything the
//! reference host was then seen to do: calls, log lines, metrics, clock reads and the outcome.
//! Playing it takes no network and no clock but the process's own.
//!
//! ```no_run
//! # async fn example(engine: enclave_workflow::Engine, text: &str, binary: &[u8])
//! #     -> Result<(), Box<dyn std::error::Error>> {
//! use enclave_workflow::{
//!     Tier,
//!     scenario::{Player, Recording},
//! };
//!
//! let recording = Recording::parse(text)?;
//! let player = Player::new(engine, Tier::Optimized);
//! for scenario in &recording.scenarios {
//!     player.play(scenario, binary).await?;
//! }
//! # Ok(())
//! # }
//! ```

mod compare;
mod play;
mod schema;
mod services;

pub use compare::{Difference, Mismatch};
pub use play::Player;
pub use schema::{
    Answer, BinaryFacts, Bytes, Call, CallKind, Class, Expected, Input, NodeClock, ParseError,
    Recording, Route, Scenario, ScenarioLimits, Step,
};
