//! A relay node's answers, held to the reference's.
#![cfg(test)]

mod play;

use vectors::Text;

const FILE: &str = "relay-handler.json";

#[test]
fn relay_handler() {
    let forge = play::Forge::new();
    let answer = |case: &vectors::Case| play::answer(case, &forge);
    vectors::run(FILE, &["serve", "frame"], &[], |_| Text::Any, answer);
}
