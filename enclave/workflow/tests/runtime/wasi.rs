//! WASI at its edges: what is refused, and what is answered.

use enclave_workflow::RunError;

use crate::support::{guest, meter, numbers, run, text, try_guest};

/// A guest with one more import of WASI, called `$f`.
fn importing(name: &str, parameters: &str, start: &str) -> String {
    let import = format!(
        r#"(module (import "wasi_snapshot_preview1" "{name}"
            (func $f (param {parameters}) (result i32)))"#
    );
    text(start).replacen("(module", &import, 1)
}

/// So many zeros of these types.
fn zeros(parameters: &str) -> String {
    parameters.split_whitespace().map(|ty| format!("({ty}.const 0)")).collect()
}

#[tokio::test]
async fn what_needs_a_file_or_a_socket_answers_that_there_is_none() {
    for (name, parameters) in REFUSED {
        let zeros = zeros(parameters);
        let start = format!(
            r#"(func (export "_start")
                (call $put (i32.const 0) (i64.extend_i32_s (call $f {zeros}))) (call $done))"#
        );
        let module = try_guest(&importing(name, parameters, &start));
        let module = module.unwrap_or_else(|error| panic!("{name}: {error}"));
        let ended = meter(&module, &Default::default(), &Default::default()).await;
        assert_eq!(numbers(&ended.result.unwrap())[0], 8, "{name}");
        assert_eq!(ended.metering.host_calls, 2, "{name}");
    }
    assert_eq!(REFUSED.len(), 32);
}

/// Runs calls of one more import and tells what they answered.
async fn answers(name: &str, parameters: &str, calls: &[&str]) -> [i64; 8] {
    let calls: String = calls
        .iter()
        .enumerate()
        .map(|(slot, arguments)| {
            format!("(call $put (i32.const {slot}) (i64.extend_i32_s (call $f {arguments})))")
        })
        .collect();
    let start = format!(r#"(func (export "_start") {calls} (call $done))"#);
    numbers(&run(&try_guest(&importing(name, parameters, &start)).unwrap()).await.unwrap())
}

#[tokio::test]
async fn the_standard_descriptors_are_character_devices_and_others_do_not_exist() {
    let stat = ["(i32.const 0) (i32.const 3000)", "(i32.const 2) (i32.const 3000)"];
    let others = ["(i32.const 3) (i32.const 3000)", "(i32.const -1) (i32.const 3000)"];
    let outside = ["(i32.const 1) (i32.const 65535)"];
    let calls = [&stat[..], &others, &outside].concat();
    assert_eq!(answers("fd_fdstat_get", "i32 i32", &calls).await[..5], [0, 0, 8, 8, 21]);
    let calls = ["(i32.const 0) (i32.const 4)", "(i32.const 3) (i32.const 4)"];
    assert_eq!(answers("fd_fdstat_set_flags", "i32 i32", &calls).await[..2], [0, 8]);
}

#[tokio::test]
async fn a_character_device_has_all_rights_and_no_flags() {
    let start = r#"(func (export "_start")
        (i64.store (i32.const 3000) (i64.const -1))
        (drop (call $f (i32.const 1) (i32.const 3000)))
        (call $put (i32.const 0) (i64.load (i32.const 3000)))
        (call $put (i32.const 1) (i64.load (i32.const 3008)))
        (call $put (i32.const 2) (i64.load (i32.const 3016)))
        (call $put (i32.const 3) (i64.load (i32.const 3024)))
        (call $done))"#;
    let module = try_guest(&importing("fd_fdstat_get", "i32 i32", start)).unwrap();
    assert_eq!(numbers(&run(&module).await.unwrap())[..4], [2, -1, -1, 0]);
}

