//! Conformance: two subscriptions, the first with a requirement; the answer to every request.

use enclave_sdk::{Enclave, Setup, messages::sdk::Outcome};
use workflows::basic_trigger;

fn main() {
    enclave_sdk::serve(|_request, runtime| {
        let mut setup = Setup::new(runtime);
        let enclave = Enclave::nitro().in_regions(["us-west-2"]);
        setup.on_in(enclave, basic_trigger("first-trigger", 100), |_runtime, _event| Ok(()));
        setup.on(basic_trigger("second-trigger", 200), |_runtime, _event| Ok(()));
        Ok(Outcome::TriggerSubscriptions(setup.subscriptions()))
    });
}
