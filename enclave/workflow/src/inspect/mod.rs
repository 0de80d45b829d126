//! All that can be said about a binary before it runs, and every reason to refuse it.
//!
//! Admission stops at the first reason; whoever wrote the workflow wants all of them. What is said
//! here about a binary agrees with [`Module::compile`]: that is asked last, and has the last word.

mod outline;

use wasmparser::{Validator, WasmFeatures};

use self::outline::Outline;
use crate::{
    AdmitError, Binary, BinaryHash, BinaryLimits, Capacity, Engine, MemoryExport, Module, Outcome,
    RequirementsError, Survey, TeeProvider, Tier, TooLarge,
    admit::{self, Abi, Cause},
    engine, module, router, satisfies,
};

pub use outline::{Import, Span};

/// What is known about a binary.
#[derive(Debug, Default)]
pub struct Inspection {
    /// Bytes of the core module, if it could be decompressed.
    pub module_bytes: Option<usize>,
    /// SHA-256 of the core module.
    pub module_hash: Option<BinaryHash>,
    /// The version markers it imports, in order.
    pub markers: Vec<String>,
    /// Parameters of its import `call_capability`: 2, or 4 with a response buffer.
    pub call_parameters: Option<usize>,
    /// What it imports, in order, at most [`Inspection::IMPORTS`] of it.
    pub imports: Vec<Import>,
    /// Pages of 64 KiB of its first memory.
    pub memory: Option<Span>,
    /// Elements of its first table.
    pub table: Option<Span>,
    /// How large it is, if it is valid.
    pub survey: Option<Survey>,
    /// Why it would be refused, in the order in which admission looks. Without any it is let in.
    pub refusals: Vec<AdmitError>,
    /// The module, unless it is refused.
    pub module: Option<Module>,
}

impl Inspection {
    /// Imports that are listed and judged; an SDK's workflow has thirty.
    pub const IMPORTS: usize = 1_000;

    /// Inspects a binary, and compiles it, optimized, unless it is refused.
    #[must_use]
    pub fn of(engine: &Engine, binary: &Binary, limits: &BinaryLimits) -> Self {
        let mut inspection = Self::default();
        inspection.read(engine, binary, limits);
        if inspection.refusals.is_empty() {
            match Module::compile(engine, binary, limits, Tier::Optimized) {
                Ok(module) => inspection.module = Some(module),
                Err(error) => inspection.refusals.push(error),
            }
        }
        inspection
    }

    fn read(&mut self, engine: &Engine, binary: &Binary, limits: &BinaryLimits) {
        let mut unpacked = admit::unpack(binary.bytes(), limits);
        if let Err(error @ AdmitError::TooLarge(TooLarge::Compressed { .. })) = &unpacked {
            self.refusals.push(error.clone());
            let any = BinaryLimits { compressed_bytes: u64::MAX, ..*limits };
            unpacked = admit::unpack(binary.bytes(), &any);
        }
        let bytes = match unpacked {
            Ok(bytes) => bytes,
            Err(error) => return self.refusals.push(error),
        };
        self.module_bytes = Some(bytes.len());
        self.module_hash = Some(BinaryHash::of(&bytes));
        let is_whole = self.survey(&bytes, limits, &engine.capacity());
        let outline = Outline::read(&bytes);
        (self.memory, self.table) = (outline.memory, outline.table);
        if is_whole {
            self.exports(&outline);
        }
        self.link(engine, outline, is_whole);
    }

    /// Whether the module is valid, if only with features that are refused here.
    fn survey(&mut self, bytes: &[u8], limits: &BinaryLimits, capacity: &Capacity) -> bool {
        match Survey::of(bytes, &any_complexity(limits), capacity) {
            Ok(survey) => {
                for limits in each_complexity(limits) {
                    self.refusals.extend(survey.fits(&limits).err().map(AdmitError::from));
                }
                self.survey = Some(survey);
                true
            }
            Err(AdmitError::Feature(_)) => {
                let used = refused_features(bytes).into_iter();
                let named = used.map(|name| AdmitError::Feature(cause(&name)));
                self.refusals.extend(named);
                true
            }
            Err(error @ AdmitError::TooComplex(_)) => {
                self.refusals.push(error);
                true
            }
            Err(error) => {
                self.refusals.push(error);
                false
            }
        }
    }

