//! Keys of our own for the recorded ones, whose private halves nobody wrote down.

use crypto::sign::{Domain, SignerKey, SigningKey, find_signer};
use protocol::{
    answer::UpdateConfigRequest,
    base64,
    config::{Config, ConfigError, EnclaveConfig},
    json,
};
use serde_json::Value;
use vectors::{Case, Deviations, variant_of};

use crate::{FILE, world::Committee};

/// Who stands in for whom in one case.
pub(super) struct Cast {
    signers: Vec<(SignerKey, SigningKey)>,
    /// Quoted base64, recorded and ours, of all that is replaced in a text.
    names: Vec<(String, String)>,
}

impl Cast {
    /// Where every key is the recorded one.
    pub(super) fn nobody() -> Self {
        Self { signers: Vec::new(), names: Vec::new() }
    }

    /// Gives a key to each recorded signer, and a vault key to each that is none.
    pub(super) fn of(case: &Case) -> Self {
        let mut cast = Self::nobody();
        let vault = Committee::new().deal.public_key;
        for step in case.input["steps"].as_array().unwrap() {
            let Some(config) = config_in(step["body"].as_str().unwrap()) else { continue };
            for signer in config.signers.iter().flatten() {
                cast.add_signer(signer.as_slice());
            }
            if is_vault_key_refused(&config) {
                cast.rename(config.master_public_key.as_slice(), vault.as_bytes());
            }
        }
        cast
    }

    /// The body of a step with our keys, signed anew for the purpose and by whom it was signed.
    pub(super) fn body(&self, recorded: &str) -> String {
        let Ok(mut outer) = serde_json::from_str::<Value>(recorded) else {
            return recorded.to_owned();
        };
        if let Some(inner) = outer["config"].as_str() {
            let inner = String::from_utf8(base64::decode(inner).unwrap()).unwrap();
            outer["config"] = base64::encode(self.ours(&inner).as_bytes()).into();
        }
        if let Some((config, signature)) = vote_in(recorded) {
            outer["signature"] = base64::encode(&self.signature(&config, signature)).into();
        }
        outer.to_string()
    }

    /// A text with our keys for the recorded ones.
    fn ours(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (their, our)| text.replace(their, our))
    }

    /// A text with the recorded keys for ours.
    pub(super) fn theirs(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (their, our)| text.replace(our, their))
    }

    fn add_signer(&mut self, recorded: &[u8]) {
        let recorded = SignerKey::from_slice(recorded).unwrap();
        if self.signers.iter().all(|(known, _key)| *known != recorded) {
            let seed = u8::try_from(self.signers.len() + 1).unwrap();
            let key = SigningKey::from_seed(&[seed; 32]);
            self.rename(recorded.as_bytes(), key.public().as_bytes());
            self.signers.push((recorded, key));
        }
    }

    fn rename(&mut self, recorded: &[u8], ours: &[u8]) {
        let quoted = |key| format!("\"{}\"", base64::encode(key));
        let names = (quoted(recorded), quoted(ours));
        if !self.names.contains(&names) {
            self.names.push(names);
        }
    }

    /// A vote like the recorded one: of the same signer and for the same purpose, or else of a stranger.
    fn signature(&self, recorded: &EnclaveConfig, signature: Vec<u8>) -> Vec<u8> {
        if signature.len() != 64 {
            return signature;
        }
        let config = json::to_vec(recorded);
        let config = self.ours(std::str::from_utf8(&config).unwrap());
        let config: EnclaveConfig = json::from_slice(config.as_bytes()).unwrap();
        let signed = [Domain::ConfigVote, Domain::ComputeRequest, Domain::RelayResponse];
        let signed = signed.into_iter().find_map(|domain| {
            let key = self.who_signed(recorded, domain, &signature)?;
            Some(key.sign(domain, config.hash().as_bytes()))
        });
        let stranger = SigningKey::from_seed(&[0xff; 32]);
        let signed =
            signed.unwrap_or_else(|| stranger.sign(Domain::ConfigVote, config.hash().as_bytes()));
        signed.as_bytes().to_vec()
    }

    /// The key that stands in for whoever signed a recorded configuration for this purpose.
    fn who_signed(
        &self,
        config: &EnclaveConfig,
        domain: Domain,
        signature: &[u8],
    ) -> Option<&SigningKey> {
        let known: Vec<_> = self.signers.iter().map(|(known, _key)| *known).collect();
        let signer = find_signer(&known, domain, config.hash().as_bytes(), signature).ok()?;
        self.signers.iter().find(|(known, _key)| known == signer).map(|(_known, key)| key)
    }
}

/// The configuration in a body, set or voted for.
pub(super) fn config_in(body: &str) -> Option<EnclaveConfig> {
    vote_in(body).map(|(config, _signature)| config)
}

fn vote_in(body: &str) -> Option<(EnclaveConfig, Vec<u8>)> {
    let outer: UpdateConfigRequest = json::from_slice(body.as_bytes()).ok()?;
    let config = json::from_slice(outer.config.as_slice()).ok()?;
    Some((config, outer.signature.into_vec()))
}

/// Whether a configuration would be taken but for its vault key, by the rule about such keys.
pub(super) fn is_vault_key_refused(config: &EnclaveConfig) -> bool {
    let error = Config::check(config.clone()).err();
    let error = error.filter(|error| matches!(error, ConfigError::MasterPublicKey(_)));
    error.is_some_and(|error| Deviations::read().may_refuse(FILE, &variant_of(&error)))
}
