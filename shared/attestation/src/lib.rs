//! Nitro attestation documents: read, verify, and the seam that makes them.
//!
//! A document is a statement by the Nitro Secure Module about one enclave: which image it runs
//! (registers), when, and 32 bytes the enclave chose (user data). [`verify()`] believes one only if
//! every [`Check`] passes:
//!
//! ```text
//! document ── envelope ── payload ── time, user data, nonce, measurements      cheap
//!                │           └────── certificates ── path ── root              dear
//!                └── signature ─────────── leaf key ──┘                        last
//! ```
//!
//! ```
//! use std::time::SystemTime;
//!
//! use attestation::{Measurements, Nonce, Policy, TrustRoot, UserData, VerifyError};
//!
//! fn is_our_enclave(
//!     document: &[u8],
//!     image: Measurements,
//!     said: [u8; 32],
//!     now: SystemTime,
//! ) -> Result<(), VerifyError> {
//!     let policy = Policy::new(TrustRoot::aws(), image, UserData::from(said), Nonce::NotUsed);
//!     attestation::verify(document, &policy, now).map(|_verified| ())
//! }
//! ```
//!
//! There is no clock, no network and no global state here. The crate refuses by construction: a
//! policy without root, image, user data or a word on the nonce does not compile; an image with a
//! zero register does not parse; a [`Verified`] document has no other maker. It does not fetch
//! revocation lists (a [`Policy`] can name certificates), and it does not read images.

pub mod attestor;
pub mod cbor;
mod certificate;
mod chain;
pub mod cose;
mod document;
mod hash;
mod measurements;
mod pcr;
mod policy;
mod root;
pub mod statement;
mod verify;

pub use attestor::{AttestError, AttestationRequest, Attestor};
pub use certificate::{CertificateError, CertificateId};
pub use chain::ChainError;
pub use document::{
    DOCUMENT_LIMIT_BYTES, Digest, Document, DocumentError, FIELD_LIMIT_BYTES, Field,
};
pub use measurements::{MEASUREMENTS_LIMIT_BYTES, Measurements, MeasurementsError, ZeroPcrError};
pub use pcr::{PCR_BYTES, PCRS, ParsePcrError, Pcr};
pub use policy::{
    BindingError, Challenge, ChallengeLengthError, Freshness, FreshnessError, MeasurementSet,
    Mismatch, MismatchReason, Nonce, Policy, USER_DATA_BYTES, UserData, UserDataLengthError,
    WindowError,
};
pub use root::{AWS_ROOT_SHA256, RootError, TrustRoot};
pub use verify::{CertificatePosition, Check, Outcome, Verified, Verifier, VerifyError, verify};
