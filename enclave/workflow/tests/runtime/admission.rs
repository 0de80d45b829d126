//! Which modules are let in, and in what words others are not.

use enclave_workflow::AdmitError;

use crate::support::{ENGINE, compile_bytes, guest, numbers, run, text, try_guest};

fn refusal(module: &str) -> AdmitError {
    try_guest(module).unwrap_err()
}

const MARKER: &str = r#"(import "env" "version_v2_go" (func))"#;
const MEMORY: &str = r#"(memory (export "memory") 1)"#;
const START: &str = r#"(func (export "_start"))"#;

#[test]
fn a_module_without_memory_is_refused() {
    let error = refusal(&format!("(module {MARKER} {START})"));
    assert_eq!(error.to_string(), "module does not export \"memory\"");
}

#[test]
fn another_export_named_memory_is_refused() {
    let export = r#"(global (export "memory") i32 (i32.const 0))"#;
    let error = refusal(&format!("(module {MARKER} {export} {START})"));
    assert_eq!(error.to_string(), "module export \"memory\" is not a memory");
}

#[test]
fn a_module_without_marker_is_a_legacy_one() {
    let error = refusal(&format!("(module {MEMORY} {START})"));
    assert!(matches!(error, AdmitError::Legacy));
    assert_eq!(error.to_string(), "cannot execute a legacy dag workflow");
}

#[test]
fn a_marker_of_another_module_or_version_does_not_count() {
    for import in [r#"(import "other" "version_v2" (func))"#, r#"(import "env" "version" (func))"#]
    {
        assert!(matches!(
            refusal(&format!("(module {import} {MEMORY} {START})")),
            AdmitError::Legacy
        ));
    }
}

#[test]
fn several_markers_are_all_linked_and_the_last_is_the_label() {
    let markers = r#"(import "env" "version_v2_go" (func)) (import "env" "version_v2_x" (func))"#;
    let twice = r#"(import "env" "version_v2_go" (func))"#;
    let module = try_guest(&format!("(module {markers} {MEMORY} {START})")).unwrap();
    assert_eq!(module.facts().label, "version_v2_x");
    let module = try_guest(&format!("(module {markers} {twice} {MEMORY} {START})")).unwrap();
    assert_eq!(module.facts().label, "version_v2_go");
}

#[test]
fn without_start_function_there_is_nothing_to_run() {
    let others = [
        "",
        r#"(func (export "_start") (param i32))"#,
        r#"(func (export "_start") (result i32) (i32.const 0))"#,
        r#"(global (export "_start") i32 (i32.const 0))"#,
    ];
    for start in others {
        let error = refusal(&format!("(module {MARKER} {MEMORY} {start})"));
        assert_eq!(error.to_string(), "could not get start function", "{start}");
    }
}

#[test]
fn unknown_imports_and_wrong_types_do_not_link() {
    let others = [
        r#"(import "env" "no_such_import" (func))"#,
        r#"(import "env" "log" (func (param i64)))"#,
        r#"(import "env" "call_capability" (func (param i32 i32 i32) (result i64)))"#,
        r#"(import "wasi_snapshot_preview1" "no_such_function" (func))"#,
        r#"(import "env" "version_v2_go" (func (result i32)))"#,
        r#"(import "env" "memory" (global i32))"#,
    ];
    for import in others {
        let error = refusal(&format!("(module {import} {MARKER} {MEMORY} {START})"));
        assert!(matches!(error, AdmitError::Link(_)), "{import}: {error}");
        assert!(error.to_string().starts_with("error linking wasm: "), "{error}");
    }
}

#[test]
fn all_of_preview_1_links() {
    let functions = [
        ("fd_advise", "i32 i64 i64 i32"),
        ("fd_allocate", "i32 i64 i64"),
        ("fd_close", "i32"),
        ("fd_datasync", "i32"),
        ("fd_filestat_set_times", "i32 i64 i64 i32"),
        ("fd_pread", "i32 i32 i32 i64 i32"),
        ("fd_seek", "i32 i64 i32 i32"),
        ("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"),
        ("path_filestat_set_times", "i32 i32 i32 i32 i64 i64 i32"),
        ("path_link", "i32 i32 i32 i32 i32 i32 i32"),
        ("sock_recv", "i32 i32 i32 i32 i32 i32"),
        ("sock_accept", "i32 i32 i32"),
    ];
    for (name, parameters) in functions {
        // Twice, as Go modules do.
        let import = format!(
            r#"(import "wasi_snapshot_preview1" "{name}" (func (param {parameters}) (result i32)))"#
        );
        let module = format!("(module {import} {import} {MARKER} {MEMORY} {START})");
        try_guest(&module).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn what_is_refused_here_only_is_told_from_what_is_broken() {
    let features = [
        r#"(memory (export "memory") 1 1 shared)"#,
        r#"(memory (export "memory") i64 1)"#,
        r#"(memory (export "memory") 1) (memory 1)"#,
        r#"(memory (export "memory") 1) (tag)"#,
    ];
    for memory in features {
        let error = refusal(&format!("(module {MARKER} {memory} {START})"));
        assert!(matches!(error, AdmitError::Feature(_)), "{memory}: {error}");
    }
    let broken = refusal(&format!("(module {MARKER} {MEMORY} {START} (func i32.add))"));
    assert!(matches!(broken, AdmitError::Compile(_)), "{broken}");
}

#[test]
fn a_component_is_refused_as_such() {
    let component = wat::parse_str("(component)").unwrap();
    let error = compile_bytes(&ENGINE, component).unwrap_err();
    assert!(matches!(error, AdmitError::Feature(_)), "{error}");
}

#[test]
fn a_cut_module_is_refused() {
    let module = wat::parse_str(text(r#"(func (export "_start"))"#)).unwrap();
    let cut = &module[..module.len() / 2];
    for binary in [&b"\0asm"[..], b"\0asm\x02\0\0\0", cut] {
        let error = compile_bytes(&ENGINE, binary.to_vec()).unwrap_err();
        assert!(matches!(error, AdmitError::Compile(_)), "{error}");
        assert!(error.to_string().starts_with("error creating wasmtime module: "));
    }
}

#[tokio::test]
async fn both_generations_of_the_call_link() {
    let newer = guest(r#"(func (export "_start") (call $done))"#);
    assert_eq!(numbers(&run(&newer).await.unwrap()), [0; 8]);
    let older = text("").replacen("(param i32 i32 i32 i32)", "(param i32 i32)", 1);
    let older =
        format!(r#"{} (func (export "_start") (call $done)))"#, older.trim_end_matches(')'));
    assert_eq!(numbers(&run(&try_guest(&older).unwrap()).await.unwrap()), [0; 8]);
}

#[test]
fn ten_thousand_imports_and_a_large_table_are_no_trouble() {
    let imports = r#"(import "env" "log" (func (param i32 i32)))"#.repeat(10_000);
    let table = "(table 14000 funcref)";
    let module = try_guest(&format!("(module {imports} {MARKER} {table} {MEMORY} {START})"));
    assert_eq!(module.unwrap().imports().count(), 10_001);
}

#[test]
fn a_table_beyond_the_pool_is_refused() {
    let error = refusal(&format!("(module {MARKER} (table 300000 funcref) {MEMORY} {START})"));
    let want =
        "error creating wasmtime module: tables of 300000 elements exceed the limit of 200000";
    assert_eq!(error.to_string(), want);
}
