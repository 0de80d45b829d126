//! A workflow's module, compiled and linked.

use std::{
    borrow::Cow,
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

/// A binary that may be compiled.
pub(crate) struct Checked<'b> {
    binary: &'b Binary,
    /// The core module.
    bytes: Cow<'b, [u8]>,
    survey: Survey,
    start: Instant,
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
        engine.compiler().run(|| {
            let checked = Checked::new(engine, binary, limits)?;
            checked.compile(engine, tier, |_bytes| Ok(Box::new(())))
        })
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

impl<'b> Checked<'b> {
    /// Decompresses and checks a binary.
    ///
    /// # Errors
    ///
    /// [`AdmitError`], in the order of its variants.
    pub(crate) fn new(
        engine: &Engine,
        binary: &'b Binary,
        limits: &BinaryLimits,
    ) -> Result<Self, AdmitError> {
        let start = Instant::now();
        let bytes = admit::unpack(binary.bytes(), limits)?;
        let survey = Survey::of(&bytes, limits, &engine.capacity())?;
        Ok(Self { binary, bytes, survey, start })
    }

    /// Compiles and links it, on the calling thread and those that belong to it, within the `room` that it
    /// is given for so many bytes of memory.
    ///
    /// # Errors
    ///
    /// [`AdmitError`], in the order of its variants.
    pub(crate) fn compile(
        self,
        engine: &Engine,
        tier: Tier,
        room: impl Fn(u64) -> Result<Box<dyn Send>, AdmitError>,
    ) -> Result<Module, AdmitError> {
        let (module, tier) = self.translate(engine, tier, room)?;
        let Self { binary, bytes, survey, start } = self;
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
        Ok(Module { pre, hash: binary.hash(), facts })
    }
    /// Compiles in the tier that is asked for if that can be done; else as well as possible.
    fn translate(
        &self,
        engine: &Engine,
        tier: Tier,
        room: impl Fn(u64) -> Result<Box<dyn Send>, AdmitError>,
    ) -> Result<(wasmtime::Module, Tier), AdmitError> {
        if let (Tier::Baseline, Some(wasm)) = (tier, engine.wasm(tier)) {
            let _room = room(memory_bytes(&self.survey, self.bytes.len(), tier))?;
            match wasmtime::Module::from_binary(wasm, &self.bytes) {
                Ok(module) => return Ok((module, tier)),
                Err(error) => tracing::debug!(%error, "no baseline code"),
            }
        }
        let _room = room(memory_bytes(&self.survey, self.bytes.len(), Tier::Optimized))?;
        let module = wasmtime::Module::from_binary(engine.optimized(), &self.bytes);
        let module = module.map_err(|error| AdmitError::Compile(error.into()))?;
        Ok((module, Tier::Optimized))
    }
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module").field("hash", &self.hash).field("facts", &self.facts).finish()
    }
}

/// What compiling holds at the same time on the threads that belong to the calling one, about, in bytes:
/// the module, what is made of all its code, and what Cranelift builds of one function on each thread.
pub(crate) fn memory_bytes(survey: &Survey, module_bytes: usize, tier: Tier) -> u64 {
    let module = u64::try_from(module_bytes).unwrap_or(u64::MAX);
    let made = survey.code_bytes.saturating_mul(MADE_PER_CODE);
    let at_work = match tier {
        Tier::Baseline => 0,
        Tier::Optimized => {
            let largest = survey.largest_functions.iter().take(rayon::current_num_threads());
            largest.fold(0, |sum: u64, bytes| sum.saturating_add(*bytes))
        }
    };
    module.saturating_add(made).saturating_add(at_work.saturating_mul(OPTIMIZER_PER_CODE))
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

/// For each byte of code: 22 to 32 of workflows; code that was written for it takes up to 56.
const MADE_PER_CODE: u64 = 40;

/// For each byte of a function at work: 175 of additions, 1,100 of nothing but calls.
const OPTIMIZER_PER_CODE: u64 = 1_100;
