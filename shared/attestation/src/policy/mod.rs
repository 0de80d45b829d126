//! What a document has to show to be believed.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, SystemTime},
};

use crate::{
    certificate::CertificateId,
    document::{Document, FIELD_LIMIT_BYTES},
    measurements::{Measurements, SIGNER, ZeroPcrError, not_zero},
    pcr::Pcr,
    root::TrustRoot,
};

/// The 32 bytes that a document has to bind: a hash of all it speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UserData([u8; USER_DATA_BYTES]);

/// The expected user data is not 32 bytes long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("user data is a hash of {USER_DATA_BYTES} bytes, not {got}")]
pub struct UserDataLengthError {
    /// Length in bytes.
    pub got: usize,
}

impl UserData {
    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; USER_DATA_BYTES] {
        &self.0
    }
}

impl From<[u8; USER_DATA_BYTES]> for UserData {
    fn from(hash: [u8; USER_DATA_BYTES]) -> Self {
        Self(hash)
    }
}

impl TryFrom<&[u8]> for UserData {
    type Error = UserDataLengthError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self).ok().ok_or(UserDataLengthError { got: bytes.len() })
    }
}

/// What a caller had a document answer, so that no earlier one will do: 1 to 1,024 bytes.
///
/// It is as good as it is hard to guess: at least 16 bytes of randomness, drawn for one question.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Challenge(Vec<u8>);

/// A challenge is empty, which everybody can answer, or longer than a document's nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a challenge is 1 to {FIELD_LIMIT_BYTES} bytes long, not {got}")]
pub struct ChallengeLengthError {
    /// Length in bytes.
    pub got: usize,
}

impl Challenge {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<[u8; 32]> for Challenge {
    fn from(random: [u8; 32]) -> Self {
        Self(random.to_vec())
    }
}

impl TryFrom<&[u8]> for Challenge {
    type Error = ChallengeLengthError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        let got = bytes.len();
        if (1..=FIELD_LIMIT_BYTES).contains(&got) {
            Ok(Self(bytes.to_vec()))
        } else {
            Err(ChallengeLengthError { got })
        }
    }
}

/// Whether the asker sent a challenge. There is no default: who does not say, has not thought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nonce {
    /// The document has to carry exactly this.
    Expected(Challenge),
    /// There was no challenge, so what stands in the document is not looked at.
    NotUsed,
}

/// How old, and how far ahead of the verifier's clock, a document may be. Both ends are allowed.
///
/// | Who verifies | Window | Why |
/// |---|---|---|
/// | relay nodes | [`Freshness::reference`]: 300 s old, 300 s ahead | the reference's nodes and ours must agree on every document, or a quorum splits |
/// | nodes of the workflow DON, the bridge, `enclavectl` | [`Freshness::default`]: 300 s old, 60 s ahead | nobody else has to agree; both clocks are disciplined, and a document of the future is a clock that is wrong |
/// | whoever looks into an archive | the same, around the time of the document | the time is an argument |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    max_age: Duration,
    max_ahead: Duration,
}

impl Freshness {
    /// Sets both limits.
    #[must_use]
    pub const fn new(max_age: Duration, max_ahead: Duration) -> Self {
        Self { max_age, max_ahead }
    }

    /// The window of version 1 of the protocol: 300 seconds both ways.
    #[must_use]
    pub const fn reference() -> Self {
        Self::new(Duration::from_secs(300), Duration::from_secs(300))
    }

    fn check(&self, timestamp: SystemTime, now: SystemTime) -> Result<(), FreshnessError> {
        match now.duration_since(timestamp) {
            Ok(age) if age > self.max_age => Err(FreshnessError::Old { age }),
            Ok(_) => Ok(()),
            Err(e) if e.duration() > self.max_ahead => {
                Err(FreshnessError::Ahead { ahead: e.duration() })
            }
            Err(_) => Ok(()),
        }
    }
}

impl Default for Freshness {
    fn default() -> Self {
        Self::new(Duration::from_secs(300), Duration::from_secs(60))
    }
}

