//! What the vault is asked, on behalf of a running execution (relay-protocol 9.10).

use protocol::{
    ids::{OrgId, Owner, WorkflowId},
    messages::{
        sdk::SecretRequest,
        vault::{self, GetSecretsRequest, SecretIdentifier},
    },
};
use sha2::{Digest as _, Sha256};

use super::Round;

/// A request for secrets whose params were verified.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Names the request among all nodes.
    pub round: Round,
    /// On whose behalf it is made.
    pub metadata: Metadata,
    /// The secrets, each with the one key its shares are to be sealed to.
    pub payload: GetSecretsRequest,
}

/// On whose behalf a capability is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The workflow; only together with an organization.
    pub workflow_id: Option<WorkflowId>,
    /// The owner of the running workflow, as the node knows it.
    pub workflow_owner: String,
    /// The name of the running workflow.
    pub workflow_name: String,
    /// A hash of the phase and the reference.
    pub workflow_execution_id: String,
    /// The call within the execution, in decimal digits.
    pub reference_id: String,
    /// The owner's organization, where nodes pass it on.
    pub org_id: Option<OrgId>,
}

/// The owner of the running workflow owns nothing.
///
/// The reference makes an address of any text that is long enough, if need be the zero address;
/// whose secrets it would then read, nobody meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OwnerError {
    /// It is shorter than 40 characters.
    #[error("could not normalize workflowOwner: invalid owner address: too short")]
    TooShort,
    /// It is not 40 hexadecimal digits with an optional `0x`.
    #[error("could not normalize workflowOwner: invalid owner address")]
    NotAnAddress,
}

impl Metadata {
    /// The metadata of a request that a phase of an execution makes.
    #[must_use]
    pub fn of_phase(owner: &str, name: &str, phase_id: &str, reference: &str) -> Self {
        let id = Sha256::new().chain_update(phase_id).chain_update(reference).finalize();
        Self {
            workflow_owner: owner.to_owned(),
            workflow_name: name.to_owned(),
            workflow_execution_id: hex::encode(id),
            reference_id: reference.to_owned(),
            ..Self::default()
        }
    }
}

/// The vault's form of a request: every secret under its owner, in order, shares for one key.
///
/// # Errors
///
/// [`OwnerError`] if the running workflow's owner is no address.
pub(crate) fn payload(
    secrets: &[SecretRequest],
    owner: &str,
    key: &str,
) -> Result<GetSecretsRequest, OwnerError> {
    let owner = normalised(owner)?.to_string();
    let request = |secret: &SecretRequest| vault::SecretRequest {
        id: Some(SecretIdentifier {
            key: secret.id.clone(),
            namespace: or_main(&secret.namespace).to_owned(),
            owner: owner.clone(),
        }),
        encryption_keys: vec![key.to_owned()],
    };
    let requests = secrets.iter().map(request).collect();
    Ok(GetSecretsRequest { requests, ..GetSecretsRequest::default() })
}

fn normalised(owner: &str) -> Result<Owner, OwnerError> {
    if owner.len() < ADDRESS_DIGITS {
        return Err(OwnerError::TooShort);
    }
    // `0X` is no prefix here: the reference would make the zero address of it.
    let parsed = if owner.starts_with("0X") { None } else { Owner::parse(owner).ok() };
    parsed.ok_or(OwnerError::NotAnAddress)
}

fn or_main(namespace: &str) -> &str {
    if namespace.is_empty() { "main" } else { namespace }
}

const ADDRESS_DIGITS: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = "5aaeb6053f3e94c9b9a09f33669435e7ef1beaed";

    #[test]
    fn a_secret_without_namespace_is_one_of_main() {
        let secret = SecretRequest { id: "k".into(), namespace: String::new() };
        let payload = payload(&[secret], DIGITS, "key").unwrap();
        let id = payload.requests[0].id.clone().unwrap();
        assert_eq!((id.key.as_str(), id.namespace.as_str()), ("k", "main"));
        assert_eq!(id.owner, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed");
        assert_eq!(payload.requests[0].encryption_keys, ["key"]);
    }

    #[test]
    fn owners_that_are_no_address_are_refused() {
        assert_eq!(payload(&[], "", "key"), Err(OwnerError::TooShort));
        assert_eq!(payload(&[], &DIGITS[1..], "key"), Err(OwnerError::TooShort));
        let long = format!("0x0000{DIGITS}");
        let capital = format!("0X{DIGITS}");
        let text = "z".repeat(40);
        for owner in [long, capital, text] {
            assert_eq!(payload(&[], &owner, "key"), Err(OwnerError::NotAnAddress), "{owner}");
        }
        assert!(payload(&[], &format!("0x{DIGITS}"), "key").is_ok());
    }
}
