use attestation::{Mismatch, MismatchReason, VerifyError};
use crypto::sign::{Domain, Signature};
use protocol::{
    compute::ForwardedComputeRequest,
    json::Bytes,
    messages::sdk::{self, CapabilityRestrictions},
    quorum::ForwardedError,
    relay::{SecretsResult, SignedResult},
};
use testkit::{chain::TestRoot, nsm::MockNsm};

use super::*;
use crate::{
    AttestationError, AuthorizeError, EnclaveConfigError, PayloadError,
    registry::RegistryError,
    vault::VaultError,
    world::{Canned, CannedVault, Stopped, World, read, request},
};

/// Serves params after a change, attested as they then are.
async fn secrets(
    world: &World,
    change: impl FnOnce(&mut SecretsRequestParams),
) -> Result<RawJson, ServeError> {
    let mut params = world.bare_secrets();
    change(&mut params);
    world.handler().serve(&request(&world.attest(params))).await
}

async fn capability(
    world: &World,
    change: impl FnOnce(&mut CapabilityRequestParams),
) -> Result<RawJson, ServeError> {
    let mut params = world.bare_capability();
    change(&mut params);
    world.handler().serve(&request(&world.attest(params))).await
}

async fn denied(world: &World, change: impl FnOnce(&mut SecretsRequestParams)) -> Denied {
    match secrets(world, change).await {
        Err(ServeError::Denied(denied)) => denied,
        other => panic!("{other:?}"),
    }
}

/// Serves a good request with another set-up.
async fn with_setup(world: &World, change: impl FnOnce(&mut Setup)) -> Result<RawJson, ServeError> {
    let mut setup = world.setup(world.executions());
    change(&mut setup);
    Handler::new(setup).serve(&request(&world.attest(world.bare_secrets()))).await
}