#[tokio::test]
async fn the_standard_input_is_empty() {
    let calls = [
        "(i32.const 0) (i32.const 0) (i32.const 0) (i32.const 3000)",
        "(i32.const 1) (i32.const 0) (i32.const 0) (i32.const 3000)",
        "(i32.const 3) (i32.const 0) (i32.const 0) (i32.const 3000)",
        "(i32.const 0) (i32.const 0) (i32.const 0) (i32.const 65536)",
    ];
    assert_eq!(answers("fd_read", "i32 i32 i32 i32", &calls).await[..4], [0, 8, 8, 21]);
}

/// Nothing of it reaches a stream of the process: there is no code that would write.
#[tokio::test]
async fn what_is_written_to_an_output_is_counted_and_discarded() {
    let module = guest(
        r#"(data (i32.const 3000) "\00\10\00\00\05\00\00\00\00\20\00\00\ff\ff\ff\7f")
        (func (export "_start")
            (call $put (i32.const 0) (i64.extend_i32_s (call $fd_write (i32.const 1) (i32.const 3000) (i32.const 1) (i32.const 3100))))
            (call $put (i32.const 1) (i64.load32_u (i32.const 3100)))
            (call $put (i32.const 2) (i64.extend_i32_s (call $fd_write (i32.const 2) (i32.const 3000) (i32.const 2) (i32.const 3100))))
            (call $put (i32.const 3) (i64.load32_u (i32.const 3100)))
            (call $put (i32.const 4) (i64.extend_i32_s (call $fd_write (i32.const 0) (i32.const 3000) (i32.const 1) (i32.const 3100))))
            (call $put (i32.const 5) (i64.extend_i32_s (call $fd_write (i32.const 1) (i32.const 65530) (i32.const 1) (i32.const 3100))))
            (call $put (i32.const 6) (i64.extend_i32_s (call $fd_write (i32.const 1) (i32.const 3000) (i32.const 1025) (i32.const 3100))))
            (call $done))"#,
    );
    let want = [0, 5, 0, 0x8000_0004, 8, 21, 28];
    assert_eq!(numbers(&run(&module).await.unwrap())[..7], want);
}

#[tokio::test]
async fn clocks_have_a_resolution_of_a_nanosecond_and_unknown_ones_no_time() {
    let calls = ["(i32.const 0) (i32.const 3000)", "(i32.const 1) (i32.const 65529)"];
    assert_eq!(answers("clock_res_get", "i32 i32", &calls).await[..2], [0, 21]);
    let module = guest(
        r#"(func (export "_start")
            (call $put (i32.const 0) (i64.extend_i32_s (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 3000))))
            (call $put (i32.const 1) (i64.load (i32.const 3000)))
            (call $put (i32.const 2) (i64.extend_i32_s (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 3000))))
            (call $put (i32.const 3) (i64.load (i32.const 3000)))
            (call $put (i32.const 4) (i64.extend_i32_s (call $clock_time_get (i32.const 2) (i64.const 0) (i32.const 3000))))
            (call $put (i32.const 5) (i64.extend_i32_s (call $clock_time_get (i32.const -1) (i64.const 0) (i32.const 3000))))
            (call $done))"#,
    );
    // The monotonic clock begins at one nanosecond: a Go runtime does not survive zero.
    let want = [0, 7_000_000_000, 0, 1, 28, 28];
    assert_eq!(numbers(&run(&module).await.unwrap())[..6], want);
}

#[tokio::test]
async fn there_are_no_variables_and_a_turn_may_be_given_up() {
    let calls = ["(i32.const 3000) (i32.const 3004)", "(i32.const 65533) (i32.const 3000)"];
    assert_eq!(answers("environ_sizes_get", "i32 i32", &calls).await[..2], [0, 21]);
    assert_eq!(answers("environ_get", "i32 i32", &["(i32.const -1) (i32.const -1)"]).await[0], 0);
    let import =
        r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func $f (result i32)))"#;
    let start = r#"(func (export "_start")
        (call $put (i32.const 0) (i64.extend_i32_s (call $f))) (call $done))"#;
    let module = try_guest(&text(start).replacen("(module", import, 1)).unwrap();
    assert_eq!(numbers(&run(&module).await.unwrap())[0], 0);
}

