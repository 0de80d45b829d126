//! Starts two calls, then waits for the second one first.

use enclave_sdk::{
    Promise, Runtime, Setup, WorkflowError,
    messages::devnet::echo::{CAPABILITY, ECHO, EchoRequest, EchoResponse},
    trigger,
};

fn main() {
    enclave_sdk::run(init);
}

fn init(setup: &mut Setup<'_>) -> Result<(), WorkflowError> {
    setup.on(trigger::cron("0 */5 * * * *"), |runtime, _event| {
        let first = echo(runtime, "first");
        let second = echo(runtime, "second");
        let second = second.wait()?.payload;
        let first = first.wait()?.payload;
        Ok(format!("{} {}", text(first)?, text(second)?))
    });
    Ok(())
}

fn echo<'s>(runtime: &Runtime<'s>, text: &str) -> Promise<'s, EchoResponse> {
    runtime.call(CAPABILITY, ECHO, &EchoRequest { payload: text.into() })
}

fn text(bytes: Vec<u8>) -> Result<String, WorkflowError> {
    String::from_utf8(bytes).map_err(|_error| "the echo is no text".into())
}
