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
    Engine, Limits, MalformedRequest, Module, Outcome, Request, RequirementsError, Restricted,
    RunError, ServiceFuture, Services, TeeProvider, satisfies,
    wire::{Malformed, fields, merged},
};

/// Somewhere a workflow can run.
pub trait Runner: Send + Sync {
    /// Runs the workflow once.
    fn run<'a>(
        &'a self,
        request: Request,
        services: Arc<dyn Services>,
        cancel: &'a CancellationToken,
    ) -> ServiceFuture<'a, Result<Outcome, RunError>>;
}

/// The runner of this process.
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
#[derive(Clone, Copy, Debug)]
struct Route {
    /// 0 is the main place.
    place: usize,
    has_prehook: bool,
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
        request: Request,
        services: Arc<dyn Services>,
        cancel: &'a CancellationToken,
    ) -> ServiceFuture<'a, Result<Outcome, RunError>> {
        Box::pin(self.engine.run(&self.module, request, services, &self.limits, cancel))
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
    /// that is the outcome; if with restrictions, the run is held to them here, wherever it runs.
    ///
    /// # Errors
    ///
    /// [`RouteError`].
    pub async fn run(
        &self,
        request: Request,
        services: Arc<dyn Services>,
        cancel: &CancellationToken,
    ) -> Result<Outcome, RouteError> {
        let decoded: ExecuteRequest =
            decode(request.encoded()).map_err(|_error| RunError::Request(MalformedRequest))?;
        let Some(Phase::Trigger(trigger)) = decoded.request else {
            let outcome = self.main.runner.run(request, services, cancel).await?;
            let answer = outcome.decode().map_err(|_error| RouteError::Result)?.result;
            if let Some(Answer::TriggerSubscriptions(subscriptions)) = answer {
                self.learn(&subscriptions, &outcome.encoded)?;
            }
            return Ok(outcome);
        };
        let route = self.routes().get(&trigger.id).copied().ok_or(RouteError::NotSubscribed)?;
        let services = if route.has_prehook {
            match self.prehook(&request, Arc::clone(&services), cancel).await? {
                Prehook::Allows(None) => services,
                Prehook::Allows(Some(limits)) => Arc::new(Restricted::new(services, &limits)),
                Prehook::Ends(outcome) => return Ok(*outcome),
            }
        } else {
            services
        };
        let place = self.places().nth(route.place).ok_or(RouteError::NotSubscribed)?;
        Ok(place.runner.run(request, services, cancel).await?)
    }

    async fn prehook(
        &self,
        request: &Request,
        services: Arc<dyn Services>,
        cancel: &CancellationToken,
    ) -> Result<Prehook, RouteError> {
        let request = request.prehook().map_err(RunError::Request)?;
        let request = request.ok_or(RunError::Request(MalformedRequest))?;
        let outcome = self.main.runner.run(request, services, cancel).await;
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
            routes.insert(id, Route { place, has_prehook: subscription.pre_hook });
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
fn requirements(result: &[u8]) -> Result<Vec<Option<Vec<u8>>>, Malformed> {
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
