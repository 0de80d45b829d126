//! The node of a case.

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use attestation::{Measurements, TrustRoot};
use crypto::sign::SigningKey;
use host_relay::{
    Execution, Executions, Facts, Quorum,
    handler::{Handler, Setup},
    registry::{self, LookupError, Registry, RegistryError, Snapshot, WorkflowDon},
};
use protocol::{
    ids::FaultBound,
    messages::{self, sdk::Restrictions},
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio::time::sleep;
use vectors::model::hex;

use super::{
    case::{self, Input},
    doubles::{Asked, Forge, Stopped, StubCapability, StubVault},
};

/// What the recordings give a request.
pub(crate) const DEADLINE_MS: u64 = 60_000;

/// A node and what it asked.
pub(crate) struct Node {
    pub(crate) handler: Handler,
    pub(crate) asked: Asked,
}

impl Node {
    pub(crate) fn new(input: &Input, forge: &Forge) -> Self {
        let (executions, asked) = (Executions::registered(), Asked::default());
        for execution in &input.executions {
            register(&executions, execution, &asked);
        }
        let handler = Handler::new(Setup {
            registry: registry_of(input, forge),
            root: root_of(input, forge),
            executions,
            key: SigningKey::from_seed(&hex(&input.node_seed).try_into().unwrap()),
            quorum: if input.require_bft_quorum { Quorum::Bft } else { Quorum::Honest },
            passes_org_on: input.passes_org_on(),
            deadline: Duration::from_millis(DEADLINE_MS),
            clock: Arc::new(Stopped(
                UNIX_EPOCH.checked_add(Duration::from_millis(input.now_ms)).unwrap(),
            )),
        });
        Self { handler, asked }
    }
}

/// The root of a case is given to the node; what the registry says about roots is ignored.
fn root_of(input: &Input, forge: &Forge) -> TrustRoot {
    if input.is_passthrough() {
        return forge.trust();
    }
    let pem = input.root_pem().unwrap_or_default();
    let last = CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok).last();
    last.map_or_else(TrustRoot::aws, |der| TrustRoot::dangerous_from_der(&der).unwrap())
}

fn registry_of(input: &Input, forge: &Forge) -> Registry {
    let (don, registry) = (input.local_don.clone(), input.registry.clone());
    let instead = input.is_passthrough().then(|| forge.image().clone());
    Registry::mirror(move || read(&don, &registry, instead.as_ref()))
}

fn read(
    don: &case::LocalDon,
    registry: &case::Registry,
    instead: Option<&Measurements>,
) -> Result<Snapshot, RegistryError> {
    if registry.dons_error.is_some() {
        return Err(LookupError::Dons.into());
    }
    let first = registry.dons.as_ref().and_then(|dons| dons.first());
    let first = first.ok_or(LookupError::NoDon)?;
    if registry.config_error.is_some() {
        return Err(LookupError::Config.into());
    }
    let config = registry.configs.get(first).ok_or(LookupError::Config)?;
    let config = config.default_config_hex.as_ref().ok_or(LookupError::NoDefaultConfig)?;
    let values = registry::trusted_values(&hex(config))?;
    if don.error.is_some() {
        return Err(LookupError::LocalNode.into());
    }
    let measurements = values.iter().map(|value| match instead {
        Some(image) => Ok(image.clone()),
        None => Measurements::parse(value),
    });
    let members = don.members.iter().map(|member| member.parse().unwrap());
    Ok(Snapshot {
        don: WorkflowDon::new(members.collect(), FaultBound::new(don.f)),
        measurements: measurements.collect(),
        ..Snapshot::default()
    })
}

/// Registers an execution when its time comes, and takes it back when that is over.
fn register(executions: &Executions, given: &case::Execution, asked: &Asked) {
    let (executions, given, asked) = (executions.clone(), given.clone(), asked.clone());
    let begins_ms = given.registered_at_ms;
    let begin = move || {
        let restrictions = given.restrictions_hex.as_deref();
        let restrictions: Option<Restrictions> =
            restrictions.map(|bytes| messages::decode(&hex(bytes)).unwrap());
        let facts = Facts {
            owner: &given.workflow_owner,
            workflow_name: &given.workflow_name,
            phase_id: &given.phase_id,
            org_id: &given.org_id,
            restrictions: restrictions.as_ref(),
        };
        let vault = StubVault { stub: given.vault.clone(), asked: asked.clone() };
        let capability = StubCapability { stub: given.capability.clone(), asked };
        let execution = Execution::new(&facts, Arc::new(vault), Arc::new(capability));
        let (workflow, id) = (given.workflow_id.as_str(), given.execution_id.as_str());
        let registration = executions.register(workflow.into(), id.into(), execution);
        (registration, given.registered_at_ms, given.removed_at_ms)
    };
    let end = |(registration, began_ms, ends_ms): (_, u64, Option<u64>)| async move {
        match ends_ms {
            Some(ends_ms) => sleep(Duration::from_millis(ends_ms.abs_diff(began_ms))).await,
            None => std::future::pending().await,
        }
        drop(registration);
    };
    match begins_ms {
        0 => drop(tokio::spawn(end(begin()))),
        _ => drop(tokio::spawn(async move {
            sleep(Duration::from_millis(begins_ms)).await;
            end(begin()).await;
        })),
    }
}
