//! Documents with one fault each.
//!
//! [`Forger::good`] is a document that [`Forger::policy`] accepts. Each [`Forgery`] is the same
//! document with one thing wrong, signed and certified anew where the fault is not in the signature
//! or the certificates, so that only the check about that fault can refuse it.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use attestation::{
    CertificateId, Challenge, Check, Freshness, Measurements, Nonce, Pcr, Policy, TrustRoot,
    UserData, VerifyError, cbor::Writer,
};

use crate::{
    chain::{Chain, Holder, TestRoot, Window, ca, new_key},
    nsm::{Payload, encode_fields, measurements_of},
};

mod binding;
mod certificates;
mod envelope;
mod error;
mod path;
mod payload;
mod roots;

/// One fault.
pub struct Forgery {
    /// What is wrong, in a few words.
    pub name: &'static str,
    /// Number of the known pitfall of verifiers that this is an instance of. The list is that of
    /// the tests in `tests/pitfalls.rs`.
    pub pitfall: u8,
    /// The error that has to refuse it, offsets in bytes being 0 or unknown.
    pub error: VerifyError,
    make: fn(&Forger) -> Vec<u8>,
}

impl Forgery {
    /// The check that has to refuse it.
    #[must_use]
    pub const fn check(&self) -> Check {
        self.error.check()
    }

    /// Whether this is the error that has to refuse it. Offsets in bytes are not compared: where a
    /// certificate ends depends on its signature, which is a byte longer now and then.
    #[must_use]
    pub fn is_refused_by(&self, error: &VerifyError) -> bool {
        error::without_offsets(*error) == self.error
    }

    const fn new(
        name: &'static str,
        pitfall: u8,
        error: VerifyError,
        make: fn(&Forger) -> Vec<u8>,
    ) -> Self {
        Self { name, pitfall, error, make }
    }

    /// Makes the document.
    #[must_use]
    pub fn document(&self, forger: &Forger) -> Vec<u8> {
        (self.make)(forger)
    }
}

impl fmt::Debug for Forgery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.check())
    }
}

/// Every forgery.
pub fn all() -> impl Iterator<Item = &'static Forgery> {
    let above = [envelope::ALL, payload::ALL, binding::ALL];
    let parts = above.into_iter().chain([certificates::ALL, path::ALL, roots::ALL]);
    parts.flatten()
}

/// Makes documents of one enclave, at one moment, good ones and others.
#[derive(Debug)]
pub struct Forger {
    root: TestRoot,
    chain: Chain,
    partition: Holder,
    revoked: Holder,
    image: Measurements,
    now: SystemTime,
}

impl Forger {
    /// Sets up a root and an enclave at `now`.
    #[must_use]
    pub fn new(now: SystemTime) -> Self {
        let root = TestRoot::generate(now).unwrap();
        let chain = Chain::below(&root, MODULE_ID, now).unwrap();
        let window = Window::around(now, HOUR, HOUR).unwrap();
        let partition = ca("test.other-partition", None, window).unwrap();
        let partition = Holder::self_issued(partition, new_key().unwrap()).unwrap();
        let revoked = path::revoked(&root, now);
        let place = |index: u8| Pcr::ZERO.extended(&[index]);
        let image = measurements_of("forged").with_role(place(3)).with_instance(place(4));
        let image = image.with_signer(place(8)).unwrap();
        Self { root, chain, partition, revoked, image, now }
    }

