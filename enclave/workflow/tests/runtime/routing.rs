//! Which place a trigger runs in, and what its pre-hook decides (7.6).

use std::sync::{Arc, Mutex, atomic::Ordering};

use enclave_workflow::{
    Ended, Job, Limits, LocalRunner, Metering, Module, Outcome, Place, Request, RouteError, Router,
    RunError, Runner, ServiceFuture, Services, TeeOffer,
};
use protocol::messages::{
    decode, encode,
    sdk::{
        self, CapabilityRestrictions, ExecuteRequest, ExecutionResult, Phase, Requirements,
        Restrictions, Tee, TeeItem, TeeType, TeeTypeAndRegions, TeeTypesAndRegions, Trigger,
        TriggerSubscription, TriggerSubscriptionRequest,
    },
    well_known::{Any, Empty},
};
use tokio_util::sync::CancellationToken;

use crate::support::{CALL, ENGINE, Embedder, answer, guest};

/// A runner that answers as it was told and remembers what it was asked.
#[derive(Default)]
struct Scripted {
    answers: Mutex<Vec<Result<sdk::Outcome, RunError>>>,
    asked: Asked,
}

impl Runner for Scripted {
    fn run<'a>(
        &'a self,
        job: Job,
        _services: Arc<dyn Services>,
        _cancel: &'a CancellationToken,
    ) -> ServiceFuture<'a, Ended> {
        self.asked.lock().unwrap().push(job);
        let answer = self.answers.lock().unwrap().remove(0);
        let result = answer
            .map(|answer| Outcome { encoded: encode(&ExecutionResult { result: Some(answer) }) });
        let metering = Metering { host_calls: 1, ..Metering::default() };
        Box::pin(std::future::ready(Ended { result, metering }))
    }
}

type Asked = Arc<Mutex<Vec<Job>>>;

/// What a job asks.
fn request(job: &Job) -> ExecuteRequest {
    decode(job.request.encoded()).unwrap()
}

fn place(
    answers: impl IntoIterator<Item = Result<sdk::Outcome, RunError>>,
    tee: Option<TeeOffer>,
) -> (Place, Asked) {
    let runner =
        Scripted { answers: Mutex::new(answers.into_iter().collect()), ..Scripted::default() };
    let asked = Arc::clone(&runner.asked);
    (Place { runner: Box::new(runner), tee: tee.map(|tee| Box::new(tee) as _) }, asked)
}

fn nitro(regions: &[&str]) -> TeeOffer {
    let regions = regions.iter().map(|region| (*region).to_owned()).collect();
    TeeOffer::new([(TeeType::AwsNitro.into(), regions)])
}

