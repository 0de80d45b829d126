//! One child process: started, listened to, watched, ended.
//!
//! A child reads its standard input until it ends, and then ends too. Its parent holds the other end, so
//! a child outlives its parent by moments, in whatever way the parent went.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{ChildStdin, ChildStdout, Command},
};
use tokio_util::sync::CancellationToken;

use super::plan::{Role, Spec};
use crate::role::relay::LINKED;

/// A process that serves. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Child {
    process: tokio::process::Child,
    stdin: ChildStdin,
    /// Its process id.
    pub(crate) pid: u32,
    /// The addresses it printed, by their names.
    pub(crate) addresses: BTreeMap<String, SocketAddr>,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself, or by somebody else.
    ByItself(ExitStatus),
    /// Because it was told to.
    Stopped,
}

/// Why a child does not serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The program cannot be started.
    #[error("{} cannot be started", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It ended before it served.
    #[error("{role} ended at once ({status}): {last_line}")]
    Ended {
        /// What it was.
        role: Role,
        /// How it ended.
        status: ExitStatus,
        /// The last line of its log.
        last_line: String,
    },
    /// It does not serve in time.
    #[error("{role} does not serve after {} s; see {}", START_LIMIT.as_secs(), log.display())]
    Silent {
        /// What it is.
        role: Role,
        /// Its log.
        log: PathBuf,
    },
    /// Its log or its output is out of reach.
    #[error("the output of {role} cannot be read or kept")]
    Output {
        /// What it is.
        role: Role,
        /// What the system says.
        source: io::Error,
    },
}

impl Child {
    /// Starts a process and waits until it serves, at most [`START_LIMIT`].
    ///
    /// # Errors
    ///
    /// [`StartError`]; the process is gone.
    pub(crate) async fn start(spec: &Spec) -> Result<Self, StartError> {
        let role = spec.role;
        let output = |source| StartError::Output { role, source };
        let log = open_log(&spec.log).map_err(output)?;
        let mut process = Command::new(&spec.program)
            .args(&spec.arguments)
            .envs(spec.environment.iter().map(|(name, value)| (*name, value.as_str())))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.try_clone().map_err(output)?)
            // A terminal's Ctrl-C is for the parent; it ends its children in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| StartError::Spawn { program: spec.program.clone(), source })?;
        let gone = || output(io::ErrorKind::BrokenPipe.into());
        let stdin = process.stdin.take().ok_or_else(gone)?;
        let stdout = process.stdout.take().ok_or_else(gone)?;
        let pid = process.id().ok_or_else(gone)?;
        let mut lines = BufReader::new(stdout).lines();
        let serving = serving(&mut lines, spec, &log);
        match tokio::time::timeout(START_LIMIT, serving).await {
            Err(_) => Err(StartError::Silent { role, log: spec.log.clone() }),
            Ok(Err(source)) => Err(output(source)),
            Ok(Ok(Some(addresses))) => {
                tokio::spawn(keep(lines, log));
                Ok(Self { process, stdin, pid, addresses })
            }
            Ok(Ok(None)) => {
                drop(stdin);
                let ended = tokio::time::timeout(STOP_LIMIT, process.wait()).await;
                let silent = |_| StartError::Silent { role, log: spec.log.clone() };
                let status = ended.map_err(silent)?.map_err(output)?;
                let last_line = last_line(&spec.log).unwrap_or_default();
                Err(StartError::Ended { role, status, last_line })
            }
        }
    }

    /// Waits until the process ends by itself, or ends it once `stop` is cancelled: first by closing
    /// its standard input, after [`STOP_LIMIT`] by force.
    pub(crate) async fn watch(self, stop: CancellationToken) -> io::Result<Ended> {
        let Self { mut process, stdin, .. } = self;
        tokio::select! {
            status = process.wait() => return Ok(Ended::ByItself(status?)),
            () = stop.cancelled() => {}
        }
        drop(stdin);
        if tokio::time::timeout(STOP_LIMIT, process.wait()).await.is_err() {
            process.kill().await?;
        }
        Ok(Ended::Stopped)
    }
}

/// Reads until a process has printed all it prints when it serves; `None` if it stops printing before.
async fn serving(
    lines: &mut Lines<BufReader<ChildStdout>>,
    spec: &Spec,
    mut log: &File,
) -> io::Result<Option<BTreeMap<String, SocketAddr>>> {
    let mut addresses = BTreeMap::new();
    let mut is_linked = !spec.links;
    loop {
        if is_linked && spec.listens.iter().all(|name| addresses.contains_key(*name)) {
            return Ok(Some(addresses));
        }
        let Some(line) = lines.next_line().await? else { return Ok(None) };
        match listening(&line) {
            Some((name, address)) => {
                addresses.insert(name.to_owned(), address);
            }
            None if line == LINKED => is_linked = true,
            None => writeln!(log, "{line}")?,
        }
    }
}

