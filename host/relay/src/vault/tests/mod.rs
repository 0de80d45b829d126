//! A vault and its members over memory, as they stand in the devnet.

use std::{os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use bytes::Bytes;
use crypto::{
    sign::SigningKey,
    tdh2::{self, Label, MasterPublicKey, PrivateShare},
};
use http::{Request as HttpRequest, Response, StatusCode};
use protocol::{ids::FaultBound, relay::SecretsRequestParams};
use rand_core::OsRng;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use transport::{
    BoxStream, Dial as _,
    http::{ClientLimits, Connection},
    memory::{self, MemoryDialer},
};

use super::{Conduct, Config, Member, Metadata, Request, Round, VaultError, request::payload, run};
use crate::world::{OWNER, World};

mod members;
mod nodes;
mod routes;

const TOKEN: &str = "a token of the test";

/// A vault that runs, and who may ask it.
struct Play {
    world: World,
    dialer: MemoryDialer,
    vault: JoinHandle<Result<(), super::RunError>>,
    shutdown: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Play {
    fn new() -> Self {
        let world = World::new();
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, contents: &[u8]| -> PathBuf {
            let path = folder.path().join(name);
            std::fs::write(&path, contents).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            path
        };
        let mut members: Vec<_> = world.nodes.iter().map(SigningKey::public).collect();
        members.sort_unstable();
        let config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            secrets_file: folder.path().join("secrets.json"),
            token_file: file("token", TOKEN.as_bytes()),
            master_public_key_file: file("master", world.deal.public_key.as_bytes()),
            members,
            faults: FaultBound::new(1),
            threshold: 2,
            round_deadline: Duration::from_secs(20),
            grace: Duration::from_millis(300),
        };
        let (dialer, listener) = memory::pair();
        let shutdown = CancellationToken::new();
        let vault = tokio::spawn(run(config, Box::new(listener), shutdown.clone()));
        Self { world, dialer, vault, shutdown, _folder: folder }
    }

    fn member(&self, index: usize, conduct: Conduct) -> Member {
        let share = self.world.deal.shares[index].to_json();
        let share = PrivateShare::parse(share.expose()).unwrap();
        let key = self.world.deal.public_key.clone();
        let timeout = Duration::from_secs(25);
        let member =
            Member::new(Box::new(self.dialer.clone()), self.world.node(index), share, key, timeout);
        member.unwrap().dangerous_with_conduct(conduct)
    }

    /// Stores a secret as its owner does.
    async fn put(&self, name: &str, value: &[u8]) {
        let ciphertext = encrypt(&self.world.deal.public_key, OWNER, value);
        let response = self.send(put(OWNER, name, ciphertext)).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT, "{:?}", response.body());
    }

    async fn send(&self, request: HttpRequest<Bytes>) -> Response<Bytes> {
        let stream: BoxStream = self.dialer.dial().await.unwrap();
        let mut connection = Connection::open(stream, &LIMITS).await.unwrap();
        connection.send(request, &LIMITS).await.unwrap()
    }

    /// What a node asks for these secrets.
    fn request(&self, names: &[&str]) -> Request {
        let secrets = names.iter().map(|name| protocol::messages::sdk::SecretRequest {
            id: (*name).to_owned(),
            namespace: "main".to_owned(),
        });
        let secrets: Vec<_> = secrets.collect();
        let key = self.world.enclave.public().to_string();
        Request {
            round: Round::of(&SecretsRequestParams::default()),
            metadata: Metadata::default(),
            payload: payload(&secrets, OWNER, &key).unwrap(),
        }
    }
}

fn encrypt(key: &MasterPublicKey, owner: &str, value: &[u8]) -> Vec<u8> {
    let label = Label::of_owner(&owner.parse().unwrap()).unwrap();
    tdh2::encrypt(key, label, value, &mut OsRng).unwrap().as_bytes().to_vec()
}

fn put(owner: &str, name: &str, ciphertext: Vec<u8>) -> HttpRequest<Bytes> {
    HttpRequest::put(format!("/secrets/{owner}/main/{name}"))
        .header("host", "vault")
        .header("authorization", format!("Bearer {TOKEN}"))
        .body(ciphertext.into())
        .unwrap()
}

const LIMITS: ClientLimits = ClientLimits {
    head_bytes: 16 * 1024,
    body_bytes: 1024 * 1024,
    timeout: Duration::from_secs(60),
};
