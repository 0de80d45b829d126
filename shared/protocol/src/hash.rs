//! The layout that all hashes share (relay-protocol 5): SHA-256 over fields with their lengths.

use sha2::{Digest as _, Sha256};

use crate::ids::UserDataHash;

/// A hash under construction.
///
/// A field of variable length follows its length, a list its count, both as big-endian `u64`; so
/// no two lists of fields share an encoding. Nil and empty are the same.
#[derive(Clone, Debug)]
pub struct Canonical(Sha256);

impl Canonical {
    /// Starts with nothing: for the two layouts that do not begin with the separator.
    #[must_use]
    pub fn bare() -> Self {
        Self(Sha256::new())
    }

    /// Starts the hash of the named type; names keep types apart.
    #[must_use]
    pub fn of(type_name: &str) -> Self {
        Self::bare().named(type_name)
    }

    /// Adds the separator and a type's name.
    #[must_use]
    pub fn named(self, type_name: &str) -> Self {
        self.fixed(SEPARATOR).fixed(b"\n").fixed(type_name.as_bytes()).fixed(b"\n")
    }

    /// Adds bytes without their length.
    #[must_use]
    pub fn fixed(mut self, bytes: &[u8]) -> Self {
        self.0.update(bytes);
        self
    }

    /// Adds a field of any length.
    #[must_use]
    pub fn field(self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.count(bytes.len()).fixed(bytes)
    }

    /// Adds the length of a list whose elements follow.
    #[must_use]
    pub fn count(self, count: usize) -> Self {
        // No address space is larger than 64 bits.
        self.fixed(&(count as u64).to_be_bytes())
    }

    /// Adds a list of fields with its count.
    #[must_use]
    pub fn fields<T: AsRef<[u8]>>(self, list: impl ExactSizeIterator<Item = T>) -> Self {
        let counted = self.count(list.len());
        list.fold(counted, Self::field)
    }

    /// Adds a number of 32 bits.
    #[must_use]
    pub fn u32(self, number: u32) -> Self {
        self.fixed(&number.to_be_bytes())
    }

    /// Adds a list of signed numbers of 64 bits with its count.
    #[must_use]
    pub fn i64s(self, list: impl ExactSizeIterator<Item = i64>) -> Self {
        let counted = self.count(list.len());
        list.fold(counted, |hash, number| hash.fixed(&number.to_be_bytes()))
    }

    /// The hash.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// What an attestation of `data` for one purpose covers: `SHA-256(DS ‖ LP(tag) ‖ LP(data))`
/// (relay-protocol 5.7).
#[must_use]
pub fn domain_hash(tag: &str, data: &[u8]) -> [u8; 32] {
    Canonical::bare().fixed(SEPARATOR).field(tag).field(data).finish()
}

/// What the attestation in the header of a gateway call covers: the whole body
/// (relay-protocol 5.6).
#[must_use]
pub fn gateway_request(body: &[u8]) -> UserDataHash {
    Canonical::of("GatewayRequest").fixed(body).finish().into()
}

/// The separator that begins almost every hash; no byte follows it.
const SEPARATOR: &[u8; 28] = b"CONFIDENTIAL_COMPUTE_PAYLOAD";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domain_hashes_are_those_of_the_specification() {
        let hash = |tag| hex::encode(domain_hash(tag, b"{}"));
        let secrets = "483f5efde57ba8a67e3bec3005cf81ceb786b6a879930f111a31153dc3c44c62";
        assert_eq!(hash("ConfidentialSecretsGet"), secrets);
        let capability = "f4d1499da0eef4bce8fe7ed52384e51f70c515611406851c36f7e7d4b323454b";
        assert_eq!(hash("ConfidentialCapabilityExecute"), capability);
    }

    #[test]
    fn a_gateway_request_is_hashed_as_a_whole() {
        let body = br#"{"jsonrpc":"2.0","id":"00000000-0000-4000-8000-000000000000","method":"confidential.secrets.get","params":{}}"#;
        let want = "b8678d8c9311abe8929ee6847b3952e302d949106f9c346cb89d631e1b45103e";
        assert_eq!(gateway_request(body).to_string(), want);
    }

    #[test]
    fn no_two_lists_of_fields_share_a_hash() {
        let of = |fields: &[&str]| Canonical::of("T").fields(fields.iter()).finish();
        let lists: [&[&str]; 5] = [&["ab", "c"], &["a", "bc"], &["abc"], &["ab", "c", ""], &[]];
        for (index, list) in lists.iter().enumerate() {
            for other in &lists[index + 1..] {
                assert_ne!(of(list), of(other), "{list:?} {other:?}");
            }
        }
    }
}
