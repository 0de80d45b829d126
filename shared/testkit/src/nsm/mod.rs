//! A Nitro Secure Module without the hardware.
//!
//! It keeps registers, locks and limits as the device does and signs real documents, under a root of
//! our own; the production verifier takes them once it trusts that root. Requests and answers pass
//! through CBOR, so the device's limits on both hold here too.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use attestation::{
    AttestError, AttestationRequest, Attestor, Measurements, PCRS, Pcr,
    attestor::{NONCE_LIMIT_BYTES, PUBLIC_KEY_LIMIT_BYTES, USER_DATA_LIMIT_BYTES},
    cose,
};
use aws_lc_rs::rand;
use serde_bytes::ByteBuf;

use crate::chain::{Chain, ChainError, LEAF_LIFE, TestRoot};

mod message;
mod payload;

pub use message::{Digest, ErrorCode, Request, Response};
pub use payload::Payload;
pub(crate) use payload::encode_fields;

/// Where the time comes from.
pub type Now = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// The device of one enclave.
pub struct MockNsm {
    root: TestRoot,
    module_id: String,
    now: Now,
    state: Mutex<State>,
}

struct State {
    registers: [Register; PCRS as usize],
    chain: Option<(Chain, SystemTime)>,
}

#[derive(Clone, Copy)]
struct Register {
    value: Pcr,
    is_locked: bool,
}

impl MockNsm {
    /// Starts an enclave of this image: the registers measured before it are set and PCR0 to PCR15
    /// locked, those above are zero and the enclave's own.
    #[must_use]
    pub fn new(root: TestRoot, image: &Measurements, now: Now) -> Self {
        Self::with_registers(root, image.pcrs(), now)
    }

    /// Starts an enclave in debug mode: its image is not measured.
    #[must_use]
    pub fn in_debug_mode(root: TestRoot, now: Now) -> Self {
        Self::with_registers(root, std::iter::empty(), now)
    }

    fn with_registers(root: TestRoot, set: impl Iterator<Item = (u8, Pcr)>, now: Now) -> Self {
        let mut registers = [Register { value: Pcr::ZERO, is_locked: false }; PCRS as usize];
        for (index, value) in set {
            if let Some(register) = registers.get_mut(usize::from(index)) {
                register.value = value;
            }
        }
        registers.iter_mut().take(BOOT_PCRS).for_each(|register| register.is_locked = true);
        let state = Mutex::new(State { registers, chain: None });
        Self { root, module_id: MODULE_ID.to_owned(), now, state }
    }

    /// Gives the device another name than the usual one of tests.
    #[must_use]
    pub fn named(mut self, module_id: &str) -> Self {
        module_id.clone_into(&mut self.module_id);
        self
    }

    /// The root that verifiers have to trust.
    #[must_use]
    pub const fn root(&self) -> &TestRoot {
        &self.root
    }

    /// Asks the device, as its library does: both ways through [`MockNsm::exchange`], with all the
    /// room that the driver gives an answer.
    #[must_use]
    pub fn call(&self, request: &Request) -> Response {
        let internal = Response::Error(ErrorCode::InternalError);
        let Ok(request) = serde_cbor::to_vec(request) else { return internal };
        let answer = self.exchange(&request, RESPONSE_LIMIT_BYTES);
        serde_cbor::from_slice(&answer).unwrap_or(internal)
    }

    /// Takes the bytes of one request, at most 4,096, and gives those of the answer, in the room that
    /// the caller has for it; a refusal always has room.
    ///
    /// Bytes that are no request are answered as a request the device does not know.
    #[must_use]
    pub fn exchange(&self, request: &[u8], room_bytes: usize) -> Vec<u8> {
        let response = decode(request).and_then(|request| self.answer(request));
        let response = response.unwrap_or_else(Response::Error);
        match serde_cbor::to_vec(&response) {
            Ok(bytes) if bytes.len() <= room_bytes => bytes,
            Ok(_) => encode_error(ErrorCode::BufferTooSmall),
            Err(_) => encode_error(ErrorCode::InternalError),
        }
    }

