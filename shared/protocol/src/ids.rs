//! Names and hashes that must not be mistaken for each other, and the fault bound.

use std::fmt;

use crypto::address::{Address, AddressError};
use serde::Deserializer;
use sha2::{Digest as _, Sha256};

use crate::json::{Context, Wire, Writer};

/// Declares an identifier of 32 bytes, printed as hexadecimal digits and written as a JSON array.
macro_rules! hash_id {
    ($($(#[$meta:meta])* $name:ident;)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// The 32 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl From<[u8; 32]> for $name {
            fn from(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl Wire for $name {
            fn write(&self, out: &mut Writer) {
                self.0.write(out);
            }

            fn read<'de, D: Deserializer<'de>>(
                input: D,
                context: &Context,
            ) -> Result<Self, D::Error> {
                <[u8; 32]>::read(input, context).map(Self)
            }
        }
    )*};
}

hash_id! {
    /// The hash of an enclave's configuration (relay-protocol 5.5).
    ConfigHash;
    /// The hash of the list of enclaves (relay-protocol 5.6).
    EnclavesListHash;
    /// The hash of a relay node's answer, bound to the params it answers (relay-protocol 5.2, 5.3).
    ResultHash;
    /// The hash of a compute request: what its signers sign (relay-protocol 5.4).
    RequestHash;
    /// The identifier of a compute request: the hash of its execution id.
    RequestId;
    /// What an attestation document is to bind, as its user data.
    UserDataHash;
}

impl RequestId {
    /// The request id of an execution: SHA-256 of its text (relay-protocol 5.4).
    #[must_use]
    pub fn of_execution(execution_id: &ExecutionId) -> Self {
        Self(Sha256::digest(execution_id.as_str()).into())
    }
}

/// Declares an identifier that is text without a form of its own.
macro_rules! text_id {
    ($($(#[$meta:meta])* $name:ident;)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text by value.
            #[must_use]
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

text_id! {
    /// A capability with its version: `name@1.0.0`.
    CapabilityId;
    /// One execution of a workflow; in practice 64 hexadecimal digits.
    ExecutionId;
    /// The organization that a workflow's owner belongs to; may be empty.
    OrgId;
    /// A workflow; in practice 64 hexadecimal digits.
    WorkflowId;
}

/// The call of a capability within its execution: the callback id of the workflow's SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReferenceId(pub i32);

impl fmt::Display for ReferenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The owner of a workflow: a 20-byte address, written with the checksum of EIP-55.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(Address);

impl Owner {
    /// Reads the owner of an execution the way every enclave does, which never fails: text that is
    /// no address becomes one, possibly zero (relay-protocol 7.1). For params only; what decides
    /// about rights uses [`Owner::parse`].
    #[must_use]
    pub fn normalised(text: &str) -> Self {
        Self(Address::parse_permissive(text))
    }

    /// Reads 40 hexadecimal digits of any case with an optional `0x` or `0X` (relay-protocol 9.9).
    ///
    /// # Errors
    ///
    /// [`AddressError`] for any other text.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let upper = text.strip_prefix("0X").filter(|digits| !digits.starts_with("0x"));
        Address::parse(upper.unwrap_or(text)).map(Self)
    }

    /// The 20 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 20] {
        self.0.as_bytes()
    }
}

impl From<Address> for Owner {
    fn from(address: Address) -> Self {
        Self(address)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// F: how many members of a committee may be faulty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FaultBound(u32);

impl FaultBound {
    /// A bound of `f` faulty members; zero means that all are trusted.
    #[must_use]
    pub const fn new(f: u32) -> Self {
        Self(f)
    }

    /// F.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// F + 1: so many distinct members include an honest one.
    #[must_use]
    pub fn quorum(self) -> usize {
        self.times(1)
    }

    /// 2F + 1: among so many distinct members the honest ones are the majority.
    #[must_use]
    pub fn bft(self) -> usize {
        self.times(2)
    }

    /// `factor` · F + 1; beyond the address space no committee reaches it.
    fn times(self, factor: u64) -> usize {
        let wanted = u64::from(self.0).saturating_mul(factor).saturating_add(1);
        usize::try_from(wanted).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_bound_does_not_wrap() {
        let bound = FaultBound::new(u32::MAX);
        assert_eq!(bound.quorum(), 1 << 32);
        assert_eq!(bound.bft(), (1 << 33) - 1);
        assert_eq!((FaultBound::new(0).quorum(), FaultBound::new(0).bft()), (1, 1));
    }

    #[test]
    fn an_owner_with_either_prefix_is_the_same_owner() {
        let digits = "5aaeb6053f3e94c9b9a09f33669435e7ef1beaed";
        let owner = Owner::parse(digits).unwrap();
        for text in [format!("0x{digits}"), format!("0X{}", digits.to_uppercase())] {
            assert_eq!(Owner::parse(&text), Ok(owner));
        }
        assert_eq!(owner.to_string(), "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed");
    }

    #[test]
    fn an_owner_that_decides_about_rights_is_not_guessed() {
        for text in ["", "0x", "0x1", "zz", "0x0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"] {
            assert!(Owner::parse(text).is_err(), "{text}");
            assert!(Owner::normalised(text).as_bytes()[..19].iter().all(|byte| *byte == 0));
        }
        assert!(Owner::parse("0X0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed").is_err());
    }
}
