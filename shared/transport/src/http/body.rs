//! Bodies: read up to a limit, written in pieces.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The body is longer than allowed; no more than that was kept.
    #[error("the body is longer than {limit_bytes} bytes")]
    TooLong {
        /// The limit.
        limit_bytes: usize,
    },
    /// The body did not arrive in time.
    #[error("the body did not arrive in time")]
    TimedOut,
    /// The connection ended inside the body, or the body is no valid HTTP.
    #[error("the body is cut off or malformed")]
    Broken,
}

/// Has large bodies in memory one after the other: for many exchanges at the same time that share a
/// budget of bytes. Clones take turns with each other.
///
/// A body that announced no length has come as far as [`Self::FREE_BYTES`] and one read when it waits.
#[derive(Clone, Debug)]
pub struct LargeBodies(Arc<Semaphore>);

/// The turn of one large body, over when all clones are dropped.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    _permit: Arc<OwnedSemaphorePermit>,
}

impl LargeBodies {
    /// The longest body in bytes that waits for nobody.
    pub const FREE_BYTES: usize = 256 * 1024;

    /// One at a time.
    #[must_use]
    pub fn one_at_a_time() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }

    /// Waits for a turn if a body of so many bytes needs one and has none yet.
    async fn wait(turns: Option<&Self>, bytes: usize, turn: &mut Option<Turn>) {
        if let Some(Self(turns)) = turns
            && bytes > Self::FREE_BYTES
            && turn.is_none()
        {
            // Never closed, so it always comes.
            let permit = Arc::clone(turns).acquire_owned().await.ok();
            *turn = permit.map(|permit| Turn { _permit: Arc::new(permit) });
        }
    }
}

/// Reads a body of at most `limit_bytes`, in at most `timeout`.
///
/// Memory grows with what arrives, never with what is announced; an announced length over the limit
/// is refused before anything is read.
///
/// # Errors
///
/// [`BodyError`].
pub async fn read_body<B>(
    body: B,
    limit_bytes: usize,
    timeout: Duration,
) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let (body, _turn) = read_in_turn(body, limit_bytes, timeout, None).await?;
    Ok(body)
}

/// As [`read_body`]; a large body waits for its turn within the time, and has it until the turn is
/// dropped.
pub(super) async fn read_in_turn<B>(
    body: B,
    limit_bytes: usize,
    timeout: Duration,
    turns: Option<&LargeBodies>,
) -> Result<(Bytes, Option<Turn>), BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit_bytes {
        return Err(BodyError::TooLong { limit_bytes });
    }
    let mut turn = None;
    let reading = async {
        LargeBodies::wait(turns, announced, &mut turn).await;
        collect(body, limit_bytes, turns, &mut turn).await
    };
    let read = tokio::time::timeout(timeout, reading).await.unwrap_or(Err(BodyError::TimedOut))?;
    Ok((read, turn))
}

async fn collect<B>(
    mut body: B,
    limit_bytes: usize,
    turns: Option<&LargeBodies>,
    turn: &mut Option<Turn>,
) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    // A body of one piece is passed on without a copy; from the second on they are joined.
    let (mut only, mut joined) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err(BodyError::Broken) };
        // Trailers are no part of the body.
        let Ok(piece) = frame.into_data() else { continue };
        let so_far = only.len().saturating_add(joined.len());
        if piece.len() > limit_bytes.saturating_sub(so_far) {
            return Err(BodyError::TooLong { limit_bytes });
        }
        LargeBodies::wait(turns, so_far.saturating_add(piece.len()), turn).await;
        if so_far == 0 {
            only = piece;
        } else {
            joined.extend_from_slice(&std::mem::take(&mut only));
            joined.extend_from_slice(&piece);
        }
    }
    Ok(if joined.is_empty() { only } else { joined.freeze() })
}

/// A body in memory that is written in pieces, so that a large one does not become one large write.
#[derive(Debug)]
pub(super) struct Pieces(Bytes);

impl From<Bytes> for Pieces {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl From<Pieces> for Bytes {
    fn from(pieces: Pieces) -> Self {
        pieces.0
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.0.len().min(PIECE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.0.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len().try_into().unwrap_or(u64::MAX))
    }
}

/// Bytes per write: large enough that system calls do not count, small enough for a socket's buffer.
const PIECE_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A body of unknown length that arrives in these pieces, last first.
    struct Arriving(Vec<&'static [u8]>);

    impl Body for Arriving {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop().map(|piece| Ok(Frame::data(Bytes::from_static(piece)))))
        }
    }

    async fn read(pieces: &[&'static [u8]], limit_bytes: usize) -> Result<Bytes, BodyError> {
        let arriving = Arriving(pieces.iter().rev().copied().collect());
        read_body(arriving, limit_bytes, SECOND).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_of_exactly_the_limit_is_read_and_one_byte_more_is_not() {
        assert_eq!(read(&[b"ab", b"", b"cd", b"e"], 5).await.unwrap(), "abcde");
        assert_eq!(
            read(&[b"ab", b"cd", b"ef"], 5).await,
            Err(BodyError::TooLong { limit_bytes: 5 })
        );
        assert_eq!(read(&[], 0).await.unwrap(), "");
    }

    #[tokio::test(start_paused = true)]
    async fn an_announced_length_over_the_limit_is_refused_unread() {
        let read = read_body(Full::new(Bytes::from_static(b"abcdef")), 5, SECOND).await;
        assert_eq!(read, Err(BodyError::TooLong { limit_bytes: 5 }));
    }

    #[tokio::test]
    async fn pieces_add_up_to_the_body() {
        let whole = Bytes::from(vec![7; PIECE_BYTES * 2 + 1]);
        let mut pieces = Pieces::from(whole.clone());
        assert_eq!(pieces.size_hint().exact(), Some(131_073));
        let mut lengths = Vec::new();
        while let Some(frame) = pieces.frame().await {
            lengths.push(frame.unwrap().into_data().unwrap().len());
        }
        assert_eq!(lengths, [PIECE_BYTES, PIECE_BYTES, 1]);
        assert!(pieces.is_end_stream());
    }
}
