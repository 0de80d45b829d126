//! The enclave server with a mock NSM, for one machine without Nitro.
//!
//! Everything but four things is the release: the device that signs documents is a mock with a root
//! of its own, vsock is emulated over loopback TCP, destinations can be allowed for tests, and the
//! device's clock can be shifted.

use std::{
    io::{Read as _, Write as _},
    path::PathBuf,
    sync::Arc,
};

use anyhow::Context as _;
use clap::Parser;
use enclave_server::{Destination, EgressPolicy, Setup, UrlError, flags::Flags};
use protocol::{
    clock::{Clock as _, SystemClock},
    limits,
};
use rand_core::OsRng;
use testkit::nsm::MockNsm;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use transport::Vsock;

use crate::state::State;

mod clock;
mod roots;
mod state;

/// Runs confidential workflows in an emulated enclave, for development and tests.
///
/// Its attestation documents are real ones under a test root, which it keeps in the state folder:
/// give root.der and measurements.json to whoever shall believe them. vsock is emulated over loopback
/// TCP, where ENCLAVE_CID (16 if unset) decides about the ports. Never use it for anything secret: the
/// machine it runs on sees everything.
#[derive(Parser)]
#[command(name = "enclave-emulator", version)]
struct Line {
    #[command(flatten)]
    flags: Flags,
    /// The folder for the test root and the measurements; made if it is not there, readable by its
    /// owner only.
    #[arg(long, value_name = "DIR")]
    state_dir: PathBuf,
    /// Let workflows reach this host and port, with or without TLS, although it is local. Repeatable.
    #[arg(long, value_name = "HOST:PORT", value_parser = destination)]
    test_allow_http: Vec<Destination>,
    /// Trust the certificates in this PEM file beside those of the web.
    #[arg(long, value_name = "FILE")]
    test_ca: Option<PathBuf>,
    /// Shift the clock of the mock NSM by this many seconds, to show documents of another time.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, allow_negative_numbers = true)]
    clock_offset: i64,
    /// End as soon as standard input does: whoever holds the other end is gone.
    #[arg(long, hide = true)]
    exit_with_stdin: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let line = Line::parse();
    let filter = EnvFilter::try_new(&line.flags.log).context("--log is no filter")?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    log.with_ansi(false).init();
    let shutdown = shutdown(line.exit_with_stdin)?;
    #[expect(clippy::disallowed_methods, reason = "the program's main reads the environment")]
    let cid = std::env::var("ENCLAVE_CID").ok();
    let vsock = Vsock::parse(Some("tcp"), cid.as_deref())?;
    let folder = line.state_dir.display();
    let state = State::open(&line.state_dir, SystemClock.now());
    let State { root, measurements } = state.with_context(|| format!("state folder {folder}"))?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "root {}", protocol::base64::encode(root.der()))?;
    writeln!(stdout, "measurements {}", measurements.to_registry_json())?;
    let now = clock::shifted(line.clock_offset);
    let roots = line.test_ca.as_deref().map(roots::read).transpose()?.unwrap_or_default();
    let (host, port) = limits::PARENT;
    let setup = Setup {
        config: line.flags.config()?,
        listener: vsock.listen(line.flags.vsock_port).await?,
        bridge: vsock.dialer(host, port, limits::EGRESS_TIMEOUT)?,
        attestor: Arc::new(MockNsm::new(root, &measurements, now)),
        clock: Arc::new(SystemClock),
        randomness: Box::new(OsRng),
        egress: EgressPolicy::dangerous_with_test_allowances(line.test_allow_http, roots),
    };
    writeln!(stdout, "listening {}", setup.listener.endpoint())?;
    enclave_server::run(setup, shutdown).await?;
    Ok(())
}

/// Cancelled by SIGINT or SIGTERM, and by the end of standard input if that is asked for.
fn shutdown(with_stdin: bool) -> anyhow::Result<CancellationToken> {
    let shutdown = CancellationToken::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let (mut signal, shutdown) = (signal(kind)?, shutdown.clone());
        tokio::spawn(async move {
            let _signal = signal.recv().await;
            shutdown.cancel();
        });
    }
    if with_stdin {
        let shutdown = shutdown.clone();
        // A thread of its own: a read of standard input cannot be interrupted.
        std::thread::spawn(move || {
            let mut stdin = std::io::stdin().lock();
            while stdin.read(&mut [0; 256]).is_ok_and(|read| read > 0) {}
            shutdown.cancel();
        });
    }
    Ok(shutdown)
}

fn destination(text: &str) -> Result<Destination, UrlError> {
    if text.contains(':') { Destination::parse(text, 0) } else { Err(UrlError::Port) }
}
