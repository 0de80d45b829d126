//! Our own workflows: the good ones, and the one that misbehaves.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use enclave_workflow::{Ended, Limits, Module, Outcome};
use protocol::messages::{
    self,
    devnet::{echo, price_feed},
    http, pack,
    sdk::{
        self, CapabilityRequest, CapabilityResponse, ExecuteRequest, Phase, Secret, SecretOutcome,
        SecretResponse, Trigger,
    },
    unpack,
    values::{Kind, Value},
};
use sha2::Digest as _;
use tokio_util::sync::CancellationToken;

use crate::{
    TIER, built,
    support::{self, ENGINE, Embedder, compile_bytes, payload},
};

static MODULES: Mutex<BTreeMap<String, Arc<Module>>> = Mutex::new(BTreeMap::new());

const SECRET: &str = "correct horse battery staple";

/// A built workflow, compiled once.
fn module(name: &str) -> Option<Arc<Module>> {
    let file = built::workflows(name)?.join(format!("{name}.wasm"));
    let compile = || {
        let module = compile_bytes(&ENGINE, std::fs::read(file).unwrap()).unwrap();
        assert_eq!(module.facts().tier, TIER);
        Arc::new(module)
    };
    let mut modules = MODULES.lock().unwrap();
    Some(Arc::clone(modules.entry(name.to_owned()).or_insert_with(compile)))
}

/// Runs a built workflow's first handler; `None` where workflows are not built.
async fn fire(
    name: &str,
    config: &str,
    embedder: &Arc<Embedder>,
    limits: &Limits,
) -> Option<Ended> {
    let module = module(name)?;
    let event = messages::cron::Payload::default();
    let request = ExecuteRequest {
        config: config.into(),
        max_response_size: 0,
        request: Some(Phase::Trigger(Trigger { id: 0, payload: Some(pack(&event)) })),
    };
    let request = enclave_workflow::Request::new(messages::encode(&request), name);
    let services = Arc::clone(embedder);
    Some(ENGINE.run(&module, request, services, limits, &CancellationToken::new()).await)
}

/// A text result.
fn text(outcome: &Outcome) -> String {
    match support::answer(outcome) {
        Some(sdk::Outcome::Value(Value { kind: Some(Kind::String(text)) })) => text,
        other => panic!("{other:?}"),
    }
}

/// Answers like the devnet: a server that echoes its headers, a price feed and an echo.
fn devnet() -> Arc<Embedder> {
    let on_secrets = |request: sdk::GetSecretsRequest| {
        let responses = request.requests.into_iter().map(|wanted| {
            let mut secret = Secret::default();
            secret.id = wanted.id;
            secret.namespace = wanted.namespace;
            secret.value = SECRET.to_owned();
            SecretResponse { response: Some(SecretOutcome::Secret(secret)) }
        });
        let responses = responses.collect();
        Box::pin(async { Ok(responses) }) as enclave_workflow::ServiceFuture<'static, _>
    };
    Arc::new(Embedder {
        on_call: Box::new(|request, before| {
            // The first call is the last to be answered.
            let delay = if before == 0 { 20 } else { 1 };
            Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(delay)).await;
                Ok(answer(&request))
            })
        }),
        on_secrets: Box::new(on_secrets),
        ..Embedder::default()
    })
}

fn answer(request: &CapabilityRequest) -> CapabilityResponse {
    let any = request.payload.as_ref().unwrap();
    payload(match request.id.as_str() {
        "http-actions@1.0.0-alpha" => {
            let request: http::Request = unpack(any).unwrap();
            let headers = request.multi_headers.iter();
            // As the devnet's echo service answers: digests of the values.
            let headers = headers.map(|(name, all)| {
                let digest = sha2::Sha256::digest(all.values.concat());
                format!("{name}: {}", digest.iter().map(|b| format!("{b:02x}")).collect::<String>())
            });
            let body = headers.collect::<Vec<_>>().join("\n").into_bytes();
            pack(&http::Response { status_code: 200, body, ..Default::default() })
        }
        price_feed::CAPABILITY => {
            let request: price_feed::LatestRequest = unpack(any).unwrap();
            pack(&price_feed::LatestResponse {
                symbol: request.symbol,
                price: "4321.50".to_owned(),
                timestamp_ms: 1_767_323_045_000,
            })
        }
        echo::CAPABILITY => {
            let request: echo::EchoRequest = unpack(any).unwrap();
            pack(&echo::EchoResponse { payload: request.payload })
        }
        other => panic!("{other}"),
    })
}

