//! The gateway and the relay nodes behind it: they check what relay nodes check first (the document
//! over the params), answer, sign; and misbehave if told to.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use attestation::{Measurements, Nonce, Policy, TrustRoot, UserData};
use bytes::Bytes;
use crypto::{
    seal::EphemeralPublicKey,
    sign::SigningKey,
    tdh2::{Ciphertext, DecryptionShare, PrivateShare},
};
use http::Response;
use protocol::{
    base64,
    clock::Clock as _,
    json::{self, RawJson, Wire},
    messages::{
        self,
        sdk::{CapabilityRequest, CapabilityResponse},
    },
    relay::{
        Bundle, CapabilityRequestParams, CapabilityResult, Params, SecretEntry,
        SecretsRequestParams, SecretsResult, SignedResult,
    },
    rpc::{self, ErrorObject},
};
use rand_core::OsRng;

use super::{Committee, TestClock, Trust};

/// How one relay node misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Signs another result.
    Lie,
    /// Sends a signature that is none.
    Garbage,
    /// Sends nothing.
    Down,
    /// Sends its answer many times.
    Duplicate,
}

/// Answers one call of a capability.
pub(crate) type Capability = Arc<dyn Fn(CapabilityRequest) -> CapabilityResponse + Send + Sync>;

/// The relay nodes of a committee.
pub(crate) struct Relays {
    keys: Vec<SigningKey>,
    parties: Vec<PrivateShare>,
    trust: (TrustRoot, Measurements),
    clock: TestClock,
    secrets: Mutex<BTreeMap<(String, String), Ciphertext>>,
    faults: Mutex<BTreeMap<usize, Fault>>,
    capability: Mutex<Option<Capability>>,
    calls: Mutex<Vec<RawJson>>,
    status: Mutex<Option<(u16, &'static str)>>,
    bad_shares: Mutex<bool>,
}

impl Relays {
    pub(crate) fn new(committee: &Committee, trust: &Trust, clock: TestClock) -> Self {
        let seed = |key: &SigningKey| key.seed().expose().try_into().unwrap();
        Self {
            keys: committee.keys.iter().map(|key| SigningKey::from_seed(&seed(key))).collect(),
            parties: committee.parties(),
            trust: trust.parts(),
            clock,
            secrets: Mutex::default(),
            faults: Mutex::default(),
            capability: Mutex::default(),
            calls: Mutex::default(),
            status: Mutex::default(),
            bad_shares: Mutex::default(),
        }
    }

    /// Keeps a secret under a namespace and a name.
    pub(crate) fn keep(&self, namespace: &str, name: &str, ciphertext: Ciphertext) {
        let id = (namespace.to_owned(), name.to_owned());
        self.secrets.lock().unwrap().insert(id, ciphertext);
    }

    /// Makes the node at this position misbehave.
    pub(crate) fn fault(&self, node: usize, fault: Fault) {
        self.faults.lock().unwrap().insert(node, fault);
    }

    /// Puts a share that does not open before all others.
    pub(crate) fn spoil_shares(&self) {
        *self.bad_shares.lock().unwrap() = true;
    }

    /// Says what capabilities answer.
    pub(crate) fn serve(
        &self,
        capability: impl Fn(CapabilityRequest) -> CapabilityResponse + Send + Sync + 'static,
    ) {
        *self.capability.lock().unwrap() = Some(Arc::new(capability));
    }

    /// Makes the gateway answer this instead.
    pub(crate) fn break_gateway(&self, status: u16, body: &'static str) {
        *self.status.lock().unwrap() = Some((status, body));
    }

    /// The params of every call, in order.
    pub(crate) fn calls(&self) -> Vec<RawJson> {
        self.calls.lock().unwrap().clone()
    }

