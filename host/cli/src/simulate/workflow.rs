//! A workflow that was let in, and its runs.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use enclave_server::{LimitSet, run_limits};
use enclave_workflow::{
    BinaryLimits, Capacity, EnclaveTee, Ended, Engine, Facts, LocalRunner, Module, Outcome, Place,
    Request, RouteError, Router, Runner as _, Tier,
};
use protocol::{
    ids::Owner,
    limits,
    messages::{
        self,
        sdk::{Outcome as Answer, TeeType, TriggerSubscription},
    },
};
use tokio_util::sync::CancellationToken;

use super::services::{Simulated, World};
use crate::{
    exit::{Exit, Failure, OrFail as _},
    run::{
        binary::Binary,
        request::{Ask, workflow_id},
    },
    secret::{DEFAULT_OWNER, parse_owner},
};

/// A workflow in a place like an enclave.
pub(crate) struct Workflow {
    runner: LocalRunner,
    router: Router,
    owner: Owner,
    id: String,
    config: Vec<u8>,
    set: LimitSet,
}

/// One run, and what it did.
pub(crate) struct Asked {
    /// How it ended.
    pub(super) ended: Ended<RouteError>,
    /// What it asked for.
    pub(super) services: Arc<Simulated>,
    /// The time it took, with that of a pre-hook.
    pub(super) spent: Duration,
}

impl Workflow {
    /// Lets a workflow in as an enclave does: sizes, features, imports; then it is compiled.
    ///
    /// # Errors
    ///
    /// [`Exit::Refused`] with the enclave's own reason.
    pub(super) async fn admit(
        file: &Path,
        binary: &Binary,
        config: &[u8],
        tier: Tier,
        set: LimitSet,
    ) -> Result<Self, Failure> {
        let engine = Engine::new(Capacity { instances: 1, ..Capacity::default() });
        let engine = engine.or_fail(Exit::Internal, || "workflows cannot run on this machine")?;
        let (compiler, bytes) = (engine.clone(), binary.compressed.to_vec());
        let compiled = tokio::task::spawn_blocking(move || {
            let binary = enclave_workflow::Binary::new(bytes);
            Module::compile(&compiler, &binary, &BinaryLimits::default(), tier)
        });
        let compiled = compiled.await.or_fail(Exit::Internal, || "the compiler ended early")?;
        let refused = || format!("{} would be refused by an enclave", file.display());
        let module = compiled.or_fail(Exit::Refused, refused)?;
        Self::new(engine, module, binary, config, set, limits::EXECUTION_TIMEOUT)
    }

    /// A workflow that was let in and compiled.
    ///
    /// # Errors
    ///
    /// [`Exit::Internal`].
    pub(crate) fn new(
        engine: Engine,
        module: Module,
        binary: &Binary,
        config: &[u8],
        set: LimitSet,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let owner =
            parse_owner(DEFAULT_OWNER).map_err(|text| Failure::new(Exit::Internal, text))?;
        let limits = run_limits(set, timeout);
        let runner = LocalRunner { engine, module: Arc::new(module), limits };
        let tee = EnclaveTee { tee_type: TeeType::AwsNitro.into() };
        let main = Place { runner: Box::new(runner.clone()), tee: Some(Box::new(tee)) };
        let router = Router::new(main, Vec::new());
        let id = workflow_id(&owner, &binary.sha256, config);
        Ok(Self { runner, router, owner, id, config: config.to_vec(), set })
    }

    /// What is known about it without running it.
    pub(super) fn facts(&self) -> &Facts {
        self.runner.module.facts()
    }

    /// Asks it for its subscriptions, without secrets and capabilities, and whatever they require.
    pub(crate) async fn subscribe(&self) -> Result<Result<Outcome, String>, Failure> {
        let world = Arc::new(World::without_answers()?);
        let services = Arc::new(Simulated::new(world, self.owner, self.set));
        let (request, cancel) = (self.request(Ask::Subscribe, None), CancellationToken::new());
        let ended = self.runner.run(request.into(), services, &cancel).await;
        Ok(ended.result.map_err(|error| error.to_string()))
    }

    /// Runs it once. Before a trigger can fire, it has to be asked for its subscriptions.
    pub(super) async fn ask(
        &self,
        ask: Ask,
        seed: Option<i64>,
        world: &Arc<World>,
    ) -> Result<Asked, Failure> {
        let request = self.request(ask, seed);
        let services = Arc::new(Simulated::new(Arc::clone(world), self.owner, self.set));
        let (start, cancel) = (Instant::now(), CancellationToken::new());
        let ended = self.router.run(request, Arc::clone(&services) as _, &cancel).await;
        Ok(Asked { ended, services, spent: start.elapsed() })
    }

    fn request(&self, ask: Ask, seed: Option<i64>) -> Request {
        let request = messages::encode(&ask.request(&self.config));
        let request = Request::new(request, self.id.as_str());
        match seed {
            Some(seed) => request.with_node_seeds(seed, seed),
            None => request,
        }
    }
}

impl Asked {
    /// The subscriptions that it answered with, if it did.
    pub(super) fn subscriptions(&self) -> Option<Vec<TriggerSubscription>> {
        let outcome = self.ended.result.as_ref().ok()?;
        match outcome.decode().ok()?.result? {
            Answer::TriggerSubscriptions(request) => Some(request.subscriptions),
            Answer::Value(_) | Answer::Error(_) | Answer::Restrictions(_) => None,
        }
    }
}
