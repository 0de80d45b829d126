//! Is it one of our enclaves that asks, and does it ask exactly this? (relay-protocol 9.6)

use std::{num::NonZeroUsize, time::SystemTime};

use attestation::{
    Document, Freshness, MeasurementSet, MeasurementsError, Nonce, Policy, TrustRoot, UserData,
    Verified, Verifier, VerifyError,
    statement::{ExpectedStatement, StatementError, StatementMismatch},
};
use protocol::{
    base64::{self, Base64Error},
    config,
    relay::{CapabilityRequestParams, EnclaveConfig, Params, SecretsRequestParams},
};

use crate::registry::{Registry, RegistryError, Snapshot};

/// Believes documents of enclaves that the registry lists.
#[derive(Debug)]
pub(crate) struct Attestation {
    registry: Registry,
    root: TrustRoot,
    verifier: Verifier,
}

/// Params that a trusted enclave made within the last five minutes, with the registry they were held
/// to. Only this module makes one.
#[derive(Debug)]
pub(crate) struct Attested<P> {
    params: P,
    snapshot: Snapshot,
    _document: Verified<Document>,
}

/// Why params are not believed to come from a trusted enclave.
#[derive(Debug, thiserror::Error)]
pub enum AttestationError {
    /// There is no document.
    #[error("missing attestation")]
    Missing,
    /// The document is not base64.
    #[error("failed to decode attestation: {0}")]
    Base64(#[from] Base64Error),
    /// The registry says nothing.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The registry trusts no enclave.
    #[error("no trusted measurements found in capabilities registry")]
    NothingTrusted,
    /// None of the registry's sets of measurements parses.
    #[error("no trusted measurement set matched: failed to unmarshal trusted PCRs: {0}")]
    NothingParses(#[source] MeasurementsError),
    /// The document is not believed.
    #[error("no trusted measurement set matched: {0}")]
    Document(#[from] VerifyError),
    /// What the enclave states about itself is no statement.
    #[error("the enclave's statement is none: {0}")]
    Statement(#[from] StatementError),
    /// The enclave states another configuration than its params show.
    #[error("the enclave's statement contradicts its params: {0}")]
    Stated(#[from] StatementMismatch),
}

/// Params that show how the enclave is configured.
pub(crate) trait Configured: Params {
    /// The configuration.
    fn enclave_config(&self) -> Option<&EnclaveConfig>;
}

impl Attestation {
    pub(crate) fn new(registry: Registry, root: TrustRoot) -> Self {
        Self { registry, root, verifier: Verifier::new(REMEMBERED_CHAINS) }
    }

    /// Holds params to the registry as it is now.
    pub(crate) async fn verify<P: Configured>(
        &self,
        params: P,
        now: SystemTime,
    ) -> Result<Attested<P>, AttestationError> {
        if params.attestation().is_empty() {
            return Err(AttestationError::Missing);
        }
        let document = base64::decode(params.attestation())?;
        let snapshot = self.registry.read().await?;
        let user_data = UserData::from(*params.user_data().as_bytes());
        let policy = self.policy(&snapshot, user_data)?;
        let document = self.verifier.verify(&document, &policy, now)?;
        check_statement(&document, params.enclave_config())?;
        Ok(Attested { params, snapshot, _document: document })
    }

    /// Any of the sets that parse will do; one that does not trusts nothing, but hides no other.
    fn policy(&self, snapshot: &Snapshot, user_data: UserData) -> Result<Policy, AttestationError> {
        let mut trusted = Vec::new();
        let mut broken = None;
        for (index, set) in snapshot.measurements.iter().enumerate() {
            match set {
                Ok(set) => trusted.push(MeasurementSet::from(set.clone())),
                Err(error) => {
                    tracing::warn!(index, %error, "measurements of the registry do not parse");
                    broken = broken.or(Some(error));
                }
            }
        }
        let mut sets = trusted.into_iter();
        let first = sets.next().ok_or(match broken {
            Some(error) => AttestationError::NothingParses(error.clone()),
            None => AttestationError::NothingTrusted,
        })?;
        let policy = Policy::new(self.root.clone(), first, user_data, Nonce::NotUsed);
        Ok(sets.fold(policy, Policy::or_measurements).with_freshness(Freshness::reference()))
    }
}

/// Holds what an enclave states about itself to what it shows. One of version 1 states nothing.
fn check_statement(
    document: &Verified<Document>,
    config: Option<&EnclaveConfig>,
) -> Result<(), AttestationError> {
    let Some(statement) = document.statement()? else { return Ok(()) };
    let hash = config.map(|config| config_of(config).hash());
    let config_hash = hash.as_ref().map(|hash| hash.as_bytes());
    Ok(statement.check(&ExpectedStatement { config_hash, ..ExpectedStatement::default() })?)
}

/// The configuration as the enclave's own interface has it, which its hash is of.
fn config_of(config: &EnclaveConfig) -> config::EnclaveConfig {
    config::EnclaveConfig {
        signers: config.signers.clone(),
        master_public_key: config.master_public_key.clone(),
        t: config.t,
        f: config.f,
    }
}

impl Configured for SecretsRequestParams {
    fn enclave_config(&self) -> Option<&EnclaveConfig> {
        self.enclave_config.as_ref()
    }
}

impl Configured for CapabilityRequestParams {
    fn enclave_config(&self) -> Option<&EnclaveConfig> {
        self.enclave_config.as_ref()
    }
}

impl<P> Attested<P> {
    pub(crate) fn params(&self) -> &P {
        &self.params
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Lets go of the registry.
    pub(crate) fn into_params(self) -> P {
        self.params
    }
}

/// Chains that are not verified again: an enclave's changes every few hours, and pools are small.
const REMEMBERED_CHAINS: NonZeroUsize = NonZeroUsize::new(64).unwrap();

#[cfg(test)]
mod tests {
    use attestation::statement::Statement;

    use super::*;
    use crate::{
        handler::ServeError,
        world::{World, request},
    };

    fn statement(config_hash: [u8; 32]) -> Vec<u8> {
        let statement = Statement {
            boot_id: [1; 16],
            config_hash,
            config_epoch: 0,
            settings_hash: None,
            hpke_public_key: None,
            answer: None,
        };
        statement.encode()
    }

    /// What a node makes of params whose document carries this.
    async fn verdict(world: &World, public_key: &[u8]) -> Result<(), AttestationError> {
        let with = |request: attestation::AttestationRequest| request.with_public_key(public_key);
        let secrets = world.attest_with(world.bare_secrets(), |request| with(request).unwrap());
        let call = world.attest_with(world.bare_capability(), |request| with(request).unwrap());
        let handler = world.handler();
        let mut verdict = Ok(());
        for served in [handler.serve(&request(&secrets)), handler.serve(&request(&call))] {
            match served.await {
                Ok(_) => {}
                Err(ServeError::Attestation(error)) => verdict = Err(error),
                Err(other) => panic!("{other:?}"),
            }
        }
        verdict
    }

    fn configured(world: &World) -> [u8; 32] {
        let params = world.bare_secrets();
        *config_of(params.enclave_config.as_ref().unwrap()).hash().as_bytes()
    }

    #[tokio::test]
    async fn an_enclave_that_states_the_configuration_it_shows_is_served() {
        let world = World::new();
        verdict(&world, &statement(configured(&world))).await.unwrap();
    }

    #[tokio::test]
    async fn an_enclave_that_states_another_configuration_than_it_shows_is_refused() {
        let world = World::new();
        let refused = verdict(&world, &statement([9; 32])).await.unwrap_err();
        assert!(matches!(refused, AttestationError::Stated(StatementMismatch::ConfigHash)));
    }

    #[tokio::test]
    async fn a_document_that_states_nonsense_is_refused() {
        let world = World::new();
        let mut longer = statement(configured(&world));
        longer.push(0);
        for nonsense in [b"key".as_slice(), &longer] {
            let refused = verdict(&world, nonsense).await.unwrap_err();
            assert!(matches!(refused, AttestationError::Statement(_)), "{refused:?}");
        }
    }
}
