//! What holds for every value: reading undoes writing, and a bit that is flipped in what is signed or
//! attested is noticed.
#![cfg(test)]
#![expect(clippy::arithmetic_side_effects, reason = "a test that stops has failed")]

mod flips;
mod json;
mod messages;
mod values;
