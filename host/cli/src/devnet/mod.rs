//! `enclavectl devnet`: everything production has, on one machine.

mod child;
mod fault;
mod keys;
mod layout;
mod plan;
mod ports;
mod ready;
mod restarts;
pub(crate) mod service;
mod supervisor;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use rand_core::OsRng;
use tokio_util::sync::CancellationToken;

pub(crate) use self::plan::PRICES;
use self::{
    fault::{Faults, FaultyRelay},
    keys::Keys,
    layout::Layout,
    plan::{Plan, Programs},
    ports::Vsock,
    service::{echo::Echo, workflows::Workflows},
    supervisor::Supervisor,
};
use crate::{
    exit::{Exit, Failure, OrFail as _},
    output, process,
};

/// Run a whole network on this machine: enclave, bridge, gateway, vault and four relay nodes.
///
/// The enclave is emulated: it runs as a process, and its attestation documents lead to a root made
/// for the occasion. Everything else is what runs in production, with every check switched on.
///
/// Prints one line for each process and `ready`, then runs until it is interrupted. Addresses and
/// keys are in DIR/devnet.json, which the other commands take as --network; logs are in DIR/logs.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Devnet {
    /// A folder for everything the devnet writes. It is made if it is not there; what an earlier
    /// devnet left in it is replaced.
    #[arg(long, value_name = "DIR", required = true)]
    dir: Option<PathBuf>,
    /// Make a relay node misbehave: relay-N=lie, garbage, stall, down or duplicate. Repeatable.
    #[arg(long, value_name = "ROLE=KIND")]
    fault: Vec<FaultyRelay>,
    /// Start a process that ends again, at the same addresses, instead of ending everything.
    #[arg(long)]
    respawn: bool,
    /// The context id of the emulated enclave, 4 to 50; without it, one whose ports are free.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(4..=50))]
    cid: Option<u32>,
    /// Set the enclave's clock off by so many seconds, to see stale documents refused.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, allow_negative_numbers = true)]
    clock_offset: i64,
    /// What the enclave is told as its gateway instead of the gateway itself: a proxy of yours, to
    /// record or to meddle with what relay nodes answer.
    #[arg(long, value_name = "ADDRESS")]
    gateway_through: Option<SocketAddr>,
    /// The emulated enclave's program; without it, `enclave-emulator` beside this program.
    #[arg(long, value_name = "FILE")]
    emulator: Option<PathBuf>,
    /// What the processes log: error, warn, info, debug, or a filter per part of the program.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
    #[command(subcommand)]
    service: Option<Service>,
}

/// Processes of a devnet that are no role.
#[derive(Debug, clap::Subcommand)]
enum Service {
    #[command(hide = true)]
    Echo(Echo),
    #[command(hide = true)]
    Workflows(Workflows),
}

impl Devnet {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        match self.service {
            Some(Service::Echo(echo)) => return echo.run().await,
            Some(Service::Workflows(workflows)) => return workflows.run().await,
            None => {}
        }
        let stop = CancellationToken::new();
        process::cancel_on_signals(&stop)?;
        let respawn = self.respawn;
        let candidates = self.candidates()?;
        let plan = self.plan(&candidates)?;
        let network = plan.layout.network();
        let mut supervisor = Supervisor::new(plan, stop.clone());
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => Ok(Exit::Success),
            started = supervisor.start(&candidates) => match started {
                Ok(()) => say_ready(&network),
                Err(failure) => Err(failure),
            },
        };
        let ended = match ended {
            Ok(_) if !stop.is_cancelled() => supervisor.watch(respawn).await,
            ended => ended,
        };
        supervisor.end().await;
        ended
    }

    fn candidates(&self) -> Result<Vec<Vsock>, Failure> {
        match self.cid {
            None => Ok(ports::candidates(&mut OsRng)),
            Some(cid) => Vsock::of(cid).map(|vsock| vec![vsock]).or_fail(Exit::Usage, || "--cid"),
        }
    }

    fn plan(self, candidates: &[Vsock]) -> Result<Plan, Failure> {
        let faults = Faults::new(&self.fault).or_fail(Exit::Usage, || "--fault")?;
        let programs = programs(self.emulator)?;
        let missing = || Failure::new(Exit::Usage, "--dir is missing");
        let folder = self.dir.ok_or_else(missing)?;
        let layout = Layout::take(&folder).or_fail(Exit::Input, || "--dir")?;
        let keys = Keys::generate(&mut OsRng).or_fail(Exit::Internal, || "no keys can be made")?;
        keys.store(&layout).or_fail(Exit::Input, || "--dir")?;
        let none = || Failure::new(Exit::Internal, "there is no context id");
        Ok(Plan {
            layout,
            keys,
            faults,
            programs,
            log: self.log,
            clock_offset_s: self.clock_offset,
            gateway_through: self.gateway_through,
            vsock: *candidates.first().ok_or_else(none)?,
            measurements: None,
            bound: BTreeMap::new(),
        })
    }
}

fn say_ready(network: &Path) -> Result<Exit, Failure> {
    output::line(format_args!("network    {}", network.display()))?;
    output::line(format_args!("ready"))?;
    Ok(Exit::Success)
}

/// Finds the programs before anything is started.
fn programs(emulator: Option<PathBuf>) -> Result<Programs, Failure> {
    let enclavectl =
        std::env::current_exe().or_fail(Exit::Internal, || "this program cannot find itself")?;
    let emulator = emulator.unwrap_or_else(|| enclavectl.with_file_name("enclave-emulator"));
    if !emulator.is_file() {
        let text = format!(
            "{} is missing; build it with `cargo build -p enclave-emulator`, or name it with --emulator",
            emulator.display()
        );
        return Err(Failure::new(Exit::Input, text));
    }
    Ok(Programs { enclavectl, emulator })
}

const EXAMPLE: &str = "\
Examples:
  enclavectl devnet --dir /tmp/devnet
  enclavectl devnet --dir /tmp/devnet --fault relay-2=lie --respawn

Then, in another terminal:
  enclavectl run --network /tmp/devnet/devnet.json workflow.wasm";
