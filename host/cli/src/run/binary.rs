//! A workflow's binary: read, compressed, published (wasm-abi 1.1).

use std::path::Path;

use brotli::enc::BrotliEncoderParams;
use bytes::Bytes;
use http::{Method, StatusCode};
use protocol::base64;
use sha2::{Digest as _, Sha256};

use crate::{
    devnet::service::workflows::{LONGEST_BINARY_BYTES, path},
    exit::{Exit, Failure, OrFail as _},
    files,
    http::Peer,
};

/// The bytes that an enclave fetches: a brotli stream of a WebAssembly module.
pub(crate) struct Binary {
    /// The stream.
    pub(crate) compressed: Bytes,
    /// What the file holds, without base64: the module, or the same stream.
    pub(crate) delivered: Bytes,
    /// The hash that the committee signs.
    pub(crate) sha256: [u8; 32],
}

/// Why bytes are no workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BinaryError {
    /// They are a component.
    #[error("a WebAssembly component; build a core module, for the target wasm32-wasip1")]
    Component,
    /// They are nothing of that kind.
    #[error(
        "not a WebAssembly module, as it is or compressed with brotli; build one for the target wasm32-wasip1"
    )]
    NotWasm,
    /// No enclave fetches that much.
    #[error(
        "longer than {LONGEST_BINARY_BYTES} bytes when compressed, the most that an enclave fetches"
    )]
    TooLong,
}

impl Binary {
    /// Reads a module: as it is, compressed with brotli, or that in base64.
    ///
    /// # Errors
    ///
    /// [`Exit::Input`].
    pub(crate) fn load(file: &Path) -> Result<Self, Failure> {
        let contents = files::read(file, LONGEST_FILE_BYTES)?;
        Self::new(contents).or_fail(Exit::Input, || file.display().to_string())
    }

    fn new(contents: Vec<u8>) -> Result<Self, BinaryError> {
        let (delivered, compressed) = match form(&contents) {
            Form::Module => {
                let compressed = compress(&contents).into();
                (Bytes::from(contents), compressed)
            }
            Form::Component => return Err(BinaryError::Component),
            Form::Other => {
                let stream = Bytes::from(from_base64(&contents).unwrap_or(contents));
                (stream.clone(), stream)
            }
        };
        match form(&beginning(&compressed)) {
            Form::Module => {}
            Form::Component => return Err(BinaryError::Component),
            Form::Other => return Err(BinaryError::NotWasm),
        }
        if compressed.len() > LONGEST_BINARY_BYTES {
            return Err(BinaryError::TooLong);
        }
        let sha256 = Sha256::digest(&compressed).into();
        Ok(Self { compressed, delivered, sha256 })
    }

    /// Puts the binary onto the server, unless it is there, and returns where the enclave fetches it.
    ///
    /// # Errors
    ///
    /// [`Exit::Peer`].
    pub(crate) async fn publish(&self, server: &Peer) -> Result<String, Failure> {
        let path = path(&self.sha256);
        let url = format!("http://{}{path}", server.address);
        let there = server.ask(Method::HEAD, &path, None, Bytes::new()).await?;
        if there.status() == StatusCode::OK {
            return Ok(url);
        }
        let put = server.ask(Method::PUT, &path, None, self.compressed.clone()).await?;
        if put.status().is_success() { Ok(url) } else { Err(server.refused(&put)) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Module,
    Component,
    Other,
}

/// What the first eight bytes say: the magic number, then a version and a layer of 16 bits each.
fn form(bytes: &[u8]) -> Form {
    match bytes {
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => Form::Module,
        [b'\0', b'a', b's', b'm', _, _, 1, 0, ..] => Form::Component,
        _ => Form::Other,
    }
}

/// The first eight bytes that a brotli stream holds; fewer if it is none.
fn beginning(compressed: &[u8]) -> Vec<u8> {
    use std::io::Read as _;
    let mut start = Vec::new();
    let stream = brotli::Decompressor::new(compressed, BUFFER_BYTES);
    // A stream that breaks off later is refused by the enclave; here it is told from other files.
    stream.take(8).read_to_end(&mut start).ok();
    start
}

fn compress(wasm: &[u8]) -> Vec<u8> {
    let params =
        BrotliEncoderParams { quality: QUALITY, size_hint: wasm.len(), ..Default::default() };
    let mut compressed = Vec::new();
    // Writing to memory does not fail; what came out is looked at again by the caller.
    brotli::BrotliCompress(&mut &*wasm, &mut compressed, &params).ok();
    compressed
}

fn from_base64(contents: &[u8]) -> Option<Vec<u8>> {
    base64::decode(std::str::from_utf8(contents).ok()?.trim()).ok()
}

/// What the runtime takes of a module that is not compressed (wasm-abi 1.2).
const LONGEST_FILE_BYTES: u64 = 100 * 1024 * 1024;

/// Nine tenths of what the best quality gains, in a fiftieth of its time.
const QUALITY: i32 = 5;

const BUFFER_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: [u8; 8] = *b"\0asm\x01\0\0\0";
    const COMPONENT: [u8; 8] = *b"\0asm\x0d\0\x01\0";

    #[test]
    fn every_form_of_a_module_is_the_same_binary() {
        let raw = Binary::new(MODULE.to_vec()).unwrap();
        let compressed = compress(&MODULE);
        let text = format!("{}\n", base64::encode(&compressed)).into_bytes();
        for form in [compressed, text] {
            assert_eq!(Binary::new(form).unwrap().sha256, raw.sha256);
        }
        assert_eq!(<[u8; 32]>::from(Sha256::digest(&raw.compressed)), raw.sha256);
    }

    #[test]
    fn what_is_no_core_module_is_refused() {
        for component in [COMPONENT.to_vec(), compress(&COMPONENT)] {
            assert_eq!(Binary::new(component).err(), Some(BinaryError::Component));
        }
        for other in [&b""[..], b"\0asm", b"#!/bin/sh\n", &compress(b"text"), b"AAAA", &[0xff; 64]]
        {
            assert_eq!(Binary::new(other.to_vec()).err(), Some(BinaryError::NotWasm));
        }
    }

    #[test]
    fn a_binary_that_no_enclave_fetches_is_refused() {
        // Bytes that do not compress: a hash of their position.
        let blocks = 0..LONGEST_BINARY_BYTES as u64 / 32 + 1024;
        let noise = blocks.flat_map(|block| <[u8; 32]>::from(Sha256::digest(block.to_be_bytes())));
        let long: Vec<u8> = MODULE.into_iter().chain(noise).collect();
        assert_eq!(Binary::new(long).err(), Some(BinaryError::TooLong));
    }

    #[test]
    fn a_file_is_refused_by_its_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "text").unwrap();
        let failure = Binary::load(file.path()).err().unwrap();
        assert_eq!(failure.exit, Exit::Input);
        assert!(failure.to_string().contains(": not a WebAssembly module, "), "{failure}");
    }
}
