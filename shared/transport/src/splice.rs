//! Copies bytes between two connections until both have said everything.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::Stream;

/// Bytes that went each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// From the first connection to the second.
    pub forth_bytes: u64,
    /// From the second to the first.
    pub back_bytes: u64,
}

/// Why copying ended before both sides had finished.
#[derive(Debug, thiserror::Error)]
pub enum SpliceError {
    /// One of the connections broke.
    #[error("a connection broke")]
    Io(#[from] io::Error),
    /// Nothing went either way for so long.
    #[error("nothing was said for {} seconds", .after.as_secs())]
    Idle {
        /// The limit.
        after: Duration,
    },
}

/// Copies both ways, each through one buffer of 64 KiB.
///
/// The end of one side is passed on (half-close) and the other direction goes on. Ends when both
/// directions have, when a connection breaks, or when nothing was read from either for `idle`, noticed
/// at most twice that late.
///
/// # Errors
///
/// [`SpliceError`]; what was copied until then has arrived or is lost with the connection.
pub async fn splice(
    first: &mut dyn Stream,
    second: &mut dyn Stream,
    idle: Duration,
) -> Result<Traffic, SpliceError> {
    let (mut first, mut second) = (Counted::new(first), Counted::new(second));
    let (forth, back) = (Arc::clone(&first.read), Arc::clone(&second.read));
    let copied = tokio::io::copy_bidirectional_with_sizes(
        &mut first,
        &mut second,
        crate::BUFFER_BYTES,
        crate::BUFFER_BYTES,
    );
    tokio::select! {
        copied = copied => {
            let (forth_bytes, back_bytes) = copied?;
            Ok(Traffic { forth_bytes, back_bytes })
        }
        () = silence(&forth, &back, idle) => Err(SpliceError::Idle { after: idle }),
    }
}

/// Waits until an interval passes in which neither counter moves.
async fn silence(forth: &AtomicU64, back: &AtomicU64, idle: Duration) {
    let mut before = None;
    loop {
        let now = (forth.load(Ordering::Relaxed), back.load(Ordering::Relaxed));
        if before == Some(now) {
            return;
        }
        before = Some(now);
        tokio::time::sleep(idle).await;
    }
}

/// A connection that counts what is read from it.
struct Counted<'a> {
    stream: &'a mut dyn Stream,
    read: Arc<AtomicU64>,
}

impl<'a> Counted<'a> {
    fn new(stream: &'a mut dyn Stream) -> Self {
        Self { stream, read: Arc::default() }
    }
}

impl AsyncRead for Counted<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.remaining();
        ready!(Pin::new(&mut *self.stream).poll_read(cx, buffer))?;
        let read = before.saturating_sub(buffer.remaining());
        self.read.fetch_add(u64::try_from(read).unwrap_or(u64::MAX), Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn each_end_is_passed_on_and_the_other_direction_goes_on() {
        let (mut client, mut near) = duplex(64);
        let (mut far, mut server) = duplex(64);
        let task = tokio::spawn(async move { splice(&mut near, &mut far, MINUTE).await });

        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        let mut question = String::new();
        server.read_to_string(&mut question).await.unwrap();
        server.write_all(b"answer!").await.unwrap();
        drop(server);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();

        assert_eq!((question.as_str(), answer.as_str()), ("question", "answer!"));
        let traffic = task.await.unwrap().unwrap();
        assert_eq!(traffic, Traffic { forth_bytes: 8, back_bytes: 7 });
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_it() {
        let (_client, mut near) = duplex(64);
        let (mut far, _server) = duplex(64);
        let ended = splice(&mut near, &mut far, MINUTE).await;
        assert!(matches!(ended, Err(SpliceError::Idle { after: MINUTE })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_now_and_then_keeps_it_open() {
        let (mut client, mut near) = duplex(64);
        let (mut far, mut server) = duplex(64);
        let task = tokio::spawn(async move { splice(&mut near, &mut far, MINUTE).await });
        for _ in 0..10 {
            tokio::time::sleep(MINUTE - Duration::from_secs(1)).await;
            client.write_all(b".").await.unwrap();
            assert_eq!(server.read_u8().await.unwrap(), b'.');
        }
        drop((client, server));
        assert_eq!(task.await.unwrap().unwrap().forth_bytes, 10);
    }
}
