//! Conformance: the first call is answered only after the second was made.

use workflows::perform_action;

fn main() {
    workflows::on_basic_trigger(|runtime| {
        let first = perform_action(runtime, true);
        let second = perform_action(runtime, false);
        let second = second.wait()?.adapted_thing;
        Ok(first.wait()?.adapted_thing + &second)
    });
}
