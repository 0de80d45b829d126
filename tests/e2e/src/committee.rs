//! The committee of a devnet, asking its enclave without any of the tools.

use crypto::{seal::EphemeralPublicKey, sign::SigningKey};
use protocol::{
    answer::PublicKeyResponse,
    compute::{ComputeRequest, SignedComputeRequest},
    ids::{ExecutionId, RequestId},
    json,
    limits::WORKFLOW_ANSWER_BYTES,
    messages::{
        self,
        confidential_workflow::WorkflowExecution,
        cron,
        sdk::{ExecuteRequest, Phase, Trigger},
    },
};
use rand_core::{OsRng, RngCore as _};
use sha2::{Digest as _, Sha256};

use crate::devnet::{Devnet, built};

/// One HTTP answer.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body, as it came.
    pub body: bytes::Bytes,
}

impl Reply {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The keys of the committee, in the order of `devnet.json`.
pub fn keys(devnet: &Devnet) -> Vec<SigningKey> {
    let json = devnet.json();
    let seeds = json["committee"]["seeds"].as_array().unwrap().iter();
    let seed = |seed: &serde_json::Value| hex::decode(seed.as_str().unwrap()).unwrap();
    seeds.map(|text| SigningKey::from_seed(&seed(text).try_into().unwrap())).collect()
}

/// A binary on the devnet's server.
#[derive(Clone, Debug)]
pub struct Published {
    url: String,
    hash: Vec<u8>,
}

/// Puts a workflow on the devnet's server, as `run` does.
pub async fn publish(devnet: &Devnet, wasm: &[u8]) -> Published {
    let binary = compress(wasm);
    let hash = Sha256::digest(&binary).to_vec();
    let (server, name) = (devnet.address("workflows"), hex::encode(&hash));
    let url = format!("http://{server}/artifacts/{name}/binary.wasm");
    let put = reply(client().put(&url).body(binary)).await;
    assert!((200..300).contains(&put.status), "{}", put.text());
    Published { url, hash }
}

/// A request to run a built workflow.
pub async fn request(devnet: &Devnet, workflow: &str, config: &str) -> ComputeRequest {
    let published = publish(devnet, &std::fs::read(built(workflow)).unwrap()).await;
    request_of(devnet, &client(), published, config).await
}

/// A request to run a workflow that is on the devnet's server: a new execution each time.
pub async fn request_of(
    devnet: &Devnet,
    client: &reqwest::Client,
    published: Published,
    config: &str,
) -> ComputeRequest {
    let mut execution_id = [0; 32];
    OsRng.fill_bytes(&mut execution_id);
    let event = cron::Payload { scheduled_execution_time: Some(Default::default()) };
    let trigger = Trigger { id: 0, payload: Some(messages::pack(&event)) };
    let execution = WorkflowExecution {
        workflow_id: hex::encode([7; 32]),
        binary_url: published.url,
        binary_hash: published.hash,
        owner: "11".repeat(20),
        execution_id: hex::encode(execution_id),
        sdk_execute_request: Some(ExecuteRequest {
            config: config.as_bytes().to_vec(),
            max_response_size: WORKFLOW_ANSWER_BYTES,
            request: Some(Phase::Trigger(trigger)),
        }),
        ..WorkflowExecution::default()
    };
    let key = ephemeral_key(devnet, client, &execution.execution_id).await;
    ComputeRequest::for_execution(&execution, &key)
}

/// Signs a request with the first `signers` keys of the committee.
pub fn sign(
    devnet: &Devnet,
    request: &ComputeRequest,
    signers: usize,
) -> Vec<SignedComputeRequest> {
    keys(devnet).iter().take(signers).map(|key| request.clone().sign(key)).collect()
}

/// Sends a batch straight to the enclave.
pub async fn to_enclave(devnet: &Devnet, batch: &[SignedComputeRequest]) -> Reply {
    post(devnet, "enclave", json::to_vec(&batch.to_vec())).await
}

/// Sends one signed request to the bridge.
pub async fn to_bridge(devnet: &Devnet, request: &SignedComputeRequest) -> Reply {
    post(devnet, "bridge", json::to_vec(request)).await
}

/// POSTs to `/requests` of a role.
pub async fn post(devnet: &Devnet, role: &str, body: Vec<u8>) -> Reply {
    let url = format!("http://{}/requests", devnet.address(role));
    reply(client().post(url).body(body)).await
}

/// An HTTP client. The ones of all tests share the process's choice of cryptography.
pub fn client() -> reqwest::Client {
    static CHOSEN: std::sync::Once = std::sync::Once::new();
    CHOSEN.call_once(|| {
        rustls::crypto::aws_lc_rs::default_provider().install_default().expect("chosen once");
    });
    reqwest::Client::new()
}

/// Sends any request and reads the whole answer.
pub async fn reply(request: reqwest::RequestBuilder) -> Reply {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    Reply { status, body: answer.bytes().await.unwrap() }
}

/// A workflow's bytes as `run` publishes them.
pub fn compress(mut wasm: &[u8]) -> Vec<u8> {
    let mut binary = Vec::new();
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: 5,
        size_hint: wasm.len(),
        ..Default::default()
    };
    brotli::BrotliCompress(&mut wasm, &mut binary, &parameters).unwrap();
    binary
}

async fn ephemeral_key(
    devnet: &Devnet,
    client: &reqwest::Client,
    execution_id: &str,
) -> EphemeralPublicKey {
    let request_id = RequestId::of_execution(&ExecutionId::from(execution_id));
    let id = hex::encode(request_id.as_bytes());
    let url = format!("http://{}/publicKeys?requestID={id}", devnet.address("bridge"));
    let answer = reply(client.get(url)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let keys: PublicKeyResponse = json::from_slice(&answer.body).unwrap();
    let key = keys.public_keys.unwrap().remove(0);
    EphemeralPublicKey::from_slice(&key.into_vec()).unwrap()
}
