//! Chooses where each trigger of a workflow runs, and runs its pre-hook first (7.6).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use protocol::messages::{
    decode,
    sdk::{ExecuteRequest, Outcome as Answer, Phase, Restrictions, TriggerSubscriptionRequest},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Ended, Engine, Limits, MalformedRequest, Metering, Module, Outcome, Request, RequirementsError,
    Restricted, RunError, ServiceFuture, Services, TeeProvider, satisfies,
    wire::{Malformed, fields, merged},
};

/// Somewhere a workflow can run.
///
/// The router asks nothing of a runner before a trigger belongs to it. One that has to be started,
/// say by compiling the workflow or by dialling, starts at its first run; one that has to be closed
/// closes when it is dropped, with the router. So neither happens to a runner that is never chosen.
pub trait Runner: Send + Sync {
    /// Runs the workflow once.
    fn run<'a>(
        &'a self,
        job: Job,
        services: Arc<dyn Services>,
        cancel: &'a CancellationToken,
    ) -> ServiceFuture<'a, Ended>;
}

/// One run, as the router hands it to a place.
#[derive(Clone, Debug)]
pub struct Job {
    /// What is asked.
    pub request: Request,
    /// The encoded requirements of the trigger that fired, for a place that enforces them itself.
    pub requirements: Option<Vec<u8>>,
    /// What the trigger's pre-hook allows, for a place that passes it on. The services that come with
    /// the job are held to it already, since another place may not be trusted to.
    pub restrictions: Option<Restrictions>,
}

/// The runner of this process. Requirements were satisfied when it was chosen, and restrictions are
/// kept by the services it gets.
#[derive(Clone, Debug)]
pub struct LocalRunner {
    /// The engine to run in.
    pub engine: Engine,
    /// The workflow.
    pub module: Arc<Module>,
    /// What each run may use.
    pub limits: Limits,
}

/// A runner and what it can promise about its place.
pub struct Place {
    /// Runs the workflow.
    pub runner: Box<dyn Runner>,
    /// The enclaves it offers; without any, a handler that requires one does not run here.
    pub tee: Option<Box<dyn TeeProvider>>,
}

/// Runs a workflow in the first place that satisfies each trigger's requirements.
///
/// Order of use: one subscribe run, which fixes a place for every trigger, then any number of
/// triggers. Everything that is not a trigger runs in the main place.
pub struct Router {
    main: Place,
    others: Vec<Place>,
    routes: Mutex<HashMap<u64, Route>>,
}

/// Where a trigger runs.
#[derive(Clone, Debug)]
struct Route {
    /// 0 is the main place.
    place: usize,
    has_prehook: bool,
    requirements: Option<Vec<u8>>,
}

/// Why a routed run has no outcome.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RouteError {
    /// No place satisfies what this trigger requires.
    #[error("cannot find a runner that can satisfy the requirements for trigger {trigger}")]
    NoRunner {
        /// Index of the subscription.
        trigger: usize,
    },
    /// The trigger is not one of the subscriptions that are known.
    #[error("cannot trigger before gathering subscriptions")]
    NotSubscribed,
    /// The pre-hook has no outcome.
    #[error("pre-hook execution failed: {0}")]
    Prehook(RunError),
    /// The run itself has no outcome.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A subscription's requirements cannot be read.
    #[error(transparent)]
    Requirements(#[from] RequirementsError),
    /// Subscriptions or restrictions nest too deep to be read.
    #[error("result nests too deep")]
    Result,
}

impl Runner for LocalRunner {
    fn run<'a>(
        &'a self,
        job: Job,
        services: Arc<dyn Services>,
        cancel: &'a CancellationToken,
    ) -> ServiceFuture<'a, Ended> {
        Box::pin(self.engine.run(&self.module, job.request, services, &self.limits, cancel))
    }
}

impl From<Request> for Job {
    fn from(request: Request) -> Self {
        Self { request, requirements: None, restrictions: None }
    }
}

impl Router {
    /// Routes between a main place and others, tried in this order.
    #[must_use]
    pub fn new(main: Place, others: Vec<Place>) -> Self {
        Self { main, others, routes: Mutex::default() }
    }

    /// Runs one request: a trigger where its subscription belongs, anything else in the main place.
    ///
    /// A trigger with a pre-hook runs that first, in the main place. If it answers with an error,
    /// that is the outcome; if with restrictions, the run is held to them here, wherever it runs. What
    /// was used is the sum of both.
    pub async fn run(
        &self,
        request: Request,
        services: Arc<dyn Services>,
        cancel: &CancellationToken,
    ) -> Ended<RouteError> {
        let mut metering = Metering::default();
        let result = self.route(request, services, cancel, &mut metering).await;
        Ended { result, metering }
    }