/// Why a document's time is not near the verifier's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FreshnessError {
    /// It was made too long ago.
    #[error("the document is {} s old", age.as_secs())]
    Old {
        /// How long ago.
        age: Duration,
    },
    /// It is from too far in the future.
    #[error("the document is {} s ahead of the clock", ahead.as_secs())]
    Ahead {
        /// How far.
        ahead: Duration,
    },
}

/// Measurements with the time they are accepted for, such as a release until it is withdrawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasurementSet {
    measurements: Measurements,
    from: Option<SystemTime>,
    until: Option<SystemTime>,
}

/// A window ends before it begins, so that it would accept nothing at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the measurements would be accepted until a time before they are accepted from")]
pub struct WindowError;

impl MeasurementSet {
    /// Accepts these measurements from the one time on and up to the other, both included; without a
    /// time, there is no such end.
    ///
    /// # Errors
    ///
    /// [`WindowError`].
    pub fn within(
        measurements: Measurements,
        from: Option<SystemTime>,
        until: Option<SystemTime>,
    ) -> Result<Self, WindowError> {
        match from.zip(until) {
            Some((from, until)) if from > until => Err(WindowError),
            Some(_) | None => Ok(Self { measurements, from, until }),
        }
    }

    /// The measurements.
    #[must_use]
    pub const fn measurements(&self) -> &Measurements {
        &self.measurements
    }

    /// How many registers agree before the first that does not, and why that one does not.
    fn compare(
        &self,
        pcrs: &BTreeMap<u8, Pcr>,
        signer: Option<Pcr>,
        now: SystemTime,
    ) -> Result<(), (usize, MismatchReason)> {
        let asked = self.measurements.pcrs().chain(signer.map(|pcr8| (SIGNER, pcr8)));
        let mut agreed = 0_usize;
        for (index, want) in asked {
            match pcrs.get(&index) {
                Some(got) if *got == want => agreed = agreed.saturating_add(1),
                Some(_) => return Err((agreed, MismatchReason::Differs { index })),
                None => return Err((agreed, MismatchReason::Absent { index })),
            }
        }
        if self.from.is_some_and(|from| now < from) {
            return Err((agreed, MismatchReason::NotYetAccepted));
        }
        if self.until.is_some_and(|until| now > until) {
            return Err((agreed, MismatchReason::NoLongerAccepted));
        }
        Ok(())
    }
}

impl From<Measurements> for MeasurementSet {
    fn from(measurements: Measurements) -> Self {
        Self { measurements, from: None, until: None }
    }
}

/// Why no set of the policy agrees with a document: the reason of the set that came closest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no measurements agree; set {set} comes closest: {reason}")]
pub struct Mismatch {
    /// Position of that set in the policy, from 0.
    pub set: usize,
    /// What does not agree.
    pub reason: MismatchReason,
}

/// What of a set does not agree with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MismatchReason {
    /// PCR0, PCR1 and PCR2 are all zero: the enclave's console is open to its host.
    #[error("the enclave runs in debug mode")]
    DebugMode,
    /// The document has no such register.
    #[error("PCR{index} is not in the document")]
    Absent {
        /// Index of the register.
        index: u8,
    },
    /// The register has another value.
    #[error("PCR{index} differs")]
    Differs {
        /// Index of the register.
        index: u8,
    },
    /// All agrees, but the set is for later.
    #[error("the measurements are not accepted yet")]
    NotYetAccepted,
    /// All agrees, but the set is of the past.
    #[error("the measurements are no longer accepted")]
    NoLongerAccepted,
}

/// Why a field does not carry what is expected of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindingError {
    /// The document does not carry the field.
    #[error("the document carries none")]
    Absent,
    /// It carries something else.
    #[error("the document carries another")]
    Differs,
}

/// All that a document is held to. It always names a root, an image and the user data.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) roots: Vec<TrustRoot>,
    pub(crate) revoked: Vec<CertificateId>,
    sets: Vec<MeasurementSet>,
    signer: Option<Pcr>,
    user_data: UserData,
    nonce: Nonce,
    freshness: Freshness,
}

