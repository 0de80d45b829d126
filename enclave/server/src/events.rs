//! What one request reports about itself, in order and within bounds (7.4, W-15, W-16).
//!
//! The list travels to the caller beside the attested answer. What a workflow makes it say (log
//! lines, metrics, one event for each call) may take [`WORKFLOW_BYTES`]; what does not fit is dropped
//! and counted. The server's own events are few and always fit.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use protocol::json::{Details, Number, Tree};

/// The events of one request. Clones add to the same list.
#[derive(Clone, Debug, Default)]
pub struct Events(Arc<Mutex<List>>);

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its name.
    pub name: &'static str,
    /// Its details, if it has any.
    pub details: Details,
}

/// Details under construction.
#[derive(Debug, Default)]
pub struct With(Details);

/// There was no room for the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no room for another event")]
pub struct NoRoom;

impl Events {
    /// Adds an event of the server's own.
    pub fn add(&self, name: &'static str, details: With) {
        self.list().events.push(Event { name, details: details.0 });
    }

    /// Adds an event that the workflow caused.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] if the workflow has used up its share; the event is counted as dropped.
    pub fn add_of_workflow(&self, name: &'static str, details: With) -> Result<(), NoRoom> {
        let size = name.len().saturating_add(size_of(&details.0)).saturating_add(EVENT_BYTES);
        let mut list = self.list();
        let taken = list.workflow_bytes.saturating_add(size);
        if taken > WORKFLOW_BYTES {
            list.dropped = list.dropped.saturating_add(1);
            return Err(NoRoom);
        }
        list.workflow_bytes = taken;
        list.events.push(Event { name, details: details.0 });
        Ok(())
    }

    /// A copy of the list as it grew, which is a beginning of every later one.
    pub fn recorded(&self) -> Vec<Event> {
        self.list().events.clone()
    }

    /// A copy of the list, with the number of dropped events if there are any.
    pub fn snapshot(&self) -> Vec<Event> {
        let list = self.list();
        let mut events = list.events.clone();
        if list.dropped > 0 {
            let details = With::default().count("count", list.dropped);
            events.push(Event { name: "events_dropped", details: details.0 });
        }
        events
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Event {
    /// The same with the members of every object in the order of their names: how it is read by whom
    /// it reaches.
    #[must_use]
    pub fn in_order(self) -> Self {
        let details = self.details.into_iter().map(|(name, value)| (name, in_order(value)));
        Self { details: details.collect(), ..self }
    }
}

impl With {
    /// A text.
    #[must_use]
    pub fn text(self, name: &str, value: impl Into<String>) -> Self {
        self.tree(name, Tree::Text(value.into()))
    }

    /// A number of things, at most 2^53: readers hold numbers as floating point.
    #[must_use]
    pub fn count(self, name: &str, value: impl TryInto<u64>) -> Self {
        self.tree(name, Tree::from(value.try_into().unwrap_or(u64::MAX).min(1 << 53)))
    }

    /// A truth value.
    #[must_use]
    pub fn flag(self, name: &str, value: bool) -> Self {
        self.tree(name, Tree::from(value))
    }

    /// How long something took, in seconds rounded to hundredths (7.4).
    #[must_use]
    pub fn seconds(self, name: &str, value: Duration) -> Self {
        self.float(name, (value.as_secs_f64() / 0.01).round() * 0.01)
    }

    /// How long something took, in milliseconds rounded to thousandths.
    #[must_use]
    pub fn milliseconds(self, name: &str, value: Duration) -> Self {
        self.float(name, (value.as_secs_f64() * 1e6).round() / 1e3)
    }

    /// A number; one that JSON cannot hold is `null`.
    #[must_use]
    pub fn float(self, name: &str, value: f64) -> Self {
        self.tree(name, Number::try_from(value).map_or(Tree::Null, Tree::from))
    }

    /// An application's error, with the names the reference gives its parts.
    #[must_use]
    pub fn error(self, text: &str, status: u16) -> Self {
        let parts = vec![
            ("Error".to_owned(), Tree::from(text)),
            ("Code".to_owned(), Tree::from(u64::from(status))),
        ];
        self.tree("error", Tree::Object(parts))
    }

    /// A value of any form.
    #[must_use]
    pub fn tree(mut self, name: &str, value: Tree) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }
}

#[derive(Debug, Default)]
struct List {
    events: Vec<Event>,
    workflow_bytes: usize,
    dropped: u64,
}

fn in_order(tree: Tree) -> Tree {
    match tree {
        Tree::List(items) => Tree::List(items.into_iter().map(in_order).collect()),
        Tree::Object(members) => {
            let members: Details =
                members.into_iter().map(|(name, value)| (name, in_order(value))).collect();
            Tree::Object(members.into_iter().collect())
        }
        Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) => tree,
    }
}

