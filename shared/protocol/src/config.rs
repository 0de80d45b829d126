//! What an enclave is configured with: who may ask it, and whose shares open secrets.

use crypto::tdh2::{MasterPublicKey, ParseError, Threshold, ThresholdError};

use crate::{
    committee::{Committee, CommitteeError},
    hash::Canonical,
    ids::{ConfigHash, FaultBound, UserDataHash},
    json::{self, Bytes, DecodeError},
};

wire! {
    /// A configuration as the enclave's own interface spells it, unchecked; compare
    /// [`crate::relay::EnclaveConfig`].
    EnclaveConfig {
        /// The members of the DON: ed25519 keys.
        signers: Option<Vec<Bytes>> = "signers";
        /// The vault's TDH2 key, a JSON text.
        master_public_key: Bytes = "masterPublicKey";
        /// The vault's threshold.
        t: u32 = "t";
        /// The fault bound of the DON.
        f: u32 = "f";
    }
}

impl EnclaveConfig {
    /// The hash of a configuration: signers in the order given (relay-protocol 5.5).
    #[must_use]
    pub fn hash(&self) -> ConfigHash {
        Canonical::of("EnclaveConfig")
            .fields(self.signers.as_deref().unwrap_or_default().iter())
            .field(&self.master_public_key)
            .u32(self.t)
            .u32(self.f)
            .finish()
            .into()
    }

    /// Whether nothing is set, which is how an enclave starts.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.t == 0
            && self.f == 0
            && self.signers.as_deref().unwrap_or_default().is_empty()
            && self.master_public_key.as_slice().is_empty()
    }

    /// The same with empty instead of nil: how an enclave shows the configuration it holds.
    #[must_use]
    pub fn with_empty_for_nil(&self) -> Self {
        Self {
            signers: Some(self.signers.clone().unwrap_or_default()),
            master_public_key: self.master_public_key.as_slice().into(),
            ..*self
        }
    }
}

/// What an attestation of a newly set configuration binds (relay-protocol 5.6).
#[must_use]
pub fn set_config_user_data(config: ConfigHash) -> UserDataHash {
    Canonical::of("SetConfigResponse").fixed(config.as_bytes()).finish().into()
}

/// A configuration that can work: keys are keys, distinct and enough, and shares can open secrets.
///
/// Keeps what it was checked from, because that is hashed and shown.
#[derive(Clone, Debug)]
pub struct Config {
    committee: Committee,
    threshold: Threshold,
    master_public_key: MasterPublicKey,
    wire: EnclaveConfig,
    hash: ConfigHash,
}

