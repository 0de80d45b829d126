//! `enclavectl secret put`.

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _, Read},
    path::PathBuf,
};

use crypto::{
    address::Address,
    secret::Secret,
    tdh2::{self, Ciphertext, Label, MasterPublicKey},
};
use http::Method;
use protocol::{ids::Owner, limits::VAULT_CIPHERTEXT_BYTES};
use rand_core::{CryptoRngCore, OsRng};

use super::{DEFAULT_OWNER, parse_owner, vault};
use crate::{
    exit::{Exit, Failure, OrFail as _},
    http::segment,
    network::Network,
    output,
};

/// Encrypt a secret and put it into the vault. The value is read from standard input.
///
/// One line break at the end of the input is not part of the value. A secret of the same name is
/// replaced.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Put {
    /// The devnet.json of a running devnet.
    #[arg(long, value_name = "FILE")]
    network: PathBuf,
    /// Whose workflows may read the secret: an address of 40 hexadecimal digits.
    #[arg(long, value_name = "ADDRESS", default_value = DEFAULT_OWNER, value_parser = parse_owner)]
    owner: Owner,
    /// The namespace of the name.
    #[arg(long, value_name = "NAMESPACE", default_value = "main", value_parser = parse_name)]
    namespace: String,
    /// The name under which workflows ask for the secret.
    #[arg(value_name = "NAME", value_parser = parse_name)]
    name: String,
    /// Where a value is sometimes put by mistake; clap would repeat it.
    #[arg(hide = true)]
    misplaced: Vec<OsString>,
}

impl Put {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        if !self.misplaced.is_empty() {
            let text = "one NAME, and no value: the value is read from standard input, since arguments \
                        are shown to every user of this machine";
            return Err(Failure::new(Exit::Usage, text));
        }
        let network = Network::load(&self.network)?;
        let stdin = io::stdin();
        if stdin.is_terminal() {
            let text = "standard input is a terminal, which would show the value; pipe it in, as in \
                        `enclavectl secret put ... < FILE`";
            return Err(Failure::new(Exit::Usage, text));
        }
        let value = read_value(stdin.lock()).or_fail(Exit::Input, || "the value")?;
        let key = network.config.master_public_key();
        let ciphertext = encrypt(&value, &self.owner, key, &mut OsRng);
        let ciphertext = ciphertext.or_fail(Exit::Input, || "the value")?;
        let Self { owner, namespace, name, .. } = self;
        let path = format!("/secrets/{owner}/{}/{}", segment(&namespace), segment(&name));
        let vault = vault(&network);
        let token = network.vault_token.expose();
        let body = ciphertext.as_bytes().to_vec();
        let answer = vault.ask(Method::PUT, &path, Some(token), body).await?;
        if !answer.status().is_success() {
            return Err(vault.refused(&answer));
        }
        output::line(format_args!("stored {namespace}/{name} of {owner}"))?;
        Ok(Exit::Success)
    }
}

