//! `enclavectl vault keygen`.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use crypto::tdh2::{self, Deal, DealError, MasterPublicKey, MasterSecret, PrivateShare, Threshold};
use host_relay::secret_file;
use rand_core::{CryptoRngCore, OsRng};

use crate::{
    exit::{Exit, Failure, OrFail as _},
    files::{self, Readers},
    output,
};

/// Make the key of a vault, or new shares of one that is there.
///
/// Writes the public key and one file for each member, which that member alone may have: its share.
/// T of the shares decrypt every secret of the vault, fewer tell nothing. Whoever runs this command
/// sees all of them, so run it on a machine without a network, hand the files out, and destroy them.
/// Nobody, not even this program, knows the discrete logarithm of the key's second generator: it is
/// derived from the key itself.
///
/// With --reshare, the public key stays the one that secrets are encrypted for, and only members and
/// T change. Old shares still decrypt together: destroy them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Keygen {
    /// T: how many members it takes to decrypt.
    #[arg(long, value_name = "T", value_parser = parse_threshold)]
    threshold: Threshold,
    /// N: how many members there are.
    #[arg(long, value_name = "N")]
    members: u32,
    /// The folder to write. It must not be there yet: no key is replaced.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Write the master secret, too, which decrypts alone. For resharing, T shares do as well.
    #[arg(long)]
    keep_master_secret: bool,
    /// The public key to make new shares of. Needs --master-secret, or --share for T old members.
    #[arg(long, value_name = "FILE", requires = "source")]
    reshare: Option<PathBuf>,
    /// The master secret of that key.
    #[arg(long, value_name = "FILE", group = "source", requires = "reshare")]
    master_secret: Option<PathBuf>,
    /// A share of that key. Repeatable; as many as the old T.
    #[arg(long, value_name = "FILE", group = "source", requires = "reshare")]
    share: Vec<PathBuf>,
}

impl Keygen {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let name = self.out.display();
        // Looked at before any secret is read; renaming looks again.
        if self.out.symlink_metadata().is_ok() {
            let text = format!("{name} is there already; name a folder that is not");
            return Err(Failure::new(Exit::Input, text));
        }
        let deal = match &self.reshare {
            None => tdh2::deal(self.threshold, self.members, &mut OsRng).map_err(refused)?,
            Some(key) => self.redeal(key, &mut OsRng)?,
        };
        write_folder(&self.out, &deal, self.keep_master_secret)
            .or_fail(Exit::Input, || format!("{name} cannot be written"))?;
        let (threshold, members) = (self.threshold, self.members);
        output::line(format_args!(
            "wrote {name}: {PUBLIC_KEY} for everybody, and for each of {members} members a share; \
             {threshold} of them decrypt"
        ))?;
        Ok(Exit::Success)
    }

    /// Deals the key of a file again.
    fn redeal(&self, key: &Path, rng: &mut impl CryptoRngCore) -> Result<Deal, Failure> {
        let text = files::read(key, LONGEST_PUBLIC_KEY_BYTES)?;
        let key = MasterPublicKey::parse(&text).or_fail(Exit::Input, || {
            format!("{} is not the public key of a vault", key.display())
        })?;
        let master_secret = match &self.master_secret {
            Some(path) => read_secret(path, "master secret", MasterSecret::parse)?,
            None => {
                let shares: Result<Vec<_>, _> = self
                    .share
                    .iter()
                    .map(|path| read_secret(path, "share", PrivateShare::parse))
                    .collect();
                MasterSecret::recover(&key, &shares?).or_fail(Exit::Input, || "--share")?
            }
        };
        let dealt = tdh2::redeal(&key, &master_secret, self.threshold, self.members, rng);
        let (public_key, shares) = dealt.map_err(refused)?;
        Ok(Deal { master_secret, public_key, shares })
    }
}

/// Says which arguments no key can be dealt for.
fn refused(error: DealError) -> Failure {
    let (exit, what) = match error {
        DealError::TooFewParties { .. } | DealError::TooManyParties { .. } => {
            (Exit::Usage, "--threshold and --members")
        }
        DealError::OtherKey => (Exit::Input, "--master-secret"),
    };
    Failure { exit, error: anyhow::Error::new(error).context(what) }
}

fn read_secret<T, E>(
    path: &Path,
    what: &str,
    parse: impl FnOnce(&[u8]) -> Result<T, E>,
) -> Result<T, Failure>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let text = secret_file::read(path).or_fail(Exit::Input, || format!("the {what}"))?;
    parse(text.expose())
        .or_fail(Exit::Input, || format!("{} does not hold the {what} of a vault", path.display()))
}

/// Writes all files or none: the folder has its name only once it is complete.
fn write_folder(out: &Path, deal: &Deal, keep_master_secret: bool) -> io::Result<()> {
    // Without a slash at its end.
    let out: PathBuf = out.components().collect();
    let mut temporary = out.clone().into_os_string();
    temporary.push(format!(".{}.new", std::process::id()));
    let temporary = PathBuf::from(temporary);
    fs::DirBuilder::new().mode(0o700).create(&temporary)?;
    let written = write_files(&temporary, deal, keep_master_secret)
        .and_then(|()| fs::rename(&temporary, &out));
    if written.is_err() {
        fs::remove_dir_all(&temporary).ok();
    }
    written
}

fn write_files(folder: &Path, deal: &Deal, keep_master_secret: bool) -> io::Result<()> {
    files::write(&folder.join(PUBLIC_KEY), deal.public_key.as_bytes(), Readers::All)?;
    for (number, share) in (1..).zip(&deal.shares) {
        let path = folder.join(share_file(number));
        files::write(&path, share.to_json().expose(), Readers::Owner)?;
    }
    if keep_master_secret {
        let secret = deal.master_secret.to_json();
        files::write(&folder.join(MASTER_SECRET), secret.expose(), Readers::Owner)?;
    }
    Ok(())
}

fn parse_threshold(text: &str) -> Result<Threshold, String> {
    let shares = text.parse().ok().and_then(|shares| Threshold::new(shares).ok());
    shares.ok_or_else(|| "a threshold is a number of members, at least 1".to_owned())
}

/// The file of a member's share, counted from 1. The share itself counts from 0.
fn share_file(number: usize) -> String {
    format!("member-{number}.share")
}

/// The file of the public key, named as in a devnet.
const PUBLIC_KEY: &str = "master-public-key.json";

/// The file of the master secret.
const MASTER_SECRET: &str = "master.secret";

/// What a public key's reader takes.
const LONGEST_PUBLIC_KEY_BYTES: u64 = 64 * 1024;

const EXAMPLE: &str = "\
Examples:
  enclavectl vault keygen --threshold 3 --members 5 --out vault
  enclavectl vault keygen --threshold 4 --members 7 --out vault-2 \\
    --reshare vault/master-public-key.json \\
    --share member-1.share --share member-3.share --share member-4.share";

#[cfg(test)]
mod tests;