/// Why a configuration cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The text is not the JSON of a configuration.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The signers are no committee.
    #[error(transparent)]
    Committee(#[from] CommitteeError),
    /// No share would be needed.
    #[error(transparent)]
    Threshold(#[from] ThresholdError),
    /// The vault's key is none.
    #[error("the master public key is none")]
    MasterPublicKey(#[source] ParseError),
}

impl Config {
    /// Decodes and checks the JSON of a configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], in the order of its variants.
    pub fn decode(text: &[u8]) -> Result<Self, ConfigError> {
        Self::check(json::from_slice(text)?)
    }

    /// Checks a configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], in the order of its variants.
    pub fn check(wire: EnclaveConfig) -> Result<Self, ConfigError> {
        Self::check_with(wire, MasterPublicKey::parse)
    }

    /// The same with another parser of the vault's key: recorded configurations hold stand-ins for it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], in the order of its variants.
    pub fn check_with(
        wire: EnclaveConfig,
        parse_key: impl FnOnce(&[u8]) -> Result<MasterPublicKey, ParseError>,
    ) -> Result<Self, ConfigError> {
        let signers = wire.signers.iter().flatten().map(Bytes::as_slice);
        let committee = Committee::parse(signers, FaultBound::new(wire.f))?;
        let threshold = Threshold::new(wire.t)?;
        let key = parse_key(wire.master_public_key.as_slice());
        let master_public_key = key.map_err(ConfigError::MasterPublicKey)?;
        Ok(Self { committee, threshold, master_public_key, hash: wire.hash(), wire })
    }

    /// Who may ask, and how many of them may be faulty.
    #[must_use]
    pub fn committee(&self) -> &Committee {
        &self.committee
    }

    /// How many shares open a secret.
    #[must_use]
    pub fn threshold(&self) -> Threshold {
        self.threshold
    }

    /// The vault's key.
    #[must_use]
    pub fn master_public_key(&self) -> &MasterPublicKey {
        &self.master_public_key
    }

    /// What was checked.
    #[must_use]
    pub fn wire(&self) -> &EnclaveConfig {
        &self.wire
    }

    /// The hash of what was checked.
    #[must_use]
    pub fn hash(&self) -> ConfigHash {
        self.hash
    }
}

#[cfg(test)]
mod tests {
    use crypto::{sign::SigningKey, tdh2};
    use proptest::prelude::*;
    use rand_core::OsRng;

    use super::*;

    fn key(seed: u8) -> Bytes {
        SigningKey::from_seed(&[seed; 32]).public().as_bytes().as_slice().into()
    }

    fn wire() -> EnclaveConfig {
        let deal = tdh2::deal(Threshold::new(2).unwrap(), 3, &mut OsRng).unwrap();
        EnclaveConfig {
            signers: Some(vec![key(4), key(1), key(3), key(2)]),
            master_public_key: deal.public_key.as_bytes().into(),
            t: 2,
            f: 1,
        }
    }

    #[test]
    fn a_configuration_keeps_what_it_was_checked_from() {
        let wire = wire();
        let config = Config::decode(&json::to_vec(&wire)).unwrap();
        assert_eq!((config.wire(), config.hash()), (&wire, wire.hash()));
        assert_eq!(config.committee().members().len(), 4);
        assert_eq!(config.threshold().get(), 2);
        assert_eq!(config.master_public_key().as_bytes(), wire.master_public_key.as_slice());
    }

    #[test]
    fn what_cannot_work_is_refused() {
        type Change = fn(&mut EnclaveConfig);
        let cases: [(Change, &str); 7] = [
            (|c| c.signers = None, "Committee"),
            (|c| c.f = 4, "Committee"),
            (|c| c.signers.as_mut().unwrap().push(key(1)), "Committee"),
            (|c| c.signers.as_mut().unwrap().push(Bytes::nil()), "Committee"),
            (|c| c.t = 0, "Threshold"),
            (|c| c.master_public_key = Bytes::nil(), "MasterPublicKey"),
            (|c| c.master_public_key = b"mpk".as_slice().into(), "MasterPublicKey"),
        ];
        for (change, want) in cases {
            let mut wire = wire();
            change(&mut wire);
            let error = Config::check(wire).unwrap_err();
            assert!(format!("{error:?}").starts_with(want), "{error:?}");
        }
        assert!(matches!(Config::decode(b"[]"), Err(ConfigError::Decode(_))));
    }

    #[test]
    fn the_order_of_signers_is_part_of_the_hash() {
        let wire = wire();
        let mut reversed = wire.clone();
        reversed.signers.as_mut().unwrap().reverse();
        assert_ne!(wire.hash(), reversed.hash());
    }

    #[test]
    fn only_nothing_at_all_is_zero() {
        let zero = EnclaveConfig::default();
        assert!(zero.is_zero() && zero.with_empty_for_nil().is_zero());
        assert!(!EnclaveConfig { t: 1, ..zero.clone() }.is_zero());
        assert!(!EnclaveConfig { signers: Some(vec![Bytes::nil()]), ..zero.clone() }.is_zero());
        let shown = json::to_vec(&zero.with_empty_for_nil());
        assert_eq!(shown, br#"{"signers":[],"masterPublicKey":"","t":0,"f":0}"#);
    }

    proptest! {
        #[test]
        fn a_flipped_bit_changes_the_hash(signers: Vec<Vec<u8>>, key: Vec<u8>, t: u32, f: u32, bit in 0..8_u8) {
            let config = |signers: &[Vec<u8>], key: &[u8], t, f| EnclaveConfig {
                signers: Some(signers.iter().map(|signer| signer.as_slice().into()).collect()),
                master_public_key: key.into(),
                t,
                f,
            };
            let hash = config(&signers, &key, t, f).hash();
            prop_assert_ne!(config(&signers, &key, t ^ (1 << bit), f).hash(), hash);
            prop_assert_ne!(config(&signers, &key, t, f ^ (1 << bit)).hash(), hash);
            if let Some(first) = key.first() {
                let mut other = key.clone();
                other[0] = first ^ (1 << bit);
                prop_assert_ne!(config(&signers, &other, t, f).hash(), hash);
            }
        }
    }
}