    fn answer(&self, request: Request) -> Result<Response, ErrorCode> {
        let mut state = self.state();
        match request {
            Request::DescribePCR { index } => {
                let Register { value, is_locked } = *state.register(index)?;
                Ok(Response::DescribePCR { lock: is_locked, data: value.as_bytes().to_vec() })
            }
            Request::ExtendPCR { index, data } => {
                let value = state.extend(index, &data)?;
                Ok(Response::ExtendPCR { data: value.as_bytes().to_vec() })
            }
            Request::LockPCR { index } => {
                let register = state.register(index)?;
                if std::mem::replace(&mut register.is_locked, true) {
                    return Err(ErrorCode::ReadOnlyIndex);
                }
                Ok(Response::LockPCR)
            }
            Request::LockPCRs { range } => {
                let range = usize::from(range);
                let registers = state.registers.get_mut(..range).ok_or(ErrorCode::InvalidIndex)?;
                registers.iter_mut().for_each(|register| register.is_locked = true);
                Ok(Response::LockPCRs)
            }
            Request::DescribeNSM => Ok(self.describe(&state)),
            Request::Attestation { user_data, nonce, public_key } => {
                let document = self.document(&mut state, user_data, nonce, public_key)?;
                Ok(Response::Attestation { document })
            }
            Request::GetRandom => {
                let mut random = vec![0; RANDOM_BYTES];
                rand::fill(&mut random).ok().ok_or(ErrorCode::InternalError)?;
                Ok(Response::GetRandom { random })
            }
        }
    }

    fn describe(&self, state: &State) -> Response {
        Response::DescribeNSM {
            version_major: 1,
            version_minor: 0,
            version_patch: 0,
            module_id: self.module_id.clone(),
            max_pcrs: u16::from(PCRS),
            locked_pcrs: state.locked().map(|(index, _)| u16::from(index)).collect(),
            digest: Digest::SHA384,
        }
    }

    fn document(
        &self,
        state: &mut State,
        user_data: Option<ByteBuf>,
        nonce: Option<ByteBuf>,
        public_key: Option<ByteBuf>,
    ) -> Result<Vec<u8>, ErrorCode> {
        let now = (self.now)();
        let since_epoch = now.duration_since(UNIX_EPOCH).ok().map(|duration| duration.as_millis());
        let timestamp_ms = since_epoch.and_then(|ms| u64::try_from(ms).ok());
        let payload = Payload {
            module_id: self.module_id.clone(),
            timestamp_ms: timestamp_ms.ok_or(ErrorCode::InternalError)?,
            pcrs: state.locked().collect(),
            user_data: limited(user_data, USER_DATA_LIMIT_BYTES)?,
            nonce: limited(nonce, NONCE_LIMIT_BYTES)?,
            public_key: limited(public_key, PUBLIC_KEY_LIMIT_BYTES)?,
        };
        let signed = self.chain(state, now).and_then(|chain| {
            let payload = payload.encode(chain.leaf.der(), &chain.bundle(&self.root));
            let signature = chain.leaf.sign_es384(&cose::signed_bytes(&payload))?;
            Ok(cose::encode(&payload, &signature))
        });
        signed.ok().ok_or(ErrorCode::InternalError)
    }