    /// The policy that accepts the good document: its root, that of another partition and that of
    /// AWS, PCR0 to PCR4 and PCR8, user data, a nonce, the default freshness, and one certificate
    /// revoked.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let nonce = Nonce::Expected(Challenge::try_from(self.nonce()).unwrap());
        let [root, partition, aws] = self.roots();
        Policy::new(root, self.image.clone(), self.user_data(), nonce)
            .or_root(partition)
            .or_root(aws)
            .with_freshness(Freshness::default())
            .without_certificate(CertificateId::of(self.revoked()).unwrap())
    }

    /// The roots of that policy; documents are made under the first.
    #[must_use]
    pub fn roots(&self) -> [TrustRoot; 3] {
        let partition = TrustRoot::dangerous_from_der(self.partition.der()).unwrap();
        [self.root.trust().unwrap(), partition, TrustRoot::aws()]
    }

    /// The certificate that it revokes, as DER.
    #[must_use]
    pub fn revoked(&self) -> &[u8] {
        self.revoked.der()
    }

    /// The time at which documents are made and verified.
    #[must_use]
    pub const fn now(&self) -> SystemTime {
        self.now
    }

    /// The root.
    #[must_use]
    pub const fn root(&self) -> &TestRoot {
        &self.root
    }

    /// The enclave's certificates.
    #[must_use]
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The measurements of the enclave.
    #[must_use]
    pub const fn image(&self) -> &Measurements {
        &self.image
    }

    /// What the documents bind.
    #[must_use]
    pub fn user_data(&self) -> UserData {
        UserData::from(USER_DATA)
    }

    /// The challenge that they answer.
    #[must_use]
    pub fn nonce(&self) -> &[u8] {
        NONCE
    }

    /// A document with no fault, under the root of the other partition.
    #[must_use]
    pub fn good_of_partition(&self) -> Vec<u8> {
        path::below(&self.partition, self)
    }

    /// A document with no fault.
    #[must_use]
    pub fn good(&self) -> Vec<u8> {
        self.draft().sign()
    }

    /// A document with no fault but this payload.
    #[must_use]
    pub fn with_payload(&self, change: impl FnOnce(&mut Payload)) -> Vec<u8> {
        let mut payload = self.payload();
        change(&mut payload);
        self.draft_of(&payload).sign()
    }

    /// A document with no fault but these encoded fields.
    #[must_use]
    pub fn with_fields(&self, change: impl FnOnce(&mut Vec<(String, Vec<u8>)>)) -> Vec<u8> {
        let mut draft = self.draft();
        change(&mut draft.fields);
        draft.sign()
    }

    /// A document signed under this chain.
    #[must_use]
    pub fn with_chain(&self, chain: &Chain) -> Vec<u8> {
        self.with_certificates(chain.leaf.der(), &chain.bundle(&self.root), &chain.leaf)
    }

    /// A document with these certificates, signed by this key.
    #[must_use]
    pub fn with_certificates(&self, leaf: &[u8], bundle: &[Vec<u8>], signer: &Holder) -> Vec<u8> {
        let fields = owned(self.payload().fields(leaf, bundle));
        Draft { fields, signer }.sign()
    }

    fn payload(&self) -> Payload {
        // Signed images have few registers: what is absent is not zero.
        let pcrs: BTreeMap<_, _> = self.image.pcrs().collect();
        Payload {
            module_id: MODULE_ID.to_owned(),
            timestamp_ms: milliseconds(self.now),
            pcrs: pcrs.into_iter().collect(),
            user_data: Some(USER_DATA.to_vec()),
            nonce: Some(NONCE.to_vec()),
            public_key: None,
        }
    }

    fn draft(&self) -> Draft<'_> {
        self.draft_of(&self.payload())
    }

    fn draft_of(&self, payload: &Payload) -> Draft<'_> {
        let Chain { leaf, .. } = &self.chain;
        let fields = owned(payload.fields(leaf.der(), &self.chain.bundle(&self.root)));
        Draft { fields, signer: leaf }
    }
}

/// A payload field by field, and who will sign it.
struct Draft<'f> {
    fields: Vec<(String, Vec<u8>)>,
    signer: &'f Holder,
}

impl Draft<'_> {
    fn sign(&self) -> Vec<u8> {
        sign(&self.payload(), self.signer)
    }

    fn payload(&self) -> Vec<u8> {
        encode_fields(&self.fields)
    }

    /// Replaces the encoded value of a field.
    fn set(&mut self, name: &str, value: Writer) {
        self.fields.iter_mut().find(|field| field.0 == name).unwrap().1 = value.finish();
    }

    fn add(&mut self, name: &str, value: Writer) {
        self.fields.push((name.to_owned(), value.finish()));
    }
}

/// Signs whatever bytes as a payload.
fn sign(payload: &[u8], signer: &Holder) -> Vec<u8> {
    let signature = signer.sign_es384(&attestation::cose::signed_bytes(payload)).unwrap();
    attestation::cose::encode(payload, &signature)
}

fn owned(fields: Vec<(&str, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn milliseconds(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

const MODULE_ID: &str = "i-0f0f0f0f0f0f0f0f0-enc0f0f0f0f0f0f0f0f";

const USER_DATA: [u8; 32] = [0x5a; 32];

const NONCE: &[u8] = b"a challenge of the caller";

/// An hour, for windows that have nothing to do with now.
const HOUR: Duration = Duration::from_secs(60 * 60);
