//! A devnet with everything in a folder of its own, stopped and removed with the value.

use std::{path::PathBuf, process::Stdio, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::programs::{program, root};

/// The secret that workflows of the tests use.
pub const SECRET: &str = "e2e-7f1c-sécret-ß-93d2b0aa41";

/// A running devnet.
#[derive(Debug)]
pub struct Devnet {
    /// Everything it wrote.
    pub folder: tempfile::TempDir,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// What it printed until it was ready.
    pub printed: Vec<String>,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Devnet {
    /// Starts a devnet and waits until it is ready.
    pub async fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = spawn(folder.path().join("net"), arguments);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut devnet = Self { folder, child, lines, printed: Vec::new() };
        while devnet.line().await.expect("the devnet is ready") != "ready" {}
        devnet
    }

    /// Starts a devnet that is expected to fail, and returns how.
    pub async fn fail(arguments: &[&str]) -> Ended {
        let folder = tempfile::tempdir().unwrap();
        ended(spawn(folder.path().join("net"), arguments)).await
    }

    /// The next line it prints, or `None` when it has ended.
    pub async fn line(&mut self) -> Option<String> {
        let line = within(self.lines.next_line()).await.unwrap()?;
        self.printed.push(line.clone());
        Some(line)
    }

    /// A file or folder below its own.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("net").join(name)
    }

    /// `devnet.json`.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.path("devnet.json")).unwrap()).unwrap()
    }

    /// Where a role listens.
    pub fn address(&self, name: &str) -> String {
        self.json()["addresses"][name].as_str().unwrap().to_owned()
    }

    /// The process of a role.
    pub fn pid(&self, role: &str) -> u32 {
        u32::try_from(self.json()["pids"][role].as_u64().unwrap()).unwrap()
    }

    /// The devnet's own process.
    pub fn supervisor(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Runs `enclavectl`, with `--network` where `{network}` stands.
    pub async fn ctl(&self, arguments: &[&str]) -> Ended {
        self.ctl_with(arguments, b"").await
    }

    /// The same with standard input.
    pub async fn ctl_with(&self, arguments: &[&str], input: &[u8]) -> Ended {
        let network = self.path("devnet.json").into_os_string().into_string().unwrap();
        let arguments = arguments.iter().map(|word| word.replace("{network}", &network));
        let mut child = command("enclavectl").args(arguments).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input).await.unwrap();
        drop(stdin);
        ended(child).await
    }

    /// Puts the tests' secret under `API_KEY`.
    pub async fn put_secret(&self) {
        let words = ["secret", "put", "--network", "{network}", "--namespace", "main", "API_KEY"];
        let put = self.ctl_with(&words, SECRET.as_bytes()).await;
        assert_eq!(put.code, 0, "{put:?}");
    }

    /// Runs a built workflow with a configuration and returns what `run --json` says.
    pub async fn run(&self, workflow: &str, config: &str) -> Ended {
        self.run_with(workflow, config, &[]).await
    }

    /// The same with further arguments.
    pub async fn run_with(&self, workflow: &str, config: &str, more: &[&str]) -> Ended {
        let file = self.path(&format!("{workflow}.config"));
        std::fs::write(&file, config).unwrap();
        let (file, workflow) = (file.to_str().unwrap(), built(workflow));
        let mut words = vec!["run", "--network", "{network}", "--json", "--config", file];
        words.extend(more);
        words.push(workflow.to_str().unwrap());
        self.ctl(&words).await
    }

    /// The configuration of `secret-and-capability`: the devnet's echo service.
    pub fn alerts(&self) -> String {
        format!(r#"{{"url": "https://{}/alerts"}}"#, self.address("echo"))
    }

    /// Asks the devnet to stop and returns how it ended and the rest of what it printed.
    pub async fn stop(mut self) -> (i32, Vec<String>) {
        terminate(self.child.id().unwrap());
        while self.line().await.is_some() {}
        let status = within(self.child.wait()).await.unwrap();
        (status.code().unwrap_or(-1), std::mem::take(&mut self.printed))
    }

    /// Waits for the devnet to end by itself.
    pub async fn end(mut self) -> Ended {
        let mut err = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        while self.line().await.is_some() {}
        within(stderr.read_to_string(&mut err)).await.unwrap();
        let status = within(self.child.wait()).await.unwrap();
        Ended { code: status.code().unwrap_or(-1), out: self.printed.join("\n"), err }
    }
}

impl Ended {
    /// The one JSON object on standard output.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The result, if the run came to a verified good end.
    pub fn result(&self) -> Value {
        assert_eq!(self.code, 0, "{} {}", self.err, self.out);
        let json = self.json();
        assert_eq!(json["verified"], true, "{json}");
        json["result"].clone()
    }
}

/// A workflow that `scripts/build-workflows` made.
pub fn built(name: &str) -> PathBuf {
    let path = root().join("tests/workflows/built").join(format!("{name}.wasm"));
    assert!(path.is_file(), "{} is missing; run scripts/build-workflows", path.display());
    path
}

/// Asks a process of the test's own devnet to end.
pub fn terminate(pid: u32) {
    signal(pid, "TERM");
}

/// Ends a process of the test's own devnet at once.
pub fn kill(pid: u32) {
    signal(pid, "KILL");
}

/// Whether a process is there and not just waiting to be collected.
pub fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

/// Waits for something that must happen soon; a test that waits longer has failed.
pub async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it happens in time")
}

/// Tries again until `attempt` gives something.
pub async fn eventually<T, F: Future<Output = Option<T>>>(mut attempt: impl FnMut() -> F) -> T {
    within(async {
        loop {
            if let Some(value) = attempt().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
}

fn spawn(folder: PathBuf, arguments: &[&str]) -> Child {
    let mut command = command("enclavectl");
    command.arg("devnet").arg("--dir").arg(folder).args(arguments);
    command.spawn().unwrap()
}

fn command(name: &str) -> Command {
    let mut command = Command::new(program(name));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.kill_on_drop(true);
    command
}

async fn ended(mut child: Child) -> Ended {
    drop(child.stdin.take());
    let output = within(child.wait_with_output()).await.unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn signal(pid: u32, name: &str) {
    let mut command = std::process::Command::new("kill");
    let status = command.args([format!("-{name}"), pid.to_string()]).status();
    assert!(status.unwrap().success(), "kill -{name} {pid}");
}

/// Far more than anything here takes; a test that hangs ends.
const PATIENCE: Duration = Duration::from_secs(60);
