//! Rooms 4 and 5: bytes become a typed batch, a batch becomes the one request a quorum signed.

use std::{sync::Arc, time::Instant};

use crypto::sign::{Signature, SignatureError};
use protocol::{
    compute::SignedComputeRequest,
    config::Config,
    json::{self, DecodeError},
    quorum::{Agreed, Batch, BatchError, unanimous},
};

use crate::events::{Events, With};

/// A batch that was read and not yet judged.
#[derive(Debug)]
pub(crate) struct Received {
    batch: Vec<SignedComputeRequest>,
    events: Events,
}

/// A request that F + 1 members of the committee in force signed.
#[derive(Debug)]
pub(crate) struct Quorate {
    /// The request with its signatures.
    pub(crate) batch: Arc<Agreed<Batch>>,
    /// The configuration in force when it came.
    pub(crate) config: Arc<Config>,
    /// What it reports.
    pub(crate) events: Events,
    /// Nobody else makes one.
    _proof: (),
}

impl Received {
    /// Reads a body as a batch.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], if it is not the JSON of one.
    pub(crate) fn decode(body: &[u8], events: Events) -> Result<Self, DecodeError> {
        // The reference reads `null` as a batch without requests.
        let batch: Option<Vec<SignedComputeRequest>> = json::from_slice(body)?;
        Ok(Self { batch: batch.unwrap_or_default(), events })
    }

    /// Counts the signers.
    ///
    /// # Errors
    ///
    /// [`BatchError`], in the order of section 2.7. Without a configuration nobody is a member.
    pub(crate) fn agree(self, config: Option<Arc<Config>>) -> Result<Quorate, BatchError> {
        let Self { batch, events } = self;
        let start = Instant::now();
        let signatures = batch.len();
        let Some(config) = config else { return Err(of_nobody(&batch)) };
        let agreed = unanimous(batch, config.committee());
        if !matches!(
            agreed,
            Err(BatchError::Empty
                | BatchError::Mixed { .. }
                | BatchError::TooMany { .. }
                | BatchError::Unsigned { .. },)
        ) {
            let details = With::default()
                .seconds("duration_seconds", start.elapsed())
                .count("num_signatures", signatures);
            events.add("signature_verification_completed", details);
        }
        Ok(Quorate { batch: Arc::new(agreed?), config, events, _proof: () })
    }
}

/// What is wrong with a batch when there is no committee.
fn of_nobody(batch: &[SignedComputeRequest]) -> BatchError {
    let Some(first) = batch.first() else { return BatchError::Empty };
    let reason = match Signature::from_slice(first.signature.as_slice()) {
        Ok(_signature) => SignatureError::NotAllowed,
        Err(error) => error,
    };
    BatchError::Unsigned { index: 0, reason }
}
