//! enclavectl: every host role and tool.
//!
//! | Module | Holds |
//! |---|---|
//! | [`devnet`] | a whole network on one machine, as child processes |
//! | [`role`] | one role in the foreground: bridge, gateway, relay, vault |
//! | [`secret`] | secrets into the development vault |
//! | [`run`], [`receipt`], [`verify`] | a workflow run, what it leaves behind, and the check of that |
//! | [`simulate`], [`inspect`] | the inner loop of a workflow's author, without a network |
//! | [`exit`] | how a command ends |

mod devnet;
mod environment;
mod exit;
mod files;
mod http;
mod inspect;
mod network;
mod output;
mod process;
mod receipt;
mod role;
mod run;
mod secret;
mod simulate;
mod verify;

use std::process::ExitCode;

use clap::Parser;

use self::{
    devnet::Devnet,
    environment::Environment,
    exit::{Exit, Failure},
    inspect::Inspect,
    role::{bridge::Bridge, gateway::Gateway, relay::Relay, vault::Vault},
    run::Run,
    secret::Secret,
    simulate::Simulate,
    verify::Verify,
};

/// Runs confidential workflows: their hosts, a whole network on one machine, and the tools around it.
#[derive(Debug, Parser)]
#[command(name = "enclavectl", version, after_help = Exit::HELP, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Bridge(Bridge),
    Devnet(Box<Devnet>),
    Gateway(Gateway),
    Inspect(Inspect),
    Relay(Relay),
    Run(Box<Run>),
    Secret(Secret),
    Simulate(Box<Simulate>),
    Vault(Vault),
    Verify(Verify),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let exit = cli.command.run(&environment()).await.unwrap_or_else(|failure| {
        output::note(format_args!("enclavectl: {failure}"));
        failure.exit
    });
    ExitCode::from(exit.code())
}

impl Command {
    async fn run(self, environment: &Environment) -> Result<Exit, Failure> {
        match self {
            Self::Bridge(bridge) => bridge.run(environment).await,
            Self::Devnet(devnet) => devnet.run().await,
            Self::Gateway(gateway) => gateway.run().await,
            Self::Inspect(inspect) => inspect.run().await,
            Self::Relay(relay) => relay.run().await,
            Self::Run(run) => run.run().await,
            Self::Secret(secret) => secret.run().await,
            Self::Simulate(simulate) => simulate.run().await,
            Self::Vault(vault) => vault.run().await,
            Self::Verify(verify) => verify.run(),
        }
    }
}

/// Reads the environment, once.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn environment() -> Environment {
    Environment {
        vsock_backend: std::env::var("VSOCK_BACKEND").ok(),
        enclave_cid: std::env::var("ENCLAVE_CID").ok(),
    }
}
