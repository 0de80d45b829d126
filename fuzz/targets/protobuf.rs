//! Every protobuf message, and the canonical form of its bytes.
//!
//! Holds: the canonical form is its own canonical form, with unknown fields or without; what a struct
//! is written as is the canonical form, without unknown fields, of what it was read from.
//!
//! Memory: `proto::EXPANSION` for the struct that is read and for the one that is
//! read again, and 32 for each canonical form, of which one is made at a time.

#![no_main]

use fuzz::{Bound, Input};
use protocol::{
    messages::{self, Message},
    proto,
};

libfuzzer_sys::fuzz_target!(|input: &[u8]| BOUND.hold(input, || {
    let mut input = Input::new(input);
    let (_name, check) = input.pick(fuzz::each_message!(check));
    check(input.rest());
}));

fn check<M: Message>(bytes: &[u8]) {
    let schema = M::schema();
    let known = proto::canonical_known(schema, bytes);
    if let Ok(canonical) = proto::canonical(schema, bytes) {
        assert_eq!(proto::canonical(schema, &canonical).as_ref(), Ok(&canonical));
        assert_eq!(proto::canonical_known(schema, &canonical), known);
    }
    if let Ok(known) = &known {
        assert_eq!(proto::canonical(schema, known).as_ref(), Ok(known));
    }
    let Ok(message) = messages::decode::<M>(bytes) else { return };
    let encoded = messages::encode(&message);
    assert_eq!(known.as_ref(), Ok(&encoded));
    let again: M = messages::decode(&encoded).expect("it was decoded before");
    assert_eq!(messages::encode(&again), encoded);
}

const BOUND: Bound = Bound { times: 2 * proto::EXPANSION + 32, plus: 16 * 1024 };
