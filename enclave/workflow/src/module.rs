//! A workflow's module, compiled and linked.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};
use wasmtime::{InstancePre, Linker};

use crate::{AdmitError, BinaryLimits, Engine, Survey, Tier, admit, imports, state::State, wasi};

/// SHA-256 of a workflow's binary as it was delivered, compressed or not: its `binary_hash`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BinaryHash(pub [u8; 32]);

/// A workflow's binary as it was delivered, compressed or not, with its hash. Clones share the bytes.
#[derive(Clone)]
pub struct Binary {
    bytes: Arc<Vec<u8>>,
    hash: BinaryHash,
}

/// A workflow's module, compiled and linked: all that instances share.
///
/// It is always compiled in this process from the bytes of [`BinaryHash`]; nothing compiled ever
/// comes from outside.
pub struct Module {
    pre: InstancePre<State>,
    hash: BinaryHash,
    facts: Facts,
}

/// What is known about a module without running it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The version marker, which names the SDK.
    pub label: String,
    /// Bytes as delivered.
    pub delivered_bytes: usize,
    /// Bytes of the core module.
    pub module_bytes: usize,
    /// Bytes that the compiled module keeps in memory, roughly.
    pub resident_bytes: u64,
    /// Pages of 64 KiB that an instance begins with.
    pub memory_min_pages: u64,
    /// How large it is.
    pub survey: Survey,
    /// What its code was made by.
    pub tier: Tier,
    /// How long it took to decompress, check and compile.
    pub prepared_in: Duration,
}

impl Binary {
    /// Takes a binary and hashes it, which takes milliseconds where it has megabytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        let hash = BinaryHash::of(&bytes);
        Self { bytes: Arc::new(bytes), hash }
    }

    /// The bytes as they were delivered.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Their hash.
    #[must_use]
    pub fn hash(&self) -> BinaryHash {
        self.hash
    }
}

impl std::fmt::Debug for Binary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Binary").field("hash", &self.hash).finish_non_exhaustive()
    }
}

impl BinaryHash {
    /// Hashes a binary.
    #[must_use]
    pub fn of(binary: &[u8]) -> Self {
        Self(Sha256::digest(binary).into())
    }
}

impl Module {
    /// Decompresses, checks, compiles and links a binary.
    ///
    /// Where Winch cannot compile it, or is not there, it is optimized even if [`Tier::Baseline`] was
    /// asked for; [`Facts::tier`] tells.
    ///
    /// This takes the engine's compiling threads for seconds when the binary is large, and the calling
    /// thread waits; [`crate::ModuleCache`] does it aside and once.
    ///
    /// # Errors
    ///
    /// [`AdmitError`], in the order of its variants.
    pub fn compile(
        engine: &Engine,
        binary: &Binary,
        limits: &BinaryLimits,
        tier: Tier,
    ) -> Result<Self, AdmitError> {
        engine.compiler().run(|| Self::compile_here(engine, binary, limits, tier))
    }

    /// The same on the calling thread and those that belong to it.
    pub(crate) fn compile_here(
        engine: &Engine,
        binary: &Binary,
        limits: &BinaryLimits,
        tier: Tier,
    ) -> Result<Self, AdmitError> {
        let start = Instant::now();
        let bytes = admit::unpack(binary.bytes(), limits)?;
        let survey = Survey::of(&bytes, limits, &engine.capacity())?;
        let (module, tier) = translate(engine, &bytes, tier)?;
        admit::check_exports(&module)?;
        let abi = admit::abi(&module)?;
        let pre = link(&module, &abi).map_err(|error| AdmitError::Link(error.into()))?;
        // The image of the initial memory is made now, not by the first run.
        module.initialize_copy_on_write_image().map_err(|e| AdmitError::Compile(e.into()))?;
        let facts = Facts {
            label: abi.label,
            delivered_bytes: binary.bytes().len(),
            module_bytes: bytes.len(),
            resident_bytes: resident_bytes(&module, bytes.len()),
            memory_min_pages: survey.memory_pages,
            survey,
            tier,
            prepared_in: start.elapsed(),
        };
        Ok(Self { pre, hash: binary.hash(), facts })
    }

    /// The hash of the binary it was compiled from.
    #[must_use]
    pub fn hash(&self) -> BinaryHash {
        self.hash
    }

    /// What is known without running it.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Module and name of each import, in order.
    pub fn imports(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pre.module().imports().map(|import| (import.module(), import.name()))
    }

    pub(crate) fn pre(&self) -> &InstancePre<State> {
        &self.pre
    }
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module").field("hash", &self.hash).field("facts", &self.facts).finish()
    }
}

/// Compiles in the tier that is asked for if that can be done; else as well as possible.
fn translate(
    engine: &Engine,
    bytes: &[u8],
    tier: Tier,
) -> Result<(wasmtime::Module, Tier), AdmitError> {
    if let (Tier::Baseline, Some(wasm)) = (tier, engine.wasm(tier)) {
        match wasmtime::Module::from_binary(wasm, bytes) {
            Ok(module) => return Ok((module, tier)),
            Err(error) => tracing::debug!(%error, "no baseline code"),
        }
    }
    let module = wasmtime::Module::from_binary(engine.optimized(), bytes);
    let module = module.map_err(|error| AdmitError::Compile(error.into()))?;
    Ok((module, Tier::Optimized))
}

pub(crate) fn link(
    module: &wasmtime::Module,
    abi: &admit::Abi,
) -> wasmtime::Result<InstancePre<State>> {
    let mut linker = Linker::new(module.engine());
    imports::define(&mut linker, module, abi)?;
    wasi::define(&mut linker)?;
    linker.instantiate_pre(module)
}

/// The compiled image and, as an upper bound of the initial memory's image, the module itself.
fn resident_bytes(module: &wasmtime::Module, module_bytes: usize) -> u64 {
    let image = module.image_range();
    let image = image.end.addr().saturating_sub(image.start.addr());
    u64::try_from(image.saturating_add(module_bytes)).unwrap_or(u64::MAX)
}
