//! TDH2 threshold encryption over P-256, with AES-256-GCM for the payload (tdh2.md).
//!
//! ```text
//! client ── encrypt(key, label, secret) ──▶ Ciphertext ──▶ vault
//! vault node: Ciphertext::parse(bytes, key), compare the label, DecryptionShare::create ──▶ sealed box
//! enclave:    Ciphertext::parse(bytes, key), open the boxes, combine(key, ciphertext, shares, T) ──▶ Secret
//! ```
//!
//! The profile is the hardened one: what no honest party emits is refused when it is parsed, shares are
//! verified and counted by party, and no error holds a byte of a share.

mod ciphertext;
mod combine;
mod deal;
mod encoding;
mod generator;
mod group;
mod hash;
mod json;
mod key;
mod label;
mod share;
mod threshold;

pub use ciphertext::{Ciphertext, CiphertextError, EncryptError, encrypt};
pub use combine::{CombineError, combine};
pub use deal::{
    Deal, DealError, MasterSecret, PrivateShare, RecoverError, dangerous_deal, deal, redeal,
};
pub use generator::production_g_bar;
pub use group::{PointError, ScalarError};
pub use json::ParseError;
pub use key::MasterPublicKey;
pub use label::{Label, LabelError};
pub use share::{DecryptionShare, ShareError};
pub use threshold::{Threshold, ThresholdError};

#[cfg(test)]
mod tests;
