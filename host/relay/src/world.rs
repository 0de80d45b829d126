//! A small world for tests: an enclave with its device, a committee, a vault's keys, a registry.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use attestation::{AttestationRequest, Attestor as _, Measurements, UserData};
use crypto::{
    seal::EphemeralKey,
    sign::SigningKey,
    tdh2::{self, Deal, Threshold},
};
use futures_util::future::BoxFuture;
use protocol::{
    base64,
    clock::Clock,
    compute::ComputeRequest,
    ids::FaultBound,
    json::{self, RawJson, Wire},
    messages::{
        self,
        confidential_workflow::WorkflowExecution,
        sdk::CapabilityRequest,
        vault::{EncryptedShares, GetSecretsResponse, SecretData, SecretResponse, SecretResult},
    },
    relay::{
        CapabilityRequestParams, EnclaveConfig, Params, SecretIdentifier, SecretsRequestParams,
    },
    rpc,
};
use rand_core::OsRng;
use testkit::{
    chain::TestRoot,
    nsm::{MockNsm, measurements_of},
};

use crate::{
    Executions, Quorum,
    capabilities::{Call, Capabilities, Failure},
    handler::{Handler, Setup},
    registry::{Registry, Snapshot, WorkflowDon},
    vault::{Request, Vault, VaultError},
};

pub(crate) const OWNER: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

pub(crate) struct World {
    pub(crate) nsm: MockNsm,
    pub(crate) image: Measurements,
    /// Four nodes, of which one may be faulty.
    pub(crate) nodes: Vec<SigningKey>,
    pub(crate) deal: Deal,
    pub(crate) enclave: EphemeralKey,
    pub(crate) now: SystemTime,
}

/// A clock that stands still.
#[derive(Debug)]
pub(crate) struct Stopped(pub(crate) SystemTime);