/// About what the details take in memory and as JSON.
fn size_of(details: &Details) -> usize {
    details.iter().map(|(name, value)| name.len().saturating_add(size_of_tree(value))).sum()
}

fn size_of_tree(tree: &Tree) -> usize {
    let contents = match tree {
        Tree::Null | Tree::Bool(_) | Tree::Number(_) => 0,
        Tree::Text(text) => text.len(),
        Tree::List(items) => items.iter().map(size_of_tree).sum(),
        Tree::Object(members) => {
            members.iter().map(|(name, value)| name.len().saturating_add(size_of_tree(value))).sum()
        }
    };
    contents.saturating_add(VALUE_BYTES)
}

/// What a workflow's events may take, in bytes. Nodes refuse answers of more than 10 MiB, and an
/// event may be written twice and each of its bytes as six.
const WORKFLOW_BYTES: usize = 512 * 1024;

/// What an event takes beside its name and details.
const EVENT_BYTES: usize = 64;

/// What a value takes beside its contents.
const VALUE_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(events: &Events, message: String) -> Result<(), NoRoom> {
        events.add_of_workflow("user_log", With::default().text("message", message))
    }

    #[test]
    fn events_keep_their_order_and_repeat() {
        let events = Events::default();
        events.add("request_started", With::default().text("endpoint", "execute"));
        line(&events, "one".to_owned()).unwrap();
        let same = events.clone();
        line(&same, "two".to_owned()).unwrap();
        let names: Vec<_> = events.snapshot().into_iter().map(|event| event.name).collect();
        assert_eq!(names, ["request_started", "user_log", "user_log"]);
    }

    #[test]
    fn an_event_in_order_is_what_a_reader_writes_again() {
        let list = Tree::List(vec![Tree::Object(vec![
            ("b".to_owned(), Tree::from(1_u64)),
            ("a".to_owned(), Tree::Null),
        ])]);
        let details = With::default()
            .error("no", 500)
            .tree("list", list)
            .seconds("seconds", Duration::from_millis(70))
            .float("whole", 5.0)
            .float("large", 1e21)
            .count("count", u64::MAX);
        let event = Event { name: "all", details: details.0 };
        let written = |event: &Event| {
            protocol::json::to_vec(&protocol::answer::MetricEvent {
                event: event.name.to_owned(),
                details: Some(event.details.clone()),
            })
        };
        let again = |bytes: &[u8]| {
            let read: protocol::answer::MetricEvent = protocol::json::from_slice(bytes).unwrap();
            protocol::json::to_vec(&read)
        };
        let in_order = written(&event.clone().in_order());
        assert_eq!(again(&in_order), in_order);
        assert_eq!(again(&written(&event)), in_order, "another order on the way is no difference");
        assert_ne!(written(&event), in_order);
    }

    #[test]
    fn durations_are_rounded_as_the_reference_rounds_them() {
        let of = |ms| {
            let with = With::default().seconds("d", Duration::from_millis(ms));
            let Tree::Number(number) = &with.0["d"] else { panic!("not a number") };
            number.to_string()
        };
        assert_eq!(
            (of(0), of(4), of(5), of(70), of(1_234)),
            (
                "0".to_owned(),
                "0".to_owned(),
                "0.01".to_owned(),
                "0.07".to_owned(),
                "1.23".to_owned()
            )
        );
    }

    #[test]
    fn w15_w16_what_a_workflow_says_is_bounded_and_the_rest_counted() {
        let events = Events::default();
        let refused = (0..2_000).filter(|_| line(&events, "x".repeat(1024)).is_err()).count();
        assert!(refused > 1_000);
        line(&events, "x".repeat(WORKFLOW_BYTES)).unwrap_err();
        events.add("app_execution_completed", With::default());
        let snapshot = events.snapshot();
        let last = snapshot.last().unwrap();
        assert_eq!(last.name, "events_dropped");
        assert_eq!(last.details["count"], Tree::from(refused as u64 + 1));
        assert!(snapshot.iter().any(|event| event.name == "app_execution_completed"));
    }

    #[test]
    fn many_small_events_are_bounded_too() {
        let events = Events::default();
        let kept = (0..100_000).filter(|_| line(&events, String::new()).is_ok()).count();
        assert!(kept < 10_000, "{kept}");
    }
}
