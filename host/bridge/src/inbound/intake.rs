//! Reading a body from somebody nobody has vouched for (W-26).

use std::{sync::Arc, time::Duration};

use axum::body::{Body, HttpBody as _};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::reply::Refusal;

/// Room for all bodies that are being read, and for those that are decoded.
#[derive(Clone, Debug)]
pub(super) struct Intake {
    room: Arc<Semaphore>,
    decoding: Arc<Semaphore>,
    limit_bytes: usize,
    timeout: Duration,
}

/// A body, and the room it takes until this is dropped.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) body: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Intake {
    /// Bodies of at most `limit_bytes` each and `budget_bytes` together, each in at most `timeout`.
    pub(super) fn new(limit_bytes: usize, budget_bytes: usize, timeout: Duration) -> Self {
        let permits = (budget_bytes / UNIT_BYTES).min(Semaphore::MAX_PERMITS);
        let decoding = Arc::new(Semaphore::new(DECODING_UNITS));
        Self { room: Arc::new(Semaphore::new(permits)), decoding, limit_bytes, timeout }
    }

    /// Reads a body. Room is taken as bytes arrive, so an announcement costs nothing.
    ///
    /// # Errors
    ///
    /// - [`Refusal::Body`] if it is too long, too slow or broken off.
    /// - [`Refusal::Busy`] if there is no room.
    pub(super) async fn read(&self, body: Body) -> Result<Received, Refusal> {
        let announced = body.size_hint().lower();
        if usize::try_from(announced).map_or(true, |bytes| bytes > self.limit_bytes) {
            return Err(Refusal::Body);
        }
        let read = tokio::time::timeout(self.timeout, self.collect(body)).await;
        read.unwrap_or(Err(Refusal::Body))
    }

    /// Decodes a body. What is large waits its turn, because decoded it may be far larger, and does not
    /// hold up other requests meanwhile.
    ///
    /// # Errors
    ///
    /// [`Refusal::Body`] if decoding panicked.
    pub(super) async fn decode<T: Send + 'static>(
        &self,
        received: Received,
        decode: impl FnOnce(&[u8]) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        if received.body.len() <= SMALL_BYTES {
            return Ok(decode(&received.body));
        }
        let units = received.body.len().div_ceil(UNIT_BYTES).min(DECODING_UNITS);
        let units = u32::try_from(units).map_err(|_range| Refusal::Body)?;
        // The semaphore is never closed, so there always is a permit.
        let _turn = self.decoding.acquire_many(units).await;
        let decoded = tokio::task::spawn_blocking(move || decode(&received.body)).await;
        decoded.map_err(|_panicked| Refusal::Body)
    }

    async fn collect(&self, mut body: Body) -> Result<Received, Refusal> {
        let mut bytes = BytesMut::new();
        let mut room: Option<OwnedSemaphorePermit> = None;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return Err(Refusal::Body) };
            // Trailers are no part of the body.
            let Ok(piece) = frame.into_data() else { continue };
            let length = bytes.len().saturating_add(piece.len());
            if length > self.limit_bytes {
                return Err(Refusal::Body);
            }
            let taken = room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
            let more = length.div_ceil(UNIT_BYTES).saturating_sub(taken);
            let more = u32::try_from(more).map_err(|_range| Refusal::Body)?;
            let permit = Arc::clone(&self.room).try_acquire_many_owned(more);
            let permit = permit.map_err(|_none| Refusal::Busy)?;
            match &mut room {
                Some(room) => room.merge(permit),
                None => room = Some(permit),
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Received { body: bytes.freeze(), _room: room })
    }
}

/// The unit of room.
const UNIT_BYTES: usize = 1024;

/// Bodies that are decoded at the same time: together as much as the largest.
const DECODING_UNITS: usize = 64 * 1024;

/// Decoded in well under a millisecond.
const SMALL_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn body(length: usize) -> Body {
        Body::from(vec![7; length])
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_of_the_limit_is_read_and_one_byte_more_is_not() {
        let intake = Intake::new(4096, 1 << 20, MINUTE);
        assert_eq!(intake.read(body(4096)).await.unwrap().body.len(), 4096);
        assert_eq!(intake.read(body(4097)).await.unwrap_err(), Refusal::Body);
        assert_eq!(intake.read(body(0)).await.unwrap().body.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn w_26_bodies_share_one_budget() {
        let intake = Intake::new(4096, 8192, MINUTE);
        let first = intake.read(body(4096)).await.unwrap();
        let _second = intake.read(body(4096)).await.unwrap();
        assert_eq!(intake.read(body(1)).await.unwrap_err(), Refusal::Busy);
        drop(first);
        assert!(intake.read(body(1)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_arrive_is_given_up_and_takes_no_room() {
        let intake = Intake::new(4096, 8192, MINUTE);
        // An announced length and no byte of it.
        let silent = Body::new(Silent);
        assert_eq!(intake.read(silent).await.unwrap_err(), Refusal::Body);
        assert_eq!(intake.room.available_permits(), 8);
    }

    struct Silent;

    impl axum::body::HttpBody for Silent {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
            std::task::Poll::Pending
        }
    }
}
