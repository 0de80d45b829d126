//! What stands around a node: the enclave's device, a clock, a vault, a capability.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use attestation::{AttestationRequest, Attestor as _, Measurements, TrustRoot, UserData};
use futures_util::{FutureExt as _, future::BoxFuture};
use host_relay::{
    capabilities::{Call, Capabilities, Failure},
    vault::{Request, Vault, VaultError},
};
use protocol::{
    base64,
    clock::Clock,
    json::{self, RawJson},
    messages::{
        self,
        vault::{GetSecretsResponse, SecretRequest},
    },
    relay::{CapabilityRequestParams, Params, SecretsRequestParams},
    rpc,
};
use serde_json::{Value, json};
use testkit::{
    chain::TestRoot,
    nsm::{MockNsm, measurements_of},
};
use vectors::{Case, Deviations};

use super::case::Stub;

/// Makes real documents for the cases that come without.
pub(crate) struct Forge {
    nsm: MockNsm,
    image: Measurements,
}

impl Forge {
    /// All such cases happen at the same time.
    pub(crate) fn new() -> Self {
        let now = UNIX_EPOCH.checked_add(Duration::from_millis(1_787_140_800_000)).unwrap();
        let image = measurements_of("relay vectors");
        let root = TestRoot::generate(now).unwrap();
        Self { nsm: MockNsm::new(root, &image, Arc::new(move || now)), image }
    }

    pub(crate) fn image(&self) -> &Measurements {
        &self.image
    }

    pub(crate) fn trust(&self) -> TrustRoot {
        self.nsm.root().trust().unwrap()
    }

    /// Puts a document into a request whose params hold the placeholder.
    pub(crate) fn attest(&self, mut request: rpc::Request) -> rpc::Request {
        if let Some(params) = request.params.take() {
            let attested = match request.method.as_str() {
                SecretsRequestParams::METHOD => self.attested::<SecretsRequestParams>(&params),
                _ => self.attested::<CapabilityRequestParams>(&params),
            };
            request.params = Some(attested.unwrap_or(params));
        }
        request
    }

    fn attested<P: Params>(&self, params: &RawJson) -> Option<RawJson> {
        let mut params: P = json::from_slice(params.as_str().as_bytes()).ok()?;
        if params.attestation() != base64::encode(b"fake-attestation") {
            return None;
        }
        let user_data = UserData::from(*params.user_data().as_bytes());
        let document = self.nsm.attest(&AttestationRequest::from(user_data)).unwrap();
        params.set_attestation(base64::encode(&document));
        Some(RawJson::of(&params))
    }
}

/// A clock that stands still.
pub(crate) struct Stopped(pub(crate) SystemTime);

impl Clock for Stopped {
    fn now(&self) -> SystemTime {
        self.0
    }
}

/// What vault and capability were asked, in order.
#[derive(Clone, Default)]
pub(crate) struct Asked(Arc<Mutex<Questions>>);

#[derive(Default)]
pub(crate) struct Questions {
    /// Which secrets were asked for, of a vault that may be missing.
    pub(crate) secrets: Vec<Value>,
    pub(crate) vault: Vec<Value>,
    pub(crate) capability: Vec<Value>,
}

