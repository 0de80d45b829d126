//! The on-chain form of the enclave pool: the default configuration of the capability that runs
//! workflows in enclaves, a `values.v1.Map` (relay-protocol 9.6).

use protocol::messages::{
    self, DecodeMessageError,
    values::{Kind, Map, Value},
};

/// Why a default configuration does not say which enclaves are trusted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OnChainError {
    /// The bytes are no map.
    #[error("failed to unwrap enclave config")]
    Malformed(#[from] DecodeMessageError),
    /// A member occurs twice, in two spellings.
    #[error("failed to unwrap enclave config: {member} occurs twice")]
    Repeated {
        /// The member at fault.
        member: &'static str,
    },
    /// A member has another shape.
    #[error("failed to unwrap enclave config: {member} is not {want}")]
    Shape {
        /// The member at fault.
        member: &'static str,
        /// What it has to be.
        want: &'static str,
    },
}

/// Reads the measurements of all enclaves, each still the JSON text that the registry holds.
///
/// Names are found in any letter case, text is taken where bytes are meant, and unknown members are
/// not looked at. `caRootsPEM` has to be text and is otherwise ignored: no root comes from the
/// registry.
///
/// # Errors
///
/// [`OnChainError`] for every other shape.
pub fn trusted_values(default_config: &[u8]) -> Result<Vec<Vec<u8>>, OnChainError> {
    let config: Map = messages::decode(default_config)?;
    let mut texts = Vec::new();
    for enclave in list(member(&config, ENCLAVES)?, ENCLAVES)? {
        let Some(Kind::Map(enclave)) = &enclave.kind else {
            return Err(OnChainError::Shape { member: ENCLAVES, want: "a list of maps" });
        };
        if let Some(roots) = member(enclave, ROOTS)? {
            text(roots).ok_or(OnChainError::Shape { member: ROOTS, want: "text" })?;
        }
        for value in list(member(enclave, VALUES)?, VALUES)? {
            let value = text(value).ok_or(OnChainError::Shape { member: VALUES, want: "bytes" })?;
            texts.push(value.to_vec());
        }
    }
    Ok(texts)
}

/// The member of this name in any letter case; null is absent.
fn member<'m>(map: &'m Map, name: &'static str) -> Result<Option<&'m Value>, OnChainError> {
    let mut found = map.fields.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    let first = found.next().map(|(_, value)| value);
    if found.next().is_some() {
        return Err(OnChainError::Repeated { member: name });
    }
    Ok(first.filter(|value| value.kind.is_some()))
}

fn list<'v>(value: Option<&'v Value>, member: &'static str) -> Result<&'v [Value], OnChainError> {
    match value.and_then(|value| value.kind.as_ref()) {
        None => Ok(&[]),
        Some(Kind::List(list)) => Ok(&list.fields),
        Some(_) => Err(OnChainError::Shape { member, want: "a list" }),
    }
}

fn text(value: &Value) -> Option<&[u8]> {
    match &value.kind {
        Some(Kind::Bytes(bytes)) => Some(bytes),
        Some(Kind::String(text)) => Some(text.as_bytes()),
        _ => None,
    }
}

const ENCLAVES: &str = "Enclaves";
const ROOTS: &str = "caRootsPEM";
const VALUES: &str = "trustedValues";

#[cfg(test)]
mod tests {
    use protocol::messages::values::List;

    use super::*;

    fn value(kind: Kind) -> Value {
        Value { kind: Some(kind) }
    }

    fn map(members: &[(&str, Value)]) -> Map {
        let fields = members.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        Map { fields: fields.collect() }
    }

    fn list_of(values: &[Value]) -> Value {
        value(Kind::List(List { fields: values.to_vec() }))
    }

    fn read(map: &Map) -> Result<Vec<Vec<u8>>, OnChainError> {
        trusted_values(&messages::encode(map))
    }

    #[test]
    fn all_values_of_all_enclaves_are_read() {
        let bytes = value(Kind::Bytes(b"a".to_vec()));
        let first = map(&[("trustedValues", list_of(&[bytes, value(Kind::String("b".into()))]))]);
        let second = map(&[("TRUSTEDVALUES", list_of(&[value(Kind::Bytes(b"c".to_vec()))]))]);
        let enclaves = list_of(&[value(Kind::Map(first)), value(Kind::Map(second))]);
        assert_eq!(read(&map(&[("enclaves", enclaves)])).unwrap(), [b"a", b"b", b"c"]);
    }

    #[test]
    fn nothing_configured_is_nothing_trusted() {
        assert_eq!(read(&Map::default()), Ok(Vec::new()));
        assert_eq!(read(&map(&[("Enclaves", Value::default())])), Ok(Vec::new()));
        assert_eq!(
            read(&map(&[("Enclaves", list_of(&[value(Kind::Map(Map::default()))]))])),
            Ok(vec![])
        );
    }

    #[test]
    fn two_spellings_of_a_member_are_refused() {
        let twice = map(&[("Enclaves", list_of(&[])), ("enclaves", list_of(&[]))]);
        assert_eq!(read(&twice), Err(OnChainError::Repeated { member: "Enclaves" }));
    }

    #[test]
    fn other_shapes_are_refused() {
        let number = || value(Kind::Int64(1));
        let enclave = |members: &[(&str, Value)]| {
            map(&[("Enclaves", list_of(&[value(Kind::Map(map(members)))]))])
        };
        for broken in [
            map(&[("Enclaves", number())]),
            map(&[("Enclaves", list_of(&[number()]))]),
            enclave(&[("trustedValues", number())]),
            enclave(&[("trustedValues", list_of(&[number()]))]),
            enclave(&[("caRootsPEM", number())]),
        ] {
            assert!(matches!(read(&broken), Err(OnChainError::Shape { .. })), "{broken:?}");
        }
        assert!(matches!(trusted_values(&[0xff]), Err(OnChainError::Malformed(_))));
    }
}