impl Policy {
    /// Accepts this image, under this root, saying this; freshness is the default.
    #[must_use]
    pub fn new(
        root: TrustRoot,
        measurements: impl Into<MeasurementSet>,
        user_data: UserData,
        nonce: Nonce,
    ) -> Self {
        Self {
            roots: vec![root],
            revoked: Vec::new(),
            sets: vec![measurements.into()],
            signer: None,
            user_data,
            nonce,
            freshness: Freshness::default(),
        }
    }

    /// Accepts another root as well, such as that of another AWS partition.
    #[must_use]
    pub fn or_root(mut self, root: TrustRoot) -> Self {
        self.roots.push(root);
        self
    }

    /// Accepts another image as well.
    #[must_use]
    pub fn or_measurements(mut self, measurements: impl Into<MeasurementSet>) -> Self {
        self.sets.push(measurements.into());
        self
    }

    /// Asks every image to be signed by the certificate that PCR8 measures.
    ///
    /// # Errors
    ///
    /// [`ZeroPcrError`], if it is zero: every unsigned image has that.
    pub fn with_signer(mut self, pcr8: Pcr) -> Result<Self, ZeroPcrError> {
        self.signer = Some(not_zero(SIGNER, pcr8)?);
        Ok(self)
    }

    /// Sets how old a document may be.
    #[must_use]
    pub const fn with_freshness(mut self, freshness: Freshness) -> Self {
        self.freshness = freshness;
        self
    }

    /// Refuses every path with this certificate. Nothing is revoked unless it is named here: AWS's
    /// revocation lists are not fetched.
    #[must_use]
    pub fn without_certificate(mut self, revoked: CertificateId) -> Self {
        self.revoked.push(revoked);
        self
    }

    /// The sets accepted, in the order they were added.
    #[must_use]
    pub fn sets(&self) -> &[MeasurementSet] {
        &self.sets
    }

    pub(crate) fn check_freshness(
        &self,
        document: &Document,
        now: SystemTime,
    ) -> Result<(), FreshnessError> {
        self.freshness.check(document.timestamp, now)
    }

    pub(crate) fn check_user_data(&self, document: &Document) -> Result<(), BindingError> {
        bound(document.user_data.as_deref(), self.user_data.as_bytes())
    }

    pub(crate) fn check_nonce(&self, document: &Document) -> Result<(), BindingError> {
        match &self.nonce {
            Nonce::Expected(nonce) => bound(document.nonce.as_deref(), nonce.as_bytes()),
            Nonce::NotUsed => Ok(()),
        }
    }

    /// Finds the first set that agrees, and returns its position.
    pub(crate) fn find_set(
        &self,
        pcrs: &BTreeMap<u8, Pcr>,
        now: SystemTime,
    ) -> Result<usize, Mismatch> {
        let mut closest = None;
        for (set, measurements) in self.sets.iter().enumerate() {
            match measurements.compare(pcrs, self.signer, now) {
                Ok(()) => return Ok(set),
                Err((agreed, reason)) if closest.is_none_or(|(most, _)| agreed > most) => {
                    closest = Some((agreed, Mismatch { set, reason }));
                }
                Err(_) => {}
            }
        }
        let is_debug = (0..3).all(|index| pcrs.get(&index).is_some_and(Pcr::is_zero));
        let debug = Mismatch { set: 0, reason: MismatchReason::DebugMode };
        Err(closest.filter(|_| !is_debug).map_or(debug, |(_, mismatch)| mismatch))
    }
}

fn bound(got: Option<&[u8]>, want: &[u8]) -> Result<(), BindingError> {
    match got {
        Some(got) if got == want => Ok(()),
        Some(_) => Err(BindingError::Differs),
        None => Err(BindingError::Absent),
    }
}

/// In hexadecimal digits, as it travels.
impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Display for UserData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Bytes of the user data: a SHA-256.
pub const USER_DATA_BYTES: usize = 32;

#[cfg(test)]
mod tests;