    fn exports(&mut self, outline: &Outline) {
        match outline.memory_export {
            Some(true) => {}
            Some(false) => self.refusals.push(MemoryExport::OtherKind.into()),
            None => self.refusals.push(MemoryExport::Missing.into()),
        }
        if !outline.has_start {
            self.refusals.push(AdmitError::NoStart);
        }
    }

    /// Looks for a marker, and links every import on its own.
    fn link(&mut self, engine: &Engine, outline: Outline, is_whole: bool) {
        let of_host = || outline.imports.iter().filter(|import| import.module == "env");
        let markers = of_host().filter(|import| import.name.starts_with(admit::MARKER));
        self.markers = markers.map(|import| import.name.clone()).collect();
        let calls = of_host().filter(|import| import.name == "call_capability");
        self.call_parameters = calls.filter_map(Import::parameters).next_back();
        if self.markers.is_empty() && is_whole {
            self.refusals.push(AdmitError::Legacy);
        }
        let abi = Abi {
            label: self.markers.last().cloned().unwrap_or_default(),
            call_has_response: self.call_parameters == Some(4),
        };
        let mut judged: Vec<&Import> = Vec::new();
        for import in &outline.imports {
            if judged.contains(&import) {
                continue;
            }
            judged.push(import);
            self.refusals.extend(misfit(engine, &abi, import));
        }
        self.imports = outline.imports;
    }
}

/// The subscriptions of an outcome that an enclave like `tee` does not satisfy, by their index.
///
/// # Errors
///
/// [`RequirementsError`] if requirements cannot be read.
pub fn unmet(outcome: &Outcome, tee: &dyn TeeProvider) -> Result<Vec<usize>, RequirementsError> {
    let all = router::requirements(&outcome.encoded).map_err(|_error| RequirementsError)?;
    let mut unmet = Vec::new();
    for (index, requirements) in all.iter().enumerate() {
        if !satisfies(requirements.as_deref(), Some(tee))? {
            unmet.push(index);
        }
    }
    Ok(unmet)
}

/// Why an import cannot be linked: a module with this import alone is linked, by the rule by which
/// all are.
fn misfit(engine: &Engine, abi: &Abi, import: &Import) -> Option<AdmitError> {
    let Some(alone) = import.alone() else {
        let text = format!("{}.{} is no function that exists", import.module, import.name);
        return Some(AdmitError::Link(cause(&text)));
    };
    let alone = match wasmtime::Module::from_binary(engine.optimized(), &alone) {
        Ok(module) => module,
        Err(error) => return Some(AdmitError::Compile(error.into())),
    };
    module::link(&alone, abi).err().map(|error| AdmitError::Link(error.into()))
}

/// The same limits, of sizes alone.
fn any_complexity(limits: &BinaryLimits) -> BinaryLimits {
    let any = u64::MAX;
    let complexity = BinaryLimits { functions: any, code_bytes: any, ..*limits };
    BinaryLimits { function_bytes: any, effort: any, function_effort: any, ..complexity }
}

/// The limits of complexity, each on its own.
fn each_complexity(limits: &BinaryLimits) -> [BinaryLimits; 5] {
    let any = any_complexity(limits);
    [
        BinaryLimits { functions: limits.functions, ..any },
        BinaryLimits { code_bytes: limits.code_bytes, ..any },
        BinaryLimits { function_bytes: limits.function_bytes, ..any },
        BinaryLimits { effort: limits.effort, ..any },
        BinaryLimits { function_effort: limits.function_effort, ..any },
    ]
}

fn cause(text: &str) -> Cause {
    wasmtime::Error::msg(text.to_owned()).into()
}

/// The features of a valid module that are refused here, by name: those without which it is invalid.
fn refused_features(module: &[u8]) -> Vec<String> {
    let is_valid = |features| Validator::new_with_features(features).validate_all(module).is_ok();
    let refused = WasmFeatures::all().difference(engine::accepted_features());
    let used = |(_name, feature): &(&str, WasmFeatures)| {
        !is_valid(WasmFeatures::all().difference(*feature))
    };
    refused.iter_names().filter(used).map(|(name, _feature)| name.to_lowercase()).collect()
}