impl Asked {
    pub(crate) fn take(&self) -> Questions {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Questions {
    /// Adds what was asked in the form of the recordings.
    ///
    /// Readable forms are taken over where the bytes are equal. The reference asks for secrets twice:
    /// its running execution, and that one the vault. The first is recorded as `secrets_asked`; what
    /// follows from it for the vault is compared.
    pub(crate) fn add_to(&self, output: &mut Value, case: &Case) {
        let theirs = case.output.clone().unwrap_or_default();
        let readable = |ours: &Value, kind: &str, index: usize, bytes: &str, form: &str| {
            let mut ours = ours.clone();
            let theirs = &theirs[kind][index];
            if theirs[bytes] == ours[bytes] {
                ours[form] = theirs[form].clone();
            }
            ours
        };
        for (kind, questions, bytes, form) in [
            ("vault_asked", &self.vault, "payload_hex", "payload"),
            ("capability_asked", &self.capability, "request_hex", "request"),
        ] {
            if !questions.is_empty() {
                let questions = questions.iter().enumerate();
                let questions = questions.map(|(i, ours)| readable(ours, kind, i, bytes, form));
                output[kind] = questions.collect();
            }
        }
        let asked = theirs["secrets_asked"].as_array().cloned().unwrap_or_default();
        let same = self.secrets == asked.iter().map(of_execution).collect::<Vec<_>>();
        if !same && !self.may_ask_nothing(case, &theirs) {
            output["secrets_asked"] = self.secrets.clone().into();
        } else if !asked.is_empty() {
            output["secrets_asked"] = asked.into();
        }
    }

    /// Whether nothing was asked here, and a rule says why.
    fn may_ask_nothing(&self, case: &Case, theirs: &Value) -> bool {
        let text = theirs["internal"].as_str().unwrap_or_default();
        self.secrets.is_empty() && Deviations::read().may_answer(crate::FILE, &case.op, text)
    }
}

/// A vault that does what the case says.
pub(crate) struct StubVault {
    pub(crate) stub: Stub,
    pub(crate) asked: Asked,
}

impl Vault for StubVault {
    fn secrets(&self, request: Request) -> BoxFuture<'_, Result<GetSecretsResponse, VaultError>> {
        async move {
            self.asked.0.lock().unwrap().secrets.push(of_vault(&request));
            if self.stub.no_capability {
                return Err(VaultError::NoCapability);
            }
            self.asked.0.lock().unwrap().vault.push(question(&request));
            self.stub.play().await;
            if self.stub.error.is_some() {
                return Err(VaultError::Failed);
            }
            if self.stub.other_type.is_some() {
                return Err(VaultError::Malformed);
            }
            Ok(messages::decode(&self.stub.response()).unwrap())
        }
        .boxed()
    }
}

/// The secrets of a question to the vault, each with the keys its shares are to be sealed to.
fn of_vault(request: &Request) -> Value {
    let secret = |secret: &SecretRequest| {
        let id = secret.id.clone().unwrap_or_default();
        json!({ "id": id.key, "namespace": id.namespace, "keys": secret.encryption_keys })
    };
    request.payload.requests.iter().map(secret).collect()
}

/// The same of a question to the reference's execution: there a namespace may be left out, and the
/// keys stand once, also where nothing is to be sealed to them.
fn of_execution(asked: &Value) -> Value {
    let secrets = asked["request"]["requests"].as_array().cloned().unwrap_or_default();
    let secret = |secret: &Value| {
        let text = |name: &str, otherwise| secret[name].as_str().unwrap_or(otherwise).to_owned();
        let (id, namespace) = (text("id", ""), text("namespace", "main"));
        json!({ "id": id, "namespace": namespace, "keys": asked["encryption_keys"] })
    };
    secrets.iter().map(secret).collect()
}

fn question(request: &Request) -> Value {
    let payload = messages::pack(&request.payload);
    let given = &request.metadata;
    let mut metadata = json!({
        "workflow_owner": given.workflow_owner,
        "workflow_name": given.workflow_name,
        "workflow_execution_id": given.workflow_execution_id,
        "reference_id": given.reference_id,
    });
    if let Some(workflow) = &given.workflow_id {
        metadata["workflow_id"] = json!(workflow.as_str());
    }
    if let Some(org) = &given.org_id {
        metadata["org_id"] = json!(org.as_str());
    }
    metadata.as_object_mut().unwrap().retain(|_, value| value != "");
    json!({
        "capability_id": "vault@1.0.0",
        "method": "vault.secrets.get",
        "metadata": metadata,
        "payload_type_url": payload.type_url,
        "payload_hex": hex::encode(payload.value),
    })
}

/// A capability that does what the case says.
pub(crate) struct StubCapability {
    pub(crate) stub: Stub,
    pub(crate) asked: Asked,
}

impl Capabilities for StubCapability {
    fn call(&self, call: Call) -> BoxFuture<'_, Result<Vec<u8>, Failure>> {
        async move {
            let tenant = json!({
                "org": call.tenant.org,
                "owner": call.tenant.owner,
                "workflow": call.tenant.workflow,
            });
            let question = json!({ "request_hex": hex::encode(&call.encoded), "tenant": tenant });
            self.asked.0.lock().unwrap().capability.push(question);
            self.stub.play().await;
            match &self.stub.error {
                Some(error) => Err(Failure::new(vectors::model::text(error).unwrap())),
                None => Ok(self.stub.response()),
            }
        }
        .boxed()
    }
}

impl Stub {
    async fn play(&self) {
        if let Some(text) = &self.panic {
            panic!("{text}");
        }
        if self.hangs {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_millis(self.after_ms.unwrap_or_default())).await;
    }

    fn response(&self) -> Vec<u8> {
        self.response_hex.as_deref().map(vectors::model::hex).unwrap_or_default()
    }
}
