//! Certificates as DER: their id, and roots.
//!
//! Holds: a root keeps the bytes it was made from, and what can be a root has an id.
//!
//! Memory: eight times. A root keeps the input, and so does the one that is made of it again; names and
//! numbers are pieces of it.

#![no_main]

use attestation::{CertificateId, TrustRoot};
use fuzz::Bound;

libfuzzer_sys::fuzz_target!(|input: &[u8]| BOUND.hold(input, || {
    let id = CertificateId::of(input);
    if let Ok(root) = TrustRoot::dangerous_from_der(input) {
        assert_eq!(root.der(), input);
        assert_eq!(TrustRoot::dangerous_from_der(root.der()), Ok(root));
        assert!(id.is_ok());
    }
    if let Err(error) = id {
        assert!(error.to_string().len() < 200, "{error}");
    }
}));

const BOUND: Bound = Bound { times: 8, plus: 4096 };
