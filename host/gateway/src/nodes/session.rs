//! An open link: requests out, answers in, heartbeats between them.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_tungstenite::tungstenite::{
    self, Message, Utf8Bytes, protocol::frame::coding::CloseCode,
};
use tokio_util::sync::CancellationToken;

use super::{links::Link, shake::Socket};
use crate::handler::{FrameError, Handler, NodeId};

/// Why a link ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// The node closed it.
    #[error("closed by the node")]
    Closed,
    /// The node has a newer link.
    #[error("replaced by a newer link of the node")]
    Replaced,
    /// The gateway stops.
    #[error("the gateway stops")]
    Shutdown,
    /// Nothing was heard for two heartbeats.
    #[error("the node is silent")]
    Silent,
    /// The node took nothing for two heartbeats.
    #[error("the node does not read")]
    Stalled,
    /// A frame is longer than allowed.
    #[error("a frame is too long")]
    TooLong,
    /// The connection broke, or what came is no WebSocket frame.
    #[error("the connection broke")]
    Socket(#[source] Box<tungstenite::Error>),
}

/// Passes frames in both directions until the link ends. The first frame to the node is a ping,
/// which tells it that it was taken.
pub(super) async fn converse(
    socket: &mut Socket,
    link: &mut Link,
    heartbeat: Duration,
    handler: &Handler,
    shutdown: &CancellationToken,
) -> Ended {
    let (mut sink, mut stream) = socket.split();
    let Link { node, queue, replaced, .. } = link;
    tokio::select! {
        ended = read(&mut stream, node, heartbeat, handler) => ended,
        ended = write(&mut sink, queue, heartbeat) => ended,
        () = replaced.cancelled() => Ended::Replaced,
        () = shutdown.cancelled() => Ended::Shutdown,
    }
}

async fn read(
    stream: &mut SplitStream<&mut Socket>,
    node: &NodeId,
    heartbeat: Duration,
    handler: &Handler,
) -> Ended {
    let mut undecodable = false;
    loop {
        let Ok(message) = timeout(heartbeat.saturating_mul(2), stream.next()).await else {
            return Ended::Silent;
        };
        let frame = match message {
            Some(Ok(Message::Text(text))) => Bytes::from(text),
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            Some(Ok(Message::Close(_))) | None => return Ended::Closed,
            Some(Err(error)) => return error.into(),
        };
        match handler.frame(node, &frame) {
            Ok(()) => {}
            Err(error @ FrameError::Decode(_)) if !undecodable => {
                // Said once for each link, so that a node cannot fill the log.
                undecodable = true;
                tracing::warn!(%node, %error, bytes = frame.len(), "frame dropped");
            }
            Err(error) => tracing::debug!(%node, %error, bytes = frame.len(), "frame dropped"),
        }
    }
}

async fn write(
    sink: &mut SplitSink<&mut Socket, Message>,
    queue: &mut mpsc::Receiver<Bytes>,
    heartbeat: Duration,
) -> Ended {
    let mut beats = interval(heartbeat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            biased;
            _ = beats.tick() => Message::Ping(Bytes::new()),
            Some(text) = queue.recv() => match Utf8Bytes::try_from(text) {
                Ok(text) => Message::Text(text),
                // JSON is UTF-8; nothing else is queued.
                Err(_) => continue,
            },
        };
        match timeout(heartbeat.saturating_mul(2), sink.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.into(),
            Err(_elapsed) => return Ended::Stalled,
        }
    }
}

impl Ended {
    pub(super) const fn code(&self) -> CloseCode {
        match self {
            Self::Closed => CloseCode::Normal,
            Self::Shutdown => CloseCode::Away,
            Self::Replaced | Self::Silent | Self::Stalled => CloseCode::Policy,
            Self::TooLong => CloseCode::Size,
            Self::Socket(_) => CloseCode::Protocol,
        }
    }

    /// The word that the node hears.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Closed => "",
            Self::Replaced => "replaced",
            Self::Shutdown => "gateway stops",
            Self::Silent => "silent",
            Self::Stalled => "stalled",
            Self::TooLong => "frame too long",
            Self::Socket(_) => "broken",
        }
    }
}

impl From<tungstenite::Error> for Ended {
    fn from(error: tungstenite::Error) -> Self {
        use tungstenite::Error::{AlreadyClosed, Capacity, ConnectionClosed};
        if matches!(error, Capacity(_)) {
            Self::TooLong
        } else if matches!(error, AlreadyClosed | ConnectionClosed) {
            Self::Closed
        } else {
            Self::Socket(Box::new(error))
        }
    }
}
