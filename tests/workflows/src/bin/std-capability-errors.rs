//! Conformance: calls until a call succeeds.

use workflows::perform_action;

fn main() {
    workflows::on_basic_trigger(|runtime| {
        loop {
            if let Ok(outputs) = perform_action(runtime, true).wait() {
                return Ok(outputs.adapted_thing);
            }
        }
    });
}
