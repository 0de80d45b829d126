//! A relay node's answers, held to the reference's.
#![cfg(test)]

mod play;

use vectors::Text;

#[test]
fn relay_handler() {
    let forge = play::Forge::new();
    let answer = |case: &vectors::Case| play::answer(case, &forge);
    vectors::run("relay-handler.json", &["serve", "frame"], &[], |_| Text::Any, answer);
}
