//! Secrets from a file.

use std::{collections::BTreeMap, path::Path};

use crypto::secret::{Secret, SecretText};
use host_relay::secret_file;
use protocol::{
    messages::sdk::{
        self, GetSecretsRequest, SecretError, SecretOutcome, SecretRequest, SecretResponse,
    },
    quote::quote,
    relay::MAIN_NAMESPACE,
};

use crate::exit::{Exit, Failure, OrFail as _};

/// Secrets by namespace and name.
#[derive(Debug, Default)]
pub(super) struct Secrets(BTreeMap<(String, String), SecretText>);

/// Why a file holds no secrets. Nothing of its contents is repeated, not even what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum SecretsError {
    #[error("not UTF-8 text")]
    NotText,
    #[error("line {0}: not an object of texts such as {{\"API_KEY\": \"...\"}}, as JSON")]
    Json(usize),
    #[error("line {0}: not lines such as API_KEY = \"...\", as TOML")]
    Toml(usize),
    #[error("a secret has no name")]
    Unnamed,
}

impl Secrets {
    /// Reads a file that only its owner may read.
    ///
    /// # Errors
    ///
    /// [`Exit::Input`], without a byte of the contents.
    pub(super) fn load(file: &Path) -> Result<Self, Failure> {
        let contents = secret_file::read_up_to(file, LONGEST_FILE_BYTES);
        let contents = contents.or_fail(Exit::Input, || "no secrets")?;
        Self::parse(&contents).or_fail(Exit::Input, || file.display().to_string())
    }

    fn parse(contents: &Secret) -> Result<Self, SecretsError> {
        let text =
            std::str::from_utf8(contents.expose()).map_err(|_error| SecretsError::NotText)?;
        let named: BTreeMap<String, SecretText> = if text.starts_with('{') {
            serde_json::from_str(text).map_err(|error| SecretsError::Json(error.line()))?
        } else {
            toml::from_str(text).map_err(|error| {
                let start = error.span().map_or(0, |span| span.start);
                let before = text.get(..start).unwrap_or_default();
                SecretsError::Toml(before.matches('\n').count().saturating_add(1))
            })?
        };
        let mut secrets = BTreeMap::new();
        for (name, value) in named {
            let (namespace, name) = match name.split_once('/') {
                Some((namespace, name)) => (namespace.to_owned(), name.to_owned()),
                None => (MAIN_NAMESPACE.to_owned(), name),
            };
            if namespace.is_empty() || name.is_empty() {
                return Err(SecretsError::Unnamed);
            }
            secrets.insert((namespace, name), value);
        }
        Ok(Self(secrets))
    }

    /// One answer for each request in their order, with the names for the report, and whether all
    /// of them are there.
    pub(super) fn answer(&self, asked: &GetSecretsRequest) -> (String, Vec<SecretResponse>, bool) {
        let names: Vec<_> = asked.requests.iter().map(shown).collect();
        let answers: Vec<_> = asked.requests.iter().map(|request| self.find(request)).collect();
        let is_there =
            |answer: &SecretResponse| matches!(answer.response, Some(SecretOutcome::Secret(_)));
        let are_all = answers.iter().all(is_there);
        (names.join(", "), answers, are_all)
    }

    fn find(&self, SecretRequest { id, namespace }: &SecretRequest) -> SecretResponse {
        let (id, namespace) = (id.clone(), namespace_of(namespace).to_owned());
        let owner = String::new();
        let outcome = match self.0.get(&(namespace.clone(), id.clone())) {
            Some(value) => {
                // Wiped with the message it goes into.
                let value = value.expose().to_owned();
                SecretOutcome::Secret(sdk::Secret { id, namespace, owner, value })
            }
            None => {
                let (name, space) = (quote(id.as_bytes()), quote(namespace.as_bytes()));
                let error = format!(
                    "no secret {name} in namespace {space}; simulate has those of --secrets FILE"
                );
                SecretOutcome::Error(SecretError { id, namespace, owner, error })
            }
        };
        SecretResponse { response: Some(outcome) }
    }
}

