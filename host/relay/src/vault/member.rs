//! This node's part in the development vault: it makes its share of each secret, sealed to the
//! enclave's key before it leaves, and gets the one answer that all members get.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use crypto::{
    address::Address,
    seal::EphemeralPublicKey,
    secret::Secret,
    sign::SigningKey,
    tdh2::{Ciphertext, DecryptionShare, Label, MasterPublicKey, PrivateShare},
};
use futures_util::future::BoxFuture;
use http::{Method, StatusCode, Uri, header};
use protocol::messages::{
    self,
    vault::{GetSecretsRequest, GetSecretsResponse, SecretRequest},
};
use rand_core::OsRng;
use serde::Serialize;
use transport::{
    Dial,
    http::{ClientLimits, Pool, PoolLimits},
};

use super::{
    Request, Vault, VaultError,
    wire::{self, CIPHERTEXTS, CONTRIBUTIONS, Contribution, Digest, Opened, Opening},
};

/// A member of the development vault.
pub struct Member(Arc<Inner>);

struct Inner {
    vault: Box<dyn Dial>,
    pool: Pool<()>,
    key: SigningKey,
    share: PrivateShare,
    master_public_key: MasterPublicKey,
    conduct: Conduct,
    timeout: Duration,
}

/// How a member behaves; anything but honest is for tests of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conduct {
    /// As it should.
    #[default]
    Honest,
    /// Seals random bytes instead of its share.
    Lies,
    /// Sends bodies that are none.
    Babbles,
    /// Never hands its shares in.
    Stalls,
    /// Hands everything in twice.
    Repeats,
}

/// The share belongs to another key, so nothing it makes would count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the share does not belong to the vault's key")]
pub struct ForeignShareError;

/// Why this node makes no share of a secret; it is logged, and the answer goes without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum ShareRefusal {
    #[error("the ciphertext is not valid")]
    Ciphertext(#[from] crypto::tdh2::CiphertextError),
    #[error("the request names no owner with an address")]
    Owner,
    #[error("the ciphertext's label is not the owner's")]
    Label,
    #[error("the request does not name exactly one key of the enclave")]
    EnclaveKey,
    #[error(transparent)]
    Seal(#[from] crypto::seal::SealError),
}

impl Member {
    /// A member that reaches the vault through `vault` and waits `timeout` for an answer.
    ///
    /// # Errors
    ///
    /// [`ForeignShareError`].
    pub fn new(
        vault: Box<dyn Dial>,
        key: SigningKey,
        share: PrivateShare,
        master_public_key: MasterPublicKey,
        timeout: Duration,
    ) -> Result<Self, ForeignShareError> {
        if !share.belongs_to(&master_public_key) {
            return Err(ForeignShareError);
        }
        let (pool, conduct) = (Pool::new(POOL), Conduct::Honest);
        Ok(Self(Arc::new(Inner { vault, pool, key, share, master_public_key, conduct, timeout })))
    }

    /// The same member behaving otherwise.
    ///
    /// **For tests of the other members only.** Search for this name to find every use of one.
    #[must_use]
    pub fn dangerous_with_conduct(mut self, conduct: Conduct) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.conduct = conduct;
        }
        self
    }
}

impl Vault for Member {
    fn secrets(&self, request: Request) -> BoxFuture<'_, Result<GetSecretsResponse, VaultError>> {
        Box::pin(self.take_part(request))
    }
}

impl Member {
    async fn take_part(&self, request: Request) -> Result<GetSecretsResponse, VaultError> {
        let (round, encoded) =
            (Digest(*request.round.as_bytes()), wire::Bytes(messages::encode(&request.payload)));
        let opening = Opening { round, request: encoded.clone() };
        let opened = self.0.post(CIPHERTEXTS, &opening).await?;
        let opened: Opened =
            serde_json::from_slice(&opened).map_err(|_error| VaultError::Malformed)?;
        let shares = self.shares(request.payload, opened).await?;
        let contribution = Contribution { round, request: encoded, shares };
        if self.0.conduct == Conduct::Stalls {
            std::future::pending::<()>().await;
        }
        if self.0.conduct == Conduct::Repeats {
            let (first, second) = tokio::join!(
                self.0.post(CONTRIBUTIONS, &contribution),
                self.0.post(CONTRIBUTIONS, &contribution)
            );
            first.and(second)?;
        }
        let answer = self.0.post(CONTRIBUTIONS, &contribution).await?;
        messages::decode(&answer).map_err(|_error| VaultError::Malformed)
    }

    /// Makes the shares where nothing else waits: it takes about a millisecond for each.
    async fn shares(
        &self,
        request: GetSecretsRequest,
        opened: Opened,
    ) -> Result<Vec<Option<wire::Bytes>>, VaultError> {
        if opened.ciphertexts.len() != request.requests.len() {
            return Err(VaultError::Malformed);
        }
        let member = self.0.clone();
        let made = tokio::task::spawn_blocking(move || {
            let secrets = request.requests.iter().zip(&opened.ciphertexts);
            secrets.map(|(secret, ciphertext)| member.share(secret, ciphertext.as_ref()?)).collect()
        });
        made.await.map_err(|_panic| VaultError::Failed)
    }
}

impl Inner {
    fn share(&self, request: &SecretRequest, ciphertext: &wire::Bytes) -> Option<wire::Bytes> {
        match self.sealed_share(request, &ciphertext.0) {
            Ok(sealed) => Some(wire::Bytes(sealed)),
            Err(refusal) => {
                tracing::warn!(%refusal, "no share is made");
                None
            }
        }
    }

