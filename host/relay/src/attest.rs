//! Is it one of our enclaves that asks, and does it ask exactly this? (relay-protocol 9.6)

use std::{num::NonZeroUsize, time::SystemTime};

use attestation::{
    Document, Freshness, MeasurementSet, MeasurementsError, Nonce, Policy, TrustRoot, UserData,
    Verified, Verifier, VerifyError,
};
use protocol::{
    base64::{self, Base64Error},
    relay::Params,
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
}

impl Attestation {
    pub(crate) fn new(registry: Registry, root: TrustRoot) -> Self {
        Self { registry, root, verifier: Verifier::new(REMEMBERED_CHAINS) }
    }

    /// Holds params to the registry as it is now.
    pub(crate) async fn verify<P: Params>(
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
