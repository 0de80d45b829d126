//! Conformance: a pre-hook that forbids every call, and a handler that makes one.

use enclave_sdk::{
    Setup,
    restrictions::{Calls, Restrictions},
};
use workflows::{basic_trigger, perform_action};

fn main() {
    enclave_sdk::run(|setup: &mut Setup<'_>| {
        setup
            .on(basic_trigger("name", 100), |runtime, _event| {
                Ok(perform_action(runtime, true).wait()?.adapted_thing)
            })
            .prehook(|_runtime, _event| Ok(Restrictions::new().calls(Calls::none())));
        Ok(())
    });
}
