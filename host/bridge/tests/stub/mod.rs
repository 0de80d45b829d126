//! An enclave as its host meets it, with a mock NSM that signs real documents, and a bridge in front of
//! it, all in memory and on virtual time.

mod enclave;
mod message;
mod running;

pub use enclave::*;
pub use message::*;
pub use running::*;
