//! From a connection to a link: the WebSocket, and the proof of this node's key (`protocol::link`).

use std::time::SystemTime;

use crypto::sign::SigningKey;
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::{
    limits::{NODE_LINK_SKEW, NODE_LINK_TIMEOUT},
    link::{self, AnswerError},
};
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{self, Message, protocol::WebSocketConfig},
};
use transport::BoxStream;

use crate::config::Gateway;

/// A link whose node the gateway has taken.
pub(super) type Link = WebSocketStream<BoxStream>;

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("the gateway did not answer in time")]
    TimedOut,
    #[error("the gateway's WebSocket")]
    Socket(#[source] Box<tungstenite::Error>),
    #[error("the gateway closed the connection")]
    Closed,
    #[error("the gateway does not take this node: {word}")]
    Refused { word: RefusalWord },
    #[error("the gateway sent something else than its challenge")]
    NoChallenge,
    #[error("this node does not answer the challenge: {0}")]
    Challenge(#[from] AnswerError),
}

/// The word with which a gateway closes: one of those it is known to use, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RefusalWord(&'static str);

/// Opens the WebSocket, answers the challenge, waits until the gateway takes the node.
pub(super) async fn open(
    stream: BoxStream,
    gateway: &Gateway,
    key: &SigningKey,
    now: SystemTime,
) -> Result<Link, LinkError> {
    let limit = Some(gateway.max_frame_bytes);
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(limit)
        .max_frame_size(limit);
    let opened = client_async_with_config(gateway.url.uri(), stream, Some(config));
    let (mut link, _response) = within(opened).await?.map_err(socket)?;
    let challenge = match within(link.next()).await? {
        Some(Ok(Message::Text(challenge))) => challenge,
        Some(Ok(_)) => return Err(LinkError::NoChallenge),
        Some(Err(error)) => return Err(socket(error)),
        None => return Err(LinkError::Closed),
    };
    let proof = link::answer(challenge.as_bytes(), &gateway.id, key)?;
    report_skew(proof.gateway_time, now);
    within(link.send(Message::text(proof.frame))).await?.map_err(socket)?;
    match within(link.next()).await? {
        Some(Ok(Message::Ping(_))) => Ok(link),
        Some(Ok(Message::Close(Some(frame)))) => {
            Err(LinkError::Refused { word: RefusalWord::of(frame.reason.as_str()) })
        }
        Some(Ok(_)) => Err(LinkError::NoChallenge),
        Some(Err(error)) => Err(socket(error)),
        None => Err(LinkError::Closed),
    }
}

async fn within<F: Future>(step: F) -> Result<F::Output, LinkError> {
    timeout(NODE_LINK_TIMEOUT, step).await.map_err(|_elapsed| LinkError::TimedOut)
}

fn socket(error: tungstenite::Error) -> LinkError {
    LinkError::Socket(Box::new(error))
}

/// Documents are judged by this node's clock, so a clock that is wrong has to be seen.
fn report_skew(gateway_time: SystemTime, now: SystemTime) {
    let skew = match now.duration_since(gateway_time) {
        Ok(behind) => behind,
        Err(error) => error.duration(),
    };
    if skew > NODE_LINK_SKEW {
        tracing::warn!(skew_ms = skew.as_millis(), "the clocks of gateway and node differ");
    }
}

impl RefusalWord {
    fn of(reason: &str) -> Self {
        let known = ["not an answer", "wrong signature", "unknown node"];
        Self(known.into_iter().find(|word| *word == reason).unwrap_or("another reason"))
    }
}

impl std::fmt::Display for RefusalWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// Requests are small; tungstenite's own buffer would take 128 KiB.
const READ_BUFFER_BYTES: usize = 16 * 1024;