fn namespace_of(namespace: &str) -> &str {
    if namespace.is_empty() { MAIN_NAMESPACE } else { namespace }
}

fn shown(request: &SecretRequest) -> String {
    format!("{}/{}", namespace_of(&request.namespace), request.id)
}

/// Thousands of secrets.
const LONGEST_FILE_BYTES: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn parse(text: &str) -> Result<Secrets, SecretsError> {
        Secrets::parse(&Secret::new(text.as_bytes().to_vec()))
    }

    fn request(namespace: &str, id: &str) -> SecretRequest {
        SecretRequest { id: id.to_owned(), namespace: namespace.to_owned() }
    }

    /// The values of some secrets, or what is said instead.
    fn asked(secrets: &Secrets, requests: &[SecretRequest]) -> Vec<Result<String, String>> {
        let request = GetSecretsRequest { requests: requests.to_vec(), callback_id: 1 };
        let (_names, answers, _are_all) = secrets.answer(&request);
        let value = |answer: SecretResponse| match answer.response.unwrap() {
            SecretOutcome::Secret(secret) => Ok(secret.value.clone()),
            SecretOutcome::Error(error) => Err(error.error),
        };
        answers.into_iter().map(value).collect()
    }

    #[test]
    fn names_without_a_namespace_are_in_the_main_one() {
        for text in [
            "{\"A\": \"a\", \"other/A\": \"b\", \"main/B/C\": \"c\"}",
            "A = \"a\"\n\"other/A\" = \"b\"\n\"main/B/C\" = \"c\"",
        ] {
            let secrets = parse(text).unwrap();
            let requests = [
                request("", "A"),
                request("main", "A"),
                request("other", "A"),
                request("main", "B/C"),
            ];
            let values = asked(&secrets, &requests);
            assert_eq!(values, ["a", "a", "b", "c"].map(|value| Ok(value.to_owned())));
        }
    }

    #[test]
    fn every_request_is_answered_in_its_place() {
        let secrets = parse("A = \"a\"").unwrap();
        let values = asked(&secrets, &[request("", "X\n"), request("", "A"), request("", "A")]);
        let missing =
            r#"no secret "X\n" in namespace "main"; simulate has those of --secrets FILE"#;
        assert_eq!(values, [Err(missing.to_owned()), Ok("a".to_owned()), Ok("a".to_owned())]);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_line_and_nothing_is_repeated() {
        for (text, want) in [
            ("A = \"hunter2\"\nB = hunter2", SecretsError::Toml(2)),
            ("A = 7", SecretsError::Toml(1)),
            ("[A]\nB = \"hunter2\"", SecretsError::Toml(1)),
            ("{\"A\":\n7}", SecretsError::Json(2)),
            ("{\"A\": \"hunter2\"", SecretsError::Json(1)),
            ("{\"\": \"hunter2\"}", SecretsError::Unnamed),
            ("{\"a/\": \"hunter2\"}", SecretsError::Unnamed),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error, want, "{text}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let bytes = Secrets::parse(&Secret::new(vec![0xff]));
        assert_eq!(bytes.unwrap_err(), SecretsError::NotText);
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "A = \"hunter2\"").unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o640)).unwrap();
        let failure = Secrets::load(file.path()).unwrap_err();
        assert_eq!(failure.exit, Exit::Input);
        assert!(failure.to_string().ends_with("may read it: chmod 600"), "{failure}");
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
        let secrets = Secrets::load(file.path()).unwrap();
        assert_eq!(asked(&secrets, &[request("", "A")]), [Ok("hunter2".to_owned())]);
        assert_eq!(format!("{secrets:?}"), r#"Secrets({("main", "A"): Secret})"#);
    }
}
