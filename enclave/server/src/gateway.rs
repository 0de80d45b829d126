//! The client of the gateways: one call, several addresses (relay-protocol 7.3, 7.4).

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use protocol::{
    json::RawJson,
    limits,
    rpc::{self, AttemptError},
};
use transport::http::{ClientLimits, ExchangeError, LargeBodies, SendError};

use crate::egress::{Egress, EgressError, Holder, Url, configured};

/// Sends calls to gateways, beginning each time with another one.
#[derive(Debug)]
pub(crate) struct GatewayClient {
    egress: Arc<Egress>,
    turn: AtomicUsize,
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GatewayError {
    /// Every gateway failed in a way that another attempt might not.
    #[error("all {} gateways failed: {}", .0.len(), Lines(.0))]
    All(Vec<(Url, GatewayFault)>),
    /// A gateway answered, and no other would answer better.
    #[error(transparent)]
    Answer(AttemptError),
    /// No settings say where a gateway is.
    #[error("no gateway URLs configured")]
    None,
}

/// How one gateway failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GatewayFault {
    /// It answered that it cannot answer.
    #[error(transparent)]
    Answer(AttemptError),
    /// It did not answer in time.
    #[error("sending request: no answer in time")]
    TimedOut,
    /// The answer broke off.
    #[error("reading response body: the connection broke")]
    Broken,
    /// It cannot be reached.
    #[error("sending request: no connection")]
    Unreachable,
    /// The URL is none that a request can be sent to.
    #[error("creating request: the URL cannot be requested")]
    Url,
}

impl GatewayClient {
    pub(crate) fn new(egress: Arc<Egress>) -> Self {
        Self { egress, turn: AtomicUsize::new(0) }
    }

    /// Sends a JSON-RPC body to one gateway after the other until one answers.
    ///
    /// The same bytes go to each of them, so that a relay node that has seen them already can tell. Large
    /// answers take `turns`.
    pub(crate) async fn call(
        &self,
        gateways: &[Url],
        body: Bytes,
        timeout: Duration,
        turns: &LargeBodies,
    ) -> Result<Option<RawJson>, GatewayError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let start = turn.checked_rem(gateways.len()).ok_or(GatewayError::None)?;
        let mut faults = Vec::new();
        for url in gateways.iter().cycle().skip(start).take(gateways.len()) {
            if !faults.is_empty() {
                tokio::time::sleep(limits::GATEWAY_FAILOVER_PAUSE).await;
            }
            match self.attempt(url, body.clone(), timeout, turns).await {
                Ok(result) => return Ok(result),
                Err(GatewayFault::Answer(answer)) if !answer.is_retryable() => {
                    return Err(GatewayError::Answer(answer));
                }
                Err(fault) => {
                    tracing::warn!(gateway = %url, %fault, "gateway failed");
                    faults.push((url.clone(), fault));
                }
            }
        }
        Err(GatewayError::All(faults))
    }

    async fn attempt(
        &self,
        url: &Url,
        body: Bytes,
        timeout: Duration,
        turns: &LargeBodies,
    ) -> Result<Option<RawJson>, GatewayFault> {
        let request = post(url, body).ok_or(GatewayFault::Url)?;
        let limits = ClientLimits {
            head_bytes: HEAD_BYTES,
            body_bytes: limits::GATEWAY_ANSWER_BYTES,
            timeout,
        };
        let route = configured(url);
        let sent = self.egress.send(Holder::Enclave, &route, request, &limits, Some(turns)).await;
        let response = sent.map_err(|error| fault(&error))?;
        let status = response.status().as_u16();
        rpc::interpret(status, response.body()).map_err(GatewayFault::Answer)
    }
}

fn post(url: &Url, body: Bytes) -> Option<Request<Bytes>> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = url.path_and_query().parse().ok()?;
    let host = HeaderValue::try_from(url.authority()).ok()?;
    request.headers_mut().insert(header::HOST, host);
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(header::CONTENT_TYPE, json);
    Some(request)
}

fn fault(error: &EgressError) -> GatewayFault {
    match error {
        SendError::Exchange(ExchangeError::BodyTooLong { .. }) => {
            GatewayFault::Answer(AttemptError::TooLong)
        }
        SendError::Exchange(ExchangeError::TimedOut) => GatewayFault::TimedOut,
        SendError::Exchange(
            ExchangeError::Closed
            | ExchangeError::HeadTooLong
            | ExchangeError::Malformed
            | ExchangeError::Broken(_),
        ) => GatewayFault::Broken,
        SendError::Dial(_) => GatewayFault::Unreachable,
    }
}

/// One line for each gateway.
struct Lines<'f>(&'f [(Url, GatewayFault)]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (url, fault)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}gateway {url}: {fault}")?;
        }
        Ok(())
    }
}

