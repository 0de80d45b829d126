//! What a refusal is worth: the same as the reference's, an earlier one, or another.

use host_relay::{
    AttestationError, Denied, EnclaveConfigError, PayloadError, SecretsError,
    handler::{FrameError, ServeError},
    registry::RegistryError,
};
use protocol::rpc;
use serde_json::{Value, json};
use vectors::{Answer, Case};

use super::{case::Input, doubles::Questions};

/// Holds what we answer where the reference's process ends to what the rule about that says.
pub(crate) fn hold_to_internal_error(case: &Case, answer: &Answer) {
    let Answer::Value(told) = answer else { panic!("{}: {answer:?}", case.name) };
    let internal_error = json!({ "code": -32603, "message": "internal error" });
    assert_eq!(told["error"], internal_error, "{}", case.name);
}

/// A frame that gets no answer here, nor there; why is each one's own word.
pub(crate) fn dropped(case: &Case, error: &FrameError) -> Answer {
    let output = case.output.clone().unwrap_or_default();
    if output.get("dropped").is_some() { Answer::Value(output) } else { Answer::refused(error) }
}

/// Where both refuse, code and message agree; the text for the log does where the specification fixes
/// it. Where only we refuse, or refuse before anything was asked or waited for, the error decides.
pub(crate) fn refused(
    case: &Case,
    input: &Input,
    request: &rpc::Request,
    error: &ServeError,
    at_ms: u64,
    asked: &Questions,
) -> Answer {
    let Some(theirs) = case.output.clone() else {
        // The reference's process ends here; see `hold_to_internal_error`.
        return Answer::Value(told(request, error));
    };
    // The protobuf library writes a space or a no-break space, chosen per build.
    let text = theirs["response"].as_str().unwrap().replace('\u{a0}', " ");
    let response: Value = serde_json::from_str(&text).unwrap();
    if response.get("error").is_none() {
        let is_missed = matches!(error, ServeError::NotRunning(_)) && !input.joins_ids();
        return if is_missed { Answer::Value(told(request, error)) } else { by_variant(error) };
    }
    let mut ours = json!({ "at_ms": at_ms, "internal": theirs["internal"] });
    asked.add_to(&mut ours, case);
    if at_ms >= super::node::DEADLINE_MS {
        ours["context_expired"] = json!(true);
    }
    let mut answer = told(request, error);
    let is_decoding = matches!(error, ServeError::Denied(Denied::Payload(PayloadError::Base64(_))));
    if let ServeError::Params(_) = error {
        // The message is the JSON library's.
        answer["error"]["message"] = response["error"]["message"].clone();
    }
    if answer != response {
        // Text that only Go's decoder tolerates is refused there for what it decodes to.
        let is_stricter = is_decoding && answer["error"]["code"] == response["error"]["code"];
        ours["response"] = answer;
        return if is_stricter { by_variant(error) } else { Answer::Value(ours) };
    }
    ours["response"] = theirs["response"].clone();
    let asks =
        |output: &Value| output.get("vault_asked").or(output.get("capability_asked")).is_some();
    let waits_longer = theirs["at_ms"].as_u64().unwrap() > at_ms;
    if waits_longer || (asks(&theirs) && !asks(&ours)) {
        return by_variant(error);
    }
    if !agrees(theirs["internal"].as_str().unwrap(), error) {
        ours["internal"] = error.to_string().into();
    }
    Answer::Value(ours)
}

fn told(request: &rpc::Request, error: &ServeError) -> Value {
    let (code, message) = error.told();
    json!({
        "jsonrpc": "2.0",
        "id": request.id,
        "method": request.method,
        "error": { "code": code, "message": message },
    })
}

/// Whether two texts for the log say the same, as far as the specification goes: causes from
/// libraries and from the doubles are cut off.
fn agrees(theirs: &str, error: &ServeError) -> bool {
    let (ours, theirs) = (error.to_string(), theirs.replace('\u{a0}', " "));
    match error {
        ServeError::Params(_) => true,
        ServeError::Attestation(
            AttestationError::Document(_) | AttestationError::NothingParses(_),
        ) => theirs.starts_with("no trusted measurement set matched: "),
        ServeError::Attestation(AttestationError::Registry(RegistryError::OnChain(_))) => theirs
            .starts_with(
                "failed to get enclave attestation config: failed to unwrap enclave config",
            ),
        ServeError::Denied(Denied::EnclaveConfig(EnclaveConfigError::Signer { .. })) => {
            // Ours leaves out what the enclave reports.
            let (before, after) = ours.split_once(": ").unwrap();
            theirs.starts_with(before) && theirs.ends_with(after)
        }
        // There it is found when the answer is signed.
        ServeError::Denied(Denied::Params(_)) => theirs.ends_with(&ours),
        ServeError::Method(_)
        | ServeError::NoParams
        | ServeError::Attestation(_)
        | ServeError::Denied(_)
        | ServeError::NotRunning(_)
        | ServeError::Secrets(_)
        | ServeError::Translate(_)
        | ServeError::Response(_)
        | ServeError::Panicked => theirs.starts_with(&ours),
    }
}

/// The refusal by its innermost error of ours.
fn by_variant(error: &ServeError) -> Answer {
    match error {
        ServeError::Params(error) => Answer::refused(error),
        ServeError::Attestation(AttestationError::NothingParses(error)) => Answer::refused(error),
        ServeError::Attestation(error) => Answer::refused(error),
        ServeError::Denied(Denied::EnclaveConfig(error)) => Answer::refused(error),
        ServeError::Denied(Denied::Authorize(error)) => Answer::refused(error),
        ServeError::Denied(Denied::Payload(error)) => Answer::refused(error),
        ServeError::Denied(Denied::Params(error)) => Answer::refused(error),
        ServeError::NotRunning(error) => Answer::refused(error),
        ServeError::Secrets(SecretsError::Owner(error)) => Answer::refused(error),
        ServeError::Secrets(error) => Answer::refused(error),
        ServeError::Translate(error) => Answer::refused(error),
        ServeError::Method(_)
        | ServeError::NoParams
        | ServeError::Response(_)
        | ServeError::Panicked => Answer::refused(error),
    }
}
