//! From what came back to what the guest reads.

use std::{
    collections::BTreeMap,
    io::{self, Read as _},
};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use protocol::messages::{
    self, http as wire,
    sdk::{CapabilityOutcome, CapabilityResponse},
};

use super::{ActionError, CLOSED};

/// What a call is answered with.
#[derive(Debug)]
pub(super) enum Answer {
    /// What the other side answered.
    Response(Box<Response<Bytes>>),
    /// A status that stands for a failure on the way.
    Synthetic(StatusCode, &'static str),
    /// A failure that has no status.
    Error(ActionError),
}

/// Who undoes an encoding of the response's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// The guest: it asked for one, or for a range of bytes.
    Guest,
    /// The enclave, as the reference's client does. It did not ask for one either, but some servers,
    /// object stores above all, know their contents in one form only.
    Enclave,
}

impl Encoding {
    /// Who undoes it, by the headers of the request.
    pub(super) fn asked_for_by(headers: &HeaderMap) -> Self {
        let has = |name| headers.get(name).is_some_and(|value| !HeaderValue::is_empty(value));
        if has(header::ACCEPT_ENCODING) || has(header::RANGE) { Self::Guest } else { Self::Enclave }
    }

    /// What the body may take as it arrives, of which the guest reads at most `limit_bytes`: gzip makes
    /// what does not shrink a little longer.
    pub(super) fn wire_limit(self, limit_bytes: usize) -> usize {
        match self {
            Self::Guest => limit_bytes,
            Self::Enclave => limit_bytes.saturating_add(GZIP_SLACK_BYTES),
        }
    }

    /// The answer with its body as the guest reads it, at most `limit_bytes` of it.
    pub(super) fn read(self, response: Response<Bytes>, limit_bytes: usize) -> Answer {
        let (mut head, mut body) = response.into_parts();
        if self == Self::Enclave && !body.is_empty() && is_gzip(&head.headers) {
            body = match gunzip(&body, limit_bytes) {
                Ok(body) => body,
                Err(answer) => return answer,
            };
            head.headers.remove(header::CONTENT_ENCODING);
            head.headers.remove(header::CONTENT_LENGTH);
        }
        if body.len() > limit_bytes {
            return Answer::Error(ActionError::ResponseLimit { limit_bytes });
        }
        Answer::Response(Box::new(Response::from_parts(head, body)))
    }
}

impl Answer {
    /// The status that the guest reads, if it reads one.
    pub(super) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Response(response) => Some(response.status()),
            Self::Synthetic(status, _text) => Some(*status),
            Self::Error(_error) => None,
        }
    }

    /// The answer in the guest's own schema.
    pub(super) fn into_response(self) -> CapabilityResponse {
        let read = |response: wire::Response| CapabilityOutcome::Payload(messages::pack(&response));
        let outcome = match self {
            Self::Response(response) => read(to_wire(*response)),
            Self::Synthetic(status, text) => read(wire::Response {
                status_code: status.as_u16().into(),
                body: text.into(),
                ..wire::Response::default()
            }),
            Self::Error(error) => CapabilityOutcome::Error(error.to_string()),
        };
        CapabilityResponse { response: Some(outcome) }
    }
}

impl From<ActionError> for Answer {
    fn from(error: ActionError) -> Self {
        Self::Error(error)
    }
}

fn is_gzip(headers: &HeaderMap) -> bool {
    let encoding = headers.get(header::CONTENT_ENCODING);
    encoding.is_some_and(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"gzip"))
}

/// Undoes gzip, of several members too. No more than one byte beyond the limit is ever made.
fn gunzip(body: &[u8], limit_bytes: usize) -> Result<Bytes, Answer> {
    let limit = u64::try_from(limit_bytes).unwrap_or(u64::MAX);
    let mut plain = Vec::new();
    let read = MultiGzDecoder::new(body).take(limit.saturating_add(1)).read_to_end(&mut plain);
    match read {
        Ok(_bytes) => Ok(plain.into()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(CLOSED),
        Err(_error) => Err(ActionError::Transport("malformed response").into()),
    }
}

fn to_wire(response: Response<Bytes>) -> wire::Response {
    let (head, body) = response.into_parts();
    let multi_headers = multi_headers(&head.headers);
    let joined =
        |(name, list): (&String, &wire::HeaderValues)| (name.clone(), list.values.join(", "));
    let headers = multi_headers.iter().map(joined).collect();
    let status_code = head.status.as_u16().into();
    wire::Response { status_code, headers, body: body.into(), multi_headers }
}

/// Headers under their usual spelling, as text: a byte that is not UTF-8 would make the whole reply
/// unreadable (W-30).
fn multi_headers(headers: &HeaderMap) -> BTreeMap<String, wire::HeaderValues> {
    let mut lists: BTreeMap<String, wire::HeaderValues> = BTreeMap::new();
    for (name, value) in headers {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        lists.entry(usual_spelling(name)).or_default().values.push(text);
    }
    lists
}

/// `content-type` as `Content-Type`.
fn usual_spelling(name: &HeaderName) -> String {
    let mut starts = true;
    let spell = |letter: char| {
        let spelt = if starts { letter.to_ascii_uppercase() } else { letter };
        starts = letter == '-';
        spelt
    };
    name.as_str().chars().map(spell).collect()
}

/// More than gzip adds to a megabyte that does not shrink: five bytes for each 64 KiB, and a frame.
const GZIP_SLACK_BYTES: usize = 16 * 1024;
