//! `enclavectl verify --document`: one attestation document, check by check.

use std::{path::Path, time::SystemTime};

use attestation::{
    CertificateId, Check, Document, Nonce, Outcome as Passing, Policy, UserData, Verified,
    VerifyError,
    statement::{Statement, StatementError},
};
use protocol::clock::{Clock as _, SystemClock};

use super::{Believed, Mark, NotVerified, Verify, causes, print, verified_as_of};
use crate::{
    exit::{Exit, Failure, OrFail as _},
    files, output,
};

impl Verify {
    pub(super) fn document(&self, path: &Path, believed: &Believed) -> Result<Exit, Failure> {
        let bytes = files::read(path, LONGEST_FILE_BYTES)?;
        let at: SystemTime = self.at.unwrap_or_else(|| SystemClock.now());
        let policy = self.policy(&bytes, believed)?;
        let result = attestation::verify(&bytes, &policy, at);
        print(&self.checks(&result))?;
        let verified = result.map_err(|error| {
            let step = error.check().to_string();
            NotVerified { step, reason: causes(&error) }.failure()
        })?;
        show(&verified)?;
        verified_as_of(Some(at))
    }

    /// What the document has to show. Where it is not said what it has to bind, that is what it binds.
    fn policy(&self, bytes: &[u8], believed: &Believed) -> Result<Policy, Failure> {
        let said = Document::decode_unverified(bytes).ok().and_then(|document| document.user_data);
        let said = said.and_then(|said| UserData::try_from(said.as_slice()).ok());
        let user_data = self.user_data.or(said).unwrap_or(UserData::from([0; 32]));
        let nonce = self.nonce.clone().map_or(Nonce::NotUsed, Nonce::Expected);
        let (root, image) = (believed.root.clone(), believed.measurements.clone());
        let policy = Policy::new(root, image, user_data, nonce);
        let policy = believed.other_roots.iter().cloned().fold(policy, Policy::or_root);
        self.revoked.iter().try_fold(policy, |policy, path| {
            let der = files::read(path, LONGEST_FILE_BYTES)?;
            let id = CertificateId::of(&der).or_fail(Exit::Input, || {
                format!("{} is not a certificate, in DER", path.display())
            })?;
            Ok(policy.without_certificate(id))
        })
    }

    fn checks(&self, result: &Result<Verified<Document>, VerifyError>) -> Vec<(String, Mark)> {
        let mark = |check: Check| match (check.outcome(result), check) {
            (Passing::Passed, Check::UserData) if self.user_data.is_none() => {
                Mark::NotChecked("no --user-data is given")
            }
            (Passing::Passed, Check::Nonce) if self.nonce.is_none() => {
                Mark::NotChecked("no --nonce is given")
            }
            (Passing::Passed, _) => Mark::Passed,
            (Passing::Failed, _) => Mark::Failed,
            (Passing::NotReached, _) => Mark::NotReached,
        };
        Check::ALL.into_iter().map(|check| (check.to_string(), mark(check))).collect()
    }
}

/// Prints what the document says.
fn show(verified: &Verified<Document>) -> Result<(), Failure> {
    let document = verified.get();
    line("module", &output::printable(&document.module_id))?;
    if let Some(user_data) = &document.user_data {
        line("user data", &hex::encode(user_data))?;
    }
    if let Some(nonce) = &document.nonce {
        line("nonce", &hex::encode(nonce))?;
    }
    show_statement(verified.statement())
}

fn show_statement(statement: Result<Option<Statement>, StatementError>) -> Result<(), Failure> {
    let statement = match statement {
        Ok(Some(statement)) => statement,
        Ok(None) => return line("statement", "none"),
        Err(error) => return line("public key", &format!("no statement: {error}")),
    };
    line("boot", &hex::encode(statement.boot_id))?;
    let (hash, epoch) = (hex::encode(statement.config_hash), statement.config_epoch);
    line("configuration", &format!("{hash}, epoch {epoch}"))?;
    if let Some(hash) = statement.settings_hash {
        line("settings", &hex::encode(hash))?;
    }
    if let Some(answer) = statement.answer {
        let id = output::printable(&answer.application_request_id.to_string());
        let version = output::printable(&answer.request_version.to_string());
        line("answer to", &format!("{id}, version {version}"))?;
    }
    Ok(())
}

fn line(name: &str, value: &str) -> Result<(), Failure> {
    output::line(format_args!("{name:<14} {value}"))
}

/// Reads user data: 64 hexadecimal digits.
///
/// # Errors
///
/// What is wrong with the text.
pub(super) fn user_data(text: &str) -> Result<UserData, String> {
    let bytes = hex::decode(text).map_err(|error| error.to_string())?;
    UserData::try_from(bytes.as_slice()).map_err(|error| error.to_string())
}

/// More than any document, so that one that is too long is refused by the check of its size.
const LONGEST_FILE_BYTES: u64 = 1024 * 1024;
