//! What relay nodes and the development vault say to each other, and how a node signs it.
//!
//! ```text
//! POST /ciphertexts    Opening      -> Opened           the round is opened, its ciphertexts are fixed
//! POST /contributions  Contribution -> vault.GetSecretsResponse, once the round is closed
//! ```
//!
//! A body is JSON, signed as a whole: the headers name the member and carry its signature over a
//! hash of path and body. A body that is sent again changes nothing, so there is no nonce.

use crypto::sign::{Signature, SignerKey, SigningKey, payload_with_prefix};
use http::HeaderMap;
use protocol::{base64, hash::domain_hash};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Where a round is opened.
pub(crate) const CIPHERTEXTS: &str = "/ciphertexts";

/// Where shares are handed in.
pub(crate) const CONTRIBUTIONS: &str = "/contributions";

/// Opens a round, or joins it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Opening {
    /// The round's name, 32 bytes.
    pub(crate) round: Digest,
    /// A `vault.GetSecretsRequest`.
    pub(crate) request: Bytes,
}

/// The ciphertexts of a round, in the order of the request; none where there is no such secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Opened {
    pub(crate) ciphertexts: Vec<Option<Bytes>>,
}

/// One member's part of a round.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contribution {
    /// The round's name, 32 bytes.
    pub(crate) round: Digest,
    /// The request, as it was opened.
    pub(crate) request: Bytes,
    /// For each secret a share sealed to the enclave's key, or none if the member refuses to make one.
    pub(crate) shares: Vec<Option<Bytes>>,
}

/// 32 bytes in hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Digest(pub(crate) [u8; 32]);

/// Bytes in canonical base64.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

/// Why a body is not a member's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignerError {
    /// A header is missing, or not in its form.
    #[error("the headers {MEMBER} and {SIGNATURE} do not name a key and a signature")]
    Headers,
    /// The key is of no member.
    #[error("the key is of no member")]
    Stranger,
    /// The member did not sign this body for this path.
    #[error("the signature is not the member's over this body")]
    Signature,
}

/// The headers with which `key` sends `body` to `path`.
pub(crate) fn sign(path: &str, body: &[u8], key: &SigningKey) -> [(&'static str, String); 2] {
    let signature = key.sign_payload(&signed(path, body));
    [(MEMBER, key.public().to_string()), (SIGNATURE, hex::encode(signature.as_bytes()))]
}

/// Finds the member that sent `body` to `path`.
pub(crate) fn signer(
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
    members: &[SignerKey],
) -> Result<SignerKey, SignerError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let (key, digits) = text(MEMBER).zip(text(SIGNATURE)).ok_or(SignerError::Headers)?;
    let key: SignerKey = key.parse().map_err(|_error| SignerError::Headers)?;
    let bytes = hex::decode(digits).map_err(|_error| SignerError::Headers)?;
    let signature = Signature::from_slice(&bytes).map_err(|_error| SignerError::Headers)?;
    if !members.contains(&key) {
        return Err(SignerError::Stranger);
    }
    let verified = key.verify_payload(&signed(path, body), &signature);
    verified.map(|()| key).map_err(|_error| SignerError::Signature)
}

fn signed(path: &str, body: &[u8]) -> Vec<u8> {
    payload_with_prefix(PREFIX, &domain_hash(path, body))
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = String::deserialize(deserializer)?;
        let mut digest = [0; 32];
        let decoded = hex::decode_to_slice(digits, &mut digest);
        decoded
            .map(|()| Self(digest))
            .map_err(|_error| D::Error::custom("not 64 hexadecimal digits"))
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        base64::decode(&text).map(Self).map_err(|_error| D::Error::custom("not base64"))
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bytes({})", self.0.len())
    }
}

const MEMBER: &str = "x-vault-member";
const SIGNATURE: &str = "x-vault-signature";

/// What a member's signature is for. The reference has no such exchange.
const PREFIX: &str = "CONFIDENTIAL_RELAY_VAULT_MEMBER_";

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(signed: [(&'static str, String); 2]) -> HeaderMap {
        signed
            .into_iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_member_signs_one_body_for_one_path() {
        let key = SigningKey::from_seed(&[1; 32]);
        let members = [key.public()];
        let signed = headers(sign(CIPHERTEXTS, b"body", &key));
        assert_eq!(signer(CIPHERTEXTS, &signed, b"body", &members), Ok(key.public()));
        for (path, body) in [(CONTRIBUTIONS, &b"body"[..]), (CIPHERTEXTS, b"other")] {
            assert_eq!(signer(path, &signed, body, &members), Err(SignerError::Signature));
        }
        assert_eq!(signer(CIPHERTEXTS, &signed, b"body", &[]), Err(SignerError::Stranger));
    }

    #[test]
    fn a_stranger_who_names_a_member_is_refused() {
        let (key, other) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
        let mut signed = sign(CIPHERTEXTS, b"body", &other);
        signed[0].1 = key.public().to_string();
        let found = signer(CIPHERTEXTS, &headers(signed), b"body", &[key.public()]);
        assert_eq!(found, Err(SignerError::Signature));
    }

    #[test]
    fn headers_that_are_no_signature_are_refused() {
        let key = SigningKey::from_seed(&[1; 32]);
        for (name, value) in [(MEMBER, "zz"), (SIGNATURE, "00"), (SIGNATURE, "x")] {
            let mut signed = headers(sign(CIPHERTEXTS, b"", &key));
            signed.insert(name, value.parse().unwrap());
            assert_eq!(
                signer(CIPHERTEXTS, &signed, b"", &[key.public()]),
                Err(SignerError::Headers)
            );
        }
        let none = HeaderMap::new();
        assert_eq!(signer(CIPHERTEXTS, &none, b"", &[key.public()]), Err(SignerError::Headers));
    }

    #[test]
    fn bodies_are_strict() {
        let digest = "00".repeat(32);
        let good = format!(r#"{{"round":"{digest}","request":"AQI="}}"#);
        assert_eq!(serde_json::from_str::<Opening>(&good).unwrap().request.0, [1, 2]);
        for bad in [
            good.replace("AQI=", "AQI"),
            good.replace(&digest, "00"),
            good.replace("\"request\"", "\"other\":1,\"request\""),
        ] {
            assert!(serde_json::from_str::<Opening>(&bad).is_err(), "{bad}");
        }
    }
}