#[tokio::test]
async fn arguments_are_the_program_and_the_request() {
    let start = r#"(func (export "_start")
        (call $put (i32.const 0) (i64.extend_i32_s (call $args_sizes_get (i32.const 3000) (i32.const 3004))))
        (call $put (i32.const 1) (i64.load (i32.const 3000)))
        (call $put (i32.const 2) (i64.extend_i32_s (call $f (i32.const 3000) (i32.const 4000))))
        (call $put (i32.const 3) (i64.load (i32.const 3000)))
        (call $put (i32.const 4) (i64.load (i32.const 4000)))
        (call $put (i32.const 5) (i64.load (i32.const 4006)))
        (call $done))"#;
    let module = try_guest(&importing("args_get", "i32 i32", start)).unwrap();
    // An empty request holds the response size alone: 20 80 80 c0 02, in base64.
    let text = b"wasi\0IICAwAI=\0";
    let word = |at: usize| i64::from_le_bytes(text[at..at + 8].try_into().unwrap());
    let want = [0, 14 << 32 | 2, 0, 4005 << 32 | 4000, word(0), word(6)];
    assert_eq!(numbers(&run(&module).await.unwrap())[..6], want);
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_not_written() {
    let calls = [
        "(i32.const 3000) (i32.const 65523)",
        "(i32.const 65529) (i32.const 3000)",
        "(i32.const -1) (i32.const 3000)",
        "(i32.const 3000) (i32.const -1)",
        "(i32.const 3000) (i32.const 0x7fffffff)",
        "(i32.const 3000) (i32.const 65522)",
    ];
    assert_eq!(answers("args_get", "i32 i32", &calls).await[..6], [21, 21, 21, 21, 21, 0]);
}

#[tokio::test]
async fn a_guest_that_exits_runs_no_further() {
    let start =
        r#"(func (export "_start") (call $proc_exit (i32.const 3)) (call $done) unreachable)"#;
    assert!(matches!(run(&guest(start)).await, Err(RunError::Exited(3))));
}

/// What answers 8, with its parameters.
const REFUSED: &[(&str, &str)] = &[
    ("fd_advise", "i32 i64 i64 i32"),
    ("fd_allocate", "i32 i64 i64"),
    ("fd_close", "i32"),
    ("fd_datasync", "i32"),
    ("fd_fdstat_set_rights", "i32 i64 i64"),
    ("fd_filestat_get", "i32 i32"),
    ("fd_filestat_set_size", "i32 i64"),
    ("fd_filestat_set_times", "i32 i64 i64 i32"),
    ("fd_pread", "i32 i32 i32 i64 i32"),
    ("fd_prestat_dir_name", "i32 i32 i32"),
    ("fd_prestat_get", "i32 i32"),
    ("fd_pwrite", "i32 i32 i32 i64 i32"),
    ("fd_readdir", "i32 i32 i32 i64 i32"),
    ("fd_renumber", "i32 i32"),
    ("fd_seek", "i32 i64 i32 i32"),
    ("fd_sync", "i32"),
    ("fd_tell", "i32 i32"),
    ("path_create_directory", "i32 i32 i32"),
    ("path_filestat_get", "i32 i32 i32 i32 i32"),
    ("path_filestat_set_times", "i32 i32 i32 i32 i64 i64 i32"),
    ("path_link", "i32 i32 i32 i32 i32 i32 i32"),
    ("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"),
    ("path_readlink", "i32 i32 i32 i32 i32 i32"),
    ("path_remove_directory", "i32 i32 i32"),
    ("path_rename", "i32 i32 i32 i32 i32 i32"),
    ("path_symlink", "i32 i32 i32 i32 i32"),
    ("path_unlink_file", "i32 i32 i32"),
    ("proc_raise", "i32"),
    ("sock_accept", "i32 i32 i32"),
    ("sock_recv", "i32 i32 i32 i32 i32 i32"),
    ("sock_send", "i32 i32 i32 i32 i32"),
    ("sock_shutdown", "i32 i32"),
];