/// What the headers of a gateway may take.
const HEAD_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use http::Response;
    use transport::socks5::{Profile, Reply};

    use super::*;
    use crate::{
        bridge::{Behind, Bridge},
        egress::EgressPolicy,
    };

    const OK: &str = r#"{"jsonrpc":"2.0","id":"1","method":"m","result":{"a":1}}"#;
    const TIMEOUT: Duration = Duration::from_secs(30);

    fn client(bridge: &Bridge) -> GatewayClient {
        let dialer = Arc::new(bridge.dialer.clone());
        GatewayClient::new(Arc::new(Egress::new(dialer, EgressPolicy::production()).unwrap()))
    }

    fn urls(list: &[&str]) -> Vec<Url> {
        list.iter().map(|url| Url::parse(url).unwrap()).collect()
    }

    fn answers(answers: Vec<(u16, &'static str)>) -> Bridge {
        let answers = Mutex::new(answers.into_iter());
        Bridge::serving(move |_request| {
            let (status, body) = answers.lock().unwrap().next().unwrap();
            Response::builder().status(status).body(Bytes::from_static(body.as_bytes())).unwrap()
        })
    }

    async fn call(bridge: &Bridge, gateways: &[&str]) -> Result<String, String> {
        let body = Bytes::from_static(b"{}");
        let turns = LargeBodies::one_at_a_time();
        let result = client(bridge).call(&urls(gateways), body, TIMEOUT, &turns).await;
        result.map(|raw| raw.unwrap().as_str().to_owned()).map_err(|error| error.to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_gateway_is_followed_by_the_next_after_a_pause() {
        let bridge = answers(vec![(503, "Request timed out"), (200, OK)]);
        let start = tokio::time::Instant::now();
        assert_eq!(
            call(&bridge, &["http://a.test", "http://b.test:81"]).await.unwrap(),
            r#"{"a":1}"#
        );
        assert_eq!(start.elapsed().as_secs(), 5);
        let asked = [(Profile::Configured, "a.test:80"), (Profile::Configured, "b.test:81")];
        let asked = asked.map(|(profile, target)| (profile, target.to_owned()));
        assert_eq!(bridge.asked(), asked);
    }

    #[tokio::test]
    async fn calls_begin_with_another_gateway_each_time() {
        let bridge = answers(vec![(200, OK); 3]);
        let client = client(&bridge);
        let gateways = urls(&["http://a.test", "http://b.test"]);
        for _call in 0..3 {
            let turns = LargeBodies::one_at_a_time();
            client.call(&gateways, Bytes::new(), TIMEOUT, &turns).await.unwrap();
        }
        let asked: Vec<_> = bridge.asked().into_iter().map(|(_profile, target)| target).collect();
        assert_eq!(asked, ["a.test:80", "b.test:80"], "the third call uses the first connection");
    }

    #[tokio::test]
    async fn an_answer_that_another_gateway_would_give_too_ends_the_call() {
        let error = r#"{"jsonrpc":"2.0","id":"1","error":{"code":-32000,"message":"slow"}}"#;
        for (status, body, text) in [
            (504, error, "JSON-RPC error -32000: slow"),
            (404, "nope", "gateway returned HTTP 404: nope"),
        ] {
            let bridge = answers(vec![(status, body)]);
            let refused = call(&bridge, &["http://a.test", "http://b.test"]).await.unwrap_err();
            assert_eq!(refused, text);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn w05_failures_name_gateways_without_their_paths() {
        let script = [Behind::Refuse(Reply::ConnectionRefused), Behind::Hang, Behind::Close];
        let bridge = Bridge::new(script);
        let gateways =
            ["http://a.test/key/hunter2", "http://b.test:81/?token=hunter2", "http://c.test"];
        let text = call(&bridge, &gateways).await.unwrap_err();
        assert_eq!(
            text,
            "all 3 gateways failed: gateway http://a.test: sending request: no connection\n\
             gateway http://b.test: sending request: no answer in time\n\
             gateway http://c.test: reading response body: the connection broke"
        );
    }

    #[tokio::test]
    async fn an_answer_over_the_limit_is_refused() {
        let bridge = Bridge::serving(|_request| {
            Response::new(Bytes::from(vec![b' '; limits::GATEWAY_ANSWER_BYTES + 1]))
        });
        let text = call(&bridge, &["http://a.test"]).await.unwrap_err();
        assert_eq!(text, "gateway response body exceeds limit 10485760 bytes");
    }

    #[tokio::test]
    async fn without_gateways_nothing_is_sent() {
        let bridge = Bridge::new([]);
        assert_eq!(call(&bridge, &[]).await.unwrap_err(), "no gateway URLs configured");
        assert!(bridge.asked().is_empty());
    }
}
