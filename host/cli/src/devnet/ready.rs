//! When a devnet is ready: the bridge has verified and configured the enclave.

use std::{net::SocketAddr, path::Path, time::Duration};

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde::Deserialize;

use crate::{
    exit::{Exit, Failure},
    http::Peer,
};

/// Waits until the bridge at this address is ready, at most [`READY_LIMIT`].
///
/// # Errors
///
/// [`Exit::NotVerified`] if it refuses the enclave's attestation, [`Exit::Child`] if it is not ready in
/// time; both name its log.
pub(crate) async fn until_ready(bridge: SocketAddr, log: &Path) -> Result<(), Failure> {
    let failure = |exit, text| Failure::new(exit, format!("{text}; see {}", log.display()));
    let bridge = Peer { name: "the bridge", address: bridge };
    let ready = async {
        loop {
            let answer = bridge.try_ask(Method::GET, "/readyz", None, Bytes::new()).await;
            match answer.map(|answer| Readiness::of(&answer)) {
                Ok(Readiness::Ready) => return Ok(()),
                Ok(Readiness::Refused) => {
                    let text = "the bridge refuses the attestation of the enclave";
                    return Err(failure(Exit::NotVerified, text));
                }
                Ok(Readiness::NotYet) | Err(_) => tokio::time::sleep(READY_POLL).await,
            }
        }
    };
    let late = "the bridge does not find the enclave ready";
    let ready = tokio::time::timeout(READY_LIMIT, ready).await;
    ready.unwrap_or_else(|_elapsed| Err(failure(Exit::Child, late)))
}

/// What a bridge says about its enclave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readiness {
    NotYet,
    Ready,
    Refused,
}

#[derive(Deserialize)]
struct Body {
    enclave: String,
}

impl Readiness {
    fn of(answer: &Response<Bytes>) -> Self {
        if answer.status() == StatusCode::OK {
            return Self::Ready;
        }
        match serde_json::from_slice(answer.body()) {
            Ok(Body { enclave }) if enclave == "refused" => Self::Refused,
            Ok(Body { .. }) | Err(_) => Self::NotYet,
        }
    }
}

/// The enclave is attested and configured within milliseconds of the bridge's start.
const READY_POLL: Duration = Duration::from_millis(10);
const READY_LIMIT: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &'static str) -> Readiness {
        let body = Bytes::from_static(body.as_bytes());
        Readiness::of(&Response::builder().status(status).body(body).unwrap())
    }

    #[test]
    fn an_enclave_that_is_refused_is_told_from_one_that_is_not_ready_yet() {
        assert_eq!(of(200, ""), Readiness::Ready);
        assert_eq!(of(503, r#"{"enclave":"refused","ready":false}"#), Readiness::Refused);
        for body in ["", r#"{"enclave":"unconfigured","ready":false}"#, "[]"] {
            assert_eq!(of(503, body), Readiness::NotYet, "{body}");
        }
    }

    #[tokio::test]
    async fn a_bridge_that_refuses_is_not_waited_for() {
        use axum::{Router, routing::get};
        let body = r#"{"enclave":"refused"}"#;
        let routes = Router::new()
            .route("/readyz", get(async move || (StatusCode::SERVICE_UNAVAILABLE, body)));
        let listener = transport::TcpListen::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local();
        let stop = tokio_util::sync::CancellationToken::new();
        let _guard = stop.clone().drop_guard();
        let limits = crate::devnet::service::LIMITS;
        tokio::spawn(transport::http::serve(Box::new(listener), routes, limits, stop));
        let failure = until_ready(address, Path::new("bridge.log")).await.unwrap_err();
        assert_eq!(failure.exit, Exit::NotVerified);
        assert!(failure.to_string().ends_with("; see bridge.log"), "{failure}");
    }
}
