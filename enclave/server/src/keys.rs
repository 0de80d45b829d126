//! The keys that callers may seal shares to, attested (enclave-and-host 2.3).

use std::{sync::Arc, time::SystemTime};

use protocol::{
    answer::PublicKeyResponse, base64, config::Config, ids::RequestId, json::Bytes, time::Rfc3339,
};

use crate::{
    keychain::{KeyPair, Keychain, PinError},
    notary::{Notary, NotaryError, Wanted},
};

/// Why no keys are shown. The texts are those of section 2.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeysError {
    /// There is no document.
    #[error("error creating attestation: {0}")]
    Attest(#[from] NotaryError),
    /// No key lives now.
    #[error("no keypairs found")]
    NoKeys,
    /// Nobody may ask yet.
    #[error("enclave config not set")]
    NotConfigured,
    /// The challenge is not hexadecimal digits.
    #[error("invalid nonce: must be hex-encoded")]
    Nonce,
    /// The request has no key.
    #[error("error retrieving keypair for request: {0}")]
    Pin(#[from] PinError),
    /// The request id is none.
    #[error("invalid requestID: must be 32 bytes hex-encoded or base64-encoded")]
    RequestId,
}

/// What a caller asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct KeysQuery {
    request: Option<RequestId>,
    nonce: Option<Vec<u8>>,
}

impl KeysQuery {
    /// Reads a query; what is unknown in it is ignored.
    ///
    /// # Errors
    ///
    /// [`KeysError::RequestId`] or [`KeysError::Nonce`].
    pub(crate) fn parse(query: &str) -> Result<Self, KeysError> {
        let value = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let mut values = pairs.filter(|(found, _value)| *found == name);
            values.next().map(|(_name, value)| decode(value)).filter(|value| !value.is_empty())
        };
        let request = match value("requestID") {
            None => None,
            Some(text) => Some(request_id(&text).ok_or(KeysError::RequestId)?),
        };
        let nonce = match value("nonce") {
            None => None,
            Some(text) => Some(hex::decode(text).map_err(|_digit| KeysError::Nonce)?),
        };
        Ok(Self { request, nonce })
    }
}

/// Shows the key of a request, or all keys, with a document over them.
///
/// # Errors
///
/// [`KeysError`].
pub(crate) async fn show(
    config: Option<Arc<Config>>,
    query: &str,
    keychain: &Keychain,
    notary: &Notary,
    now: SystemTime,
) -> Result<PublicKeyResponse, KeysError> {
    let config = config.ok_or(KeysError::NotConfigured)?;
    let KeysQuery { request, nonce } = KeysQuery::parse(query)?;
    let keys = match request {
        Some(request) => vec![keychain.pinned(request, now)?],
        None => keychain.live(now),
    };
    if keys.is_empty() {
        return Err(KeysError::NoKeys);
    }
    let mut response = response(&keys, &config);
    let wanted = Wanted::new(response.user_data(), config.hash());
    response.attestation = match nonce.as_deref() {
        None => Bytes::from(&*notary.recent_document(wanted.user_data, wanted.config).await?),
        nonce => notary.document(Wanted { nonce, ..wanted }).await?.into(),
    };
    Ok(response)
}

fn response(keys: &[Arc<KeyPair>], config: &Config) -> PublicKeyResponse {
    let public = |key: &Arc<KeyPair>| Bytes::from(key.public().as_bytes().as_slice());
    let made = |key: &Arc<KeyPair>| Rfc3339::try_from(key.made()).unwrap_or_default();
    let life = |key: &Arc<KeyPair>| i64::try_from(key.life().as_nanos()).unwrap_or(i64::MAX);
    PublicKeyResponse {
        public_keys: Some(keys.iter().map(public).collect()),
        creation_times: Some(keys.iter().map(made).collect()),
        ttls: Some(keys.iter().map(life).collect()),
        config: config.wire().with_empty_for_nil(),
        ..PublicKeyResponse::default()
    }
}

fn request_id(text: &str) -> Option<RequestId> {
    let bytes = hex::decode(text).ok().or_else(|| base64::decode(text).ok())?;
    <[u8; 32]>::try_from(bytes).ok().map(RequestId::from)
}

/// Undoes the escapes of a query; what is no escape stays.
fn decode(value: &str) -> String {
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = tail.split_first_chunk::<2>().filter(|_digits| *first == b'%');
        let byte = escaped.and_then(|(digits, after)| {
            let mut byte = [0];
            hex::decode_to_slice(digits, &mut byte).ok().map(|()| (byte, after))
        });
        rest = match byte {
            Some(([byte], after)) => {
                decoded.push(byte);
                after
            }
            None => {
                decoded.push(if *first == b'+' { b' ' } else { *first });
                tail
            }
        };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Result<KeysQuery, KeysError> {
        KeysQuery::parse(text)
    }

    #[test]
    fn a_request_id_is_read_in_hexadecimal_digits_or_base64() {
        let id = RequestId::from([0xab; 32]);
        let base64 = base64::encode(&[0xab; 32]);
        let escaped = base64.replace('+', "%2B").replace('/', "%2f").replace('=', "%3D");
        for text in [&"ab".repeat(32), &"AB".repeat(32), &base64.replace('+', "%2B"), &escaped] {
            let parsed = query(&format!("other=1&requestID={text}")).unwrap();
            assert_eq!(parsed.request, Some(id), "{text}");
        }
        assert_eq!(query("").unwrap(), KeysQuery::default());
        assert_eq!(query("requestID=&x&requestId=zz").unwrap(), KeysQuery::default());
    }

    #[test]
    fn what_is_no_request_id_is_refused() {
        for text in ["00", "zz", &"ab".repeat(31), &"ab".repeat(33), "%zz", "%", &"g".repeat(64)] {
            assert_eq!(query(&format!("requestID={text}")), Err(KeysError::RequestId), "{text}");
        }
    }

    #[test]
    fn a_nonce_is_hexadecimal_digits() {
        assert_eq!(query("nonce=00ff").unwrap().nonce, Some(vec![0, 0xff]));
        assert_eq!(query("nonce=xx"), Err(KeysError::Nonce));
        assert_eq!(query("nonce=").unwrap().nonce, None);
    }
}
