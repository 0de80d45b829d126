//! The configuration files of gateway, bridge, relay node and vault, and the registry file.
//!
//! Holds: each is a configuration or a list of what is wrong with it, which grows no faster than the
//! file; a registry is written and read back as the same.
//!
//! Memory: 256 times. A number in a list of TOML is two bytes long and takes 160 with its place in the file
//! and what the list takes while it grows; what is told of a file is up to `TEXT_TIMES` as long.

#![no_main]

use std::fmt::Display;

use fuzz::{Bound, Input};
use host_relay::{registry, vault};

libfuzzer_sys::fuzz_target!(|input: &[u8]| BOUND.hold(input, || {
    let mut input = Input::new(input);
    let kind = input.below(5);
    let bytes = input.rest();
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match kind {
        0 => is_told(host_gateway::Config::parse(text).err(), bytes),
        1 => is_told(host_bridge::Config::parse(text).err(), bytes),
        2 => is_told(host_relay::Config::parse(text).err(), bytes),
        3 => is_told(vault::Config::parse(text).err(), bytes),
        _ => match registry::parse(bytes) {
            Ok(snapshot) => {
                let written = registry::to_json(&snapshot).expect("it is written to memory");
                let again = registry::parse(&written).expect("it was read before");
                assert_eq!(registry::to_json(&again).expect("as above"), written);
            }
            Err(error) => is_told(Some(error), bytes),
        },
    }
}));

fn is_told(errors: Option<impl Display>, input: &[u8]) {
    let Some(errors) = errors else { return };
    let (got, length) = (errors.to_string().len(), input.len());
    assert!((1..=TEXT_TIMES * length + TEXT_PLUS).contains(&got), "{got} bytes for {length}");
}

/// Each of a file's lines may be a key that is not known; its error has some words beside its name.
const TEXT_TIMES: usize = 32;

/// What is missing is told, too.
const TEXT_PLUS: usize = 8192;

const BOUND: Bound = Bound { times: 256, plus: 64 * 1024 };