/// The name and the address in `listening NAME=ADDRESS`; a process with one address leaves out the name.
fn listening(line: &str) -> Option<(&str, SocketAddr)> {
    let rest = line.strip_prefix("listening ")?;
    let (name, address) = rest.split_once('=').unwrap_or(("", rest));
    Some((name, address.parse().ok()?))
}

/// Keeps what a process prints while it serves.
async fn keep(mut lines: Lines<BufReader<ChildStdout>>, mut log: File) {
    while let Ok(Some(line)) = lines.next_line().await {
        if writeln!(log, "{line}").is_err() {
            return;
        }
    }
}

fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// The last line of a log that is not empty: what a process says before it gives up.
fn last_line(path: &Path) -> io::Result<String> {
    let mut log = File::open(path)?;
    let from = log.metadata()?.len().saturating_sub(LAST_LINE_BYTES);
    log.seek(SeekFrom::Start(from))?;
    let mut end = Vec::new();
    log.take(LAST_LINE_BYTES).read_to_end(&mut end)?;
    let end = String::from_utf8_lossy(&end);
    Ok(end.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned())
}

/// A process on a busy machine takes a second.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A little more than the roles' own limit for what is under way.
const STOP_LIMIT: Duration = Duration::from_millis(1_500);

const LAST_LINE_BYTES: u64 = 2_048;

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    /// A process that does what a line of shell says.
    fn shell(folder: &Path, line: &str, listens: &'static [&'static str], links: bool) -> Spec {
        Spec {
            role: Role::Vault,
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), line.into()],
            environment: vec![("NAME", "value".to_owned())],
            log: folder.join("log"),
            listens,
            links,
        }
    }

    #[tokio::test]
    async fn a_process_serves_when_it_has_printed_its_addresses() {
        let folder = tempfile::tempdir().unwrap();
        let line =
            "echo hello $NAME; echo listening a=127.0.0.1:1; echo listening 127.0.0.1:2; cat";
        let child = Child::start(&shell(folder.path(), line, &["", "a"], false)).await.unwrap();
        assert_eq!(child.addresses["a"], SocketAddr::from(([127, 0, 0, 1], 1)));
        assert_eq!(child.addresses[""], SocketAddr::from(([127, 0, 0, 1], 2)));
        let stop = CancellationToken::new();
        stop.cancel();
        assert_eq!(child.watch(stop).await.unwrap(), Ended::Stopped);
        assert_eq!(std::fs::read_to_string(folder.path().join("log")).unwrap(), "hello value\n");
    }

    #[tokio::test]
    async fn a_relay_node_serves_when_it_is_linked() {
        let folder = tempfile::tempdir().unwrap();
        let spec = shell(folder.path(), "echo linked; cat", &[], true);
        Child::start(&spec).await.unwrap();
        let spec = shell(folder.path(), "echo other", &[], true);
        let failed = Child::start(&spec).await.unwrap_err();
        assert!(matches!(failed, StartError::Ended { .. }));
    }

    #[tokio::test]
    async fn a_process_that_ends_at_once_is_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let line = "echo first >&2; echo no such key >&2; echo >&2; exit 3";
        let failed = Child::start(&shell(folder.path(), line, &["a"], false)).await.unwrap_err();
        assert_eq!(failed.to_string(), "vault ended at once (exit status: 3): no such key");
        let mut spec = shell(folder.path(), "", &[], false);
        spec.program = "/nonexistent".into();
        let failed = Child::start(&spec).await.unwrap_err();
        assert!(matches!(failed, StartError::Spawn { .. }));
    }

    #[tokio::test]
    async fn a_process_that_ends_by_itself_is_told_from_one_that_was_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let line = "echo listening a=127.0.0.1:1; kill -9 $$";
        let child = Child::start(&shell(folder.path(), line, &["a"], false)).await.unwrap();
        let ended = child.watch(CancellationToken::new()).await.unwrap();
        assert_eq!(ended, Ended::ByItself(ExitStatus::from_raw(9)));
    }

    #[test]
    fn only_whole_addresses_are_taken() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        assert_eq!(listening("listening x=127.0.0.1:1"), Some(("x", address)));
        assert_eq!(listening("listening 127.0.0.1:1"), Some(("", address)));
        for line in ["listening x=", "listening x=127.0.0.1", "x=127.0.0.1:1", "listening"] {
            assert_eq!(listening(line), None, "{line}");
        }
    }
}
