//! Long messages of workflows are read one after the other in all of the enclave.
//!
//! What they become while they are read is in no run's claim: a message of 5 MB up to 28 MiB, and about as much
//! again for an answer that is made of it.

use tokio::sync::{Mutex, MutexGuard};

/// Waits for the turn of a message of so many bytes; a short one needs none. Only what is done at once is
/// done in a turn, so nobody has it for long.
pub(crate) async fn of_message(bytes: usize) -> Option<MutexGuard<'static, ()>> {
    if bytes > SHORT_BYTES { Some(TURN.lock().await) } else { None }
}

static TURN: Mutex<()> = Mutex::const_new(());

/// The longest message that takes little memory whatever it is: 8 MiB.
const SHORT_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_long_messages_one_has_its_turn_and_short_ones_need_none() {
        let first = of_message(SHORT_BYTES + 1).await;
        assert!(first.is_some());
        assert!(of_message(SHORT_BYTES).await.is_none());
        let second = tokio::spawn(of_message(SHORT_BYTES + 1));
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        assert!(second.await.unwrap().is_some());
    }
}
