//! Reading undoes writing, for every type with a JSON form.

use std::fmt::Debug;

use proptest::prelude::*;
use protocol::json::{self, RawJson, Wire};

use crate::values::*;

/// Reads what was written, writes what was read, and does the same through raw JSON with other white
/// space around it.
fn returns<T: Wire + PartialEq + Debug>(value: &T) -> Result<(), TestCaseError> {
    let text = json::to_vec(value);
    let again: T = json::from_slice(&text).unwrap();
    prop_assert_eq!(&again, value);
    prop_assert_eq!(&json::to_vec(&again), &text);
    let raw = RawJson::parse(format!(" {}\n", String::from_utf8(text.clone()).unwrap())).unwrap();
    prop_assert_eq!(json::to_vec(&raw), text);
    let decoded = raw.decode::<T>();
    prop_assert_eq!(decoded.as_ref(), Ok(value));
    Ok(())
}

macro_rules! return_from_their_json {
    ($($name:ident: $strategy:expr;)*) => {
        proptest! {
            $(#[test] fn $name(value in $strategy) { returns(&value)?; })*
        }
    };
}

return_from_their_json! {
    bundles_of_calls_return: bundle(capability_result());
    bundles_of_secrets_return: bundle(secrets_result());
    compute_requests_return: signed();
    configurations_return: enclave_config();
    configurations_of_relays_return: relay_config();
    enclaves_of_the_registry_return: listed();
    envelopes_of_requests_return: rpc_request();
    envelopes_of_responses_return: rpc_response();
    estimates_of_memory_return: memory();
    executions_return: execute_response();
    forwarded_requests_return: forwarded();
    keys_return: public_keys();
    params_of_calls_return: capability_params();
    params_of_secrets_return: secrets_params();
    refusals_return: refusal();
    settings_return: settings();
}

proptest! {
    #[test]
    fn exchanges_about_configurations_return((set, was_set, update, updated) in config_exchange()) {
        returns(&set)?;
        returns(&was_set)?;
        returns(&update)?;
        returns(&updated)?;
    }
}
