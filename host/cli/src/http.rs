//! One HTTP request to a process of the network, bounded in bytes and time.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use transport::{
    DialError, TcpDialer,
    http::{ClientLimits, Connection, ExchangeError},
};

use crate::exit::{Exit, Failure};

/// A process that is asked by HTTP.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// What it is, for people: `the vault`.
    pub(crate) name: &'static str,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

/// A process could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// There is no connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// There is no answer.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// The request is not one.
    #[error("the request cannot be written")]
    Request(#[from] http::Error),
}

impl Peer {
    /// Sends a request and reads the whole answer, whatever its status.
    ///
    /// # Errors
    ///
    /// [`Exit::Peer`], saying that the process is not there.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        bearer: Option<&str>,
        body: impl Into<Bytes>,
    ) -> Result<Response<Bytes>, Failure> {
        let answer = self.try_ask(method, path, bearer, body.into()).await;
        answer.map_err(|error| {
            let (name, why) = (self.name, anyhow::Error::new(error));
            let text = format!("{name} does not answer ({why:#}); is the devnet running?");
            Failure::new(Exit::Peer, text)
        })
    }

    /// The same, leaving the error to the caller.
    ///
    /// # Errors
    ///
    /// [`AskError`].
    pub(crate) async fn try_ask(
        &self,
        method: Method,
        path: &str,
        bearer: Option<&str>,
        body: Bytes,
    ) -> Result<Response<Bytes>, AskError> {
        let host = self.address.to_string();
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, host);
        if let Some(token) = bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(body)?;
        let stream = TcpDialer::new(self.address, CONNECT_TIMEOUT).connect().await?;
        let mut connection = Connection::open(Box::new(stream), &LIMITS).await?;
        Ok(connection.send(request, &LIMITS).await?)
    }

    /// The failure that an unexpected answer is.
    pub(crate) fn refused(&self, answer: &Response<Bytes>) -> Failure {
        let status = answer.status();
        let text = String::from_utf8_lossy(answer.body());
        // A peer's text is shown to a person: a bounded piece of it, without control characters.
        let text: String = text.trim().chars().take(TEXT_CHARS).map(printable).collect();
        let why = if text.is_empty() { reason(status) } else { text };
        let name = self.name;
        Failure::new(Exit::Peer, format!("{name} refused (status {}): {why}", status.as_u16()))
    }
}

/// A segment of a path: what is neither a letter, a digit nor one of `-._~` is escaped.
pub(crate) fn segment(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push('%');
            escaped.push_str(&hex::encode_upper([byte]));
        }
    }
    escaped
}

fn reason(status: StatusCode) -> String {
    status.canonical_reason().unwrap_or("no reason given").to_owned()
}

fn printable(character: char) -> char {
    if character.is_control() { ' ' } else { character }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Long enough for the largest binary on one machine; an execution is not asked for here.
const LIMITS: ClientLimits = ClientLimits {
    head_bytes: 16 * 1024,
    body_bytes: 4 * 1024 * 1024,
    timeout: Duration::from_secs(30),
};

const TEXT_CHARS: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_cannot_leave_its_place_in_the_path() {
        assert_eq!(segment("api-key_1.x~"), "api-key_1.x~");
        assert_eq!(segment("../a?b#c d%"), "..%2Fa%3Fb%23c%20d%25");
        assert_eq!(segment("é\n"), "%C3%A9%0A");
    }

    #[test]
    fn a_refusal_shows_a_bounded_piece_without_control_characters() {
        let peer = Peer { name: "the vault", address: ([127, 0, 0, 1], 1).into() };
        let long = format!("no\u{1b}[2J\n{}", "x".repeat(10_000));
        let answer = Response::builder().status(400).body(Bytes::from(long)).unwrap();
        let failure = peer.refused(&answer);
        assert_eq!(failure.exit, Exit::Peer);
        let text = failure.to_string();
        assert!(text.starts_with("the vault refused (status 400): no [2J xxx"), "{text}");
        assert!(text.len() < 400);
        let empty = Response::builder().status(404).body(Bytes::new()).unwrap();
        assert_eq!(peer.refused(&empty).to_string(), "the vault refused (status 404): Not Found");
    }

    #[tokio::test]
    async fn a_process_that_is_not_there_is_named() {
        // The port was free a moment ago and nobody listens there now.
        let listener = transport::TcpListen::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local();
        drop(listener);
        let peer = Peer { name: "the vault", address };
        let failure = peer.ask(Method::GET, "/", None, Bytes::new()).await.unwrap_err();
        assert_eq!(failure.exit, Exit::Peer);
        let text = format!(
            "the vault does not answer ({address} refused the connection); is the devnet running?"
        );
        assert_eq!(failure.to_string(), text);
    }
}
