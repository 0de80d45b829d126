//! Pays somebody out, inside of an AWS Nitro enclave only, with the one key that the payout needs.
//!
//! A handler with requirements, and a pre-hook: it sees the event before the handler does, and decides
//! what the run may call and read. The host holds the run to it.

use enclave_sdk::{
    Enclave, EnclaveRuntime, Setup, WorkflowError, http,
    messages::http::{ACTIONS, SEND_REQUEST},
    restrictions::{Calls, Restrictions, Secrets},
    trigger,
};
use serde::{Deserialize, Serialize};

/// What the owner configures, as JSON. A pre-hook runs without it, so all of it has a default.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Whose signed requests are taken: EVM addresses.
    keys: Vec<String>,
    /// The bank.
    url: String,
}

/// What a request says, and what the bank is told.
#[derive(Deserialize, Serialize)]
struct Payout {
    /// Whose account pays; its key is the secret `BANK_` and this name.
    account: String,
    cents: u64,
}

/// What the bank answers.
#[derive(Deserialize)]
struct Receipt {
    number: String,
}

fn main() {
    enclave_sdk::run(init);
}

fn init(setup: &mut Setup<'_>) -> Result<(), WorkflowError> {
    let Config { keys, url } = setup.runtime().config_json_or_default()?;
    let nitro = Enclave::nitro().in_regions(["eu-central-1", "eu-west-1"]);
    setup
        .on_in(nitro, trigger::http(keys), move |runtime, event| {
            pay(runtime, &url, &trigger::input(&event)?)
        })
        .prehook(|_runtime, event| restrict(&trigger::input(&event)?));
    Ok(())
}

/// One request to the bank, and the key of one account. An error here ends the run before it starts.
fn restrict(payout: &Payout) -> Result<Restrictions, WorkflowError> {
    if payout.cents > MOST_CENTS {
        return Err("the payout is too large".into());
    }
    Ok(Restrictions::new()
        .calls(Calls::listed(1).method(ACTIONS, SEND_REQUEST, 1))
        .secrets(Secrets::listed(1).exact(key_of(payout))))
}

fn pay(runtime: &EnclaveRuntime<'_>, url: &str, payout: &Payout) -> Result<String, WorkflowError> {
    let key = runtime.secret(key_of(payout))?;
    let request = http::Request::new("POST", url).json(payout)?.header("X-Api-Key", key.expose());
    let receipt: Receipt = runtime.http(request).wait()?.success()?.json()?;
    Ok(receipt.number)
}

fn key_of(payout: &Payout) -> String {
    format!("BANK_{}", payout.account)
}

/// More is a matter for people.
const MOST_CENTS: u64 = 100_000;

/// `cargo test --target host-tuple` runs these without a host.
#[cfg(test)]
mod tests {
    use enclave_sdk::{
        testing::{Double, Run, http_response},
        trigger::Http,
    };

    use super::*;

    fn event(account: &str, cents: u64) -> Http {
        let input = format!(r#"{{"account": "{account}", "cents": {cents}}}"#);
        Http { input: input.into(), ..Http::default() }
    }

    /// Runs a payout under what the pre-hook allowed another one.
    fn pay_after(allowed: &Http, event: &Http) -> Run {
        let double = Double::new()
            .config(r#"{"url": "https://bank.example"}"#)
            .secret("main", "BANK_ADA", "a")
            .secret("main", "BANK_BROOK", "b")
            .http(|_request| http_response(201, r#"{"number": "7"}"#));
        let restrictions = double.prehook(init, 0, allowed).unwrap();
        double.restricted(restrictions).trigger(init, 0, event)
    }

    #[test]
    fn a_payout_reads_the_key_of_its_account() {
        let ada = event("ADA", 5);
        assert_eq!(pay_after(&ada, &ada).value::<String>().unwrap(), "7");
    }

    #[test]
    fn the_key_of_another_account_is_denied() {
        let run = pay_after(&event("ADA", 5), &event("BROOK", 5));
        assert!(run.error().unwrap().contains("denied by user pre-hook restrictions"), "{run:?}");
        assert!(run.calls.is_empty());
    }

    #[test]
    fn a_payout_that_is_too_large_ends_before_it_starts() {
        let refused = Double::new().prehook(init, 0, &event("ADA", MOST_CENTS + 1));
        assert_eq!(refused.unwrap_err().to_string(), "the payout is too large");
    }
}
