//! What a step that is read more strictly may change: the requests that it belongs to, from then on.

use serde_json::{Map, Value};

use super::{Input, Step};

/// The requests of such steps. Without any, nothing may differ.
#[derive(Debug, Default)]
pub(super) struct Concerned(Vec<Since>);

/// What one step concerns, from when on.
#[derive(Debug)]
struct Since {
    step: usize,
    at_ms: u64,
    id: Option<String>,
    /// The numbers of the users' requests with this id.
    requests: Vec<usize>,
}

impl Concerned {
    /// What these steps concern.
    pub(super) fn by(input: &Input, steps: impl IntoIterator<Item = usize>) -> Self {
        Self(steps.into_iter().map(|step| Since::of(input, step)).collect())
    }

    /// Whether one of the steps belongs to the id and is not after `step`.
    pub(super) fn id_after(&self, step: usize, id: &str) -> bool {
        self.0.iter().any(|since| since.step <= step && since.id.as_deref() == Some(id))
    }

    /// The same of the message of a request or a node.
    pub(super) fn message_after(&self, step: usize, message: &str) -> bool {
        id_of(message).is_some_and(|id| self.id_after(step, &id))
    }

    /// Whether a message to nodes is of such a request, and not sent before.
    pub(super) fn sent(&self, at_ms: u64, message: &str) -> bool {
        let id = id_of(message);
        let is_its = |since: &Since| since.at_ms <= at_ms && since.id.is_some() && since.id == id;
        self.0.iter().any(is_its)
    }

    /// Whether an answer is for such a request, and not given before.
    pub(super) fn answered(&self, at_ms: u64, request: usize) -> bool {
        self.0.iter().any(|since| since.at_ms <= at_ms && since.requests.contains(&request))
    }
}

impl Since {
    fn of(input: &Input, step: usize) -> Self {
        let strict = &input.steps[step];
        let id = id_of(strict.text());
        let users = input.steps.iter().filter(|step| matches!(step, Step::User { .. }));
        let belongs =
            |user: &Step| std::ptr::eq(user, strict) || (id.is_some() && id_of(user.text()) == id);
        let requests = users.enumerate().filter(|(_number, user)| belongs(user));
        let requests = requests.map(|(number, _user)| number).collect();
        Self { step, at_ms: strict.at_ms(), id, requests }
    }
}

/// The id as the reference reads it: the last member of this name, in whatever letters.
fn id_of(message: &str) -> Option<String> {
    let message: Map<String, Value> = serde_json::from_str(message).ok()?;
    let mut names = message.iter().rev();
    let (_name, id) = names.find(|(name, _id)| name.eq_ignore_ascii_case("id"))?;
    id.as_str().map(str::to_owned)
}
