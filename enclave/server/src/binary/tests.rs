use std::sync::{
    Mutex,
    atomic::{AtomicU32, Ordering},
};

use enclave_workflow::Capacity;
use http::Response;
use transport::socks5::{Profile, Reply};

use super::*;
use crate::{
    bridge::{Behind, Bridge, SILENT},
    egress::EgressPolicy,
    settings::SettingsStore,
};

/// The smallest module that is let in.
fn module() -> Vec<u8> {
    wat::parse_str(
        r#"(module (import "env" "version_v2" (func)) (memory (export "memory") 1)
           (func (export "_start")))"#,
    )
    .unwrap()
}

fn settings(more: &str) -> Option<Arc<Active>> {
    let store = SettingsStore::default();
    let key = "01".repeat(32);
    let body = format!(
        r#"{{"storageKey":"{key}","storageServiceUrl":"storage.test:80","gatewayUrl":"g"{more}}}"#
    );
    store.inject(body.as_bytes()).unwrap();
    store.snapshot()
}

fn binaries(bridge: &Bridge) -> Binaries {
    binaries_within(bridge, loads(u64::MAX, u64::MAX))
}

fn loads(arriving_bytes: u64, kept_bytes: u64) -> Loads {
    Loads { arriving: Budget::new(arriving_bytes), kept_bytes }
}

fn binaries_within(bridge: &Bridge, loads: Loads) -> Binaries {
    binaries_beside(bridge, loads, Budget::new(u64::MAX))
}

fn binaries_beside(bridge: &Bridge, loads: Loads, runs: Budget) -> Binaries {
    let dialer = Arc::new(bridge.dialer.clone());
    let egress = Egress::new(dialer, EgressPolicy::production()).unwrap();
    let capacity = Capacity { instances: 1, ..Capacity::default() };
    Binaries::new(Engine::new(capacity).unwrap(), Arc::new(egress), loads, runs)
}

fn serving(body: Vec<u8>) -> Bridge {
    Bridge::serving(move |_request| Response::new(Bytes::from(body.clone())))
}

fn owner(byte: u8) -> Owner {
    crypto::address::Address::from([byte; 20]).into()
}

const URL: &str = "http://storage.test/artifacts/hello?signature=hunter2";

