//! The enclave server as it is in the image: real vsock, the real device, no allowances.

use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use enclave_server::{EgressPolicy, Setup, flags::Flags, nsm::Nsm};
use protocol::{clock::SystemClock, limits};
use rand_core::OsRng;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use transport::Vsock;

/// Runs confidential workflows inside an AWS Nitro enclave.
///
/// The host's bridge reaches it over vsock; it reaches the world through the bridge and signs every
/// answer with a document of the Nitro Secure Module. It takes its configuration and its settings
/// from the bridge, so it needs no flags. Outside of an enclave it does not start: use
/// enclave-emulator there.
#[derive(Parser)]
#[command(name = "enclave-server", version)]
struct Line {
    #[command(flatten)]
    flags: Flags,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Line { flags } = Line::parse();
    let filter = EnvFilter::try_new(&flags.log).context("--log is no filter")?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let config = flags.config()?;
    let attestor = Nsm::open().context("opening /dev/nsm, which exists in Nitro enclaves only")?;
    let (host, port) = limits::PARENT;
    let listener = Vsock::Device.listen(flags.vsock_port).await;
    let setup = Setup {
        config,
        listener: listener.with_context(|| format!("vsock port {}", flags.vsock_port))?,
        bridge: Vsock::Device.dialer(host, port, limits::EGRESS_TIMEOUT)?,
        attestor: Arc::new(attestor),
        clock: Arc::new(SystemClock),
        randomness: Box::new(OsRng),
        egress: EgressPolicy::production(),
    };
    let shutdown = CancellationToken::new();
    let stopping = shutdown.clone();
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        let _signal = terminate.recv().await;
        stopping.cancel();
    });
    enclave_server::run(setup, shutdown).await?;
    Ok(())
}
