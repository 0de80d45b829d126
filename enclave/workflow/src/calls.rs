//! Calls that were started and may be awaited later (4.3, 4.4).

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use tokio_util::task::AbortOnDropHandle;

/// Why a call is not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StartError {
    /// The id was used before in this run, awaited or not.
    #[error("duplicate callback id not allowed")]
    Duplicate,
    /// The run has made all the calls it may make.
    #[error("limit of {limit} calls per execution reached")]
    Exhausted { limit: u32 },
    /// What the run has in flight and has not read yet takes all the room it has.
    #[error("no room for another call before earlier ones are answered and read")]
    NoRoom,
}

/// The calls of one kind that one run has started.
///
/// Dropping it aborts what is still in flight.
#[derive(Debug)]
pub(crate) struct Calls<T> {
    used: HashSet<i32>,
    waiting: HashMap<i32, Call<T>>,
    limit: u32,
}

/// A call that was started.
#[derive(Debug)]
pub(crate) enum Call<T> {
    /// It was answered at once.
    Answered(T),
    /// It runs beside the guest.
    Running(AbortOnDropHandle<T>),
}

/// Room for what the host holds for a run: requests in flight, and answers nobody has read yet.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    free: Arc<AtomicU64>,
}

/// Room that is taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    size: u64,
    room: Room,
}

/// An answer with the room it takes, or nothing where there was none.
#[derive(Debug)]
pub(crate) struct Kept<T>(Option<(T, Taken)>);

impl<T: Send + 'static> Calls<T> {
    /// Starts with no calls and at most `limit` to come.
    pub(crate) fn new(limit: u32) -> Self {
        Self { used: HashSet::new(), waiting: HashMap::new(), limit }
    }

    /// Runs a call beside the guest under an id that was never used before.
    ///
    /// When this returns, the call has begun: the embedder meets calls in the order in which the
    /// guest made them, also those the guest never awaits.
    ///
    /// # Errors
    ///
    /// [`StartError`]; the call is not run, and one with the same id goes on undisturbed.
    pub(crate) fn start(
        &mut self,
        id: i32,
        call: Pin<Box<dyn Future<Output = T> + Send>>,
    ) -> Result<(), StartError> {
        if self.used.contains(&id) {
            return Err(StartError::Duplicate);
        }
        if u32::try_from(self.used.len()).is_ok_and(|used| used >= self.limit) {
            return Err(StartError::Exhausted { limit: self.limit });
        }
        self.used.insert(id);
        self.waiting.insert(id, begin(call));
        Ok(())
    }

    /// Takes the call with this id, once.
    pub(crate) fn take(&mut self, id: i32) -> Option<Call<T>> {
        self.waiting.remove(&id)
    }
}

impl Room {
    pub(crate) fn new(bytes: u64) -> Self {
        Self { free: Arc::new(AtomicU64::new(bytes)) }
    }

    /// Takes room for so many bytes, if there is any.
    pub(crate) fn take(&self, size: usize) -> Option<Taken> {
        let size = u64::try_from(size).ok()?;
        let taken = self
            .free
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |free| free.checked_sub(size));
        taken.ok().map(|_before| Taken { size, room: self.clone() })
    }

    /// Keeps an answer if there is room for its size; otherwise it is dropped at once, and whoever
    /// awaits it learns what a guest with too small a buffer would.
    pub(crate) fn keep<T>(&self, answer: T, size: usize) -> Kept<T> {
        Kept(self.take(size).map(|taken| (answer, taken)))
    }
}

impl<T> Kept<T> {
    /// The answer, and its room for as long as the answer is held.
    pub(crate) fn read(self) -> Option<(T, Taken)> {
        self.0
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.room.free.fetch_add(self.size, Ordering::AcqRel);
    }
}

impl<T> Call<T> {
    /// Waits for the answer; a panic in the call goes on here, where the run contains it.
    pub(crate) async fn finished(self) -> T {
        let handle = match self {
            Self::Answered(answer) => return answer,
            Self::Running(handle) => handle,
        };
        match handle.await {
            Ok(answer) => answer,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only dropping the handle aborts a call, and here it is still held.
                Err(_aborted) => std::future::pending().await,
            },
        }
    }
}

/// Lets a call run as far as it gets now; what is left goes on beside the guest, which wakes it
/// anew.
fn begin<T: Send + 'static>(mut call: Pin<Box<dyn Future<Output = T> + Send>>) -> Call<T> {
    match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Call::Answered(answer),
        Poll::Pending => Call::Running(AbortOnDropHandle::new(tokio::spawn(call))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_id_is_never_used_twice() {
        let mut calls = Calls::new(10);
        calls.start(5, Box::pin(async { "first" })).unwrap();
        assert_eq!(calls.start(5, Box::pin(async { "second" })), Err(StartError::Duplicate));
        assert_eq!(calls.take(5).unwrap().finished().await, "first");
        assert_eq!(calls.start(5, Box::pin(async { "third" })), Err(StartError::Duplicate));
        assert!(calls.take(5).is_none());
    }

    #[tokio::test]
    async fn calls_end_at_their_limit() {
        let mut calls = Calls::new(2);
        calls.start(1, Box::pin(async {})).unwrap();
        calls.start(-1, Box::pin(async {})).unwrap();
        assert_eq!(calls.start(3, Box::pin(async {})), Err(StartError::Exhausted { limit: 2 }));
    }

    #[tokio::test]
    async fn calls_nobody_awaited_are_aborted() {
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        let mut calls = Calls::new(1);
        let call = async move { drop((sender, std::future::pending::<()>().await)) };
        calls.start(1, Box::pin(call)).unwrap();
        drop(calls);
        receiver.await.unwrap_err();
    }

    #[tokio::test]
    async fn a_call_begins_when_it_is_made_and_goes_on_beside_the_guest() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let begun = Arc::new(AtomicU64::new(0));
        let note = Arc::clone(&begun);
        let mut calls = Calls::new(1);
        let call = async move {
            note.store(1, Ordering::Relaxed);
            receiver.await
        };
        calls.start(1, Box::pin(call)).unwrap();
        assert_eq!(begun.load(Ordering::Relaxed), 1);
        sender.send("answer").unwrap();
        assert_eq!(calls.take(1).unwrap().finished().await, Ok("answer"));
    }

    #[test]
    fn answers_beyond_the_room_are_dropped_and_room_comes_back() {
        let room = Room::new(10);
        let first = room.keep("first", 7);
        assert!(room.keep("too much", 4).read().is_none());
        assert_eq!(first.read().unwrap().0, "first");
        drop(room.keep("never read", 10));
        assert_eq!(room.keep("again", 10).read().unwrap().0, "again");
    }

    #[test]
    fn an_answer_that_was_read_takes_its_room_until_it_is_written() {
        let room = Room::new(10);
        let (_answer, taken) = room.keep("read", 7).read().unwrap();
        assert!(room.take(4).is_none());
        drop(taken);
        assert!(room.take(10).is_some());
    }
}