fn subscription(region: Option<&str>, pre_hook: bool) -> TriggerSubscription {
    let requirements = region.map(|region| {
        let entry =
            TeeTypeAndRegions { r#type: TeeType::AwsNitro.into(), regions: vec![region.into()] };
        let typed = TeeTypesAndRegions { tee_type_and_regions: vec![entry] };
        Requirements { tee: Some(Tee { item: Some(TeeItem::TypesAndRegions(typed)) }) }
    });
    TriggerSubscription { requirements, pre_hook, ..TriggerSubscription::default() }
}

fn subscriptions(
    all: impl IntoIterator<Item = TriggerSubscription>,
) -> Result<sdk::Outcome, RunError> {
    let subscriptions = all.into_iter().collect();
    Ok(sdk::Outcome::TriggerSubscriptions(TriggerSubscriptionRequest { subscriptions }))
}

fn failure(text: &str) -> Result<sdk::Outcome, RunError> {
    Ok(sdk::Outcome::Error(text.to_owned()))
}

async fn ask(router: &Router, phase: Phase) -> Result<Option<sdk::Outcome>, RouteError> {
    let request =
        ExecuteRequest { config: b"config".to_vec(), request: Some(phase), ..Default::default() };
    let request = Request::new(encode(&request), "");
    let services = Arc::new(Embedder::default());
    let ended = router.run(request, services, &CancellationToken::new()).await;
    ended.result.map(|outcome| answer(&outcome))
}

fn fired(id: u64) -> Phase {
    Phase::Trigger(Trigger { id, payload: None })
}

const SUBSCRIBE: Phase = Phase::Subscribe(Empty {});

#[tokio::test]
async fn each_trigger_runs_in_the_first_place_that_suits_it() {
    let wanted = [subscription(None, false), subscription(Some("eu"), false)];
    let (main, at_main) = place([subscriptions(wanted), failure("main")], None);
    let (other, at_other) = place([], Some(nitro(&["us"])));
    let (third, at_third) = place([failure("third")], Some(nitro(&["us", "eu"])));
    let router = Router::new(main, vec![other, third]);
    ask(&router, SUBSCRIBE).await.unwrap();
    let error = |text: &str| Some(sdk::Outcome::Error(text.to_owned()));
    assert_eq!(ask(&router, fired(1)).await.unwrap(), error("third"));
    assert_eq!(ask(&router, fired(0)).await.unwrap(), error("main"));
    let asked = |asked: &Asked| asked.lock().unwrap().len();
    assert_eq!((asked(&at_main), asked(&at_other), asked(&at_third)), (2, 0, 1));
}

#[tokio::test]
async fn a_requirement_that_no_place_satisfies_is_named() {
    let wanted = [subscription(None, false), subscription(Some("eu"), false)];
    let (main, _asked) = place([subscriptions(wanted)], Some(nitro(&["us"])));
    let error = ask(&Router::new(main, Vec::new()), SUBSCRIBE).await.unwrap_err();
    let want = "cannot find a runner that can satisfy the requirements for trigger 1";
    assert_eq!(error.to_string(), want);
}

#[tokio::test]
async fn a_trigger_nobody_subscribed_to_is_refused() {
    let (main, asked) = place([subscriptions([subscription(None, false)])], None);
    let router = Router::new(main, Vec::new());
    let want = "cannot trigger before gathering subscriptions";
    assert_eq!(ask(&router, fired(0)).await.unwrap_err().to_string(), want);
    ask(&router, SUBSCRIBE).await.unwrap();
    assert_eq!(ask(&router, fired(1)).await.unwrap_err().to_string(), want);
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_pre_hook_sees_the_trigger_and_no_configuration() {
    let allowed = Ok(sdk::Outcome::Restrictions(Restrictions::default()));
    let wanted = subscriptions([subscription(Some("eu"), true)]);
    let (main, at_main) = place([wanted, allowed], None);
    let (other, at_other) = place([failure("ran")], Some(nitro(&["eu"])));
    let router = Router::new(main, vec![other]);
    ask(&router, SUBSCRIBE).await.unwrap();
    ask(&router, fired(0)).await.unwrap();
    let asked = request(&at_main.lock().unwrap()[1]);
    let trigger = Trigger { id: 0, payload: None };
    assert_eq!(asked.request, Some(Phase::PreHook(trigger)));
    assert!(asked.config.is_empty());
    assert_eq!(request(&at_other.lock().unwrap()[0]).config, b"config");
}

#[tokio::test]
async fn a_pre_hook_that_answers_with_an_error_ends_the_run() {
    let wanted = subscriptions([subscription(None, true)]);
    let (main, asked) = place([wanted, failure("not today")], None);
    let router = Router::new(main, Vec::new());
    ask(&router, SUBSCRIBE).await.unwrap();
    let answer = ask(&router, fired(0)).await.unwrap();
    assert_eq!(answer, Some(sdk::Outcome::Error("not today".to_owned())));
    assert_eq!(asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_pre_hook_without_outcome_is_said_to_have_failed() {
    let wanted = subscriptions([subscription(None, true)]);
    let (main, _asked) = place([wanted, Err(RunError::Exited(2))], None);
    let router = Router::new(main, Vec::new());
    ask(&router, SUBSCRIBE).await.unwrap();
    let error = ask(&router, fired(0)).await.unwrap_err();
    let want = "pre-hook execution failed: Exited with i32 exit status 2";
    assert_eq!(error.to_string(), want);
}

#[tokio::test]
async fn a_new_subscribe_run_replaces_what_was_known() {
    let two = subscriptions([subscription(None, false), subscription(None, false)]);
    let one = subscriptions([subscription(None, false)]);
    let (main, _asked) = place([two, failure("ran"), one], None);
    let router = Router::new(main, Vec::new());
    ask(&router, SUBSCRIBE).await.unwrap();
    ask(&router, fired(1)).await.unwrap();
    ask(&router, SUBSCRIBE).await.unwrap();
    assert!(matches!(ask(&router, fired(1)).await, Err(RouteError::NotSubscribed)));
}

#[tokio::test]
async fn a_place_is_asked_for_nothing_before_a_trigger_belongs_to_it() {
    let wanted = [subscription(None, false), subscription(Some("eu"), false)];
    let (main, at_main) = place([subscriptions(wanted), failure("main")], None);
    let (chosen, at_chosen) = place([failure("chosen"), failure("again")], Some(nitro(&["eu"])));
    let (spare, at_spare) = place([], Some(nitro(&["eu"])));
    let router = Router::new(main, vec![chosen, spare]);
    let asked = || [&at_main, &at_chosen, &at_spare].map(|asked| asked.lock().unwrap().len());
    assert_eq!(asked(), [0, 0, 0]);
    ask(&router, SUBSCRIBE).await.unwrap();
    assert_eq!(asked(), [1, 0, 0]);
    ask(&router, fired(0)).await.unwrap();
    assert_eq!(asked(), [2, 0, 0]);
    ask(&router, fired(1)).await.unwrap();
    ask(&router, fired(1)).await.unwrap();
    assert_eq!(asked(), [2, 2, 0]);
}

#[tokio::test]
async fn requirements_and_restrictions_come_with_the_run_they_are_for() {
    let allowed = Restrictions {
        capabilities: Some(CapabilityRestrictions { max_total_calls: 3, ..Default::default() }),
        secrets: None,
    };
    let wanted = [subscription(Some("eu"), true), subscription(None, false)];
    let answers = [
        subscriptions(wanted.clone()),
        Ok(sdk::Outcome::Restrictions(allowed.clone())),
        failure("ran"),
    ];
    let (main, at_main) = place(answers, None);
    let (other, at_other) = place([failure("ran")], Some(nitro(&["eu"])));
    let router = Router::new(main, vec![other]);
    ask(&router, SUBSCRIBE).await.unwrap();
    ask(&router, fired(0)).await.unwrap();
    ask(&router, fired(1)).await.unwrap();
    let job = at_other.lock().unwrap().remove(0);
    let required: Requirements = decode(&job.requirements.unwrap()).unwrap();
    assert_eq!((Some(required), job.restrictions), (wanted[0].requirements.clone(), Some(allowed)));
    let at_main = at_main.lock().unwrap();
    assert!(at_main.iter().all(|job| job.requirements.is_none() && job.restrictions.is_none()));
    assert_eq!(at_main.len(), 3);
}

#[tokio::test]
async fn what_a_routed_run_used_is_the_sum_of_its_runs() {
    let allowed = Ok(sdk::Outcome::Restrictions(Restrictions::default()));
    let wanted = subscriptions([subscription(None, true)]);
    let failed = Err(RunError::Exited(2));
    let (main, _asked) = place([wanted, allowed, failed], None);
    let router = Router::new(main, Vec::new());
    ask(&router, SUBSCRIBE).await.unwrap();
    let request = ExecuteRequest { request: Some(fired(0)), ..Default::default() };
    let request = Request::new(encode(&request), "");
    let services = Arc::new(Embedder::default());
    let ended = router.run(request, services, &CancellationToken::new()).await;
    assert!(matches!(ended.result, Err(RouteError::Run(RunError::Exited(2)))));
    assert_eq!(ended.metering.host_calls, 2);
}

/// The guest of the conformance test: its pre-hook forbids all calls, its handler makes one and
/// fails with what it was answered.
fn forbidding() -> Module {
    let subscribed =
        encode(&ExecutionResult { result: subscriptions([subscription(None, true)]).ok() });
    let none = CapabilityRestrictions { max_total_calls: 0, ..Default::default() };
    let restrictions = Restrictions { capabilities: Some(none), secrets: None };
    let restricted =
        encode(&ExecutionResult { result: Some(sdk::Outcome::Restrictions(restrictions)) });
    // The lengths of their arguments tell the three requests apart.
    let data = |ptr: u32, bytes: &[u8]| {
        let text: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
        format!(r#"(data (i32.const {ptr}) "{text}")"#)
    };
    guest(&format!(
        r#"{} {}
        (func (export "_start") (local $size i32) (local $answer i32)
            (drop (call $args_sizes_get (i32.const 4000) (i32.const 4004)))
            (local.set $size (i32.load (i32.const 4004)))
            (if (i32.eq (local.get $size) (i32.const 26)) (then
                (drop (call $send_response (i32.const 5000) (i32.const {})))))
            (if (i32.eq (local.get $size) (i32.const 22)) (then
                (drop (call $send_response (i32.const 6000) (i32.const {})))))
            (if (i32.eq (local.get $size) (i32.const 34)) (then
                (drop (call $call_capability {CALL} (i32.const 0) (i32.const 0)))
                ;; The answer's error member, two map levels down, is an error result as it stands.
                (local.set $answer (i32.wrap_i64 (call $await_capabilities (i32.const 1100) (i32.const 3) (i32.const 7000) (i32.const 500))))
                (drop (call $send_response (i32.const 7006) (i32.sub (local.get $answer) (i32.const 6)))))))"#,
        data(5000, &subscribed),
        data(6000, &restricted),
        subscribed.len(),
        restricted.len(),
    ))
}

#[tokio::test]
async fn a_forbidden_call_never_reaches_the_embedder() {
    let (embedder, engine) = (Arc::new(Embedder::default()), ENGINE.clone());
    let runner = LocalRunner { engine, module: Arc::new(forbidding()), limits: Limits::default() };
    let router = Router::new(Place { runner: Box::new(runner), tee: None }, Vec::new());
    let ask = async |phase| {
        let request = ExecuteRequest {
            config: b"config".to_vec(),
            request: Some(phase),
            ..Default::default()
        };
        let request = Request::new(encode(&request), "");
        let services = Arc::clone(&embedder);
        router.run(request, services, &CancellationToken::new()).await
    };
    ask(SUBSCRIBE).await.result.unwrap();
    let payload = Any { type_url: "t".to_owned(), value: Vec::new() };
    let trigger = Trigger { id: 0, payload: Some(payload) };
    let ended = ask(Phase::Trigger(trigger)).await;
    let want = "Public:User:LimitExceeded:call denied by user pre-hook restrictions: probe M";
    assert_eq!(answer(&ended.result.unwrap()), Some(sdk::Outcome::Error(want.to_owned())));
    assert_eq!(embedder.calls.load(Ordering::SeqCst), 0);
}
