//! Workflows that mean harm. Each has its end, with a pool of instances and without.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use enclave_workflow::{AdmitError, Ended, Engine, Limits, LinkError, RunError, TooComplex};

use crate::support::{
    CALL, ENGINE, Embedder, ON_DEMAND, answer, compile, compile_bytes, hanging, meter_in, numbers,
    text, timeout_ms, try_guest,
};

/// Runs a body of `_start` in both kinds of engine, and tells how each run ended.
async fn both(start: &str, limits: &Limits) -> [Ended; 2] {
    [ended(&ENGINE, start, limits).await, ended(&ON_DEMAND, start, limits).await]
}

async fn ended(engine: &Engine, start: &str, limits: &Limits) -> Ended {
    let module = compile(engine, &text(start)).unwrap();
    meter_in(engine, &module, &Arc::default(), limits).await
}

/// How a body of `_start` ends, which is the same in both kinds of engine.
async fn end(start: &str, limits: &Limits) -> String {
    let [pooled, alone] = both(start, limits).await.map(|ended| match ended.result {
        Ok(outcome) => format!("{:?}", answer(&outcome)),
        Err(error) => error.to_string(),
    });
    assert_eq!(pooled, alone);
    pooled
}

fn limits() -> Limits {
    Limits::default()
}

#[tokio::test]
async fn an_infinite_loop_ends_at_the_deadline_and_is_measured() {
    for ended in both(r#"(func (export "_start") (loop $l (br $l)))"#, &timeout_ms(150)).await {
        assert!(matches!(ended.result, Err(RunError::Deadline)));
        let used = ended.metering;
        assert!(used.wall.as_millis() >= 150 && used.cpu.as_millis() >= 20, "{used:?}");
        assert_eq!(used.peak_memory_bytes, 65_536);
    }
}

#[tokio::test]
async fn endless_recursion_exhausts_the_stack() {
    let start = r#"(func $again (export "_start") (call $again) (call $again))"#;
    assert_eq!(end(start, &limits()).await, "wasm trap: call stack exhausted");
}

#[tokio::test]
async fn memory_grows_to_the_limit_and_no_further() {
    let start = r#"(func (export "_start")
        (loop $again (br_if $again (i32.ge_s (memory.grow (i32.const 16)) (i32.const 0))))
        (loop $again (br_if $again (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0))))
        (call $put (i32.const 0) (i64.extend_i32_u (memory.size)))
        (call $done))"#;
    for ended in both(start, &limits()).await {
        assert_eq!(numbers(&ended.result.unwrap())[0], 128_000_000 / 65_536);
    }
    // A limit above what the engine holds does not help.
    for ended in both(start, &Limits { memory_bytes: 1 << 40, ..limits() }).await {
        assert_eq!(numbers(&ended.result.unwrap())[0], 128_000_000 / 65_536);
    }
}

#[tokio::test]
async fn a_table_grows_to_the_capacity_and_no_further() {
    let start = r#"(table $t 1 funcref)
        (func (export "_start")
            (loop $again (br_if $again (i32.ge_s
                (table.grow $t (ref.null func) (i32.const 1000)) (i32.const 0))))
            (call $put (i32.const 0) (i64.extend_i32_u (table.size $t)))
            (call $put (i32.const 1) (i64.extend_i32_s
                (table.grow $t (ref.null func) (i32.const 0x7fffffff))))
            (call $done))"#;
    for ended in both(start, &limits()).await {
        assert_eq!(numbers(&ended.result.unwrap())[..2], [199_001, -1]);
    }
}