    /// Makes a share of a ciphertext whose proof and label were verified, and seals it.
    fn sealed_share(
        &self,
        request: &SecretRequest,
        ciphertext: &[u8],
    ) -> Result<Vec<u8>, ShareRefusal> {
        let ciphertext = Ciphertext::parse(ciphertext, &self.master_public_key)?;
        let owner = request.id.as_ref().and_then(|id| Address::parse(&id.owner).ok());
        let label = Label::of_owner(&owner.ok_or(ShareRefusal::Owner)?);
        if label != Ok(ciphertext.label()) {
            return Err(ShareRefusal::Label);
        }
        let [key] = request.encryption_keys.as_slice() else {
            return Err(ShareRefusal::EnclaveKey);
        };
        let key: EphemeralPublicKey = key.parse().map_err(|_error| ShareRefusal::EnclaveKey)?;
        if self.conduct == Conduct::Lies {
            return Ok(key.seal(&[0x55; 240], &mut OsRng)?);
        }
        let share: Secret = DecryptionShare::create(&self.share, &ciphertext, &mut OsRng).to_json();
        Ok(key.seal(share.expose(), &mut OsRng)?)
    }

    async fn post(&self, path: &'static str, body: &impl Serialize) -> Result<Bytes, VaultError> {
        let body = match self.conduct {
            Conduct::Babbles => b"\xff\x00 no JSON".to_vec(),
            Conduct::Honest | Conduct::Lies | Conduct::Stalls | Conduct::Repeats => {
                serde_json::to_vec(body).map_err(|_error| VaultError::Malformed)?
            }
        };
        let mut request = http::Request::new(Bytes::new());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static(path);
        let headers = request.headers_mut();
        headers.insert(header::HOST, header::HeaderValue::from_static("vault"));
        for (name, value) in wire::sign(path, &body, &self.key) {
            let value = value.parse().map_err(|_error| VaultError::Malformed)?;
            headers.insert(header::HeaderName::from_static(name), value);
        }
        *request.body_mut() = body.into();
        let limits = ClientLimits { timeout: self.timeout, ..LIMITS };
        let sent = self.pool.send((), request, &limits, None, self.vault.dial()).await;
        let response = sent.map_err(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                path,
                "the vault cannot be asked"
            );
            VaultError::Failed
        })?;
        if response.status() != StatusCode::OK {
            tracing::warn!(status = %response.status(), path, "the vault refuses");
            return Err(VaultError::Failed);
        }
        Ok(response.into_body())
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Member({} at {})", self.0.key.public(), self.0.vault.endpoint())
    }
}

const LIMITS: ClientLimits = ClientLimits {
    head_bytes: 16 * 1024,
    // Ten secrets of 2 KB and a hundred members' shares of 600 bytes, in hexadecimal digits: 1.3 MB.
    body_bytes: 2 * 1024 * 1024,
    timeout: Duration::from_secs(30),
};

const POOL: PoolLimits = PoolLimits { per_key: 64, total: 64, idle: Duration::from_secs(15) };

#[cfg(test)]
mod tests {
    use crypto::tdh2;
    use protocol::messages::vault::SecretIdentifier;
    use transport::memory;

    use super::*;
    use crate::world::{OWNER, World};

    fn request(world: &World) -> SecretRequest {
        let id =
            SecretIdentifier { key: "K".into(), namespace: "main".into(), owner: OWNER.into() };
        SecretRequest { id: Some(id), encryption_keys: vec![world.enclave.public().to_string()] }
    }

    fn encrypt(key: &MasterPublicKey, owner: &str) -> Vec<u8> {
        let label = Label::of_owner(&owner.parse().unwrap()).unwrap();
        tdh2::encrypt(key, label, b"hunter2", &mut OsRng).unwrap().as_bytes().to_vec()
    }

    #[test]
    fn a_share_is_made_for_the_owner_and_the_enclave_only() {
        let world = World::new();
        let (vault, _listener) = memory::pair();
        let key = world.deal.public_key.clone();
        let share = PrivateShare::parse(world.deal.shares[0].to_json().expose()).unwrap();
        let second = Duration::from_secs(1);
        let member =
            Member::new(Box::new(vault), world.node(0), share, key.clone(), second).unwrap().0;
        let good = encrypt(&key, OWNER);
        let sealed = member.sealed_share(&request(&world), &good).unwrap();
        let opened = world.enclave.open(&sealed).unwrap();
        let opened = DecryptionShare::parse(opened.expose()).unwrap();
        opened.verify(&key, &Ciphertext::parse(&good, &key).unwrap()).unwrap();

        let other_owner = encrypt(&key, &format!("0x{}", "11".repeat(20)));
        let refused = member.sealed_share(&request(&world), &other_owner);
        assert_eq!(refused, Err(ShareRefusal::Label));
        let other_key = encrypt(&World::new().deal.public_key, OWNER);
        let refused = member.sealed_share(&request(&world), &other_key);
        assert!(matches!(refused, Err(ShareRefusal::Ciphertext(_))));
        let changes: [(fn(&mut SecretRequest), _); 4] = [
            (|r| r.id = None, ShareRefusal::Owner),
            (|r| r.id.as_mut().unwrap().owner = "alice".into(), ShareRefusal::Owner),
            (|r| r.encryption_keys.clear(), ShareRefusal::EnclaveKey),
            (|r| r.encryption_keys = vec!["00".repeat(32)], ShareRefusal::EnclaveKey),
        ];
        for (change, error) in changes {
            let mut request = request(&world);
            change(&mut request);
            assert_eq!(member.sealed_share(&request, &good), Err(error));
        }
    }
}
