//! Is the enclave configured as the registry says? (relay-protocol 9.7, W-02)

use crypto::tdh2::Threshold;
use protocol::relay::EnclaveConfig;

use crate::registry::{Snapshot, WorkflowDon};

/// The enclave's configuration is not the one of the registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnclaveConfigError {
    /// The enclave does not say how it is configured.
    #[error("enclave config is required")]
    Missing,
    /// It tolerates fewer faults than the DON.
    #[error("enclave config F {got} does not meet the minimum required DON F {want}")]
    FaultBoundTooLow {
        /// The enclave's.
        got: u32,
        /// The DON's.
        want: u32,
    },
    /// It tolerates more faults than the DON; the reference takes that (W-02).
    #[error("enclave config F {got} is not the DON F {want}")]
    FaultBoundTooHigh {
        /// The enclave's.
        got: u32,
        /// The DON's.
        want: u32,
    },
    /// It knows more or fewer signers than the DON has members.
    #[error("enclave config signers count mismatch: enclave reports {got}, expected {want}")]
    SignerCount {
        /// The enclave's.
        got: usize,
        /// The DON's.
        want: usize,
    },
    /// It knows another signer.
    #[error("enclave config signer mismatch at sorted index {index}: expected {}", hex::encode(.want))]
    Signer {
        /// The position among the sorted keys.
        index: usize,
        /// The member at this position.
        want: [u8; 32],
    },
    /// Its threshold is not the vault's (W-02).
    #[error("enclave config T {got} is not the threshold {want} of the vault")]
    Threshold {
        /// The enclave's.
        got: u32,
        /// The vault's.
        want: u32,
    },
    /// Its master public key is not the vault's (W-02).
    #[error("enclave config master public key is not the one of the vault")]
    MasterPublicKey,
}

/// Holds the enclave's configuration to the registry: signers, F, T and master public key.
///
/// # Errors
///
/// The first [`EnclaveConfigError`] met, signers before what the reference does not compare.
pub(crate) fn compare(
    config: Option<&EnclaveConfig>,
    registry: &Snapshot,
) -> Result<(), EnclaveConfigError> {
    let config = config.ok_or(EnclaveConfigError::Missing)?;
    let (got, want) = (config.f, registry.don.faults().get());
    if got < want {
        return Err(EnclaveConfigError::FaultBoundTooLow { got, want });
    }
    compare_signers(config, &registry.don)?;
    if got > want {
        return Err(EnclaveConfigError::FaultBoundTooHigh { got, want });
    }
    match registry.threshold.map(Threshold::get) {
        Some(want) if want != config.t => {
            return Err(EnclaveConfigError::Threshold { got: config.t, want });
        }
        Some(_) | None => {}
    }
    match &registry.master_public_key {
        Some(key) if key.as_bytes() != config.master_public_key.as_slice() => {
            Err(EnclaveConfigError::MasterPublicKey)
        }
        Some(_) | None => Ok(()),
    }
}

fn compare_signers(config: &EnclaveConfig, don: &WorkflowDon) -> Result<(), EnclaveConfigError> {
    let mut signers: Vec<&[u8]> =
        config.signers.iter().flatten().map(|signer| signer.as_slice()).collect();
    let (got, want) = (signers.len(), don.members().len());
    if got != want {
        return Err(EnclaveConfigError::SignerCount { got, want });
    }
    signers.sort_unstable();
    let mut pairs = signers.into_iter().zip(don.members()).enumerate();
    match pairs.find(|(_, (signer, member))| *signer != member.as_bytes().as_slice()) {
        Some((index, (_, want))) => {
            Err(EnclaveConfigError::Signer { index, want: *want.as_bytes() })
        }
        None => Ok(()),
    }
}
