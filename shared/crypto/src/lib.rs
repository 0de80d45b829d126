//! Keys, signatures, sealed boxes and threshold encryption, exact to the wire.
//!
//! Both sides of the trust boundary compile this crate. It is synchronous, does no I/O, and takes
//! randomness as an argument. Every format is held to answers of the reference implementation.
//!
//! ```text
//! workflow node ── sign ─────────────────▶ enclave    F + 1 signatures stand behind a compute request
//! client ───────── tdh2::encrypt ────────▶ vault      a secret under its owner's label
//! vault node ───── tdh2 share, seal ─────▶ enclave    T sealed shares open it, nowhere else
//! relay node ───── sign ─────────────────▶ enclave    F + 1 signatures stand behind an answer
//! capability DON ─ ocr ──────────────────▶ node       F + 1 signatures stand behind a report
//! ```
//!
//! | Module | Holds |
//! |---|---|
//! | [`secret`] | the one type for secrets, bytes or text |
//! | [`sign`] | ed25519 signatures of committees, each for one purpose |
//! | [`seal`] | X25519 sealed boxes to the enclave's ephemeral key |
//! | [`hpke`] | messages to a key that say what they are for (RFC 9180) |
//! | [`x25519`] | which public keys both of them take |
//! | [`tdh2`] | threshold encryption: keys, ciphertexts, shares, combination |
//! | [`ocr`], [`address`] | recoverable secp256k1 signatures and the addresses behind them |
//!
//! A secret's way into the enclave:
//!
//! ```
//! use crypto::{seal::EphemeralKey, tdh2};
//! use rand_core::OsRng;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let rng = &mut OsRng;
//! let threshold = tdh2::Threshold::new(2)?;
//! let vault = tdh2::deal(threshold, 4, rng)?;
//! let owner = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".parse()?;
//! let label = tdh2::Label::of_owner(&owner)?;
//! let stored = tdh2::encrypt(&vault.public_key, label, b"hunter2", rng)?;
//!
//! // The enclave shows an ephemeral key; two vault nodes answer with a sealed share each.
//! let enclave = EphemeralKey::generate(rng);
//! let mut sealed = Vec::new();
//! for node in &vault.shares[1..3] {
//!     let ciphertext = tdh2::Ciphertext::parse(stored.as_bytes(), &vault.public_key)?;
//!     assert_eq!(ciphertext.label(), label);
//!     let share = tdh2::DecryptionShare::create(node, &ciphertext, rng);
//!     sealed.push(enclave.public().seal(share.to_json().expose(), rng)?);
//! }
//!
//! let ciphertext = tdh2::Ciphertext::parse(stored.as_bytes(), &vault.public_key)?;
//! let opened: Vec<_> = sealed.iter().filter_map(|share| enclave.open(share).ok()).collect();
//! let shares = opened.iter().map(|share| share.expose());
//! let secret = tdh2::combine(&vault.public_key, &ciphertext, shares, threshold)?;
//! assert_eq!(secret.expose(), b"hunter2");
//! # Ok(())
//! # }
//! ```
//!
//! What it refuses to do:
//!
//! - panic on bytes from outside, or put a byte of a secret or of a share into an error;
//! - print or clone a secret, or compare one in a time that tells how far it is equal;
//! - take a key that no honest party has: of small or low order, the identity, not canonical;
//! - make or combine shares for a ciphertext whose proof was not verified, or count a party twice;
//! - read the clock or the system's randomness.
//!
//! Wiping covers the buffers that live as long as the value; copies that the compiler or a hash
//! function leaves on the stack are out of reach.

pub mod address;
mod digits;
pub mod hpke;
pub mod ocr;
#[cfg(test)]
mod scripted;
pub mod seal;
pub mod secret;
pub mod sign;
pub mod tdh2;
pub mod x25519;
