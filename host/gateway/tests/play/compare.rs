//! What the gateway did against what the reference did.

use std::collections::BTreeSet;

use host_gateway::handler::FrameError;
use serde_json::{Value, value::RawValue};

use super::{Answered, Concerned, Input, Played, Step};

/// What the reference did.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Theirs {
    #[serde(default)]
    sent: Vec<Sent>,
    #[serde(default)]
    answers: Vec<TheirAnswer>,
    active_after_step: Vec<Vec<String>>,
    active_at_end: Vec<String>,
    #[serde(default)]
    node_errors: Vec<NodeError>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    at_ms: u64,
    message: String,
    to: Vec<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct TheirAnswer {
    at_ms: u64,
    request: usize,
    status: u16,
    content_type: String,
    body: String,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeError {
    error: String,
    step: usize,
}

/// Finds the first difference that does not concern the requests of a step read more strictly.
pub(super) fn compare(
    input: &Input,
    ours: &Played,
    theirs: &Value,
    concerned: &Concerned,
) -> Result<(), String> {
    let theirs: Theirs = serde_json::from_value(theirs.clone()).unwrap();
    let sent = theirs.sent.iter().flat_map(|sent| {
        sent.to.iter().map(|node| (sent.at_ms, sent.message.clone(), node.clone()))
    });
    let kept = |sent: &(u64, String, String)| !concerned.sent(sent.0, &sent.1);
    let our_sent: BTreeSet<_> = ours.sent.iter().filter(|sent| kept(sent)).cloned().collect();
    same("sent", &our_sent, &sent.filter(kept).collect())?;
    compare_answers(input, &ours.answers, &theirs.answers, concerned)?;
    let active = |(step, ids): (usize, &Vec<String>)| -> BTreeSet<String> {
        ids.iter().filter(|id| !concerned.id_after(step, id)).cloned().collect()
    };
    let sorted = |lists: &[Vec<String>]| lists.iter().enumerate().map(active).collect::<Vec<_>>();
    let after_step = sorted(&theirs.active_after_step);
    same("active after each step", &sorted(&ours.active_after_step), &after_step)?;
    let at_end = |ids| active((input.steps.len(), ids));
    same("active at the end", &at_end(&ours.active_at_end), &at_end(&theirs.active_at_end))?;
    compare_node_errors(input, &ours.node_errors, &theirs.node_errors, concerned)
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, ours: &T, theirs: &T) -> Result<(), String> {
    if ours == theirs {
        return Ok(());
    }
    Err(format!("{what}\n  ours   {ours:?}\n  theirs {theirs:?}"))
}

/// An answer that was written after its user had left reached nobody, and is not written here.
fn compare_answers(
    input: &Input,
    ours: &[Answered],
    theirs: &[TheirAnswer],
    concerned: &Concerned,
) -> Result<(), String> {
    let users: Vec<_> =
        input.steps.iter().filter(|step| matches!(step, Step::User { .. })).collect();
    let reached = |answer: &&TheirAnswer| match users[answer.request] {
        Step::User { at_ms, client_leaves_after_ms: Some(leaves), .. } => {
            answer.at_ms < at_ms + leaves
        }
        Step::User { .. } | Step::Node { .. } => true,
    };
    let theirs: Vec<_> = theirs
        .iter()
        .filter(reached)
        .filter(|answer| !concerned.answered(answer.at_ms, answer.request))
        .collect();
    let ours: Vec<_> =
        ours.iter().filter(|answer| !concerned.answered(answer.at_ms, answer.request)).collect();
    let place = |at_ms: u64, request: usize, status: u16, content_type: &str| {
        (at_ms, request, status, content_type.to_owned())
    };
    let mut our_places: Vec<_> =
        ours.iter().map(|a| place(a.at_ms, a.request, a.status, &a.content_type)).collect();
    let mut their_places: Vec<_> =
        theirs.iter().map(|a| place(a.at_ms, a.request, a.status, &a.content_type)).collect();
    our_places.sort_unstable();
    their_places.sort_unstable();
    same("answers", &our_places, &their_places)?;
    for answer in theirs {
        let body = ours.iter().find(|ours| ours.request == answer.request).unwrap().body.as_str();
        compare_body(body, &answer.body)?;
    }
    Ok(())
}

fn compare_body(ours: &str, theirs: &str) -> Result<(), String> {
    match (bundle(ours), bundle(theirs)) {
        (Some(ours), Some(theirs)) => same("bundle", &ours, &theirs),
        (None, None) if is_foreign(theirs) => {
            same("error", &without_message(ours), &without_message(theirs))
        }
        _ => same("body", &ours, &theirs),
    }
}

/// What stands before and behind the entries of a bundle, and these, which have no order.
fn bundle(body: &str) -> Option<(String, Vec<String>, String)> {
    let start = body.find("\"responses\":[")? + "\"responses\":".len();
    let (head, tail) = body.split_at(start);
    let end = tail.len().checked_sub("}}".len())?;
    let entries: Vec<&RawValue> = serde_json::from_str(&tail[..end]).ok()?;
    let mut entries: Vec<_> = entries.into_iter().map(|entry| entry.get().to_owned()).collect();
    entries.sort_unstable();
    Some((head.to_owned(), entries, tail[end..].to_owned()))
}

/// Whether the message is not the gateway's: a text of Go's JSON library, or of the service that
/// the recorder put beside this one.
fn is_foreign(body: &str) -> bool {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let message = body["error"]["message"].as_str().unwrap_or_default();
    ["json: ", "invalid character ", "unexpected end of JSON input", "another service"]
        .iter()
        .any(|start| message.starts_with(start))
}

fn without_message(body: &str) -> Value {
    let mut body: Value = serde_json::from_str(body).unwrap_or_default();
    if let Some(error) = body["error"].as_object_mut() {
        error.remove("message");
    }
    body
}

/// The connection layer of the reference logs what it cannot read or place; that an answer is late,
/// repeated or over a rate it does not say.
fn compare_node_errors(
    input: &Input,
    ours: &[(usize, FrameError)],
    theirs: &[NodeError],
    concerned: &Concerned,
) -> Result<(), String> {
    let said = |(step, error): &(usize, FrameError)| match error {
        FrameError::Decode(_) => Some((*step, "parse error when reading from node".to_owned())),
        FrameError::OtherService => Some((*step, "another service".to_owned())),
        FrameError::Stranger { .. } => Some((*step, error.to_string())),
        FrameError::NoRequest
        | FrameError::NodeRate { .. }
        | FrameError::Repeated { .. }
        | FrameError::TotalRate => None,
    };
    let heard = |NodeError { error, step }: &NodeError| {
        let error = match error.as_str() {
            "taken by another service" => "another service",
            text if text.starts_with("no handler for service ") => "another service",
            text if text.starts_with("parse error when reading from node: ") => {
                "parse error when reading from node"
            }
            text => text,
        };
        (*step, error.to_owned())
    };
    let kept = |(step, _error): &(usize, String)| {
        !concerned.message_after(*step, input.steps[*step].text())
    };
    let ours: Vec<_> = ours.iter().filter_map(said).filter(kept).collect();
    same("node errors", &ours, &theirs.iter().map(heard).filter(kept).collect())
}