    /// The gateway's answer to a body.
    pub(crate) fn answer(&self, body: &Bytes) -> Response<Bytes> {
        if let Some((status, body)) = *self.status.lock().unwrap() {
            let body = Bytes::from_static(body.as_bytes());
            return Response::builder().status(status).body(body).unwrap();
        }
        let request = rpc::Request::decode(body, "").unwrap();
        let params = request.params.clone().unwrap();
        self.calls.lock().unwrap().push(params.clone());
        let result = match request.method.as_str() {
            SecretsRequestParams::METHOD => self.secrets(&parse(&params)),
            CapabilityRequestParams::METHOD => self.call(&parse(&params)),
            other => panic!("no method {other}"),
        };
        let mut response = rpc::Response {
            jsonrpc: "2.0".to_owned(),
            id: request.id,
            method: request.method,
            ..rpc::Response::default()
        };
        match result {
            Some(result) => response.result = Some(result),
            None => {
                let message = "no capability".to_owned();
                response.error = Some(ErrorObject { code: -32603, message, data: None });
            }
        }
        Response::new(json::to_vec(&response).into())
    }

    fn secrets(&self, params: &SecretsRequestParams) -> Option<RawJson> {
        self.check(params);
        let key: EphemeralPublicKey = params.enclave_public_key.parse().unwrap();
        let secrets = self.secrets.lock().unwrap();
        let mut ids = params.secrets.clone().unwrap();
        ids.sort_by(|a, b| (&a.namespace, &a.key).cmp(&(&b.namespace, &b.key)));
        ids.dedup();
        let entry = |id: &protocol::relay::SecretIdentifier| {
            let ciphertext = secrets.get(&(id.namespace.clone(), id.key.clone()))?;
            let seal = |party: &PrivateShare| {
                let share = DecryptionShare::create(party, ciphertext, &mut OsRng).to_json();
                base64::encode(&key.seal(share.expose(), &mut OsRng).unwrap())
            };
            let mut shares: Vec<String> = self.parties.iter().map(seal).collect();
            if *self.bad_shares.lock().unwrap() {
                shares.insert(0, base64::encode(b"no box"));
                shares.insert(0, "%".to_owned());
            }
            Some(SecretEntry {
                id: id.clone(),
                ciphertext: base64::encode(ciphertext.as_bytes()),
                encrypted_shares: Some(shares),
            })
        };
        let honest = SecretsResult { secrets: Some(ids.iter().filter_map(entry).collect()) };
        let lie = SecretsResult { secrets: Some(Vec::new()) };
        Some(self.bundle(params, &honest, &lie))
    }

    fn call(&self, params: &CapabilityRequestParams) -> Option<RawJson> {
        self.check(params);
        let capability = self.capability.lock().unwrap().clone()?;
        let request = messages::decode(&base64::decode(&params.payload).unwrap()).unwrap();
        let response = messages::encode(&capability(request));
        let payload = base64::encode(&response);
        let honest = CapabilityResult { payload, error: String::new() };
        let lie = CapabilityResult { payload: String::new(), error: "a lie".to_owned() };
        Some(self.bundle(params, &honest, &lie))
    }

    /// The document over the params must be the enclave's own, and fresh.
    fn check<P: Params>(&self, params: &P) {
        let (root, measurements) = self.trust.clone();
        let user_data = UserData::from(*params.user_data().as_bytes());
        let policy = Policy::new(root, measurements, user_data, Nonce::NotUsed);
        let document = base64::decode(params.attestation()).unwrap();
        attestation::verify(&document, &policy, self.clock.now()).unwrap();
    }

    fn bundle<P: Params>(&self, params: &P, honest: &P::Result, lie: &P::Result) -> RawJson {
        let faults = self.faults.lock().unwrap();
        let mut responses = Vec::new();
        for (node, key) in self.keys.iter().enumerate() {
            let fault = faults.get(&node).copied();
            let result = if fault == Some(Fault::Lie) { lie } else { honest };
            let mut signed = SignedResult::sign(params, result.clone(), key).unwrap();
            match fault {
                Some(Fault::Down) => continue,
                Some(Fault::Garbage) => signed.signature.signature = vec![7; 64].into(),
                Some(Fault::Duplicate) => responses.extend(vec![signed.clone(); 3]),
                Some(Fault::Lie) | None => {}
            }
            responses.push(signed);
        }
        RawJson::of(&Bundle { responses: Some(responses) })
    }
}

fn parse<T: Wire>(raw: &RawJson) -> T {
    json::from_slice(raw.as_str().as_bytes()).unwrap()
}
