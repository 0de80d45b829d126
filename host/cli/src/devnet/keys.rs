//! The keys of a devnet, made anew at every start.

use crypto::{
    secret::{Secret, SecretText},
    sign::{SignerKey, SigningKey},
    tdh2::{self, Deal, DealError, Threshold, ThresholdError},
};
use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use super::{
    fault::RELAYS,
    layout::Layout,
    service::tls::{Identity, TlsError},
};
use crate::files::{self, Readers};

/// F of the committee: one of four may be faulty.
pub(crate) const FAULTS: u32 = 1;

/// T of the vault: two shares open a secret.
pub(crate) const THRESHOLD: u32 = 2;

/// Every key of a devnet but the enclave's own.
pub(crate) struct Keys {
    /// The members of the committee: member N is relay node N.
    pub(crate) members: Vec<SigningKey>,
    /// The vault's key with one share for each relay node.
    pub(crate) vault: Deal,
    /// What puts secrets into the vault.
    pub(crate) vault_token: SecretText,
    /// What the enclave shows to a storage service. The devnet's asks for nothing.
    pub(crate) storage_key: SigningKey,
    /// Certificate and key of the echo service.
    pub(crate) echo: Identity,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    /// The vault's key cannot be dealt.
    #[error(transparent)]
    Deal(#[from] DealError),
    /// The threshold is none.
    #[error(transparent)]
    Threshold(#[from] ThresholdError),
    /// There is no certificate for the echo service.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A file cannot be written.
    #[error("a key cannot be written")]
    Write(#[from] std::io::Error),
}

impl Keys {
    /// Makes all keys.
    ///
    /// # Errors
    ///
    /// [`KeysError`].
    pub(crate) fn generate(rng: &mut impl CryptoRngCore) -> Result<Self, KeysError> {
        let mut members: Vec<_> = (0..RELAYS).map(|_| SigningKey::generate(rng)).collect();
        // In the order in which nodes propose a configuration (enclave-and-host 3.4).
        members.sort_by_key(|member| *member.public().as_bytes());
        let parties = u32::try_from(members.len()).unwrap_or(u32::MAX);
        let vault = tdh2::deal(Threshold::new(THRESHOLD)?, parties, rng)?;
        let mut token = Zeroizing::new([0; 32]);
        rng.fill_bytes(token.as_mut_slice());
        Ok(Self {
            members,
            vault,
            vault_token: hex::encode(&token).into(),
            storage_key: SigningKey::generate(rng),
            echo: Identity::generate()?,
        })
    }

    /// Writes what the processes read.
    ///
    /// # Errors
    ///
    /// [`KeysError::Write`].
    pub(crate) fn store(&self, layout: &Layout) -> Result<(), KeysError> {
        let owner = |name: &str, text: &[u8]| files::write(&layout.key(name), text, Readers::Owner);
        for (number, (member, share)) in (1..).zip(self.members.iter().zip(&self.vault.shares)) {
            owner(&relay_key(number), seed(member).as_bytes())?;
            owner(&relay_share(number), share.to_json().expose())?;
        }
        owner(VAULT_TOKEN, self.vault_token.expose().as_bytes())?;
        owner(MASTER_PUBLIC_KEY, self.vault.public_key.as_bytes())?;
        owner(ECHO_CA, self.echo.ca_pem.as_bytes())?;
        owner(ECHO_CERTIFICATE, self.echo.certificate_pem.as_bytes())?;
        owner(ECHO_KEY, self.echo.key_pem.as_bytes())?;
        Ok(())
    }

    /// The public keys of the members.
    pub(crate) fn signers(&self) -> Vec<SignerKey> {
        self.members.iter().map(SigningKey::public).collect()
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.key_pem);
    }
}

/// A key's seed in hexadecimal digits.
pub(crate) fn seed(key: &SigningKey) -> Zeroizing<String> {
    let seed: Secret = key.seed();
    Zeroizing::new(hex::encode(seed.expose()))
}

/// The file of a relay node's seed.
pub(crate) fn relay_key(number: usize) -> String {
    format!("relay-{number}.key")
}

/// The file of a relay node's share of the vault's key.
pub(crate) fn relay_share(number: usize) -> String {
    format!("relay-{number}.share")
}

/// The file of the vault's token.
pub(crate) const VAULT_TOKEN: &str = "vault.token";

/// The file of the vault's public key.
pub(crate) const MASTER_PUBLIC_KEY: &str = "master-public-key.json";

/// The root of the echo service's certificate.
pub(crate) const ECHO_CA: &str = "echo-ca.pem";

/// The echo service's certificate.
pub(crate) const ECHO_CERTIFICATE: &str = "echo.pem";

/// The echo service's key.
pub(crate) const ECHO_KEY: &str = "echo.key";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use host_relay::secret_file;
    use rand_core::OsRng;

    use super::*;

    #[test]
    fn relay_nodes_read_the_keys_that_are_written_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::take(folder.path()).unwrap();
        let keys = Keys::generate(&mut OsRng).unwrap();
        keys.store(&layout).unwrap();
        for (number, member) in (1..).zip(&keys.members) {
            let read = secret_file::read_signing_key(&layout.key(&relay_key(number))).unwrap();
            assert_eq!(read.public(), member.public());
            let share = secret_file::read(&layout.key(&relay_share(number))).unwrap();
            let share = tdh2::PrivateShare::parse(share.expose()).unwrap();
            assert!(share.belongs_to(&keys.vault.public_key));
        }
        let token = secret_file::read(&layout.key(VAULT_TOKEN)).unwrap();
        assert_eq!(token.expose(), keys.vault_token.expose().as_bytes());
    }

    #[test]
    fn every_key_is_its_owners() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::take(folder.path()).unwrap();
        Keys::generate(&mut OsRng).unwrap().store(&layout).unwrap();
        for entry in std::fs::read_dir(layout.key("")).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        }
    }
}