#[tokio::test]
async fn hello_says_hello() {
    let embedder = Arc::new(Embedder::default());
    let Some(ended) = fire("hello", "", &embedder, &Limits::default()).await else { return };
    assert_eq!(text(&ended.result.unwrap()), "hello");
    assert_eq!(*embedder.logs.lock().unwrap(), ["hello from cron"]);
}

#[tokio::test]
async fn a_secret_reaches_its_server_and_neither_result_nor_log() {
    let embedder = devnet();
    let config = r#"{"url": "https://server.test/", "symbol": "BTC-USD"}"#;
    let limits = Limits::default();
    let Some(ended) = fire("secret-and-capability", config, &embedder, &limits).await else {
        return;
    };
    let outcome = ended.result.unwrap();
    let answer = support::answer(&outcome);
    let Some(sdk::Outcome::Value(Value { kind: Some(Kind::Map(map)) })) = answer else {
        panic!("{answer:?}")
    };
    let kind = |name: &str| map.fields[name].kind.clone().unwrap();
    assert_eq!(kind("secret_arrived"), Kind::Bool(true));
    assert_eq!(kind("price"), Kind::String("4321.50".to_owned()));
    assert_eq!(kind("symbol"), Kind::String("BTC-USD".to_owned()));
    assert_eq!(kind("status"), Kind::Int64(200));
    let logs = embedder.logs.lock().unwrap().concat().into_bytes();
    for place in [&outcome.encoded, &logs] {
        assert!(!place.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
    }
}

#[tokio::test]
async fn parallel_calls_are_answered_in_any_order() {
    let Some(ended) = fire("parallel", "", &devnet(), &Limits::default()).await else { return };
    assert_eq!(text(&ended.result.unwrap()), "first second");
}

/// Lets the misbehaving workflow do one thing and tells how it ended.
async fn misbehave(mode: &str, amount: Option<u64>, limits: &Limits) -> Option<String> {
    let amount = amount.map_or(String::new(), |amount| format!(r#", "amount": {amount}"#));
    let config = format!(r#"{{"mode": "{mode}"{amount}}}"#);
    let Ended { result, metering } = fire("misbehave", &config, &devnet(), limits).await?;
    Some(match result {
        Ok(outcome) => match support::answer(&outcome) {
            Some(sdk::Outcome::Error(text)) => format!("error: {text}"),
            _ => format!("{}, dropped {}", text(&outcome), metering.dropped_events),
        },
        Err(error) => error.to_string(),
    })
}

#[tokio::test]
async fn every_misbehaviour_has_its_end() {
    let short = Limits { timeout: Duration::from_millis(300), ..Limits::default() };
    let usual = Limits { timeout: Duration::from_secs(60), ..Limits::default() };
    let trap = "wasm trap: wasm `unreachable` instruction executed";
    let cases: [(&str, Option<u64>, &Limits, &str); 17] = [
        ("none", None, &usual, "survived, dropped 0"),
        ("loop", None, &short, "context deadline exceeded"),
        ("sleep", None, &short, "context deadline exceeded"),
        ("recurse", None, &usual, "wasm trap: call stack exhausted"),
        ("hog", None, &usual, trap),
        ("hog", Some(60), &usual, "survived, dropped 0"),
        ("panic", None, &usual, trap),
        ("exit", Some(9), &usual, "Exited with i32 exit status 9"),
        ("silent", None, &usual, "could not find response for execution"),
        ("huge-log", None, &usual, "survived, dropped 1"),
        ("many-logs", Some(12_000), &usual, "survived, dropped 2000"),
        (
            "huge-result",
            None,
            &usual,
            "result of 20000010 bytes exceeds the limit of 8388608 bytes",
        ),
        ("deep-result", Some(150), &usual, "invariant violation: host errored during sendResponse"),
        ("many-calls", None, &usual, "survived, dropped 0"),
        ("unknown-capability", None, &usual, "panic during wasm execution: message withheld"),
        ("unknown-secret", None, &usual, "survived, dropped 0"),
        ("files", None, &usual, "file false folder false variables 0, dropped 0"),
    ];
    for (mode, amount, limits, want) in cases {
        let Some(got) = misbehave(mode, amount, limits).await else { return };
        assert_eq!(got, want, "{mode} {amount:?}");
    }
}

#[tokio::test]
async fn a_panic_is_written_to_the_workflows_log() {
    let embedder = devnet();
    let config = r#"{"mode": "panic"}"#;
    let limits = Limits::default();
    let Some(ended) = fire("misbehave", config, &embedder, &limits).await else { return };
    ended.result.unwrap_err();
    let logs = embedder.logs.lock().unwrap().join("\n");
    assert!(logs.starts_with("panicked at ") && logs.contains("told to panic"), "{logs}");
}