impl Clock for Stopped {
    fn now(&self) -> SystemTime {
        self.0
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let now = UNIX_EPOCH.checked_add(Duration::from_secs(1_800_000_000)).unwrap();
        let image = measurements_of("relay tests");
        let nsm = MockNsm::new(TestRoot::generate(now).unwrap(), &image, Arc::new(move || now));
        Self {
            nsm,
            image,
            nodes: (1..=4).map(|seed| SigningKey::from_seed(&[seed; 32])).collect(),
            deal: tdh2::deal(Threshold::new(2).unwrap(), 4, &mut OsRng).unwrap(),
            enclave: EphemeralKey::generate(&mut OsRng),
            now,
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let members = self.nodes.iter().map(SigningKey::public).collect();
        Snapshot {
            don: WorkflowDon::new(members, FaultBound::new(1)),
            measurements: vec![Ok(self.image.clone())],
            master_public_key: Some(self.deal.public_key.clone()),
            threshold: Some(Threshold::new(2).unwrap()),
        }
    }

    pub(crate) fn setup(&self, executions: Executions) -> Setup {
        let snapshot = self.snapshot();
        Setup {
            registry: Registry::mirror(move || Ok(snapshot.clone())),
            root: self.nsm.root().trust().unwrap(),
            executions,
            key: self.node(0),
            quorum: Quorum::Honest,
            passes_org_on: false,
            deadline: Duration::from_secs(25),
            clock: Arc::new(Stopped(self.now)),
        }
    }

    /// A handler whose vault and capability answer.
    pub(crate) fn handler(&self) -> Handler {
        Handler::new(self.setup(self.executions()))
    }

    pub(crate) fn executions(&self) -> Executions {
        Executions::standalone(Arc::new(CannedVault::default()), Arc::new(Canned::Answers))
    }

    pub(crate) fn node(&self, index: usize) -> SigningKey {
        SigningKey::from_seed(self.nodes[index].seed().expose().try_into().unwrap())
    }

    pub(crate) fn execution(&self) -> WorkflowExecution {
        WorkflowExecution {
            workflow_id: "11".repeat(32),
            owner: OWNER[2..].to_lowercase(),
            execution_id: "22".repeat(32),
            org_id: "org-1".to_owned(),
            ..WorkflowExecution::default()
        }
    }

    pub(crate) fn enclave_config(&self) -> EnclaveConfig {
        let signers = self.nodes.iter().map(|node| node.public().as_bytes().as_slice().into());
        EnclaveConfig {
            signers: Some(signers.collect()),
            master_public_key: self.deal.public_key.as_bytes().into(),
            t: 2,
            f: 1,
        }
    }

    /// A request for secrets as an enclave makes it, without a document.
    pub(crate) fn bare_secrets(&self) -> SecretsRequestParams {
        let execution = self.execution();
        let request = ComputeRequest::for_execution(&execution, &self.enclave.public());
        let signed = self.nodes[..2].iter().map(|node| request.clone().sign(node).into());
        SecretsRequestParams {
            workflow_id: execution.workflow_id,
            owner: OWNER.to_owned(),
            execution_id: execution.execution_id,
            org_id: execution.org_id,
            secrets: Some(vec![SecretIdentifier { key: "KEY".into(), namespace: "main".into() }]),
            enclave_public_key: self.enclave.public().to_string(),
            enclave_config: Some(self.enclave_config()),
            attestation: String::new(),
            signed_compute_requests: Some(signed.collect()),
        }
    }

    /// A call of a capability as an enclave makes it, without a document.
    pub(crate) fn bare_capability(&self) -> CapabilityRequestParams {
        let execution = self.execution();
        let call = CapabilityRequest {
            id: "cap@1.0.0".to_owned(),
            method: "M".to_owned(),
            payload: None,
            callback_id: 7,
        };
        CapabilityRequestParams {
            workflow_id: execution.workflow_id,
            owner: OWNER.to_owned(),
            execution_id: execution.execution_id,
            org_id: execution.org_id,
            reference_id: "7".to_owned(),
            capability_id: "cap@1.0.0".to_owned(),
            payload: base64::encode(&messages::encode(&call)),
            enclave_config: Some(self.enclave_config()),
            attestation: String::new(),
        }
    }

    /// Puts a document of the enclave's device into params.
    pub(crate) fn attest<P: Params>(&self, params: P) -> P {
        self.attest_with(params, |request| request)
    }

    /// The same with more in the document.
    pub(crate) fn attest_with<P: Params>(
        &self,
        mut params: P,
        more: impl FnOnce(AttestationRequest) -> AttestationRequest,
    ) -> P {
        params.set_attestation(String::new());
        let user_data = UserData::from(*params.user_data().as_bytes());
        let document = self.nsm.attest(&more(AttestationRequest::from(user_data))).unwrap();
        params.set_attestation(base64::encode(&document));
        params
    }
}

/// A request with these params.
pub(crate) fn request<P: Params>(params: &P) -> rpc::Request {
    rpc::Request::new("id-1".to_owned(), P::METHOD, params)
}

pub(crate) fn read<T: Wire>(raw: &RawJson) -> T {
    json::from_slice(raw.as_str().as_bytes()).unwrap()
}

/// A vault with an answer for everything, that remembers what it was asked.
#[derive(Clone, Default)]
pub(crate) struct CannedVault {
    pub(crate) asked: Arc<Mutex<Vec<Request>>>,
}

impl Vault for CannedVault {
    fn secrets(&self, request: Request) -> BoxFuture<'_, Result<GetSecretsResponse, VaultError>> {
        let responses = request.payload.requests.iter().map(|request| SecretResponse {
            id: request.id.clone(),
            result: Some(SecretResult::Data(SecretData {
                encrypted_value: "c1".to_owned(),
                encrypted_decryption_key_shares: vec![EncryptedShares {
                    shares: vec!["5a".to_owned()],
                    encryption_key: request.encryption_keys[0].clone(),
                    ..EncryptedShares::default()
                }],
            })),
        });
        let answer = GetSecretsResponse { responses: responses.collect() };
        self.asked.lock().unwrap().push(request);
        Box::pin(std::future::ready(Ok(answer)))
    }
}

/// A capability that does one thing.
pub(crate) enum Canned {
    Answers,
    Fails,
    Panics,
    Hangs,
    /// Answers with bytes that are no message.
    Babbles,
}

impl Capabilities for Canned {
    fn call(&self, call: Call) -> BoxFuture<'_, Result<Vec<u8>, Failure>> {
        match self {
            Self::Answers => Box::pin(std::future::ready(Ok(Vec::new()))),
            Self::Fails => Box::pin(std::future::ready(Err(Failure::new("no luck")))),
            Self::Panics => panic!("{}", call.request.id),
            Self::Hangs => Box::pin(std::future::pending()),
            Self::Babbles => Box::pin(std::future::ready(Ok(vec![0xff]))),
        }
    }
}
