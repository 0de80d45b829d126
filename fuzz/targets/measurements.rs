//! Measurements in both JSON forms.
//!
//! Holds: what is read is written in both forms, and read back from both.
//!
//! Memory: 64 times. A member has at least five bytes and takes 48, three times that while their list grows,
//! which is 29 for each byte; the rest is for names and for a list in a list.

#![no_main]

use attestation::Measurements;
use fuzz::Bound;

libfuzzer_sys::fuzz_target!(|input: &[u8]| BOUND.hold(input, || {
    match Measurements::parse(input) {
        Ok(measurements) => {
            for text in [measurements.to_registry_json(), measurements.to_nitro_cli_json()] {
                assert_eq!(Measurements::parse(text.as_bytes()).as_ref(), Ok(&measurements));
            }
            assert!(measurements.pcrs().count() >= 3);
        }
        Err(error) => assert!(error.to_string().len() < 200, "{error}"),
    }
}));

const BOUND: Bound = Bound { times: 64, plus: 4096 };
