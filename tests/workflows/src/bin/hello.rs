//! Greets, and says when it was due.

use std::time::UNIX_EPOCH;

use enclave_sdk::{Setup, WorkflowError, trigger};

fn main() {
    enclave_sdk::run(init);
}

fn init(setup: &mut Setup<'_>) -> Result<(), WorkflowError> {
    setup.on(trigger::cron("0 */5 * * * *"), |runtime, event| {
        runtime.log("hello from cron");
        let due = trigger::due(&event).and_then(|due| due.duration_since(UNIX_EPOCH).ok());
        Ok(match due {
            Some(due) => format!("hello, due at {} s", due.as_secs()),
            None => "hello".to_owned(),
        })
    });
    Ok(())
}
