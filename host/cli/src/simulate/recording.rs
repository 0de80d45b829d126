//! Answers to http-actions in a folder: one file for each method, URL and body.
//!
//! A file is named after the host and a hash of all three, so that nothing of a URL's path, of a body
//! or of a header is in it; what was answered is, and may be edited. Headers of the request do not
//! count, since they carry what changes from run to run.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use enclave_server::capabilities::HttpAction;
use protocol::{
    base64,
    messages::{
        self, http,
        sdk::{CapabilityOutcome, CapabilityResponse},
    },
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    exit::{Exit, Failure, OrFail as _},
    files::{self, Readers},
};

/// A folder of answers.
pub(super) struct Recording {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How often each file was asked for.
    asked: HashMap<PathBuf, usize>,
    /// What was written into each file.
    written: HashMap<PathBuf, File>,
    /// The first file that could not be written, and why.
    failure: Option<Failure>,
}

/// The answers to one request, in the order in which they were given.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    method: String,
    host: String,
    answers: Vec<Answer>,
}

/// One answer: a response, or an error of the capability.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, Vec<String>>,
    /// The body if it is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// Any other body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Why a request has no answer. The text is the workflow's.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReplayError {
    /// Nothing was recorded for it.
    #[error("http-actions: no answer is recorded for {method} to {host}: there is no {}", file.display())]
    Missing { method: String, host: String, file: PathBuf },
    /// The file is none.
    #[error("http-actions: {} holds no recorded answers", .0.display())]
    Malformed(PathBuf),
}

impl Recording {
    /// A folder to be written into; what is in it stays unless it is asked for again.
    ///
    /// # Errors
    ///
    /// [`Exit::Input`].
    pub(super) fn create(folder: &Path) -> Result<Self, Failure> {
        let name = folder.display();
        files::create_folder(folder).or_fail(Exit::Input, || format!("{name} cannot be made"))?;
        Self::open(folder)
    }

    /// A folder to be read.
    ///
    /// # Errors
    ///
    /// [`Exit::Input`].
    pub(super) fn open(folder: &Path) -> Result<Self, Failure> {
        if !folder.is_dir() {
            let text = format!("{} is no folder of recorded answers", folder.display());
            return Err(Failure::new(Exit::Input, text));
        }
        Ok(Self { folder: folder.to_owned(), state: Mutex::default() })
    }

    /// Adds what was answered. A failure is kept for the end.
    pub(super) fn add(&self, action: &HttpAction, response: &CapabilityResponse) {
        let path = self.path(action);
        let mut state = self.state();
        let file = state.written.entry(path.clone()).or_insert_with(|| File {
            method: action.method().to_owned(),
            host: action.host().to_owned(),
            answers: Vec::new(),
        });
        file.answers.push(Answer::of(response));
        let written = serde_json::to_vec_pretty(file)
            .or_fail(Exit::Internal, || "an answer cannot be written as JSON")
            .and_then(|text| {
                let failed = || format!("{} cannot be written", path.display());
                files::write(&path, &text, Readers::Owner).or_fail(Exit::Input, failed)
            });
        if let (Err(failure), None) = (written, &state.failure) {
            state.failure = Some(failure);
        }
    }

    /// The next answer to a request; the last one is given again.
    ///
    /// # Errors
    ///
    /// [`ReplayError`].
    pub(super) fn next(&self, action: &HttpAction) -> Result<CapabilityResponse, ReplayError> {
        let path = self.path(action);
        if !path.is_file() {
            let (method, host) = (action.method().to_owned(), action.host().to_owned());
            return Err(ReplayError::Missing { method, host, file: path });
        }
        let contents = files::read(&path, LONGEST_FILE_BYTES).ok();
        let file = contents.and_then(|text| serde_json::from_slice::<File>(&text).ok());
        let Some(file) = file else { return Err(ReplayError::Malformed(path)) };
        let mut state = self.state();
        let turn = state.asked.entry(path.clone()).or_default();
        let answer = file.answers.get(*turn).or(file.answers.last());
        *turn = turn.saturating_add(1);
        answer.and_then(Answer::response).ok_or(ReplayError::Malformed(path))
    }

    /// Says whether everything was written.
    ///
    /// # Errors
    ///
    /// [`Exit::Input`] for the first file that was not.
    pub(super) fn finish(&self) -> Result<(), Failure> {
        self.state().failure.take().map_or(Ok(()), Err)
    }

