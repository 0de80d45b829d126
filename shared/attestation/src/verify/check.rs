//! The checks by name, for tools that show them.

use std::{cmp::Ordering, fmt};

use super::VerifyError;

/// One check of a document. Their order here is the order they are made in, cheapest first; a
/// document is believed only when the last has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// The document is 1 byte to 16 KiB long.
    Size,
    /// It is a COSE_Sign1 structure in strict CBOR with a signature of 96 bytes.
    Envelope,
    /// Its headers say ES384 and nothing else.
    Header,
    /// The payload has every field, each within its limits.
    Payload,
    /// Its time is near the verifier's.
    Freshness,
    /// It binds the expected user data.
    UserData,
    /// It binds the expected nonce, if there is one.
    Nonce,
    /// Its registers are those of an accepted image.
    Measurements,
    /// Every certificate is well-formed; the leaf is of P-384 and SHA-384.
    Certificates,
    /// Names lead from the leaf to a trusted root.
    Path,
    /// Every certificate of that path holds now.
    Validity,
    /// None is revoked by the policy.
    Revocation,
    /// Each is made for what it is used for.
    KeyUsage,
    /// Each is signed by the one above it and keeps its rules.
    Chain,
    /// The leaf's key signed the payload.
    Signature,
}

/// What became of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It failed, and with it the document.
    Failed,
    /// An earlier one failed, so it was not made.
    NotReached,
    /// It passed.
    Passed,
}

impl Check {
    /// All checks, in order.
    pub const ALL: [Self; 15] = [
        Self::Size,
        Self::Envelope,
        Self::Header,
        Self::Payload,
        Self::Freshness,
        Self::UserData,
        Self::Nonce,
        Self::Measurements,
        Self::Certificates,
        Self::Path,
        Self::Validity,
        Self::Revocation,
        Self::KeyUsage,
        Self::Chain,
        Self::Signature,
    ];

    /// A few words that name the check to a person.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Size => "document size",
            Self::Envelope => "COSE_Sign1 envelope",
            Self::Header => "ES384 header",
            Self::Payload => "payload fields",
            Self::Freshness => "timestamp",
            Self::UserData => "user data",
            Self::Nonce => "nonce",
            Self::Measurements => "measurements",
            Self::Certificates => "certificate encoding",
            Self::Path => "path to a trusted root",
            Self::Validity => "certificate validity",
            Self::Revocation => "certificate revocation",
            Self::KeyUsage => "certificate key usage",
            Self::Chain => "certificate signatures",
            Self::Signature => "document signature",
        }
    }

    /// What became of this check in a verification with this result.
    #[must_use]
    pub fn outcome<T>(self, result: &Result<T, VerifyError>) -> Outcome {
        let Err(error) = result else { return Outcome::Passed };
        match self.cmp(&error.check()) {
            Ordering::Less => Outcome::Passed,
            Ordering::Equal => Outcome::Failed,
            Ordering::Greater => Outcome::NotReached,
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::CertificatePosition, *};

    #[test]
    fn the_list_has_every_check_in_order() {
        assert!(Check::ALL.is_sorted_by(|a, b| a < b));
        assert_eq!(Check::ALL.map(|check| check as usize), std::array::from_fn(|index| index));
        assert_eq!(Check::ALL.last(), Some(&Check::Signature));
    }

    #[test]
    fn no_two_checks_have_the_same_name() {
        let names = Check::ALL.map(|check| check.to_string());
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), Check::ALL.len());
        assert_eq!(names.last().map(String::as_str), Some("document signature"));
    }

    #[test]
    fn a_refused_certificate_is_named_by_its_place() {
        let [bundled, leaf] = [CertificatePosition::Bundle { index: 2 }, CertificatePosition::Leaf];
        assert_eq!(bundled.to_string(), "certificate 2 of the bundle");
        assert_eq!(leaf.to_string(), "the leaf certificate");
    }

    #[test]
    fn checks_before_the_failed_one_passed_and_later_ones_were_not_made() {
        let failed: Result<(), _> = Err(VerifyError::Signature);
        assert_eq!(Check::Chain.outcome(&failed), Outcome::Passed);
        assert_eq!(Check::Signature.outcome(&failed), Outcome::Failed);
        let failed: Result<(), _> = Err(VerifyError::Size { got: 0 });
        assert_eq!(Check::Size.outcome(&failed), Outcome::Failed);
        assert_eq!(Check::Envelope.outcome(&failed), Outcome::NotReached);
        assert!(Check::ALL.iter().all(|check| check.outcome(&Ok(())) == Outcome::Passed));
    }
}