fn of_attestation(served: Result<RawJson, ServeError>) -> AttestationError {
    match served {
        Err(ServeError::Attestation(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn of_quorum(error: ForwardedError) -> Denied {
    AuthorizeError::from(error).into()
}

fn signers(
    requests: &mut Option<Vec<ForwardedComputeRequest>>,
) -> &mut Vec<ForwardedComputeRequest> {
    requests.as_mut().unwrap()
}

#[tokio::test]
async fn a_result_is_signed_with_its_params() {
    let world = World::new();
    let params = world.attest(world.bare_secrets());
    let result = world.handler().serve(&request(&params)).await.unwrap();
    let signed: SignedResult<SecretsResult> = read(&result);
    let hash = params.hash_result(&signed.result).unwrap();
    let signature = Signature::from_slice(signed.signature.signature.as_slice()).unwrap();
    let key = world.nodes[0].public();
    key.verify(Domain::RelayResponse, hash.as_bytes(), &signature).unwrap();
    assert_eq!(signed.signatures, Some(vec![signed.signature]));
    let entry = &signed.result.secrets.unwrap()[0];
    assert_eq!((entry.id.key.as_str(), entry.ciphertext.as_str()), ("KEY", "wQ=="));
}

#[tokio::test]
async fn wrong_measurements_are_refused() {
    let world = World::new();
    let served = with_setup(&world, |setup| {
        let mut snapshot = world.snapshot();
        snapshot.measurements = vec![Ok(testkit::nsm::measurements_of("another image"))];
        setup.registry = Registry::mirror(move || Ok(snapshot.clone()));
    });
    let differs = MismatchReason::Differs { index: 0 };
    assert!(matches!(
        of_attestation(served.await),
        AttestationError::Document(VerifyError::Measurements(Mismatch { set: 0, reason })) if reason == differs
    ));
}

#[tokio::test]
async fn no_trusted_enclave_is_nobody_trusted() {
    let world = World::new();
    let served = with_setup(&world, |setup| {
        let snapshot = crate::registry::Snapshot { measurements: vec![], ..world.snapshot() };
        setup.registry = Registry::mirror(move || Ok(snapshot.clone()));
    });
    assert!(matches!(of_attestation(served.await), AttestationError::NothingTrusted));
    let served = with_setup(&world, |setup| {
        setup.registry = Registry::mirror(|| Err(RegistryError::TooLong { limit: 1 }));
    });
    assert!(matches!(of_attestation(served.await), AttestationError::Registry(_)));
}

#[tokio::test]
async fn a_stale_document_is_refused() {
    let world = World::new();
    for (seconds, is_fresh) in [(300, true), (301, false)] {
        let served = with_setup(&world, |setup| {
            setup.clock = Arc::new(Stopped(world.now + Duration::from_secs(seconds)));
        });
        assert_eq!(served.await.is_ok(), is_fresh, "{seconds}");
    }
}

#[tokio::test]
async fn a_document_over_other_params_is_refused() {
    let world = World::new();
    let mut params = world.attest(world.bare_secrets());
    params.secrets.as_mut().unwrap()[0].key = "OTHER".to_owned();
    let served = world.handler().serve(&request(&params)).await;
    assert!(matches!(of_attestation(served), AttestationError::Document(VerifyError::UserData(_))));
}

#[tokio::test]
async fn a_document_for_the_other_method_is_refused() {
    let world = World::new();
    let params = world.attest(world.bare_secrets());
    let mut call = world.bare_capability();
    call.attestation = params.attestation;
    let served = world.handler().serve(&request(&call)).await;
    assert!(matches!(of_attestation(served), AttestationError::Document(_)));
}

#[tokio::test]
async fn a_document_under_another_root_is_refused() {
    let world = World::new();
    let now = world.now;
    let other = TestRoot::generate(now).unwrap();
    let other =
        World { nsm: MockNsm::new(other, &world.image, Arc::new(move || now)), ..World::new() };
    let served = world.handler().serve(&request(&other.attest(world.bare_secrets()))).await;
    assert!(matches!(of_attestation(served), AttestationError::Document(VerifyError::Chain(_))));
    let aws = with_setup(&world, |setup| setup.root = TrustRoot::aws()).await;
    assert!(matches!(of_attestation(aws), AttestationError::Document(VerifyError::Chain(_))));
}

#[tokio::test]
async fn w_10_the_fake_document_is_refused() {
    let world = World::new();
    for (document, is_missing) in
        [(String::new(), true), (base64::encode(b"fake-attestation"), false)]
    {
        let mut params = world.bare_secrets();
        params.attestation = document;
        let error = of_attestation(world.handler().serve(&request(&params)).await);
        assert_eq!(matches!(error, AttestationError::Missing), is_missing, "{error}");
    }
}

#[tokio::test]
async fn w_33_params_that_only_a_lenient_reader_understands_are_refused() {
    let world = World::new();
    let params = world.attest(world.bare_secrets());
    let text = RawJson::of(&params).as_str().to_owned();
    for (member, spelling) in [
        ("\"owner\":", "\"Owner\":"),
        ("\"owner\":", "\"owner\":null,\"owner\":"),
        ("\"t\":2", "\"t\":2,\"t\":2"),
        ("\"requestID\":[", "\"requestID\":[0,"),
    ] {
        let mut request = request(&params);
        request.params = Some(RawJson::parse(text.replace(member, spelling)).unwrap());
        let error = world.handler().serve(&request).await.unwrap_err();
        assert!(matches!(error, ServeError::Params(_)), "{spelling}: {error}");
        assert_eq!(error.told(), (-32603, "internal error".to_owned()));
    }
}

#[test]
fn w_50_nothing_prints_a_key() {
    let world = World::new();
    let seed = hex::encode(world.nodes[0].seed().expose());
    let setup = world.setup(world.executions());
    let printed = format!("{setup:?}");
    let printed = format!("{printed} {:?}", Handler::new(setup));
    assert!(!printed.contains(&seed) && printed.contains(&world.nodes[0].public().to_string()));
}

#[tokio::test]
async fn measurements_that_are_withdrawn_are_refused_with_the_next_request() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.json");
    let mut snapshot = world.snapshot();
    std::fs::write(&path, crate::registry::to_json(&snapshot).unwrap()).unwrap();
    let mut setup = world.setup(world.executions());
    setup.registry = Registry::file(path.clone());
    let handler = Handler::new(setup);
    let request = request(&world.attest(world.bare_secrets()));
    handler.serve(&request).await.unwrap();
    snapshot.measurements.clear();
    std::fs::write(&path, crate::registry::to_json(&snapshot).unwrap()).unwrap();
    let error = of_attestation(handler.serve(&request).await);
    assert!(matches!(error, AttestationError::NothingTrusted));
}

#[tokio::test]
async fn w_02_an_enclave_with_another_configuration_is_refused() {
    let world = World::new();
    let wants = |change: fn(&mut protocol::relay::EnclaveConfig)| {
        denied(&world, move |params| change(params.enclave_config.as_mut().unwrap()))
    };
    use EnclaveConfigError as E;
    let none = denied(&world, |params| params.enclave_config = None).await;
    assert_eq!(none, E::Missing.into());
    assert_eq!(wants(|c| c.f = 0).await, E::FaultBoundTooLow { got: 0, want: 1 }.into());
    assert_eq!(wants(|c| c.f = 2).await, E::FaultBoundTooHigh { got: 2, want: 1 }.into());
    assert_eq!(wants(|c| c.t = 1).await, E::Threshold { got: 1, want: 2 }.into());
    let key = wants(|c| c.master_public_key = b"{}".as_slice().into()).await;
    assert_eq!(key, E::MasterPublicKey.into());
    let short = wants(|c| drop(c.signers.as_mut().unwrap().pop())).await;
    assert_eq!(short, E::SignerCount { got: 3, want: 4 }.into());
}

#[tokio::test]
async fn w_02_the_vaults_own_key_counts_where_the_registry_holds_none() {
    let world = World::new();
    for (key, is_served) in [(&world.deal.public_key, true), (&World::new().deal.public_key, false)]
    {
        let served = with_setup(&world, |setup| {
            let snapshot =
                crate::registry::Snapshot { master_public_key: None, ..world.snapshot() };
            let registry = Registry::mirror(move || Ok(snapshot.clone()));
            setup.registry = registry.with_vault_key(key.clone());
        });
        assert_eq!(served.await.is_ok(), is_served);
    }
}

#[tokio::test]
async fn w_12_a_signer_that_is_no_key_is_a_mismatch_and_no_panic() {
    let world = World::new();
    for signer in [&[][..], &[0; 31], &[0; 33], &[0; 32]] {
        let denied = denied(&world, |params| {
            let config = params.enclave_config.as_mut().unwrap();
            config.signers.as_mut().unwrap()[2] = signer.into();
        });
        assert!(matches!(denied.await, Denied::EnclaveConfig(EnclaveConfigError::Signer { .. })));
    }
}

#[tokio::test]
async fn a_request_that_too_few_signed_is_refused() {
    let world = World::new();
    let none = denied(&world, |params| params.signed_compute_requests = None).await;
    assert_eq!(none, of_quorum(ForwardedError::Missing));
    let one =
        denied(&world, |params| signers(&mut params.signed_compute_requests).truncate(1)).await;
    assert_eq!(one, of_quorum(ForwardedError::TooFew { got: 1, want: 2 }));
}

#[tokio::test]
async fn one_signer_twice_is_one_voice() {
    let world = World::new();
    let denied = denied(&world, |params| {
        let requests = signers(&mut params.signed_compute_requests);
        requests[1] = requests[0].clone();
    });
    assert_eq!(denied.await, of_quorum(ForwardedError::TooFew { got: 1, want: 2 }));
}

#[tokio::test]
async fn signatures_of_strangers_are_passed_over() {
    let world = World::new();
    let stranger = SigningKey::from_seed(&[9; 32]);
    let served = secrets(&world, |params| {
        let requests = signers(&mut params.signed_compute_requests);
        let request = requests[0].signed.request.clone();
        requests.insert(0, request.sign(&stranger).into());
    });
    served.await.unwrap();
    let denied = denied(&world, |params| {
        let requests = signers(&mut params.signed_compute_requests);
        requests[1].signed.signature = Bytes::from(vec![0; 64]);
    });
    assert_eq!(denied.await, of_quorum(ForwardedError::TooFew { got: 1, want: 2 }));
}

#[tokio::test]
async fn requests_that_differ_are_refused() {
    let world = World::new();
    let denied = denied(&world, |params| {
        let mut other = world.execution();
        other.binary_url = "https://example.com".to_owned();
        let other =
            protocol::compute::ComputeRequest::for_execution(&other, &world.enclave.public());
        signers(&mut params.signed_compute_requests)[1] = other.sign(&world.nodes[1]).into();
    });
    assert_eq!(denied.await, of_quorum(ForwardedError::Mixed));
}

#[tokio::test]
async fn a_quorum_for_another_execution_opens_nothing() {
    let world = World::new();
    use AuthorizeError as E;
    let owner = denied(&world, |p| p.owner = format!("0x{}", "11".repeat(20))).await;
    assert!(matches!(owner, Denied::Authorize(E::Owner { .. })));
    let workflow = denied(&world, |p| p.workflow_id = "33".repeat(32)).await;
    assert!(matches!(workflow, Denied::Authorize(E::Workflow { .. })));
    assert_eq!(denied(&world, |p| p.execution_id = "33".repeat(32)).await, E::Execution.into());
    assert_eq!(denied(&world, |p| p.org_id = "org-2".to_owned()).await, E::Org.into());
    assert_eq!(denied(&world, |p| p.owner = "alice".to_owned()).await, E::OwnerForm.into());
}

#[tokio::test]
async fn params_that_break_their_own_rules_are_refused_last() {
    let world = World::new();
    let refusal = denied(&world, |params| params.enclave_public_key.clear()).await;
    assert!(matches!(refusal, Denied::Params(HashResultError::Secrets(_))), "{refusal:?}");
    let unsigned = denied(&world, |params| {
        params.enclave_public_key.clear();
        params.signed_compute_requests = None;
    });
    assert_eq!(unsigned.await, of_quorum(ForwardedError::Missing));
    let served = capability(&world, |params| params.execution_id.clear()).await;
    assert!(matches!(served, Err(ServeError::Denied(Denied::Params(_)))), "{served:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_who_is_not_authorized() {
    let world = World::new();
    let began = Instant::now();
    let handler = Handler::new(world.setup(Executions::registered()));
    let mut params = world.bare_secrets();
    params.enclave_public_key.clear();
    for params in [world.attest(params), world.bare_secrets()] {
        assert!(handler.serve(&request(&params)).await.is_err());
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    let good = request(&world.attest(world.bare_secrets()));
    assert!(matches!(handler.serve(&good).await, Err(ServeError::NotRunning(_))));
    assert_eq!(began.elapsed(), EXECUTION_WAIT);
}

#[tokio::test]
async fn a_payload_that_is_another_call_is_refused() {
    let world = World::new();
    for (change, error) in [
        (
            (|p| p.capability_id = "other@1.0.0".into()) as fn(&mut CapabilityRequestParams),
            PayloadError::CapabilityId,
        ),
        (|p| p.reference_id = "8".into(), PayloadError::ReferenceId),
        (|p| p.reference_id = "07".into(), PayloadError::ReferenceId),
    ] {
        let served = capability(&world, change).await;
        assert!(matches!(served, Err(ServeError::Denied(Denied::Payload(e))) if e == error));
    }
}

#[tokio::test]
async fn a_failure_of_a_capability_is_signed() {
    let world = World::new();
    let params = world.attest(world.bare_capability());
    for (canned, error) in [(Canned::Answers, ""), (Canned::Fails, "no luck")] {
        let executions = Executions::standalone(Arc::new(CannedVault::default()), Arc::new(canned));
        let handler = Handler::new(world.setup(executions));
        let signed: SignedResult<CapabilityResult> =
            read(&handler.serve(&request(&params)).await.unwrap());
        assert_eq!(signed.result.error, error);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_a_signed_failure_of_a_capability() {
    let world = World::new();
    let executions =
        Executions::standalone(Arc::new(CannedVault::default()), Arc::new(Canned::Hangs));
    let handler = Handler::new(world.setup(executions));
    let began = Instant::now();
    let served = handler.serve(&request(&world.attest(world.bare_capability()))).await;
    let signed: SignedResult<CapabilityResult> = read(&served.unwrap());
    assert_eq!(signed.result.error, "context deadline exceeded");
    assert_eq!(began.elapsed(), Duration::from_secs(25));
}

#[tokio::test]
async fn what_is_this_nodes_own_failure_is_an_internal_error_to_the_peer() {
    let world = World::new();
    for canned in [Canned::Panics, Canned::Babbles] {
        let executions = Executions::standalone(Arc::new(CannedVault::default()), Arc::new(canned));
        let handler = Handler::new(world.setup(executions));
        let response = handler.answer(&request(&world.attest(world.bare_capability()))).await;
        let error = response.error.unwrap();
        assert_eq!((error.code, error.message.as_str()), (-32603, "internal error"));
        assert_eq!(
            (response.id.as_str(), response.method.as_str()),
            ("id-1", "confidential.capability.execute")
        );
    }
    let told = ServeError::Secrets(VaultError::Failed.into()).told();
    assert_eq!(told, (-32603, "internal error".to_owned()));
}

#[tokio::test]
async fn restrictions_count_over_all_calls_of_an_execution() {
    let world = World::new();
    let capabilities =
        CapabilityRestrictions { max_total_calls: 1, r#type: 1, ..Default::default() };
    let restrictions = sdk::Restrictions { capabilities: Some(capabilities), secrets: None };
    let executions = Executions::registered();
    let facts = Facts { restrictions: Some(&restrictions), ..Facts::default() };
    let vault = Arc::new(CannedVault::default());
    let execution = Execution::new(&facts, vault, Arc::new(Canned::Answers));
    let ids = world.execution();
    let registration = executions.register(
        ids.workflow_id.as_str().into(),
        ids.execution_id.as_str().into(),
        execution,
    );
    let handler = Handler::new(world.setup(executions));
    let params = request(&world.attest(world.bare_capability()));
    let mut errors = Vec::new();
    for _ in 0..2 {
        let signed: SignedResult<CapabilityResult> = read(&handler.serve(&params).await.unwrap());
        errors.push(signed.result.error);
    }
    let denied = "[101]LimitExceeded: call denied by user pre-hook restrictions: cap@1.0.0 M";
    assert_eq!(errors, ["", denied]);
    drop(registration);
}

#[test]
fn frames_that_ask_for_nothing_here_get_no_answer() {
    let frame = |method: &str| format!(r#"{{"id":"1","method":"{method}","params":null}}"#);
    assert!(Handler::read(frame("confidential.secrets.get").as_bytes()).is_ok());
    let other = Handler::read(frame("confidential.secrets.set").as_bytes());
    assert_eq!(other.unwrap_err(), FrameError::Method);
    assert!(matches!(Handler::read(b"{"), Err(FrameError::Decode(_))));
}