#[tokio::test]
async fn giant_data_segments_cost_what_their_bytes_cost() {
    // Thirty megabytes of data in a binary of a hundredth of that.
    let data = format!(r#"(data (i32.const 65536) "{}")"#, "x".repeat(30_000_000));
    let text = text(&format!(r#"{data} (func (export "_start") (call $done))"#));
    let (small, large) = (r#"(memory (export "memory") 1)"#, r#"(memory (export "memory") 600)"#);
    let module = wat::parse_str(text.replace(small, large)).unwrap();
    let mut packed = Vec::new();
    let params = brotli::enc::BrotliEncoderParams { quality: 1, ..Default::default() };
    brotli::BrotliCompress(&mut &module[..], &mut packed, &params).unwrap();
    assert!(packed.len() < 300_000, "{}", packed.len());
    for engine in [&*ENGINE, &*ON_DEMAND] {
        let module = compile_bytes(engine, packed.clone()).unwrap();
        assert_eq!(module.facts().survey.data_bytes / 1_000_000, 30);
        let ended = meter_in(engine, &module, &Arc::default(), &limits()).await;
        assert_eq!(ended.metering.peak_memory_bytes, 600 * 65_536);
        ended.result.unwrap();
    }
}

#[tokio::test]
async fn data_that_reaches_beyond_the_memory_does_not_link() {
    let start = r#"(data (i32.const 65535) "ab") (func (export "_start"))"#;
    assert!(end(start, &limits()).await.starts_with("error linking wasm: "));
}

fn refusal(text: &str) -> AdmitError {
    try_guest(text).unwrap_err()
}

#[test]
fn a_function_that_takes_long_to_compile_is_not_compiled() {
    let huge = "(drop (i32.const 1))".repeat(400_000);
    let error = refusal(&text(&format!(r#"(func (export "_start") {huge})"#)));
    assert!(matches!(error, AdmitError::TooComplex(TooComplex::Function { .. })), "{error}");
}

#[test]
fn a_function_whose_state_explodes_is_not_compiled() {
    let locals = "(local i64)".repeat(2_000);
    let reads: String = (0..2_000).fold(String::new(), |mut reads, index| {
        write!(reads, "(drop (local.get {index}))").unwrap();
        reads
    });
    let nested = |depth| format!("{}{reads}{}", "(loop ".repeat(depth), ")".repeat(depth));
    let function = |depth| format!(r#"(func (export "_start") {locals} {})"#, nested(depth));
    let error = refusal(&text(&function(10_000)));
    assert!(matches!(error, AdmitError::TooComplex(TooComplex::FunctionEffort { .. })), "{error}");
    try_guest(&text(&function(50))).unwrap();
}

#[test]
fn deep_nesting_alone_is_no_trouble() {
    let nested = format!("{}{}", "(block ".repeat(20_000), ")".repeat(20_000));
    try_guest(&text(&format!(r#"(func (export "_start") {nested})"#))).unwrap();
}

#[test]
fn too_many_functions_are_refused_before_they_are_read() {
    // Announces 200,000 functions of type 0 and has none of their bodies.
    let mut module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0".to_vec();
    module.extend_from_slice(b"\x03\xc3\x9a\x0c\xc0\x9a\x0c");
    module.extend_from_slice(&vec![0; 200_000]);
    module.extend_from_slice(b"\x0a\x03\xc0\x9a\x0c");
    let error = compile_bytes(&ENGINE, module).unwrap_err();
    let want = "error creating wasmtime module: 200000 functions exceed the limit of 100000";
    assert_eq!(error.to_string(), want);
}

#[test]
fn ten_thousand_imports_link_if_they_exist() {
    let known = r#"(import "env" "log" (func (param i32 i32)))"#.repeat(10_000);
    let unknown: String = (0..10_000).fold(String::new(), |mut imports, number| {
        write!(imports, r#"(import "env" "unknown{number}" (func))"#).unwrap();
        imports
    });
    let guest = text(r#"(func (export "_start"))"#);
    try_guest(&guest.replacen("(module", &format!("(module {known}"), 1)).unwrap();
    let error = refusal(&guest.replacen("(module", &format!("(module {unknown}"), 1));
    assert!(matches!(error, AdmitError::Link(_)), "{error}");
    assert!(error.to_string().len() < 1_100, "{error}");
}

#[tokio::test]
async fn a_start_section_that_traps_does_not_link() {
    let start = r#"(func $init unreachable) (start $init) (func (export "_start"))"#;
    for ended in both(start, &limits()).await {
        assert!(matches!(ended.result, Err(RunError::Link(LinkError::Trap(_)))));
    }
}

#[tokio::test]
async fn a_start_section_that_loops_ends_at_the_deadline() {
    let start = r#"(func $init (loop $l (br $l))) (start $init) (func (export "_start"))"#;
    assert_eq!(end(start, &timeout_ms(150)).await, "context deadline exceeded");
}

#[tokio::test]
async fn a_start_section_may_call_imports() {
    let start = r#"(func $init (call $done)) (start $init) (func (export "_start"))"#;
    for ended in both(start, &limits()).await {
        assert_eq!(numbers(&ended.result.unwrap()), [0; 8]);
    }
}

#[tokio::test]
async fn a_result_above_the_limit_ends_the_run() {
    let start = r#"(func (export "_start")
        (drop (memory.grow (i32.const 200)))
        (drop (call $send_response (i32.const 0) (i32.const 8388609)))
        (call $done))"#;
    let want = "result of 8388609 bytes exceeds the limit of 8388608 bytes";
    assert_eq!(end(start, &limits()).await, want);
}

#[tokio::test]
async fn of_a_million_log_lines_ten_thousand_are_taken() {
    let start = r#"(func (export "_start") (local $n i32)
        (call $switch_modes (i32.const 1))
        (loop $again
            (call $log (i32.const 1000) (i32.const 10))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $n) (i32.const 1000000))))
        (call $done))"#;
    for engine in [&*ENGINE, &*ON_DEMAND] {
        let embedder = Arc::new(Embedder::default());
        let module = compile(engine, &text(start)).unwrap();
        let ended = meter_in(engine, &module, &embedder, &limits()).await;
        ended.result.unwrap();
        assert_eq!(embedder.logs.lock().unwrap().len(), 10_000);
        let used = ended.metering;
        assert_eq!((used.dropped_events, used.host_calls), (990_000, 1_000_002));
    }
}

/// Starts calls under so many ids, waits for none, and goes on computing or ends.
fn calls(times: u32, then: &str) -> String {
    format!(
        r#"(data (i32.const 3000) "\0a\05probe\1a\01M\20\80\80\00")
        (func (export "_start") (local $id i32)
            (loop $again
                (i32.store8 (i32.const 3011) (i32.or (i32.const 0x80) (local.get $id)))
                (i32.store8 (i32.const 3012) (i32.or (i32.const 0x80) (i32.shr_u (local.get $id) (i32.const 7))))
                (call $put (i32.const 0) (call $call_capability (i32.const 3000) (i32.const 14) (i32.const 4000) (i32.const 200)))
                (if (i64.lt_s (i64.load (i32.const 4)) (i64.const 0)) (then unreachable))
                (local.set $id (i32.add (local.get $id) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $id) (i32.const {times}))))
            {then})"#
    )
}

#[tokio::test]
async fn a_thousand_calls_that_hang_and_nobody_awaits_leave_nothing_behind() {
    for (then, ends_well) in [("(call $done)", true), ("(loop $l (br $l))", false)] {
        for engine in [&*ENGINE, &*ON_DEMAND] {
            let in_flight = Arc::new(AtomicUsize::new(0));
            let embedder = Arc::new(hanging(&in_flight));
            let module = compile(engine, &text(&calls(1_000, then))).unwrap();
            let limits = Limits { pending_calls: 1_000, ..timeout_ms(2_000) };
            let ended = meter_in(engine, &module, &embedder, &limits).await;
            assert_eq!(ended.result.is_ok(), ends_well);
            assert_eq!(embedder.calls.load(Ordering::SeqCst), 1_000);
            // Aborted tasks are dropped by the runtime, which needs its turn.
            while in_flight.load(Ordering::SeqCst) > 0 {
                tokio::task::yield_now().await;
            }
        }
    }
}

#[tokio::test]
async fn requests_in_flight_take_no_more_room_than_there_is() {
    let in_flight = Arc::new(AtomicUsize::new(0));
    let module = compile(&ENGINE, &text(&calls(20, "(call $done)"))).unwrap();
    let limits = Limits { held_bytes: 100, ..limits() };
    let ended = meter_in(&ENGINE, &module, &Arc::new(hanging(&in_flight)), &limits).await;
    // Seven requests of fourteen bytes fit; the guest gives up at the eighth, which is refused.
    assert!(matches!(ended.result, Err(RunError::Trap(_))));
    assert_eq!(ended.metering.bytes_out, 8 * 14);
}

#[tokio::test]
async fn a_wait_for_an_id_that_was_never_started_fails_in_words() {
    let start = r#"(func (export "_start")
        (call $put (i32.const 0) (call $await_capabilities (i32.const 1100) (i32.const 3) (i32.const 3000) (i32.const 100)))
        (call $put (i32.const 1) (call $await_secrets (i32.const 1100) (i32.const 3) (i32.const 3100) (i32.const 100)))
        (call $put (i32.const 2) (i64.load offset=24 (i32.const 3000)))
        (call $put (i32.const 3) (i64.load offset=24 (i32.const 3100)))
        (call $done))"#;
    let text = "failed to get call from store : 1";
    let length = -i64::try_from(text.len()).unwrap();
    let tail = i64::from_le_bytes(text.as_bytes()[24..32].try_into().unwrap());
    for ended in both(start, &limits()).await {
        assert_eq!(numbers(&ended.result.unwrap())[..4], [length, length, tail, tail]);
    }
}

#[tokio::test]
async fn exit_codes_are_told_apart() {
    for (code, want) in [
        (2, "Exited with i32 exit status 2"),
        (112, "error executing runner"),
        (126, "exit with invalid exit status outside of [0..126)"),
    ] {
        let start = format!(r#"(func (export "_start") (call $proc_exit (i32.const {code})))"#);
        assert_eq!(end(&start, &limits()).await, want);
    }
}

/// Where a name that is not UTF-8 stands, what the import that gets it answers then, and with what
/// words it begins.
#[tokio::test]
async fn names_that_are_not_utf_8_are_refused_everywhere() {
    let refused = [
        // CapabilityRequest: id, method, the type of the payload.
        (r"\0a\02\ff\fe\20\01", "call_capability", "error calling proto unmarshal: "),
        (r"\0a\01a\1a\02\ff\fe\20\01", "call_capability", "error calling proto unmarshal: "),
        (r"\0a\01a\12\04\0a\02\ff\fe\20\01", "call_capability", "error calling proto unmarshal: "),
        // SecretRequest: id, namespace.
        (r"\0a\04\0a\02\ff\fe\10\01", "get_secrets", "error calling proto unmarshal: "),
        (r"\0a\04\12\02\ff\fe\10\01", "get_secrets", "error calling proto unmarshal: "),
    ];
    for (bytes, import, words) in refused {
        let size = wat_len(bytes);
        let start = format!(
            r#"(data (i32.const 3000) "{bytes}")
            (func (export "_start") (local $size i64)
                (local.set $size (call ${import} (i32.const 3000) (i32.const {size}) (i32.const 3106) (i32.const 100)))
                ;; An error result: its text is what the import wrote.
                (i32.store8 (i32.const 3104) (i32.const 0x12))
                (i32.store8 (i32.const 3105) (i32.sub (i32.const 0) (i32.wrap_i64 (local.get $size))))
                (drop (call $send_response (i32.const 3104) (i32.sub (i32.const 2) (i32.wrap_i64 (local.get $size))))))"#
        );
        let end = end(&start, &limits()).await;
        assert!(end.contains(words), "{bytes}: {end}");
    }
}

#[tokio::test]
async fn results_and_metrics_that_are_not_utf_8_are_refused() {
    let metrics = Some(enclave_workflow::MetricLimits::default());
    let start = r#"(data (i32.const 3000) "\12\02\ff\fe") (data (i32.const 3010) "\0a\04\0a\02\ff\fe")
        (data (i32.const 3020) "\2a\02\ff\fe") (data (i32.const 3030) "\2a\01a\42\07\0a\01k\12\02\ff\fe")
        (func (export "_start")
            (call $put (i32.const 0) (i64.extend_i32_s (call $send_response (i32.const 3000) (i32.const 4))))
            (call $put (i32.const 1) (i64.extend_i32_s (call $send_response (i32.const 3010) (i32.const 6))))
            (call $put (i32.const 2) (i64.extend_i32_s (call $emit_metric (i32.const 3020) (i32.const 4))))
            (call $put (i32.const 3) (i64.extend_i32_s (call $emit_metric (i32.const 3030) (i32.const 12))))
            (call $done))"#;
    for ended in both(start, &Limits { metrics, ..limits() }).await {
        assert_eq!(numbers(&ended.result.unwrap())[..4], [21, 21, -1, -1]);
    }
}

#[tokio::test]
async fn a_log_line_that_is_not_utf_8_is_taken_as_it_is() {
    let start = format!(
        r#"(data (i32.const 3000) "a\ffb")
        (func (export "_start")
            (call $switch_modes (i32.const 1)) (call $log (i32.const 3000) (i32.const 3))
            (drop (call $call_capability {CALL} (i32.const 0) (i32.const 0))) (call $done))"#
    );
    let embedder = Arc::new(Embedder::default());
    let module = compile(&ENGINE, &text(&start)).unwrap();
    meter_in(&ENGINE, &module, &embedder, &limits()).await.result.unwrap();
    assert_eq!(*embedder.logs.lock().unwrap(), ["a\u{fffd}b"]);
}

/// The number of bytes that a text of the text format stands for.
fn wat_len(text: &str) -> usize {
    text.len() - 2 * text.matches('\\').count()
}
