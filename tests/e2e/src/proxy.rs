//! A gateway of the test's own, in front of the real one: it records every answer, and may change it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use crate::committee::client;
use axum::{Router, body::Bytes, extract::State, http::StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;

/// What the proxy does to the answer of a call.
pub type Change = fn(&mut Value);

/// A running proxy. It ends with the test's runtime.
#[derive(Debug)]
pub struct Proxy {
    /// Where the enclave asks.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    gateway: Mutex<Option<String>>,
    change: Mutex<Option<Change>>,
    asked: Mutex<Vec<Bytes>>,
    answered: Mutex<Vec<Bytes>>,
}

impl Proxy {
    /// Listens; calls are forwarded once [`Self::forward_to`] says where.
    pub async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shared) = (listener.local_addr().unwrap(), Arc::new(Shared::default()));
        let router = Router::new().fallback(forward).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared }
    }

    /// Says where the real gateway is.
    pub fn forward_to(&self, gateway: &str) {
        *self.shared.gateway.lock().unwrap() = Some(format!("http://{gateway}/"));
    }

    /// Changes every answer from now on.
    pub fn change(&self, change: Change) {
        *self.shared.change.lock().unwrap() = Some(change);
    }

    /// The calls so far.
    pub fn asked(&self) -> Vec<Value> {
        let asked = self.shared.asked.lock().unwrap();
        asked.iter().map(|body| serde_json::from_slice(body).unwrap()).collect()
    }

    /// The answers so far, as the gateway gave them.
    pub fn answered(&self) -> Vec<Bytes> {
        self.shared.answered.lock().unwrap().clone()
    }
}

async fn forward(State(shared): State<Arc<Shared>>, body: Bytes) -> (StatusCode, Bytes) {
    shared.asked.lock().unwrap().push(body.clone());
    let gateway = shared.gateway.lock().unwrap().clone().expect("the gateway is known");
    let answer = client().post(gateway).body(body).send().await.unwrap();
    let (status, bytes) = (answer.status(), answer.bytes().await.unwrap());
    shared.answered.lock().unwrap().push(bytes.clone());
    let change = *shared.change.lock().unwrap();
    let bytes = match change {
        None => bytes,
        Some(change) => {
            let mut answer: Value = serde_json::from_slice(&bytes).unwrap();
            change(&mut answer);
            serde_json::to_vec(&answer).unwrap().into()
        }
    };
    (status, bytes)
}
