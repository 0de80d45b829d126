//! The gateway's half of the handshake, over a socket.

use std::time::SystemTime;

use crypto::sign::SignerKey;
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::{
    limits::NODE_CHALLENGE_BYTES,
    link::{Challenge, CheckError, FRAME_BYTES},
};
use rand_core::{OsRng, RngCore as _};
use tokio_tungstenite::{
    WebSocketStream, accept_async_with_config,
    tungstenite::{
        self, Message, Utf8Bytes,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};
use transport::BoxStream;

use super::FAREWELL;
use crate::config::Nodes;

/// A node's connection once it is open.
pub(super) type Socket = WebSocketStream<BoxStream>;

/// Why a connection does not become a link.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The answer was not there in time.
    #[error("the handshake took too long")]
    Late,
    /// The connection ended before the answer came.
    #[error("the connection ended inside the handshake")]
    Gone,
    /// The answer is not a text.
    #[error("the answer is not a text frame")]
    NotText,
    /// The system gave no random bytes.
    #[error("no random bytes for a challenge")]
    Random,
    /// A frame is longer than any answer.
    #[error("a frame is longer than {FRAME_BYTES} bytes")]
    TooLong,
    /// The answer does not let the node in.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// It is no WebSocket, or one that breaks its rules.
    #[error("no WebSocket")]
    Socket(#[source] Box<tungstenite::Error>),
}

impl HandshakeError {
    /// The word that the node hears where it can still hear one.
    fn word(&self) -> &'static str {
        match self {
            Self::Check(error) => error.word(),
            Self::Late => "too late",
            Self::Gone | Self::NotText | Self::Random | Self::Socket(_) | Self::TooLong => {
                "not an answer"
            }
        }
    }
}

impl From<tungstenite::Error> for HandshakeError {
    fn from(error: tungstenite::Error) -> Self {
        if matches!(error, tungstenite::Error::Capacity(_)) {
            Self::TooLong
        } else {
            Self::Socket(Box::new(error))
        }
    }
}

/// Opens the WebSocket, sends a challenge and judges the answer.
///
/// Before a node has proven its key, it is read like a stranger: at most [`FRAME_BYTES`] at a time.
/// What it sends before it is taken, besides the answer, is lost.
///
/// # Errors
///
/// [`HandshakeError`]. A node that answered wrongly hears a close frame with the reason first.
pub(super) async fn shake(
    stream: BoxStream,
    config: &Nodes,
    now: SystemTime,
) -> Result<(Socket, SignerKey), HandshakeError> {
    let mut socket = accept_async_with_config(stream, Some(limits(FRAME_BYTES))).await?;
    let mut nonce = [0; NODE_CHALLENGE_BYTES];
    OsRng.try_fill_bytes(&mut nonce).map_err(|_error| HandshakeError::Random)?;
    let challenge = Challenge::new(&config.gateway_id, nonce, now);
    socket.send(Message::text(challenge.frame())).await?;
    let judged = match answer(&mut socket).await {
        Ok(frame) => challenge.check(&frame, &config.members).map_err(HandshakeError::from),
        Err(error) => Err(error),
    };
    match judged {
        Ok(key) => {
            let limits = limits(config.max_frame_bytes);
            let stream = socket.into_inner();
            let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(limits));
            Ok((socket.await, key))
        }
        Err(error) => {
            farewell(socket, CloseCode::Policy, error.word()).await;
            Err(error)
        }
    }
}

/// Closes a socket with a reason, and reads until the node has closed it too: what is unread when a
/// connection is dropped may cost the node the reason.
pub(super) async fn farewell(mut socket: Socket, code: CloseCode, word: &'static str) {
    let close = CloseFrame { code, reason: Utf8Bytes::from_static(word) };
    let closing = async {
        socket.close(Some(close)).await?;
        while socket.next().await.transpose()?.is_some() {}
        Ok::<(), tungstenite::Error>(())
    };
    // Whether it arrives or not, the connection is over.
    if let Ok(Err(error)) = tokio::time::timeout(FAREWELL, closing).await {
        tracing::debug!(%error, "closed without farewell");
    }
}

/// Waits for the first frame that is not about the connection itself.
async fn answer(socket: &mut Socket) -> Result<Vec<u8>, HandshakeError> {
    loop {
        match socket.next().await.ok_or(HandshakeError::Gone)?? {
            Message::Text(text) => return Ok(text.as_bytes().to_vec()),
            Message::Ping(_) | Message::Pong(_) => {}
            Message::Close(_) => return Err(HandshakeError::Gone),
            Message::Binary(_) | Message::Frame(_) => return Err(HandshakeError::NotText),
        }
    }
}

/// The limits of a socket on which frames of at most so many bytes are read.
fn limits(frame_bytes: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(0)
        .max_frame_size(Some(frame_bytes))
        .max_message_size(Some(frame_bytes))
}

/// What is read at once: a few small frames, or a piece of a large one.
const BUFFER_BYTES: usize = 8 * 1024;
