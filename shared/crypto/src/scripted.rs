//! Randomness that tests choose: the bytes in order, and a panic when there are no more.

use rand_core::{CryptoRng, Error, RngCore, impls};

/// Gives out the bytes it was made of.
#[derive(Debug)]
pub(crate) struct Scripted<'b>(&'b [u8]);

impl<'b> Scripted<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }
}

impl RngCore for Scripted<'_> {
    fn next_u32(&mut self) -> u32 {
        impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, to: &mut [u8]) {
        let (head, tail) = self.0.split_at(to.len());
        to.copy_from_slice(head);
        self.0 = tail;
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(to);
        Ok(())
    }
}

impl CryptoRng for Scripted<'_> {}
