//! `devnet.json`: where a devnet's processes are, and the keys to ask them.
//!
//! The file holds the committee's seeds and the vault's token: its owner alone may read it.

use std::{collections::BTreeMap, io, net::SocketAddr, path::Path};

use attestation::{Measurements, TrustRoot};
use crypto::{
    secret::SecretText,
    sign::{SignerKey, SigningKey},
};
use protocol::{base64, committee::Committee, config::EnclaveConfig};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::{
    exit::{Exit, Failure},
    files::{self, Readers},
};

/// The version of the file that this program writes and reads.
pub(crate) const VERSION: u32 = 1;

/// The file as it stands on the disk.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// [`VERSION`].
    pub(crate) version: u32,
    /// Where the processes listen.
    pub(crate) addresses: Addresses,
    /// The committee that signs requests and serves relay calls.
    pub(crate) committee: CommitteeFile,
    /// The vault's TDH2 key, base64 of its JSON.
    pub(crate) master_public_key: String,
    /// The root that the emulator's documents lead to, base64 of its DER.
    pub(crate) test_root: String,
    /// The registers of the emulated image: `{"pcr0", "pcr1", "pcr2"}`.
    pub(crate) measurements: Box<RawValue>,
    /// What puts secrets into the vault.
    #[serde(serialize_with = "expose_text")]
    pub(crate) vault_token: SecretText,
    /// The root of the echo service's certificate, PEM.
    pub(crate) echo_ca: String,
    /// The processes, by role.
    pub(crate) pids: BTreeMap<String, u32>,
}

/// Where the processes of a devnet listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Addresses {
    /// The bridge: nodes ask here.
    pub(crate) bridge: SocketAddr,
    /// The bridge: its operator.
    pub(crate) operator: SocketAddr,
    /// The gateway: the enclave asks here.
    pub(crate) gateway: SocketAddr,
    /// The gateway: relay nodes dial in here.
    pub(crate) gateway_nodes: SocketAddr,
    /// The vault.
    pub(crate) vault: SocketAddr,
    /// The server of workflow binaries.
    pub(crate) workflows: SocketAddr,
    /// The HTTPS echo service.
    pub(crate) echo: SocketAddr,
    /// The enclave's emulated vsock port.
    pub(crate) enclave: SocketAddr,
}

/// The committee with its keys.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CommitteeFile {
    /// F.
    pub(crate) f: u32,
    /// T: how many shares open a secret.
    pub(crate) threshold: u32,
    /// The members' ed25519 keys, hexadecimal.
    pub(crate) signers: Vec<String>,
    /// Their seeds, hexadecimal, in the same order.
    #[serde(serialize_with = "expose_texts")]
    pub(crate) seeds: Vec<SecretText>,
}

/// A devnet, checked.
#[derive(Debug)]
pub(crate) struct Network {
    /// Where its processes listen.
    pub(crate) addresses: Addresses,
    /// The keys of its committee, in the order of the enclave's configuration.
    pub(crate) keys: Vec<SigningKey>,
    /// What its enclave is configured with.
    pub(crate) config: protocol::config::Config,
    /// The root of its documents.
    pub(crate) root: TrustRoot,
    /// Its image.
    pub(crate) measurements: Measurements,
    /// What puts secrets into its vault.
    pub(crate) vault_token: SecretText,
}

impl Network {
    /// Reads and checks a file.
    ///
    /// # Errors
    ///
    /// [`Exit::Input`] with a sentence that says what to do.
    pub(crate) fn load(path: &Path) -> Result<Self, Failure> {
        let name = path.display();
        if !path.exists() {
            let text = format!(
                "{name} does not exist; start a devnet with `enclavectl devnet --dir DIR`, it writes \
                 DIR/devnet.json"
            );
            return Err(Failure::new(Exit::Input, text));
        }
        let text = Zeroizing::new(files::read(path, LONGEST_FILE_BYTES)?);
        check_version(&text)
            .map_err(|wrong| Failure::new(Exit::Input, format!("{name} {wrong}")))?;
        // The parser's words can quote the file, which holds keys.
        let form = |error: serde_json::Error| {
            let (line, column) = (error.line(), error.column());
            let text = format!(
                "{name} is not the devnet.json of a devnet (line {line}, column {column}); \
                 take the file that `enclavectl devnet` writes"
            );
            Failure::new(Exit::Input, text)
        };
        let file: File = serde_json::from_slice(&text).map_err(form)?;
        Self::check(file).map_err(|Wrong { member }| {
            let text = format!("{name}: {member} is damaged; start the devnet again");
            Failure::new(Exit::Input, text)
        })
    }

