//! Starts the processes of a devnet in order, watches them, ends them.

use std::{collections::BTreeMap, io, path::Path, process::ExitStatus, time::Instant};

use attestation::{MEASUREMENTS_LIMIT_BYTES, Measurements};
use protocol::base64;
use serde_json::value::RawValue;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    child::{Child, Ended, StartError},
    keys::{self, FAULTS, THRESHOLD},
    plan::{Plan, Role},
    ports::{Reservation, Vsock},
    ready,
    restarts::Restarts,
};
use crate::{
    exit::{Exit, Failure, OrFail as _},
    files,
    network::{self, Addresses, CommitteeFile},
    output,
};

/// A devnet's processes. Dropping it ends them.
pub(crate) struct Supervisor {
    plan: Plan,
    pids: BTreeMap<Role, u32>,
    restarts: Restarts,
    watched: JoinSet<(Role, io::Result<Ended>)>,
    stop: CancellationToken,
}

impl Supervisor {
    pub(crate) fn new(plan: Plan, stop: CancellationToken) -> Self {
        let (pids, restarts) = (BTreeMap::new(), Restarts::default());
        Self { plan, pids, restarts, watched: JoinSet::new(), stop }
    }

    /// Starts everything and writes `devnet.json`.
    ///
    /// # Errors
    ///
    /// What did not start.
    pub(crate) async fn start(&mut self, candidates: &[Vsock]) -> Result<(), Failure> {
        self.plan.store_prices().or_fail(Exit::Input, || "the price feed cannot be written")?;
        self.start_all(&[Role::Vault, Role::Gateway, Role::Workflows, Role::Echo]).await?;
        let mut reservation = self.start_enclave(candidates).await?;
        self.plan.measurements = Some(read_measurements(&self.plan.measurements_file())?);
        self.plan.store_registry().or_fail(Exit::Input, || "the registry cannot be written")?;
        reservation.release_egress();
        let present = Role::relays().filter(|role| !self.is_down(*role));
        let last: Vec<_> = std::iter::once(Role::Bridge).chain(present).collect();
        self.start_all(&last).await?;
        for role in Role::relays().filter(|role| self.is_down(*role)) {
            output::line(format_args!("{role:<10} not started (fault: down)"))?;
        }
        self.until_ready().await?;
        self.store_network()
    }

    /// Waits until a process ends by itself, or everything is to stop. With `respawn` a process that
    /// ends is started again.
    ///
    /// # Errors
    ///
    /// [`Exit::Child`], naming the process that ended.
    pub(crate) async fn watch(&mut self, respawn: bool) -> Result<Exit, Failure> {
        loop {
            let (role, how) = tokio::select! {
                () = self.stop.cancelled() => return Ok(Exit::Success),
                ended = next_end(&mut self.watched) => ended?,
            };
            let text = self.ended_by_itself(role, how);
            if !respawn {
                return Err(Failure::new(Exit::Child, text));
            }
            output::note(format_args!("{text}; starting it again"));
            let stop = self.stop.clone();
            tokio::select! {
                () = stop.cancelled() => return Ok(Exit::Success),
                again = self.start_again(role) => again?,
            }
        }
    }

