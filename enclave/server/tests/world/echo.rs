//! The application of the reference's own recordings: it repeats what it was given.

use std::sync::atomic::{AtomicU32, Ordering};

use attestation::{AttestError, AttestationRequest, Attestor};
use enclave_server::{
    Claim, Events,
    app::{App, AppError, Program, RunContext},
};
use protocol::{compute::ComputeRequest, ids::Owner};
use transport::BoxFuture;

/// The status of the application's one error.
pub(crate) const STATUS: u16 = 418;

/// Answers `app|public data|names=secrets|number of requests`; fails on public data `public fail`.
pub(crate) struct Echo;

struct Run {
    app: String,
    data: String,
}

#[derive(Debug, thiserror::Error)]
#[error("no luck")]
struct NoLuck;

impl App for Echo {
    fn owner(&self, _request: &ComputeRequest) -> Owner {
        Owner::normalised("")
    }

    fn load<'a>(
        &'a self,
        request: &'a ComputeRequest,
        _events: &'a Events,
    ) -> BoxFuture<'a, Result<Box<dyn Program>, AppError>> {
        let data = String::from_utf8_lossy(request.public_data.as_slice()).into_owned();
        let run = Run { app: request.app_id.clone(), data };
        Box::pin(async move { Ok(Box::new(run) as Box<dyn Program>) })
    }
}

impl Program for Run {
    fn claim(&self) -> Claim {
        Claim { owner: Owner::normalised(""), bytes: 1 }
    }

    fn run(self: Box<Self>, context: RunContext) -> BoxFuture<'static, Result<Vec<u8>, AppError>> {
        Box::pin(async move {
            if self.data == "public fail" {
                return Err(AppError::new(&NoLuck, STATUS, "no_luck"));
            }
            let secret = |(name, value): &(String, crypto::secret::Secret)| {
                format!("{name}={}", String::from_utf8_lossy(value.expose()))
            };
            let secrets: Vec<_> = context.secrets.iter().map(secret).collect();
            let requests = context.batch.get().signed().count();
            let Self { app, data } = *self;
            Ok(format!("{app}|{data}|{}|{requests}", secrets.join(",")).into_bytes())
        })
    }
}

/// Gives documents `document-1`, `document-2`, ..., and remembers what each binds.
#[derive(Default)]
pub(crate) struct Numbering {
    count: AtomicU32,
    bound: std::sync::Mutex<Vec<Vec<u8>>>,
}

impl Numbering {
    /// What the documents since the last call bind.
    pub(crate) fn take(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.bound.lock().unwrap())
    }
}

impl Attestor for Numbering {
    fn attest(&self, request: &AttestationRequest) -> Result<Vec<u8>, AttestError> {
        self.bound.lock().unwrap().push(request.user_data().to_vec());
        let number = self.count.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        Ok(format!("document-{number}").into_bytes())
    }
}
