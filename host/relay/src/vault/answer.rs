//! From the vault's answer to the result that is signed (relay-protocol 9.11).

use protocol::{
    base64,
    messages::vault::{
        EncryptedShares, GetSecretsResponse, SecretData, SecretResponse, SecretResult,
    },
    relay::{SecretEntry, SecretIdentifier, SecretsResult},
};

/// Why an answer of the vault is no result.
///
/// Names are the workflow's own; values and shares never appear.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TranslateError {
    /// The vault refuses a secret, for a reason that concerns whoever asked.
    #[error("vault error for secret {namespace}/{key}: {text}")]
    User {
        /// The secret's name.
        key: String,
        /// Its namespace.
        namespace: String,
        /// The vault's reason, meant for the workflow.
        text: String,
    },
    /// The vault itself failed.
    #[error("vault error for secret {namespace}/{key}: {SYSTEM_FAILURE}")]
    System {
        /// The secret's name.
        key: String,
        /// Its namespace.
        namespace: String,
    },
    /// There is neither a secret nor a reason.
    #[error("vault returned no data for secret {namespace}/{key}")]
    NoData {
        /// The secret's name.
        key: String,
        /// Its namespace.
        namespace: String,
    },
    /// The ciphertext is not hexadecimal.
    #[error("failed to decode encrypted value for {key}")]
    Ciphertext {
        /// The secret's name.
        key: String,
    },
    /// A share is not hexadecimal.
    #[error("failed to decode share")]
    Share,
    /// No shares are sealed to the enclave's key.
    #[error("no shares found for enclave key in secret {namespace}/{key}")]
    NoShares {
        /// The secret's name.
        key: String,
        /// Its namespace.
        namespace: String,
    },
}

/// Translates an answer, in its order; the first secret that fails fails all.
///
/// Of each secret only the first group of shares for `enclave_key` counts, compared as text. Whether
/// everything asked for was answered is not decided here: the enclave does.
///
/// # Errors
///
/// The first [`TranslateError`] met.
pub fn translate(
    answer: GetSecretsResponse,
    enclave_key: &str,
) -> Result<SecretsResult, TranslateError> {
    let entries = answer.responses.into_iter().map(|response| entry(response, enclave_key));
    let entries: Vec<_> = entries.collect::<Result<_, _>>()?;
    Ok(SecretsResult { secrets: Some(entries).filter(|entries| !entries.is_empty()) })
}

fn entry(response: SecretResponse, enclave_key: &str) -> Result<SecretEntry, TranslateError> {
    let id = response.id.unwrap_or_default();
    let (key, namespace) = (id.key, id.namespace);
    let data = match response.result {
        Some(SecretResult::Data(data)) => data,
        Some(SecretResult::Error(text)) if text == SYSTEM_FAILURE => {
            return Err(TranslateError::System { key, namespace });
        }
        Some(SecretResult::Error(text)) if !text.is_empty() => {
            return Err(TranslateError::User { key, namespace, text });
        }
        Some(SecretResult::Error(_)) | None => {
            return Err(TranslateError::NoData { key, namespace });
        }
    };
    let SecretData { encrypted_value, encrypted_decryption_key_shares: groups } = data;
    let Ok(ciphertext) = hex::decode(encrypted_value) else {
        return Err(TranslateError::Ciphertext { key });
    };
    let group = groups.iter().find(|group| group.encryption_key == enclave_key);
    let shares = group.map(shares).transpose()?.unwrap_or_default();
    if shares.is_empty() {
        return Err(TranslateError::NoShares { key, namespace });
    }
    Ok(SecretEntry {
        id: SecretIdentifier { key, namespace },
        ciphertext: base64::encode(&ciphertext),
        encrypted_shares: Some(shares),
    })
}

/// The shares of a group in base64: the binary ones, or else the hexadecimal ones.
fn shares(group: &EncryptedShares) -> Result<Vec<String>, TranslateError> {
    if !group.binary_shares.is_empty() {
        return Ok(group.binary_shares.iter().map(|share| base64::encode(share)).collect());
    }
    let encode = |share: &String| match hex::decode(share) {
        Ok(share) => Ok(base64::encode(&share)),
        Err(_) => Err(TranslateError::Share),
    };
    group.shares.iter().map(encode).collect()
}

/// The one reason that marks a failure of the vault itself.
pub(crate) const SYSTEM_FAILURE: &str = "failed to handle get secret request";