async fn refusal(bridge: &Bridge, url: &str, more: &str) -> String {
    let hash = BinaryHash::of(&module());
    binaries(bridge).load(owner(1), hash, url, settings(more)).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_binary_is_taken_as_it_is_or_as_base64() {
    let binary = module();
    let hash = BinaryHash::of(&binary);
    for body in [binary.clone(), base64::encode(&binary).into_bytes()] {
        let bridge = serving(body);
        let loaded = binaries(&bridge).load(owner(1), hash, URL, settings("")).await.unwrap();
        assert_eq!(loaded.module.hash(), hash);
        assert!(loaded.fetch.is_some() && loaded.compile.is_some());
        assert_eq!(bridge.asked(), [(Profile::Configured, "storage.test:80".to_owned())]);
    }
}

#[tokio::test]
async fn w14_a_module_is_fetched_and_compiled_once() {
    let served = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&served);
    let bridge = Bridge::serving(move |_request| {
        counted.fetch_add(1, Ordering::Relaxed);
        Response::new(Bytes::from(module()))
    });
    let binaries = binaries(&bridge);
    let hash = BinaryHash::of(&module());
    let load = || binaries.load(owner(1), hash, URL, settings(""));
    let (one, two, three) = tokio::join!(load(), load(), load());
    for loaded in [one, two, three] {
        assert_eq!(loaded.unwrap().module.hash(), hash);
    }
    let warm = load().await.unwrap();
    assert!(warm.fetch.is_none() && warm.compile.is_none());
    assert_eq!(served.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn w15_modules_that_memory_has_no_room_for_are_not_kept_whatever_the_settings_allow() {
    let bridge = serving(module());
    let binaries = binaries_within(&bridge, loads(u64::MAX, 1));
    let hash = BinaryHash::of(&module());
    for _time in 0..2 {
        let loaded = binaries.load(owner(1), hash, URL, settings("")).await.unwrap();
        assert!(loaded.fetch.is_some());
    }
}

#[tokio::test]
async fn w15_a_binary_is_compiled_while_there_is_room_for_that_among_the_runs() {
    let (bridge, runs) = (serving(module()), Budget::new(1 << 30));
    let binaries = binaries_beside(&bridge, loads(u64::MAX, u64::MAX), runs.clone());
    let hash = BinaryHash::of(&module());
    let load = || binaries.load(owner(1), hash, URL, settings(""));
    let full = runs.take(Claim { owner: owner(2), bytes: 1 << 30 }).unwrap();
    let refused = load().await.unwrap_err();
    assert!(
        matches!(refused, LoadError::Module(AdmitError::Busy { retry_after: Some(_) })),
        "{refused:?}"
    );
    drop(full);
    assert!(load().await.is_ok());
    let tight = binaries_beside(&bridge, loads(u64::MAX, u64::MAX), Budget::new(100));
    let refused = tight.load(owner(1), hash, URL, settings("")).await.unwrap_err().to_string();
    assert!(refused.ends_with("bytes of memory, more than there will be"), "{refused}");
    // What it took is given back, so all of it can be had again.
    assert!(runs.take(Claim { owner: owner(2), bytes: 1 << 30 }).is_ok());
}

#[tokio::test]
async fn a_fetch_goes_on_when_the_one_who_asked_first_leaves() {
    let served = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&served);
    let bridge = Bridge::serving(move |_request| {
        *counted.lock().unwrap() += 1;
        Response::new(Bytes::from(module()))
    });
    let binaries = binaries(&bridge);
    let hash = BinaryHash::of(&module());
    let mut first = Box::pin(binaries.load(owner(1), hash, URL, settings("")));
    assert!(futures_poll(&mut first).await.is_pending());
    drop(first);
    binaries.load(owner(1), hash, URL, settings("")).await.unwrap();
    assert_eq!(*served.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_place_that_hangs_is_no_trouble_for_who_asks_elsewhere() {
    let bridge = serving(module());
    let binaries = binaries(&bridge);
    let hash = BinaryHash::of(&module());
    let hanging = format!("https://{SILENT}/a");
    let mut hangs = Box::pin(binaries.load(owner(1), hash, &hanging, settings("")));
    assert!(futures_poll(&mut hangs).await.is_pending());
    let load = binaries.load(owner(2), hash, URL, settings(""));
    let loaded = tokio::time::timeout(Duration::from_secs(30), load).await;
    assert_eq!(loaded.unwrap().unwrap().module.hash(), hash);
}

#[tokio::test]
async fn an_owner_whose_fetches_hang_leaves_room_for_others() {
    let bridge = serving(module());
    let binaries =
        binaries_within(&bridge, loads(flight_bytes(limits::BINARY_BYTES) * 4, u64::MAX));
    let hash = BinaryHash::of(&module());
    let urls: Vec<_> = (0..4).map(|number| format!("https://{SILENT}/{number}")).collect();
    let mut loads: Vec<_> =
        urls.iter().map(|url| Box::pin(binaries.load(owner(1), hash, url, settings("")))).collect();
    for load in &mut loads[..3] {
        assert!(futures_poll(load).await.is_pending());
    }
    let refused = loads.pop().unwrap().await.unwrap_err();
    assert!(matches!(refused, LoadError::Busy(BudgetError::Owner { .. })), "{refused}");
    let mut joins = Box::pin(binaries.load(owner(1), hash, &urls[0], settings("")));
    assert!(futures_poll(&mut joins).await.is_pending(), "what is on its way takes no more room");
    binaries.load(owner(2), hash, URL, settings("")).await.unwrap();
}

#[tokio::test]
async fn what_was_fetched_gives_its_room_back() {
    let bridge = Bridge::new((0..3).map(|_time| Behind::Close));
    let binaries = binaries_within(&bridge, loads(1, u64::MAX));
    let hash = BinaryHash::of(&module());
    for _time in 0..3 {
        let error = binaries.load(owner(1), hash, URL, settings("")).await.unwrap_err();
        assert!(matches!(error, LoadError::Fetch(FetchError::Unreachable { .. })), "{error}");
    }
}

#[tokio::test]
async fn nothing_prints_the_urls_that_are_fetched() {
    let binaries = binaries(&serving(module()));
    let hash = BinaryHash::of(&module());
    let mut load = Box::pin(binaries.load(owner(1), hash, URL, settings("")));
    assert!(futures_poll(&mut load).await.is_pending());
    let debug = format!("{binaries:?}");
    assert!(debug.contains("Key") && !debug.contains("hunter2"), "{debug}");
}

/// Polls once.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context))
    })
    .await
}

#[tokio::test]
async fn a_binary_of_another_hash_is_refused() {
    let other = b"another binary".to_vec();
    let want = hex::encode(BinaryHash::of(&module()).0);
    let got = hex::encode(BinaryHash::of(&other).0);
    let text = format!("fetching binary: binary hash mismatch: expected {want}, got {got}");
    for body in [other.clone(), base64::encode(&other).into_bytes()] {
        assert_eq!(refusal(&serving(body), URL, "").await, text);
    }
}