    fn check(file: File) -> Result<Self, Wrong> {
        let CommitteeFile { f, threshold, signers, seeds } = file.committee;
        let wrong = |member| Wrong { member };
        let keys: Option<Vec<_>> = seeds.iter().map(signing_key).collect();
        let keys = keys.ok_or(wrong("committee.seeds"))?;
        let members: Result<Vec<SignerKey>, _> = signers.iter().map(|key| key.parse()).collect();
        let members = members.map_err(|_error| wrong("committee.signers"))?;
        if !keys.iter().map(SigningKey::public).eq(members.iter().copied()) {
            return Err(wrong("committee.seeds"));
        }
        let master_public_key =
            base64::decode(&file.master_public_key).map_err(|_error| wrong("master_public_key"))?;
        let wire = enclave_config(&members, f, threshold, &master_public_key);
        let root = base64::decode(&file.test_root).ok();
        let root = root.and_then(|der| TrustRoot::dangerous_from_der(&der).ok());
        let measurements = Measurements::parse(file.measurements.get().as_bytes());
        Ok(Self {
            addresses: file.addresses,
            keys,
            config: protocol::config::Config::check(wire).map_err(|_error| wrong("committee"))?,
            root: root.ok_or(wrong("test_root"))?,
            measurements: measurements.map_err(|_error| wrong("measurements"))?,
            vault_token: file.vault_token,
        })
    }

    /// The members and how many of them may be faulty.
    pub(crate) fn committee(&self) -> &Committee {
        self.config.committee()
    }
}

impl File {
    /// Writes the file: whole, and for its owner only.
    ///
    /// # Errors
    ///
    /// What the system reports.
    pub(crate) fn store(&self, path: &Path) -> io::Result<()> {
        let mut text = Zeroizing::new(serde_json::to_vec_pretty(self)?);
        text.push(b'\n');
        files::write(path, &text, Readers::Owner)
    }
}

/// What an enclave of this committee is configured with.
pub(crate) fn enclave_config(
    members: &[SignerKey],
    f: u32,
    threshold: u32,
    master_public_key: &[u8],
) -> EnclaveConfig {
    EnclaveConfig {
        signers: Some(members.iter().map(|key| key.as_bytes().as_slice().into()).collect()),
        master_public_key: master_public_key.into(),
        t: threshold,
        f,
    }
}

/// Writes a secret into the file, which is its owner's.
fn expose_text<S: Serializer>(text: &SecretText, writer: S) -> Result<S::Ok, S::Error> {
    writer.serialize_str(text.expose())
}

/// The same for a list of them.
fn expose_texts<S: Serializer>(texts: &[SecretText], writer: S) -> Result<S::Ok, S::Error> {
    writer.collect_seq(texts.iter().map(SecretText::expose))
}

/// A member of the file is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wrong {
    member: &'static str,
}

/// Why a file is not of this version.
#[derive(Debug, thiserror::Error)]
enum VersionError {
    #[error("is not a devnet.json; take the file that `enclavectl devnet` writes")]
    Form,
    #[error(
        "is of version {got}, this enclavectl reads version {VERSION}; start the devnet again with this enclavectl"
    )]
    Other { got: u64 },
}

/// Looks at the version alone, so that a file of another version is told from a damaged one.
fn check_version(text: &[u8]) -> Result<(), VersionError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    match serde_json::from_slice(text) {
        Ok(Versioned { version }) if version == u64::from(VERSION) => Ok(()),
        Ok(Versioned { version: got }) => Err(VersionError::Other { got }),
        Err(_) => Err(VersionError::Form),
    }
}

fn signing_key(seed: &SecretText) -> Option<SigningKey> {
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(seed.expose(), bytes.as_mut_slice()).ok()?;
    Some(SigningKey::from_seed(&bytes))
}

/// Room for a committee of hundreds; a devnet's file takes about 6 kB.
const LONGEST_FILE_BYTES: u64 = 1024 * 1024;

#[cfg(test)]
pub(crate) mod tests;
