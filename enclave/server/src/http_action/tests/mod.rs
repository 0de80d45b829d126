use std::sync::{Arc, Mutex};

use bytes::Bytes;
use protocol::messages::{self, http as wire, sdk::CapabilityOutcome, well_known};
use transport::socks5::Profile;

use super::*;
use crate::{
    bridge::{Behind, Bridge},
    egress::{Destination, EgressPolicy, URL_LIMIT_BYTES},
};

mod encoding;
mod tls;

const BODY_LIMIT_BYTES: usize = limits::HTTP_ACTION_BYTES;
const SECOND: Duration = Duration::from_secs(1);

fn owner(byte: u8) -> Owner {
    crypto::address::Address::from([byte; 20]).into()
}

fn test_policy() -> EgressPolicy {
    let allowed = Destination { host: "api.test".to_owned(), port: 80 };
    EgressPolicy::dangerous_with_test_allowances(vec![allowed], Vec::new())
}

fn egress(bridge: &Bridge, policy: EgressPolicy) -> Egress {
    Egress::new(Arc::new(bridge.dialer.clone()), policy).unwrap()
}

fn request(url: &str) -> wire::Request {
    wire::Request { url: url.to_owned(), method: "get".to_owned(), ..wire::Request::default() }
}

async fn ask(bridge: &Bridge, request: wire::Request) -> Result<wire::Response, String> {
    ask_with(&egress(bridge, test_policy()), request).await
}

async fn ask_with(egress: &Egress, request: wire::Request) -> Result<wire::Response, String> {
    let (events, effects) = (Events::default(), Effects::default());
    let payload = messages::pack(&request);
    let call = Action {
        egress,
        owner: owner(1),
        default_timeout: SECOND,
        events: &events,
        effects: &effects,
        turns: &LargeBodies::one_at_a_time(),
        limits: HttpLimits::default(),
    };
    match call.send(&payload).await.response.unwrap() {
        CapabilityOutcome::Payload(any) => Ok(messages::unpack(&any).unwrap()),
        CapabilityOutcome::Error(text) => Err(text),
    }
}

/// Status and body.
fn shown(answer: Result<wire::Response, String>) -> (u32, String) {
    let response = answer.unwrap();
    (response.status_code, String::from_utf8(response.body).unwrap())
}

fn blocked() -> (u32, String) {
    (400, "upstream request blocked by enclave network policy".to_owned())
}

/// A bridge that answers every request with nothing, and the last request it saw.
fn recorder() -> (Bridge, Arc<Mutex<Option<http::Request<Bytes>>>>) {
    let seen = Arc::new(Mutex::new(None));
    let seen_there = Arc::clone(&seen);
    let bridge = Bridge::serving(move |request| {
        *seen_there.lock().unwrap() = Some(request);
        Response::new(Bytes::new())
    });
    (bridge, seen)
}

#[tokio::test]
async fn a_request_goes_out_as_it_was_written() {
    let seen = Arc::new(Mutex::new(None));
    let seen_there = Arc::clone(&seen);
    let bridge = Bridge::serving(move |request| {
        *seen_there.lock().unwrap() = Some(request);
        Response::builder()
            .status(201)
            .header("x-one", "a")
            .header("x-one", "b")
            .body(Bytes::from_static(b"made"))
            .unwrap()
    });
    let mut sent = request(" http://api.test/v1?key=k#fragment ");
    sent.method = " post ".to_owned();
    sent.body = b"body".to_vec();
    let list = wire::HeaderValues { values: vec!["1".to_owned(), "2".to_owned()] };
    sent.multi_headers.insert("X-Two".to_owned(), list);
    let ignored = ["Host", "Content-Length", "Transfer-Encoding", "Connection"];
    for name in ignored {
        let list = wire::HeaderValues { values: vec!["9".to_owned()] };
        sent.multi_headers.insert(name.to_owned(), list);
    }
    sent.headers.insert("x-single".to_owned(), "not sent".to_owned());
    let response = ask(&bridge, sent).await.unwrap();
    assert_eq!((response.status_code, response.body), (201, b"made".to_vec()));
    assert_eq!(response.headers["X-One"], "a, b");
    assert_eq!(response.multi_headers["X-One"].values, ["a", "b"]);
    let seen = seen.lock().unwrap().take().unwrap();
    assert_eq!((seen.method().as_str(), seen.uri().to_string()), ("POST", "/v1?key=k".to_owned()));
    assert_eq!(seen.headers()["host"], "api.test");
    assert_eq!(seen.headers().get_all("x-two").iter().count(), 2);
    assert_eq!(seen.headers()["content-length"], "4");
    assert!(!seen.headers().contains_key("x-single") && !seen.headers().contains_key("connection"));
    assert_eq!(bridge.asked(), [(Profile::Test, "api.test:80".to_owned())]);
}