#[tokio::test]
async fn a_binary_over_the_limit_is_refused_in_either_form() {
    let text = "fetching binary: binary exceeds max size of 10 bytes";
    for body in [module(), base64::encode(&module()).into_bytes(), vec![0; 1_000_000]] {
        assert_eq!(refusal(&serving(body), URL, r#","maxBinarySize":10"#).await, text);
    }
}

#[tokio::test]
async fn what_hashes_right_and_is_no_module_is_refused() {
    let body = b"no module".to_vec();
    let hash = BinaryHash::of(&body);
    let error = binaries(&serving(body)).load(owner(1), hash, URL, settings("")).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("executing wasm: creating wasm module: "), "{text}");

    let legacy =
        wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "_start")))"#)
            .unwrap();
    let hash = BinaryHash::of(&legacy);
    let error =
        binaries(&serving(legacy)).load(owner(1), hash, URL, settings("")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "executing wasm: executing wasm: cannot execute a legacy dag workflow"
    );
}

#[tokio::test(start_paused = true)]
async fn w05_failures_show_scheme_and_host_only() {
    let status = Bridge::serving(|_request| {
        Response::builder().status(403).body(Bytes::from_static(b"signature=hunter2")).unwrap()
    });
    let not_found = "fetching binary: http://storage.test answered with status 403";
    assert_eq!(refusal(&status, URL, "").await, not_found);
    let hangs = Bridge::new([Behind::Hang]);
    let late = "fetching binary: http://storage.test did not answer in time";
    assert_eq!(refusal(&hangs, URL, r#","binaryFetchTimeout":"3s""#).await, late);
    let refused = Bridge::new([Behind::Refuse(Reply::ConnectionRefused)]);
    let unreachable = "fetching binary: http://storage.test cannot be reached";
    assert_eq!(refusal(&refused, URL, "").await, unreachable);
}

#[tokio::test]
async fn binaries_from_where_they_may_not_come_are_not_fetched() {
    let bridge = Bridge::new([]);
    for (url, rule) in [
        (
            "http://elsewhere.test/a?hunter2",
            "http://elsewhere.test is not allowed: the scheme is not https",
        ),
        ("https://10.0.0.1/a", "https://10.0.0.1 is not allowed: the address is not public"),
        ("https://cdn.test:8443/a", "https://cdn.test is not allowed: port 8443 is not allowed"),
        ("nonsense", "the scheme of the URL is not http or https"),
    ] {
        assert_eq!(refusal(&bridge, url, "").await, format!("fetching binary: {rule}"));
    }
    assert!(bridge.asked().is_empty());
}

#[tokio::test]
async fn without_settings_nothing_is_fetched() {
    let bridge = Bridge::new([]);
    let hash = BinaryHash::of(&module());
    let error = binaries(&bridge).load(owner(1), hash, URL, None).await.unwrap_err();
    assert_eq!(error.to_string(), "fetching binary: storage credentials not yet provisioned");
}

#[tokio::test]
async fn a_failed_fetch_may_be_tried_again() {
    let bridge = Bridge::new([
        Behind::Refuse(Reply::HostUnreachable),
        Behind::Serve(Arc::new(|_request| Response::new(Bytes::from(module())))),
    ]);
    let binaries = binaries(&bridge);
    let hash = BinaryHash::of(&module());
    binaries.load(owner(1), hash, URL, settings("")).await.unwrap_err();
    binaries.load(owner(1), hash, URL, settings("")).await.unwrap();
}

#[test]
fn w60_the_size_that_settings_allow_is_the_size_that_is_let_in() {
    const MIB: u64 = 1024 * 1024;
    let limits = limits_of(30 * MIB);
    assert_eq!((limits.compressed_bytes, limits.decompressed_bytes), (30 * MIB, 100 * MIB));
    assert_eq!(limits_of(200 * MIB).decompressed_bytes, 200 * MIB);
}

#[tokio::test]
async fn settings_that_change_keep_what_still_fits() {
    let bridge = serving(module());
    let binaries = binaries(&bridge);
    let hash = BinaryHash::of(&module());
    let load = async |more| binaries.load(owner(1), hash, URL, settings(more)).await;
    load("").await.unwrap();
    for more in ["", r#","requestTimeout":"1s""#, r#","maxCacheBytes":1000000"#] {
        assert!(load(more).await.unwrap().fetch.is_none(), "{more}");
    }
    assert!(load(r#","maxCacheBytes":1"#).await.unwrap().fetch.is_some());
    let refused = load(r#","maxBinarySize":1"#).await.unwrap_err();
    assert_eq!(refused.to_string(), "fetching binary: binary exceeds max size of 1 bytes");
}
