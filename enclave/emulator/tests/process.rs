//! The emulator as a process: what it prints, when it serves, when it ends.
#![cfg(test)]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use attestation::Measurements;
use testkit::chain::TestRoot;

/// A free TCP port as the emulation writes it: a context id and a vsock port (section 11).
fn vsock() -> (String, String) {
    loop {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let above = free.checked_sub(10_000).unwrap();
        let (cid, port) = (above.checked_div(1000).unwrap(), above.checked_rem(1000).unwrap());
        if port > 0 && cid > 3 {
            return (cid.to_string(), port.to_string());
        }
    }
}

fn command(state: &Path) -> Command {
    let (cid, port) = vsock();
    let mut command = Command::new(env!("CARGO_BIN_EXE_enclave-emulator"));
    command.env("ENCLAVE_CID", cid).args(["--vsock-port", &port, "--log", "warn"]);
    command.arg("--state-dir").arg(state);
    command
}

/// A running emulator and the lines it printed until it served.
fn start(state: &Path) -> (Child, Vec<String>) {
    let mut command = command(state);
    command.arg("--exit-with-stdin").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        lines.push(line.unwrap());
        if lines.last().unwrap().starts_with("listening ") {
            break;
        }
    }
    (child, lines)
}

fn after<'l>(lines: &'l [String], word: &str) -> &'l str {
    lines.iter().find_map(|line| line.strip_prefix(word)).unwrap()
}

fn refusal(arguments: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let Output { status, stderr, .. } =
        command(&folder.path().join("state")).args(arguments).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn it_says_who_it_is_serves_and_ends_with_its_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, lines) = start(folder.path());
    let root = protocol::base64::decode(after(&lines, "root ")).unwrap();
    assert_eq!(root, std::fs::read(folder.path().join("root.der")).unwrap());
    let key = std::fs::read(folder.path().join("root.key")).unwrap();
    TestRoot::from_parts(&key, &root).unwrap();
    let printed = Measurements::parse(after(&lines, "measurements ").as_bytes()).unwrap();
    let stored = std::fs::read(folder.path().join("measurements.json")).unwrap();
    assert_eq!(printed, Measurements::parse(&stored).unwrap());

    let mut stream = TcpStream::connect(after(&lines, "listening ")).unwrap();
    stream.write_all(b"GET /publicKeys HTTP/1.1\r\nHost: e\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("enclave config not set\n"));

    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn flags_that_do_not_fit_together_are_refused() {
    let (code, text) = refusal(&["--keypair-expiration", "1h"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("--keypair-expiration is shorter than --keypair-rotation"), "{text}");
}

#[test]
fn what_is_no_destination_is_refused() {
    for text in ["echo.test", "echo.test:0", "https://echo.test:1", "user@echo.test:1", ""] {
        let (code, error) = refusal(&["--test-allow-http", text]);
        assert_eq!(code, Some(2), "{text}: {error}");
    }
}

#[test]
fn a_missing_certificate_file_is_named() {
    let (code, text) = refusal(&["--test-ca", "/nowhere/ca.pem"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("reading /nowhere/ca.pem"), "{text}");
}

#[test]
fn an_impossible_context_id_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(folder.path()).env("ENCLAVE_CID", "two").output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("ENCLAVE_CID must be a decimal number"), "{text}");
}