    fn path(&self, action: &HttpAction) -> PathBuf {
        let hash = Sha256::new()
            .chain_update(action.method())
            .chain_update(b"\n")
            .chain_update(action.expose_url())
            .chain_update(b"\n")
            .chain_update(action.expose_body());
        let hash = hex::encode(hash.finalize());
        let short = hash.get(..HASH_DIGITS).unwrap_or(&hash);
        self.folder.join(format!("{}-{short}.json", action.host()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answer {
    fn of(response: &CapabilityResponse) -> Self {
        let mut answer = Self {
            status: None,
            headers: BTreeMap::new(),
            body: None,
            body_base64: None,
            error: None,
        };
        match &response.response {
            Some(CapabilityOutcome::Payload(any)) => {
                let http::Response { status_code, body, multi_headers, .. } =
                    messages::unpack(any).unwrap_or_default();
                answer.status = Some(status_code);
                let lists = multi_headers.into_iter().map(|(name, list)| (name, list.values));
                answer.headers = lists.collect();
                match String::from_utf8(body) {
                    Ok(text) => answer.body = Some(text),
                    Err(error) => answer.body_base64 = Some(base64::encode(error.as_bytes())),
                }
            }
            Some(CapabilityOutcome::Error(text)) => answer.error = Some(text.clone()),
            None => {}
        }
        answer
    }

    /// The response; `None` if there is neither a response nor an error, or both.
    fn response(&self) -> Option<CapabilityResponse> {
        let response = match (&self.error, self.status) {
            (Some(text), None) => CapabilityOutcome::Error(text.clone()),
            (None, Some(status_code)) => {
                let body = match (&self.body, &self.body_base64) {
                    (Some(text), None) => text.clone().into_bytes(),
                    (None, Some(text)) => base64::decode(text).ok()?,
                    (None, None) => Vec::new(),
                    (Some(_), Some(_)) => return None,
                };
                let lists = self.headers.iter();
                let joined = lists.clone().map(|(name, values)| (name.clone(), values.join(", ")));
                let multi_headers = lists.map(|(name, values)| {
                    (name.clone(), http::HeaderValues { values: values.clone() })
                });
                let (headers, multi_headers) = (joined.collect(), multi_headers.collect());
                CapabilityOutcome::Payload(messages::pack(&http::Response {
                    status_code,
                    headers,
                    body,
                    multi_headers,
                }))
            }
            (None, None) | (Some(_), Some(_)) => return None,
        };
        Some(CapabilityResponse { response: Some(response) })
    }
}

/// Enough that no two requests of a folder meet.
const HASH_DIGITS: usize = 32;

/// Some hundred answers of the largest size.
const LONGEST_FILE_BYTES: u64 = 256 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, time::Duration};

    use enclave_server::{EgressPolicy, capabilities::HttpLimits};

    use super::*;

    fn action(url: &str, body: &str, token: &str) -> HttpAction {
        let request = http::Request {
            url: url.to_owned(),
            method: "POST".to_owned(),
            body: body.as_bytes().to_vec(),
            headers: [("Authorization".to_owned(), token.to_owned())].into(),
            ..http::Request::default()
        };
        let policy = EgressPolicy::production();
        let (payload, limits) = (messages::pack(&request), HttpLimits::default());
        HttpAction::prepare(&payload, &policy, Duration::from_secs(1), &limits).unwrap()
    }

    fn response(status_code: u32, body: &[u8]) -> CapabilityResponse {
        let values = vec!["1".to_owned(), "2".to_owned()];
        let response = http::Response {
            status_code,
            headers: [("X-A".to_owned(), "1, 2".to_owned())].into(),
            body: body.to_vec(),
            multi_headers: [("X-A".to_owned(), http::HeaderValues { values })].into(),
        };
        let response = Some(CapabilityOutcome::Payload(messages::pack(&response)));
        CapabilityResponse { response }
    }

    #[test]
    fn what_was_recorded_comes_back_in_its_order_and_the_last_one_again() {
        let folder = tempfile::tempdir().unwrap();
        let error = CapabilityOutcome::Error("http-actions: no".to_owned());
        let error = CapabilityResponse { response: Some(error) };
        let answers = [response(200, b"text"), response(500, &[0xff, 0]), error];
        let url = "https://api.test/a?token=hunter2";
        let recording = Recording::create(&folder.path().join("new")).unwrap();
        for answer in &answers {
            recording.add(&action(url, "b", "first"), answer);
        }
        recording.finish().unwrap();
        let replay = Recording::open(&folder.path().join("new")).unwrap();
        for answer in answers.iter().chain([&answers[2]]) {
            // Another token in a header is the same request.
            assert_eq!(replay.next(&action(url, "b", "second")).unwrap(), *answer);
        }
        for (url, body) in [(url, "c"), ("https://api.test/a?token=x", "b")] {
            let said = replay.next(&action(url, body, "")).unwrap_err().to_string();
            assert!(said.contains("no answer is recorded for POST to api.test: there is no "));
        }
    }

    #[test]
    fn a_folder_shows_hosts_and_answers_to_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let recording = Recording::create(&folder.path().join("r")).unwrap();
        let action = action("https://api.test/key-1?token=hunter2", "hunter3", "hunter4");
        recording.add(&action, &response(200, b"text"));
        let path = recording.path(&action);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let shown = format!("{} {}", path.display(), std::fs::read_to_string(&path).unwrap());
        assert!(shown.contains("api.test") && shown.contains("text"), "{shown}");
        assert!(!shown.contains("hunter") && !shown.contains("key-1"), "{shown}");
    }

    #[test]
    fn a_file_that_holds_no_answer_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let replay = Recording::open(folder.path()).unwrap();
        let action = action("https://api.test/", "", "");
        for text in [
            "",
            "{}",
            r#"{"method":"POST","host":"a","answers":[]}"#,
            r#"{"method":"POST","host":"a","answers":[{}]}"#,
            r#"{"method":"POST","host":"a","answers":[{"status":200,"error":"e"}]}"#,
            r#"{"method":"POST","host":"a","answers":[{"status":200,"body_base64":"?"}]}"#,
        ] {
            std::fs::write(replay.path(&action), text).unwrap();
            let said = replay.next(&action).unwrap_err().to_string();
            assert!(said.ends_with("holds no recorded answers"), "{said}");
        }
        let missing = Recording::open(&folder.path().join("none")).err().unwrap();
        assert_eq!(missing.exit, Exit::Input);
    }
}
