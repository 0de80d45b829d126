//! Conformance: writes the time of DON mode as text.

use enclave_sdk::time::rfc3339;

fn main() {
    workflows::on_basic_trigger(|runtime| rfc3339(runtime.now()?));
}