    /// The enclave's certificates, replaced while the leaf still has [`RENEW_BEFORE`] to live.
    fn chain<'s>(&self, state: &'s mut State, now: SystemTime) -> Result<&'s Chain, ChainError> {
        let lives = |made: SystemTime| {
            let age = now.duration_since(made).ok()?.checked_add(RENEW_BEFORE)?;
            (age <= LEAF_LIFE).then_some(())
        };
        let chain = match state.chain.take() {
            Some((chain, made)) if lives(made).is_some() => (chain, made),
            Some(_) | None => (Chain::below(&self.root, &self.module_id, now)?, now),
        };
        Ok(&state.chain.insert(chain).0)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn register(&mut self, index: u16) -> Result<&mut Register, ErrorCode> {
        self.registers.get_mut(usize::from(index)).ok_or(ErrorCode::InvalidIndex)
    }

    fn extend(&mut self, index: u16, data: &[u8]) -> Result<Pcr, ErrorCode> {
        let register = self.register(index)?;
        if data.len() > EXTEND_LIMIT_BYTES {
            return Err(ErrorCode::InputTooLarge);
        }
        if register.is_locked {
            return Err(ErrorCode::ReadOnlyIndex);
        }
        register.value = register.value.extended(data);
        Ok(register.value)
    }

    fn locked(&self) -> impl Iterator<Item = (u8, Pcr)> {
        let registers = (0_u8..).zip(self.registers);
        registers
            .filter(|(_, register)| register.is_locked)
            .map(|(i, register)| (i, register.value))
    }
}

impl Attestor for MockNsm {
    fn attest(&self, request: &AttestationRequest) -> Result<Vec<u8>, AttestError> {
        let bytes = |field: &[u8]| ByteBuf::from(field);
        let request = Request::Attestation {
            user_data: Some(bytes(request.user_data())),
            nonce: request.nonce().map(bytes),
            public_key: request.public_key().map(bytes),
        };
        match self.call(&request) {
            Response::Attestation { document } => Ok(document),
            Response::Error(code) => {
                Err(code.refusal().map_or(AttestError::UnexpectedAnswer, AttestError::Refused))
            }
            Response::DescribePCR { .. }
            | Response::ExtendPCR { .. }
            | Response::LockPCR
            | Response::LockPCRs
            | Response::DescribeNSM { .. }
            | Response::GetRandom { .. } => Err(AttestError::UnexpectedAnswer),
        }
    }
}

impl fmt::Debug for MockNsm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockNsm").field("module_id", &self.module_id).finish_non_exhaustive()
    }
}

/// Measurements that depend on nothing but a name: PCRn is the SHA-384 of 48 zeros and `NAME PCRn`.
#[must_use]
pub fn measurements_of(name: &str) -> Measurements {
    let pcr = |index: u8| Pcr::ZERO.extended(format!("{name} PCR{index}").as_bytes());
    #[expect(clippy::expect_used, reason = "no text is known that SHA-384 takes to zero")]
    Measurements::new(pcr(0), pcr(1), pcr(2)).expect("no register is zero")
}

fn decode(request: &[u8]) -> Result<Request, ErrorCode> {
    if request.len() > REQUEST_LIMIT_BYTES {
        return Err(ErrorCode::InputTooLarge);
    }
    serde_cbor::from_slice(request).ok().ok_or(ErrorCode::InvalidOperation)
}

fn limited(field: Option<ByteBuf>, limit_bytes: usize) -> Result<Option<Vec<u8>>, ErrorCode> {
    match field {
        Some(bytes) if bytes.len() > limit_bytes => Err(ErrorCode::InputTooLarge),
        field => Ok(field.map(ByteBuf::into_vec)),
    }
}

/// `{"Error": ..}`, which always fits.
fn encode_error(code: ErrorCode) -> Vec<u8> {
    serde_cbor::to_vec(&Response::Error(code)).unwrap_or_default()
}

/// Bytes of a request that the driver takes.
pub const REQUEST_LIMIT_BYTES: usize = 4_096;

/// Bytes of an answer that the driver takes.
pub const RESPONSE_LIMIT_BYTES: usize = 12_288;

/// Bytes that one extension takes.
pub const EXTEND_LIMIT_BYTES: usize = 512;

/// Bytes of one answer to `GetRandom`.
pub const RANDOM_BYTES: usize = 256;

/// Registers that belong to the boot: locked before the enclave runs.
const BOOT_PCRS: usize = 16;

/// A leaf is replaced while it has this long to live, so that no document outlives it within the
/// time a verifier takes it.
const RENEW_BEFORE: Duration = Duration::from_secs(10 * 60);

/// Instance and enclave, in the device's form.
const MODULE_ID: &str = "i-00000000000000000-enc0000000000000000";
