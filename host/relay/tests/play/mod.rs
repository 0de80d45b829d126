//! Builds the node of a case, asks it, and says how it differs.
//!
//! A case of the passthrough validator comes with the text `fake-attestation`, which no relay node
//! here believes. Such a case gets a real document over its params, and the registry's measurements,
//! whatever they are, become those of the document's enclave: what is left to compare is all that the
//! reference does around its validator.

use host_relay::handler::{self, Handler};
use protocol::json;
use serde_json::json;
use tokio::time::Instant;
use vectors::{Answer, Case};

mod case;
mod doubles;
mod node;
mod outcome;

pub(crate) use doubles::Forge;

/// Our answer to a case.
pub(crate) fn answer(case: &Case, forge: &Forge) -> Answer {
    let input = case::Input::read(&case.input);
    if input.has_text_outside_utf8() {
        return case::TextError::NotUtf8.into();
    }
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    let answer = runtime.block_on(ask(case, &input, forge));
    if case.error.is_some() {
        outcome::hold_to_internal_error(case, &answer);
    }
    answer
}

async fn ask(case: &Case, input: &case::Input, forge: &Forge) -> Answer {
    let frame = input.request.as_bytes();
    let request = match case.op.as_str() {
        "frame" => match Handler::read(frame) {
            Ok(request) => request,
            Err(error) => return outcome::dropped(case, &error),
        },
        _ => match json::from_slice(frame) {
            Ok(request) => request,
            Err(error) => return Answer::refused(&error),
        },
    };
    let request = if input.is_passthrough() { forge.attest(request) } else { request };
    let (began, node) = (Instant::now(), node::Node::new(input, forge));
    let served = node.handler.serve(&request).await;
    let at_ms = u64::try_from(began.elapsed().as_millis()).unwrap();
    let asked = node.asked.take();
    let expired = at_ms >= node::DEADLINE_MS;
    match served {
        Ok(result) => {
            let response = json::to_vec(&handler::response(&request, Ok(result)));
            let mut output = json!({
                "response": String::from_utf8(response).unwrap(),
                "at_ms": at_ms,
                "internal": null,
            });
            asked.add_to(&mut output, case);
            if expired {
                output["context_expired"] = json!(true);
            }
            Answer::Value(output)
        }
        Err(error) => outcome::refused(case, input, &request, &error, at_ms, &asked),
    }
}
