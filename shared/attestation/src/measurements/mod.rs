//! The register values an image is known by, and the two JSON forms they are published in.

use crate::pcr::Pcr;

mod json;

pub use json::MeasurementsError;

/// The registers an enclave has to show: PCR0, PCR1 and PCR2 always, three more if named.
///
/// None of the first three is zero and neither is PCR8, because a zero register is what an enclave
/// in debug mode, or an unsigned image, shows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Measurements {
    image: [Pcr; 3],
    role: Option<Pcr>,
    instance: Option<Pcr>,
    signer: Option<Pcr>,
}

/// A value that no measurement may be: zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("PCR{index} is zero, as in debug mode or an unsigned image")]
pub struct ZeroPcrError {
    /// Index of the register.
    pub index: u8,
}

impl Measurements {
    /// Names the image by PCR0 (the whole), PCR1 (kernel and boot) and PCR2 (application).
    ///
    /// # Errors
    ///
    /// [`ZeroPcrError`], if one of them is zero.
    pub fn new(pcr0: Pcr, pcr1: Pcr, pcr2: Pcr) -> Result<Self, ZeroPcrError> {
        let image = [not_zero(0, pcr0)?, not_zero(1, pcr1)?, not_zero(2, pcr2)?];
        Ok(Self { image, role: None, instance: None, signer: None })
    }

    /// Asks for the parent's role too: PCR3.
    #[must_use]
    pub const fn with_role(mut self, pcr3: Pcr) -> Self {
        self.role = Some(pcr3);
        self
    }

    /// Asks for the parent instance too: PCR4.
    #[must_use]
    pub const fn with_instance(mut self, pcr4: Pcr) -> Self {
        self.instance = Some(pcr4);
        self
    }

    /// Asks for the certificate that signed the image too: PCR8.
    ///
    /// # Errors
    ///
    /// [`ZeroPcrError`], if it is zero: every unsigned image has that.
    pub fn with_signer(mut self, pcr8: Pcr) -> Result<Self, ZeroPcrError> {
        self.signer = Some(not_zero(SIGNER, pcr8)?);
        Ok(self)
    }

    /// The registers asked for, by ascending index.
    pub fn pcrs(&self) -> impl Iterator<Item = (u8, Pcr)> {
        let image = (0..).zip(self.image);
        let role = self.role.map(|pcr| (ROLE, pcr));
        let instance = self.instance.map(|pcr| (INSTANCE, pcr));
        let signer = self.signer.map(|pcr| (SIGNER, pcr));
        image.chain(role).chain(instance).chain(signer)
    }

    /// Parses either JSON form: `{"pcr0": ..}` of the registry, or nitro-cli's
    /// `{"Measurements": {"PCR0": ..}}`, at most [`MEASUREMENTS_LIMIT_BYTES`] long.
    ///
    /// Names and hexadecimal digits are taken in either letter case. A register is named by `pcr` and
    /// its index without zeros before it; members with other names are not looked at. A register that
    /// is named is asked for: one that cannot be asked for (an index other than 0, 1, 2, 3, 4 and 8,
    /// however large, or the value `null`) is an error, never dropped.
    ///
    /// # Errors
    ///
    /// [`MeasurementsError`], by what is wrong.
    pub fn parse(json: &[u8]) -> Result<Self, MeasurementsError> {
        json::parse(json)
    }

    /// Writes the registry's form: flat, lower case, without spaces.
    #[must_use]
    pub fn to_registry_json(&self) -> String {
        let members = self.pcrs().map(|(index, pcr)| format!("\"pcr{index}\":\"{pcr}\""));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }

    /// Writes nitro-cli's form: nested, indented by two spaces.
    #[must_use]
    pub fn to_nitro_cli_json(&self) -> String {
        let members = self.pcrs().map(|(index, pcr)| format!("    \"PCR{index}\": \"{pcr}\""));
        let head = "    \"HashAlgorithm\": \"Sha384 { ... }\"".to_owned();
        let members: Vec<_> = std::iter::once(head).chain(members).collect();
        format!("{{\n  \"Measurements\": {{\n{}\n  }}\n}}", members.join(",\n"))
    }
}

/// Refuses a value that a debug enclave or an unsigned image has.
pub(crate) fn not_zero(index: u8, pcr: Pcr) -> Result<Pcr, ZeroPcrError> {
    if pcr.is_zero() { Err(ZeroPcrError { index }) } else { Ok(pcr) }
}

/// Bytes of the JSON text that is read: a set takes 700, `describe-eif` prints a few thousand.
pub const MEASUREMENTS_LIMIT_BYTES: usize = 64 * 1024;

/// Index of the register that measures the role of the parent instance.
const ROLE: u8 = 3;

/// Index of the register that measures the id of the parent instance.
const INSTANCE: u8 = 4;

/// Index of the register that measures the image's signing certificate.
pub(crate) const SIGNER: u8 = 8;

#[cfg(test)]
mod tests;