    /// Ends every process and waits until all are gone.
    pub(crate) async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.watched.join_next().await {
            if let Ok((role, Err(error))) = ended {
                output::note(format_args!("warning: {role} cannot be ended: {error}"));
            }
        }
    }

    /// Starts processes that do not wait for each other.
    async fn start_all(&mut self, roles: &[Role]) -> Result<(), Failure> {
        let mut starting = JoinSet::new();
        for role in roles {
            let spec = self.plan.spec(*role).or_fail(Exit::Input, || cannot_configure(*role))?;
            starting.spawn(async move { (spec.role, Child::start(&spec).await) });
        }
        let mut started = BTreeMap::new();
        while let Some(child) = starting.join_next().await {
            let (role, child) = child.or_fail(Exit::Internal, || "a start was cut off")?;
            started.insert(role, child.or_fail(Exit::Child, || "the devnet cannot start")?);
        }
        for role in roles {
            if let Some(child) = started.remove(role) {
                self.adopt(*role, child)?;
            }
        }
        Ok(())
    }

    /// Starts the enclave at the first of these addresses that is free, and holds the other.
    async fn start_enclave(&mut self, candidates: &[Vsock]) -> Result<Reservation, Failure> {
        for vsock in candidates {
            let Some(mut reservation) = vsock.reserve() else { continue };
            self.plan.vsock = *vsock;
            reservation.release_enclave();
            match self.start_all(&[Role::Enclave]).await {
                Ok(()) => return Ok(reservation),
                // Somebody was quicker: the next one, unless it failed for another reason.
                Err(_) if std::net::TcpListener::bind(vsock.enclave).is_err() => {}
                Err(failure) => return Err(failure),
            }
        }
        let text = match candidates {
            [only] => format!(
                "TCP port {} or {} of context id {} is in use; choose another --cid",
                only.enclave.port(),
                only.egress.port(),
                only.cid
            ),
            _ => "no context id has free TCP ports; stop another devnet".to_owned(),
        };
        Err(Failure::new(Exit::Input, text))
    }

    /// Takes over a process that serves.
    fn adopt(&mut self, role: Role, child: Child) -> Result<(), Failure> {
        let fault = match role {
            Role::Relay(number) => self.plan.faults.of(number),
            Role::Bridge
            | Role::Echo
            | Role::Enclave
            | Role::Gateway
            | Role::Vault
            | Role::Workflows => None,
        };
        let fault = fault.map(|fault| format!("  (fault: {fault})")).unwrap_or_default();
        let shown: Vec<_> = child
            .addresses
            .iter()
            .map(|(name, address)| match name.as_str() {
                "" => address.to_string(),
                name => format!("{name}={address}"),
            })
            .collect();
        let (pid, shown) = (child.pid, shown.join(" "));
        output::line(format_args!(
            "{}",
            format!("{role:<10} pid {pid:<8} {shown}{fault}").trim_end()
        ))?;
        for (name, address) in &child.addresses {
            self.plan.bound.insert((role, name.clone()), *address);
        }
        // From now on its configuration names the addresses that it has.
        self.plan.spec(role).or_fail(Exit::Input, || cannot_configure(role))?;
        self.pids.insert(role, pid);
        let stop = self.stop.clone();
        self.watched.spawn(async move { (role, child.watch(stop).await) });
        Ok(())
    }

    /// Starts a process again until that succeeds, and tells its new process id.
    async fn start_again(&mut self, role: Role) -> Result<(), Failure> {
        loop {
            tokio::time::sleep(self.restarts.pause(role, Instant::now())).await;
            let mut spec = self.plan.spec(role).or_fail(Exit::Input, || cannot_configure(role))?;
            // Its gateway may be the one that is started next.
            spec.links = false;
            match Child::start(&spec).await {
                Ok(child) => {
                    self.adopt(role, child)?;
                    return self.store_network();
                }
                Err(error @ (StartError::Ended { .. } | StartError::Silent { .. })) => {
                    output::note(format_args!("{error}; trying again"));
                }
                Err(error) => {
                    return Err(error).or_fail(Exit::Child, || "a process cannot be started again");
                }
            }
        }
    }

    /// Waits until the bridge has verified and configured the enclave.
    async fn until_ready(&mut self) -> Result<(), Failure> {
        let bridge = self.plan.address(Role::Bridge, "nodes");
        let log = self.plan.layout.log("bridge");
        tokio::select! {
            ready = ready::until_ready(bridge, &log) => ready,
            ended = next_end(&mut self.watched) => {
                let (role, how) = ended?;
                Err(Failure::new(Exit::Child, self.ended_by_itself(role, how)))
            }
        }
    }

    fn ended_by_itself(&self, role: Role, how: ExitStatus) -> String {
        let log = self.plan.layout.log(&role.to_string());
        format!("{role} ended by itself ({how}); see {}", log.display())
    }

    /// Writes `devnet.json`.
    fn store_network(&self) -> Result<(), Failure> {
        let file = self.network_file()?;
        let path = self.plan.layout.network();
        file.store(&path).or_fail(Exit::Input, || format!("{} cannot be written", path.display()))
    }

    fn network_file(&self) -> Result<network::File, Failure> {
        let (plan, keys) = (&self.plan, &self.plan.keys);
        let root = crate::role::read_root(&plan.root_file())?;
        let measurements = plan.measurements.as_ref().map(Measurements::to_registry_json);
        let measurements = RawValue::from_string(measurements.unwrap_or_default())
            .or_fail(Exit::Internal, || "the measurements cannot be written")?;
        Ok(network::File {
            version: network::VERSION,
            addresses: Addresses {
                bridge: plan.address(Role::Bridge, "nodes"),
                operator: plan.address(Role::Bridge, "operator"),
                gateway: plan.address(Role::Gateway, "users"),
                gateway_nodes: plan.address(Role::Gateway, "nodes"),
                vault: plan.address(Role::Vault, "vault"),
                workflows: plan.address(Role::Workflows, "workflows"),
                echo: plan.address(Role::Echo, "echo"),
                enclave: plan.vsock.enclave,
            },
            committee: CommitteeFile {
                f: FAULTS,
                threshold: THRESHOLD,
                signers: keys.signers().iter().map(ToString::to_string).collect(),
                seeds: keys.members.iter().map(|key| keys::seed(key).to_string().into()).collect(),
            },
            master_public_key: base64::encode(keys.vault.public_key.as_bytes()),
            test_root: base64::encode(root.der()),
            measurements,
            vault_token: keys.vault_token.expose().to_owned().into(),
            echo_ca: keys.echo.ca_pem.clone(),
            pids: self.pids.iter().map(|(role, pid)| (role.to_string(), *pid)).collect(),
        })
    }

    fn is_down(&self, role: Role) -> bool {
        match role {
            Role::Relay(number) => self.plan.faults.of(number) == Some(host_relay::Fault::Down),
            Role::Bridge
            | Role::Echo
            | Role::Enclave
            | Role::Gateway
            | Role::Vault
            | Role::Workflows => false,
        }
    }
}

/// Waits for the end of a process that nobody ended.
async fn next_end(
    watched: &mut JoinSet<(Role, io::Result<Ended>)>,
) -> Result<(Role, ExitStatus), Failure> {
    loop {
        match watched.join_next().await {
            // There is no process yet; whoever waits is told to stop in another way.
            None => std::future::pending::<()>().await,
            Some(Ok((role, Ok(Ended::ByItself(status))))) => return Ok((role, status)),
            Some(Ok((_role, Ok(Ended::Stopped)))) => {}
            Some(Ok((role, Err(error)))) => {
                return Err(error).or_fail(Exit::Child, || format!("{role} cannot be watched"));
            }
            Some(Err(error)) => {
                return Err(error).or_fail(Exit::Internal, || "a process is not watched any more");
            }
        }
    }
}

fn read_measurements(path: &Path) -> Result<Measurements, Failure> {
    let json = files::read(path, MEASUREMENTS_LIMIT_BYTES as u64)?;
    Measurements::parse(&json).or_fail(Exit::Input, || path.display().to_string())
}

fn cannot_configure(role: Role) -> String {
    format!("the configuration of {role} cannot be written")
}
