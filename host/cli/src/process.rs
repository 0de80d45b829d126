//! What every process that serves has in common: its log, its end, and the addresses it prints.

use std::{
    io::{self, IsTerminal as _, Read as _},
    net::SocketAddr,
    time::Duration,
};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use transport::{Endpoint, TcpListen};

use crate::{
    exit::{Exit, Failure, OrFail as _},
    output,
};

/// Options of every process that serves.
#[derive(Debug, clap::Args)]
pub(crate) struct ProcessArgs {
    /// What to log on standard error: error, warn, info, debug, or a filter per part of the program
    /// such as `info,host_gateway=debug`.
    #[arg(long, value_name = "FILTER", default_value = "info", value_parser = filter)]
    log: String,
    /// End as soon as standard input does: whoever holds the other end is gone.
    #[arg(long, hide = true)]
    exit_with_stdin: bool,
}

impl ProcessArgs {
    /// Starts the log. The returned token is cancelled by SIGINT, SIGTERM, SIGHUP, and the end of
    /// standard input if that was asked for.
    ///
    /// # Errors
    ///
    /// [`Exit::Internal`] if the system gives no signals.
    pub(crate) fn start(&self) -> Result<CancellationToken, Failure> {
        tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(&self.log))
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .init();
        let shutdown = CancellationToken::new();
        cancel_on_signals(&shutdown)?;
        if self.exit_with_stdin {
            cancel_at_end_of_stdin(shutdown.clone());
        }
        Ok(shutdown)
    }
}

/// Cancels a token at SIGINT, SIGTERM or SIGHUP.
///
/// # Errors
///
/// [`Exit::Internal`] if the system gives no signals.
pub(crate) fn cancel_on_signals(shutdown: &CancellationToken) -> Result<(), Failure> {
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let mut signal = signal(kind).or_fail(Exit::Internal, || "signals cannot be received")?;
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            signal.recv().await;
            shutdown.cancel();
        });
    }
    Ok(())
}

/// Listens at an address of the configuration and prints `listening NAME=ADDRESS`.
///
/// # Errors
///
/// [`Exit::Input`] if the address cannot be had.
pub(crate) async fn listen(name: &str, address: SocketAddr) -> Result<TcpListen, Failure> {
    let listener = TcpListen::bind(address)
        .await
        .or_fail(Exit::Input, || format!("cannot listen at {address}; choose another address"))?;
    announce(name, Endpoint::Tcp(listener.local()))?;
    Ok(listener)
}

/// Prints `listening NAME=ENDPOINT`, by which a parent process learns the port the system chose.
///
/// # Errors
///
/// [`Exit::Internal`] if nobody reads it any more.
pub(crate) fn announce(name: &str, endpoint: Endpoint) -> Result<(), Failure> {
    output::line(format_args!("listening {name}={endpoint}"))
}

/// Waits for a role's end; once told to stop it has [`STOP_LIMIT`].
///
/// # Errors
///
/// The role's own, or [`Exit::Internal`] if it does not stop.
pub(crate) async fn until_stopped(
    role: impl Future<Output = Result<(), Failure>>,
    shutdown: &CancellationToken,
) -> Result<Exit, Failure> {
    let overdue = async {
        shutdown.cancelled().await;
        tokio::time::sleep(STOP_LIMIT).await;
    };
    tokio::select! {
        ended = role => ended.map(|()| Exit::Success),
        () = overdue => {
            let text = format!("did not stop within {} s and was cut off", STOP_LIMIT.as_secs());
            Err(Failure::new(Exit::Internal, text))
        }
    }
}

/// A thread of its own, because a read of standard input cannot be interrupted and would hold up the
/// end of the runtime.
fn cancel_at_end_of_stdin(shutdown: CancellationToken) {
    std::thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        let mut ignored = [0; 256];
        while stdin.read(&mut ignored).is_ok_and(|read| read > 0) {}
        shutdown.cancel();
    });
}

fn filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => {
            Err("give a level such as info, or a filter such as info,host_gateway=debug".to_owned())
        }
    }
}

/// More than any role gives what is under way.
const STOP_LIMIT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_checked_before_anything_starts() {
        for text in ["info", "info,host_gateway=debug", "off"] {
            assert_eq!(filter(text).unwrap(), text);
        }
        assert!(filter("info,=x=").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_that_does_not_stop_is_cut_off() {
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        let failure = until_stopped(std::future::pending(), &shutdown).await.unwrap_err();
        assert_eq!(failure.exit, Exit::Internal);
        assert_eq!(failure.to_string(), "did not stop within 60 s and was cut off");
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_that_is_not_told_to_stop_is_not_cut_off() {
        let shutdown = CancellationToken::new();
        let role = async {
            tokio::time::sleep(STOP_LIMIT.saturating_mul(10)).await;
            Ok(())
        };
        assert_eq!(until_stopped(role, &shutdown).await.unwrap(), Exit::Success);
    }

    #[tokio::test]
    async fn an_address_in_use_is_refused_with_a_sentence() {
        let taken = TcpListen::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let failure = listen("x", taken.local()).await.unwrap_err();
        assert_eq!(failure.exit, Exit::Input);
        assert!(failure.to_string().contains("choose another address"), "{failure}");
    }
}
