//! Reports: bytes that the nodes sign together, for whoever checks their signatures.
//!
//! ```
//! use enclave_sdk::{
//!     Setup, WorkflowError,
//!     messages::{consensus, sdk::{ReportRequest, ReportResponse}},
//!     report,
//!     testing::Double,
//!     trigger,
//! };
//!
//! fn init(setup: &mut Setup<'_>) -> Result<(), WorkflowError> {
//!     setup.on(trigger::cron("0 * * * * *"), |runtime, _event| {
//!         let report = runtime.report(report::Request::evm(b"price: 4321")).wait()?;
//!         runtime.info("signed", &[("don", &report.header().don_id)]);
//!         Ok(report.body().to_vec())
//!     });
//!     Ok(())
//! }
//!
//! let double = Double::new().capability(
//!     consensus::CAPABILITY,
//!     consensus::REPORT,
//!     |request: ReportRequest| {
//!         let mut raw_report = vec![0; report::HEADER_BYTES];
//!         raw_report[0] = report::VERSION;
//!         raw_report.extend(request.encoded_payload);
//!         Ok(ReportResponse { raw_report, ..Default::default() })
//!     },
//! );
//! let run = double.trigger(init, 0, &trigger::Cron::default());
//! assert_eq!(run.value::<Vec<u8>>().unwrap(), b"price: 4321");
//! ```

use protocol::messages::sdk::{AttributedSignature, ReportRequest, ReportResponse};

/// What is to be signed, and how.
#[derive(Clone, Debug)]
pub struct Request(ReportRequest);

/// A signed report. Its signatures are not checked here; the receiver does that.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    response: ReportResponse,
    header: Header,
}

/// What the nodes put in front of the body and sign with it (wasm-abi appendix D).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The execution in which it was made.
    pub execution_id: [u8; 32],
    /// When, in seconds since the epoch.
    pub timestamp_s: u32,
    /// The DON that signed.
    pub don_id: u32,
    /// The version of that DON's configuration.
    pub don_config_version: u32,
    /// The workflow that asked for it.
    pub workflow_id: [u8; 32],
    /// The workflow's name, or what stands for it.
    pub workflow_name: [u8; 10],
    /// The workflow's owner.
    pub workflow_owner: [u8; 20],
    /// Which of the workflow's reports it is.
    pub report_id: [u8; 2],
}

/// Why a report cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// It ends inside the header.
    #[error("report of {got} bytes is shorter than its header of {HEADER_BYTES}")]
    Short {
        /// Bytes it has.
        got: usize,
    },
    /// Its header is of a version that is not known.
    #[error("report has version {got}, not {VERSION}")]
    Version {
        /// The version it names.
        got: u8,
    },
}

/// Bytes in front of the body.
pub const HEADER_BYTES: usize = 109;

/// The only version of the header there is.
pub const VERSION: u8 = 1;

impl Request {
    /// ABI-encoded bytes for a contract of an EVM chain: hashed by Keccak-256, signed by ECDSA.
    pub fn evm(payload: impl Into<Vec<u8>>) -> Self {
        Self::new(payload, "evm", "ecdsa", "keccak256")
    }

    /// Any bytes, with the names of their encoder and of the algorithms.
    pub fn new(
        payload: impl Into<Vec<u8>>,
        encoder: impl Into<String>,
        signing: impl Into<String>,
        hashing: impl Into<String>,
    ) -> Self {
        Self(ReportRequest {
            encoded_payload: payload.into(),
            encoder_name: encoder.into(),
            signing_algo: signing.into(),
            hashing_algo: hashing.into(),
        })
    }

    pub(crate) fn into_message(self) -> ReportRequest {
        self.0
    }
}

impl Report {
    /// Reads a report as the nodes answer it.
    ///
    /// # Errors
    ///
    /// - [`ReportError::Short`] if it ends inside the header.
    /// - [`ReportError::Version`] if the header's fields are not where version 1 has them.
    pub fn read(response: ReportResponse) -> Result<Self, ReportError> {
        let header = Header::read(&response.raw_report)?;
        Ok(Self { response, header })
    }

    /// What stands in front of the body.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The bytes that were asked to be signed.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.response.raw_report.get(HEADER_BYTES..).unwrap_or_default()
    }

    /// The signatures of header and body.
    #[must_use]
    pub fn signatures(&self) -> &[AttributedSignature] {
        &self.response.sigs
    }

    /// The whole message, as capabilities that deliver reports take it.
    #[must_use]
    pub fn message(&self) -> &ReportResponse {
        &self.response
    }
}

impl Header {
    fn read(raw: &[u8]) -> Result<Self, ReportError> {
        let mut rest = Rest { bytes: raw, got: raw.len() };
        let [version] = rest.take()?;
        let header = Self {
            execution_id: rest.take()?,
            timestamp_s: u32::from_be_bytes(rest.take()?),
            don_id: u32::from_be_bytes(rest.take()?),
            don_config_version: u32::from_be_bytes(rest.take()?),
            workflow_id: rest.take()?,
            workflow_name: rest.take()?,
            workflow_owner: rest.take()?,
            report_id: rest.take()?,
        };
        if version == VERSION { Ok(header) } else { Err(ReportError::Version { got: version }) }
    }
}

/// What is left to read.
struct Rest<'r> {
    bytes: &'r [u8],
    got: usize,
}

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], ReportError> {
        let (taken, rest) =
            self.bytes.split_first_chunk().ok_or(ReportError::Short { got: self.got })?;
        self.bytes = rest;
        Ok(*taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header whose fields are all different, and a body.
    fn raw() -> Vec<u8> {
        let mut raw = vec![VERSION];
        raw.extend([2; 32]);
        raw.extend([0, 0, 0, 3, 0, 0, 1, 0, 0, 0, 0, 5]);
        raw.extend([6; 32]);
        raw.extend([7; 10]);
        raw.extend([8; 20]);
        raw.extend([9, 10]);
        raw.extend(b"body");
        raw
    }

    fn read(raw_report: Vec<u8>) -> Result<Report, ReportError> {
        Report::read(ReportResponse { raw_report, ..Default::default() })
    }

    #[test]
    fn a_header_is_read_field_by_field() {
        let report = read(raw()).unwrap();
        let want = Header {
            execution_id: [2; 32],
            timestamp_s: 3,
            don_id: 256,
            don_config_version: 5,
            workflow_id: [6; 32],
            workflow_name: [7; 10],
            workflow_owner: [8; 20],
            report_id: [9, 10],
        };
        assert_eq!((*report.header(), report.body()), (want, b"body".as_slice()));
    }

    #[test]
    fn a_report_that_ends_inside_its_header_is_refused() {
        for got in [0, 1, HEADER_BYTES - 1] {
            assert_eq!(read(raw()[..got].to_vec()), Err(ReportError::Short { got }));
        }
        assert_eq!(read(raw()[..HEADER_BYTES].to_vec()).unwrap().body(), b"");
    }

    #[test]
    fn a_header_of_another_version_is_refused() {
        let mut raw = raw();
        raw[0] = 2;
        assert_eq!(read(raw), Err(ReportError::Version { got: 2 }));
    }
}