#[tokio::test]
async fn what_policy_forbids_never_reaches_the_bridge() {
    let bridge = Bridge::new([]);
    for url in [
        "http://example.com/",
        "https://example.com:8443/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://user:password@example.com/",
        "ftp://example.com/",
        "https:///",
    ] {
        assert_eq!(shown(ask(&bridge, request(url)).await), blocked(), "{url}");
    }
    assert!(bridge.asked().is_empty());
}

#[tokio::test]
async fn requests_that_cannot_be_made_are_refused_before_any_effect() {
    let bridge = Bridge::new([]);
    let with = |change: fn(&mut wire::Request)| {
        let mut request = request("http://api.test/");
        change(&mut request);
        request
    };
    let cases: [(wire::Request, &str); 9] = [
        (with(|r| r.method = "TRACE".to_owned()), "http-actions: method \"TRACE\" not allowed"),
        (with(|r| r.method.clear()), "http-actions: method \"\" not allowed"),
        (with(|r| r.url = "  ".to_owned()), "http-actions: url is empty"),
        (with(|r| r.mtls = Some(wire::MtlsAuth::default())), "http-actions: mtls is not supported"),
        (
            with(|r| r.url = format!("http://api.test/{}", "x".repeat(URL_LIMIT_BYTES))),
            "http-actions: url exceeds limit 16384 bytes",
        ),
        (
            with(|r| r.body = vec![0; BODY_LIMIT_BYTES + 1]),
            "http-actions: request body exceeds limit 1024000 bytes",
        ),
        (
            with(|r| drop(r.headers.insert("a\r\nb".to_owned(), String::new()))),
            "http-actions: http request failed: headers cannot be sent",
        ),
        (
            with(|r| drop(r.headers.insert("a".to_owned(), "b\nc".to_owned()))),
            "http-actions: http request failed: headers cannot be sent",
        ),
        (
            with(|r| drop(r.headers.insert("a".to_owned(), "x".repeat(HEAD_BYTES)))),
            "http-actions: request headers exceed limit 65536 bytes",
        ),
    ];
    for (request, text) in cases {
        assert_eq!(ask(&bridge, request).await.unwrap_err(), text);
    }
    let egress = egress(&bridge, test_policy());
    let (events, effects) = (Events::default(), Effects::default());
    let call = Action {
        egress: &egress,
        owner: owner(1),
        default_timeout: SECOND,
        events: &events,
        effects: &effects,
        turns: &LargeBodies::one_at_a_time(),
        limits: HttpLimits::default(),
    };
    let other = Any { type_url: "x/y".to_owned(), value: Vec::new() };
    let answer = call.send(&other).await.response;
    assert!(matches!(answer, Some(CapabilityOutcome::Error(text))
        if text.starts_with("http-actions: unmarshalling request: ")));
    assert!(!effects.happened() && bridge.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn w32_failures_on_the_way_are_told_apart_by_type() {
    let gateway_timeout = (504, "upstream request timed out".to_owned());
    let unreachable = (502, "upstream host unreachable".to_owned());
    let cases = [
        (Behind::Refuse(Reply::NotAllowed), blocked()),
        (Behind::Refuse(Reply::HostUnreachable), unreachable.clone()),
        (Behind::Refuse(Reply::NetworkUnreachable), unreachable),
        (Behind::Refuse(Reply::ConnectionRefused), (502, "upstream connection refused".to_owned())),
        (Behind::Refuse(Reply::TtlExpired), gateway_timeout.clone()),
        (Behind::Hang, gateway_timeout),
        (Behind::Close, (502, "upstream closed the connection before responding".to_owned())),
        (
            Behind::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
            (502, "upstream closed the connection before responding".to_owned()),
        ),
    ];
    for (behind, want) in cases {
        let bridge = Bridge::new([behind]);
        assert_eq!(shown(ask(&bridge, request("http://api.test/")).await), want);
    }
}

#[tokio::test(start_paused = true)]
async fn failures_without_a_status_are_errors() {
    let failed = |what: &str| format!("http-actions: http request failed: {what}");
    let cases = [
        (Behind::Refuse(Reply::GeneralFailure), failed("no tunnel")),
        (Behind::Raw(b"SSH-2.0-server\r\n\r\n"), failed("malformed response")),
    ];
    for (behind, want) in cases {
        let bridge = Bridge::new([behind]);
        assert_eq!(ask(&bridge, request("http://api.test/")).await.unwrap_err(), want);
    }
    let (dialer, listener) = transport::memory::pair();
    drop(listener);
    let egress = Egress::new(Arc::new(dialer), test_policy()).unwrap();
    let error = ask_with(&egress, request("http://api.test/")).await.unwrap_err();
    assert_eq!(error, failed("no way out"));
}

#[tokio::test]
async fn redirections_are_not_followed_and_not_shown() {
    let bridge = Bridge::serving(|request| {
        let status: u16 = request.uri().path().trim_start_matches('/').parse().unwrap();
        let builder = Response::builder().status(status);
        let to = "https://elsewhere.example/?token=hunter2";
        let builder =
            if request.uri().query().is_none() { builder.header("location", to) } else { builder };
        builder.body(Bytes::new()).unwrap()
    });
    for status in [301, 302, 303, 307, 308] {
        let error = ask(&bridge, request(&format!("http://api.test/{status}"))).await.unwrap_err();
        assert_eq!(error, "http-actions: http request failed: redirects are not allowed");
        let plain = request(&format!("http://api.test/{status}?plain"));
        assert_eq!(ask(&bridge, plain).await.unwrap().status_code, status);
    }
    let unchanged = request("http://api.test/304");
    assert_eq!(ask(&bridge, unchanged).await.unwrap().status_code, 304);
}

#[tokio::test]
async fn a_response_of_the_limit_is_read_and_one_byte_more_is_not() {
    let bridge = Bridge::serving(|request| {
        let length: usize = request.uri().path().trim_start_matches('/').parse().unwrap();
        Response::new(Bytes::from(vec![7; length]))
    });
    let of = |length: usize| request(&format!("http://api.test/{length}"));
    assert_eq!(ask(&bridge, of(BODY_LIMIT_BYTES)).await.unwrap().body.len(), BODY_LIMIT_BYTES);
    let error = ask(&bridge, of(BODY_LIMIT_BYTES + 1)).await.unwrap_err();
    assert_eq!(error, "http-actions: response body exceeds limit 1024000 bytes");
}

#[tokio::test]
async fn w30_header_bytes_that_are_no_text_do_not_spoil_the_reply() {
    let bridge = Bridge::new([Behind::Raw(
        b"HTTP/1.1 200 OK\r\nX-Name: caf\xe9\r\nContent-Length: 2\r\n\r\nok",
    )]);
    let response = ask(&bridge, request("http://api.test/")).await.unwrap();
    assert_eq!(response.headers["X-Name"], "caf\u{fffd}");
    assert_eq!(response.body, b"ok");
}

#[tokio::test(start_paused = true)]
async fn w19_a_timeout_of_the_caller_is_bounded() {
    for (asked, waited) in [(3600, 120), (5, 5), (0, 1), (-5, 1)] {
        let bridge = Bridge::new([Behind::Hang]);
        let mut slow = request("http://api.test/");
        slow.timeout = Some(well_known::Duration { seconds: asked, nanos: 0 });
        let start = tokio::time::Instant::now();
        assert_eq!(ask(&bridge, slow).await.unwrap().status_code, 504);
        assert_eq!(start.elapsed().as_secs(), waited);
    }
}

#[tokio::test]
async fn owners_do_not_share_connections_and_one_owner_does() {
    let bridge = Bridge::serving(|_request| Response::new(Bytes::new()));
    let egress = egress(&bridge, test_policy());
    let (events, effects) = (Events::default(), Effects::default());
    for byte in [1, 1, 2] {
        let call = Action {
            egress: &egress,
            owner: owner(byte),
            default_timeout: SECOND,
            events: &events,
            effects: &effects,
            turns: &LargeBodies::one_at_a_time(),
            limits: HttpLimits::default(),
        };
        call.send(&messages::pack(&request("http://api.test/"))).await;
    }
    assert_eq!(bridge.asked().len(), 2);
    assert!(effects.happened());
}

#[tokio::test]
async fn w05_events_name_the_host_and_nothing_else() {
    let bridge = Bridge::serving(|_request| Response::new(Bytes::new()));
    let egress = egress(&bridge, test_policy());
    let (events, effects) = (Events::default(), Effects::default());
    let call = Action {
        egress: &egress,
        owner: owner(1),
        default_timeout: SECOND,
        events: &events,
        effects: &effects,
        turns: &LargeBodies::one_at_a_time(),
        limits: HttpLimits::default(),
    };
    call.send(&messages::pack(&request("http://api.test/path-secret?token=hunter2"))).await;
    let shown = format!("{:?}", events.snapshot());
    assert!(shown.contains("http_action") && shown.contains("api.test"), "{shown}");
    assert!(!shown.contains("path-secret") && !shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn w19_settings_of_a_cache_are_refused_by_name_unless_they_ask_for_nothing() {
    let (bridge, _seen) = recorder();
    let with = |store, max_age| {
        let mut request = request("http://api.test/");
        request.cache_settings = Some(wire::CacheSettings { store, max_age });
        request
    };
    let span = |seconds, nanos| Some(well_known::Duration { seconds, nanos });
    for (store, max_age) in [
        (true, None),
        (true, span(0, 0)),
        (false, span(60, 0)),
        (false, span(0, 1)),
        (false, span(-1, 0)),
    ] {
        let error = ask(&bridge, with(store, max_age)).await.unwrap_err();
        assert_eq!(error, "http-actions: cache_settings is not supported");
    }
    assert!(bridge.asked().is_empty());
    for nothing in [with(false, None), with(false, span(0, 0))] {
        assert_eq!(ask(&bridge, nothing).await.unwrap().status_code, 200);
    }
}

#[tokio::test]
async fn a_request_has_the_enclaves_user_agent_or_the_workflows_own() {
    let (bridge, seen) = recorder();
    for (own, sent) in [
        (None, Some("confidential-workflow/1")),
        (Some("mine/2"), Some("mine/2")),
        (Some(""), None),
    ] {
        let mut request = request("http://api.test/");
        request.headers.extend(own.map(|own| ("User-Agent".to_owned(), own.to_owned())));
        ask(&bridge, request).await.unwrap();
        let seen = seen.lock().unwrap().take().unwrap();
        assert_eq!(seen.headers().get("user-agent").map(|v| v.to_str().unwrap()), sent);
    }
}

#[tokio::test]
async fn only_a_body_that_is_not_empty_is_sent_whatever_the_method() {
    let (bridge, seen) = recorder();
    for (method, body) in [("GET", "x"), ("DELETE", "x"), ("GET", "")] {
        let mut request = request("http://api.test/");
        (request.method, request.body) = (method.to_owned(), body.into());
        ask(&bridge, request).await.unwrap();
        let seen = seen.lock().unwrap().take().unwrap();
        assert_eq!((seen.method().as_str(), &seen.body()[..]), (method, body.as_bytes()));
    }
}

#[test]
fn what_is_prepared_shows_scheme_and_host_only() {
    let payload = messages::pack(&request("https://api.test:443/key/abc?token=hunter2"));
    let action =
        HttpAction::prepare(&payload, &EgressPolicy::production(), SECOND, &HttpLimits::default())
            .unwrap();
    assert_eq!(format!("{action:?}"), "HttpAction { url: Url(https://api.test), .. }");
    assert_eq!((action.method(), action.host()), ("GET", "api.test"));
    assert_eq!(action.expose_url(), "https://api.test/key/abc?token=hunter2");
}