/// Why a value is no secret.
#[derive(Debug, thiserror::Error)]
enum ValueError {
    #[error("not readable from standard input")]
    Read(#[from] io::Error),
    #[error("empty; standard input is where it is read from")]
    Empty,
    #[error("not UTF-8 text, which workflows take secrets for; encode it, for example as base64")]
    NotUtf8,
    #[error("longer than {LONGEST_VALUE_BYTES} bytes, the most that a vault takes")]
    TooLong,
    #[error("not to be encrypted for this owner")]
    Encrypt,
}

/// Reads a value: text, without the line break that ends it.
fn read_value(input: impl Read) -> Result<Secret, ValueError> {
    // Room for one byte more and a line break, so that the buffer never moves and leaves a copy.
    let limit = LONGEST_VALUE_BYTES.saturating_add(3);
    let mut bytes = Vec::with_capacity(limit);
    let read = input.take(limit as u64).read_to_end(&mut bytes);
    let input = Secret::new(bytes);
    read?;
    let text = std::str::from_utf8(input.expose()).map_err(|_position| {
        // What was cut off in the middle of a character is too long, not wrong.
        if input.len() == limit { ValueError::TooLong } else { ValueError::NotUtf8 }
    })?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    match text.len() {
        0 => Err(ValueError::Empty),
        length if length > LONGEST_VALUE_BYTES => Err(ValueError::TooLong),
        _ => Ok(Secret::new(text.as_bytes().to_vec())),
    }
}

fn encrypt(
    value: &Secret,
    owner: &Owner,
    key: &MasterPublicKey,
    rng: &mut impl CryptoRngCore,
) -> Result<Ciphertext, ValueError> {
    let label = Label::of_owner(&Address::from(*owner.as_bytes()));
    let label = label.map_err(|_zero| ValueError::Encrypt)?;
    let ciphertext = tdh2::encrypt(key, label, value.expose(), rng);
    let ciphertext = ciphertext.map_err(|_length| ValueError::TooLong)?;
    if ciphertext.as_bytes().len() > VAULT_CIPHERTEXT_BYTES {
        return Err(ValueError::TooLong);
    }
    Ok(ciphertext)
}

fn parse_name(text: &str) -> Result<String, String> {
    let is_sized = (1..=LONGEST_NAME_BYTES).contains(&text.len());
    if !is_sized || text.chars().any(char::is_control) {
        return Err(format!("a name is 1 to {LONGEST_NAME_BYTES} bytes of text"));
    }
    Ok(text.to_owned())
}

/// The longest value whose ciphertext is no longer than a vault takes.
const LONGEST_VALUE_BYTES: usize = 1_058;

/// What the vault takes for a name or a namespace.
const LONGEST_NAME_BYTES: usize = 64;

const EXAMPLE: &str = "\
Examples:
  printf %s \"$API_KEY\" | enclavectl secret put --network devnet.json API_KEY
  enclavectl secret put --network devnet.json --owner 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed \\
    --namespace main API_KEY < api-key.txt";

#[cfg(test)]
mod tests {
    use crypto::tdh2::Threshold;

    use super::*;

    fn read(input: &[u8]) -> Result<Vec<u8>, String> {
        let value = read_value(input).map_err(|error| error.to_string())?;
        Ok(value.expose().to_vec())
    }

    #[test]
    fn one_line_break_at_the_end_is_not_part_of_the_value() {
        for input in ["a b", "a b\n", "a b\r\n"] {
            assert_eq!(read(input.as_bytes()).unwrap(), b"a b");
        }
        assert_eq!(read(b"a\n\n").unwrap(), b"a\n");
    }

    #[test]
    fn what_is_no_value_is_refused_without_repeating_it() {
        assert!(read(b"").unwrap_err().starts_with("empty"));
        assert!(read(b"\n").unwrap_err().starts_with("empty"));
        let text = read(b"hunter2\xff").unwrap_err();
        assert!(text.starts_with("not UTF-8") && !text.contains("hunter2"), "{text}");
        for extra in [1, 2, 3, 1000] {
            let long = "é".repeat((LONGEST_VALUE_BYTES + extra) / 2 + 1);
            assert!(read(long.as_bytes()).unwrap_err().starts_with("longer than"), "{extra}");
        }
        let longest = vec![b'a'; LONGEST_VALUE_BYTES];
        assert_eq!(read(&[&longest[..], b"\r\n"].concat()).unwrap(), longest);
    }

    #[test]
    fn the_longest_value_is_the_longest_that_the_vault_takes() {
        let deal = tdh2::deal(Threshold::new(2).unwrap(), 4, &mut OsRng).unwrap();
        let owner = parse_owner(DEFAULT_OWNER).unwrap();
        let encrypt = |length: usize| {
            let value = Secret::new(vec![b'a'; length]);
            encrypt(&value, &owner, &deal.public_key, &mut OsRng)
        };
        encrypt(LONGEST_VALUE_BYTES).unwrap();
        assert!(matches!(encrypt(LONGEST_VALUE_BYTES + 1), Err(ValueError::TooLong)));
    }

    #[test]
    fn the_label_is_the_owners() {
        let deal = tdh2::deal(Threshold::new(1).unwrap(), 1, &mut OsRng).unwrap();
        let owner = parse_owner(DEFAULT_OWNER).unwrap();
        let value = Secret::new(b"hunter2".to_vec());
        let ciphertext = encrypt(&value, &owner, &deal.public_key, &mut OsRng).unwrap();
        assert_eq!(ciphertext.label().as_bytes()[12..], [0x11; 20]);
    }

    #[test]
    fn names_are_bounded_text() {
        assert_eq!(parse_name("API_KEY").unwrap(), "API_KEY");
        for text in ["", "a\nb", &"a".repeat(65)] {
            assert!(parse_name(text).is_err());
        }
    }
}
