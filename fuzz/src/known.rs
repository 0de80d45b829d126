//! Keys and documents that are the same in every process, so that an input can hold something signed.

use std::sync::LazyLock;

use crypto::{
    address::Address,
    ocr::OcrSigningKey,
    sign::SigningKey,
    tdh2::{self, Ciphertext, Deal, DecryptionShare, Label, Threshold},
};
use protocol::{committee::Committee, ids::FaultBound};
use rand_core::{CryptoRng, RngCore};

pub mod document;

/// Four members of a committee and, last, a stranger.
pub static SIGNERS: LazyLock<[SigningKey; 5]> =
    LazyLock::new(|| [1, 2, 3, 4, 5].map(|seed| SigningKey::from_seed(&[seed; 32])));

/// The committee of the first four [`SIGNERS`]; one of them may be faulty.
pub static COMMITTEE: LazyLock<Committee> = LazyLock::new(|| {
    let members = SIGNERS[..MEMBERS].iter().map(SigningKey::public).collect();
    Committee::new(members, FaultBound::new(1)).expect("four members are enough")
});

/// Members of the committee.
pub const MEMBERS: usize = 4;

/// Keys that sign reports of a capability DON, and their addresses.
pub static OCR_KEYS: LazyLock<Vec<OcrSigningKey>> = LazyLock::new(|| {
    let key = |byte| OcrSigningKey::from_bytes(&[byte; 32]).expect("it is below the order");
    [1, 2, 3, 4].map(key).into()
});

/// The addresses of [`OCR_KEYS`], by index.
pub static OCR_SIGNERS: LazyLock<Vec<Address>> =
    LazyLock::new(|| OCR_KEYS.iter().map(OcrSigningKey::address).collect());

/// A vault's key of which two of four shares decrypt.
pub static VAULT: LazyLock<Deal> =
    LazyLock::new(|| tdh2::deal(threshold(), 4, &mut Repeated(1)).expect("two of four"));

/// [`SECRET`] under the vault's key.
pub static CIPHERTEXT: LazyLock<Ciphertext> = LazyLock::new(|| {
    let label = Label::from([7; 32]);
    tdh2::encrypt(&VAULT.public_key, label, SECRET, &mut Repeated(2)).expect("it is short")
});

/// The shares of [`CIPHERTEXT`], as they are written.
pub static SHARES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let share = |share| DecryptionShare::create(share, &CIPHERTEXT, &mut Repeated(3));
    VAULT.shares.iter().map(|of| share(of).to_json().expose().to_vec()).collect()
});

/// What the ciphertext holds.
pub const SECRET: &[u8] = b"a secret of the vault";

/// Shares that open [`CIPHERTEXT`].
#[must_use]
pub fn threshold() -> Threshold {
    Threshold::new(2).expect("two is not zero")
}

/// A source of bytes that gives the same ones every time: SplitMix64. It hides nothing.
#[derive(Debug)]
pub struct Repeated(pub u64);

impl RngCore for Repeated {
    fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        rand_core::impls::fill_bytes_via_next(self, bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Repeated {}