    async fn route(
        &self,
        request: Request,
        mut services: Arc<dyn Services>,
        cancel: &CancellationToken,
        metering: &mut Metering,
    ) -> Result<Outcome, RouteError> {
        let decoded: ExecuteRequest =
            decode(request.encoded()).map_err(|_error| RunError::Request(MalformedRequest))?;
        let Some(Phase::Trigger(trigger)) = decoded.request else {
            let outcome = self.main.ask(request.into(), services, cancel, metering).await?;
            let answer = outcome.decode().map_err(|_error| RouteError::Result)?.result;
            if let Some(Answer::TriggerSubscriptions(subscriptions)) = answer {
                self.learn(&subscriptions, &outcome.encoded)?;
            }
            return Ok(outcome);
        };
        let route = self.routes().get(&trigger.id).cloned().ok_or(RouteError::NotSubscribed)?;
        let mut restrictions = None;
        if route.has_prehook {
            match self.prehook(&request, Arc::clone(&services), cancel, metering).await? {
                Prehook::Allows(allowed) => restrictions = allowed,
                Prehook::Ends(outcome) => return Ok(*outcome),
            }
        }
        if let Some(restrictions) = &restrictions {
            services = Arc::new(Restricted::new(services, restrictions));
        }
        let job = Job { request, requirements: route.requirements, restrictions };
        let place = self.places().nth(route.place).ok_or(RouteError::NotSubscribed)?;
        Ok(place.ask(job, services, cancel, metering).await?)
    }

    async fn prehook(
        &self,
        request: &Request,
        services: Arc<dyn Services>,
        cancel: &CancellationToken,
        metering: &mut Metering,
    ) -> Result<Prehook, RouteError> {
        let request = request.prehook().map_err(RunError::Request)?;
        let request = request.ok_or(RunError::Request(MalformedRequest))?;
        let outcome = self.main.ask(request.into(), services, cancel, metering).await;
        let outcome = outcome.map_err(RouteError::Prehook)?;
        Ok(match outcome.decode().map_err(|_error| RouteError::Result)?.result {
            Some(Answer::Error(_)) => Prehook::Ends(Box::new(outcome)),
            Some(Answer::Restrictions(restrictions)) => Prehook::Allows(Some(restrictions)),
            Some(Answer::Value(_) | Answer::TriggerSubscriptions(_)) | None => {
                Prehook::Allows(None)
            }
        })
    }

    /// Finds a place for every subscription; what was known before is forgotten.
    fn learn(
        &self,
        subscriptions: &TriggerSubscriptionRequest,
        encoded: &[u8],
    ) -> Result<(), RouteError> {
        let requirements = requirements(encoded).map_err(|_error| RequirementsError)?;
        let mut routes = HashMap::new();
        let subscriptions = subscriptions.subscriptions.iter().zip(requirements).enumerate();
        for (trigger, (subscription, requirements)) in subscriptions {
            let place = self.place_for(requirements.as_deref())?;
            let place = place.ok_or(RouteError::NoRunner { trigger })?;
            let id = u64::try_from(trigger).unwrap_or(u64::MAX);
            let has_prehook = subscription.pre_hook;
            routes.insert(id, Route { place, has_prehook, requirements });
        }
        *self.routes() = routes;
        Ok(())
    }

    fn place_for(&self, requirements: Option<&[u8]>) -> Result<Option<usize>, RequirementsError> {
        for (index, place) in self.places().enumerate() {
            if satisfies(requirements, place.tee.as_deref())? {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
        std::iter::once(&self.main).chain(&self.others)
    }

    fn routes(&self) -> MutexGuard<'_, HashMap<u64, Route>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Runs the workflow here and adds up what it used.
    async fn ask(
        &self,
        job: Job,
        services: Arc<dyn Services>,
        cancel: &CancellationToken,
        metering: &mut Metering,
    ) -> Result<Outcome, RunError> {
        let ended = self.runner.run(job, services, cancel).await;
        *metering = metering.and(ended.metering);
        ended.result
    }
}

/// What a pre-hook decided.
enum Prehook {
    Allows(Option<Restrictions>),
    Ends(Box<Outcome>),
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router").field("routes", &*self.routes()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").field("has_tee", &self.tee.is_some()).finish_non_exhaustive()
    }
}

/// The encoded requirements of each subscription in an encoded result.
pub(crate) fn requirements(result: &[u8]) -> Result<Vec<Option<Vec<u8>>>, Malformed> {
    let Some(request) = merged(result, TRIGGER_SUBSCRIPTIONS)? else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for field in fields(&request) {
        let field = field?;
        if field.number == SUBSCRIPTIONS {
            all.push(merged(field.contents, REQUIREMENTS)?);
        }
    }
    Ok(all)
}

/// Field of `ExecutionResult`.
const TRIGGER_SUBSCRIPTIONS: u32 = 3;
/// Field of `TriggerSubscriptionRequest`.
const SUBSCRIPTIONS: u32 = 1;
/// Field of `TriggerSubscription`.
const REQUIREMENTS: u32 = 4;
