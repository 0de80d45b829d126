//! Which binaries are let in: their sizes, their encoding, and what they must be (1.1 to 1.4).

use std::{
    borrow::Cow,
    fmt,
    io::{self, Read as _},
    sync::Arc,
    time::Duration,
};

use crate::BinaryLimits;

/// Why a binary is not let in.
///
/// The reference meets [`AdmitError::Legacy`], [`AdmitError::NoStart`] and [`AdmitError::Link`] only
/// when it executes; here they are known before anything runs. All others it meets when it creates
/// its module.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AdmitError {
    /// The binary, as delivered or decompressed, is too large.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The bytes are neither a core module nor a brotli stream.
    #[error("failed to decompress binary: {0}")]
    Decompress(io::ErrorKind),
    /// Compiling the module would take too long, or too much memory.
    #[error("error creating wasmtime module: {0}")]
    TooComplex(#[from] TooComplex),
    /// The module is valid, but uses what is refused here: shared or 64-bit memory, several
    /// memories, exceptions, garbage collection, stack switching, components.
    #[error("module uses a WebAssembly feature that is refused here: {0}")]
    Feature(Cause),
    /// The module is invalid or beyond what the engine can hold.
    #[error("error creating wasmtime module: {0}")]
    Compile(Cause),
    /// There is no memory under the name `memory`.
    #[error(transparent)]
    Memory(#[from] MemoryExport),
    /// The module imports no version marker.
    #[error("cannot execute a legacy dag workflow")]
    Legacy,
    /// There is no function `_start` without parameters and results.
    #[error("could not get start function")]
    NoStart,
    /// The module imports something that does not exist or has another type.
    #[error("error linking wasm: {0}")]
    Link(Cause),
    /// Too many binaries of this owner wait to be compiled, or there is no memory to compile one more.
    /// Trying again later helps.
    #[error("no room to compile the binary now")]
    Busy {
        /// When, if that is known.
        retry_after: Option<Duration>,
    },
    /// The compilation ended early. Trying again may help.
    #[error("compilation was aborted")]
    Aborted,
}

/// What of a module is beyond a limit. The reference has none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooComplex {
    /// Its code.
    #[error("code of {got} bytes exceeds the limit of {limit} bytes")]
    Code {
        /// Bytes read until it was given up.
        got: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// One function.
    #[error("function of {got} bytes exceeds the limit of {limit} bytes")]
    Function {
        /// Bytes of the body.
        got: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The number of functions.
    #[error("{got} functions exceed the limit of {limit}")]
    Functions {
        /// Functions it has.
        got: u64,
        /// Functions allowed.
        limit: u64,
    },
    /// What compiling it takes.
    #[error("compiling takes an effort of {got}, which exceeds the limit of {limit}")]
    Effort {
        /// As of [`crate::Survey::effort`], for the functions read until it was given up.
        got: u64,
        /// The effort allowed.
        limit: u64,
    },
    /// What compiling one function takes.
    #[error("compiling one function takes an effort of {got}, which exceeds the limit of {limit}")]
    FunctionEffort {
        /// As of [`crate::Survey::function_effort`].
        got: u64,
        /// The effort allowed.
        limit: u64,
    },
    /// What compiling it holds at the same time.
    #[error("compiling takes {got} bytes of memory, more than there will be")]
    Memory {
        /// Bytes, estimated.
        got: u64,
    },
    /// What its tables begin with.
    #[error("tables of {got} elements exceed the limit of {limit}")]
    Table {
        /// Elements it asks for.
        got: u64,
        /// Elements that an instance may have.
        limit: u64,
    },
}

/// A binary is larger than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// As delivered.
    #[error(
        "compressed binary size exceeds the maximum allowed size: limited: cannot use {}, limit is {}",
        Size(*got), Size(*limit)
    )]
    Compressed {
        /// Bytes delivered.
        got: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Once decompressed.
    #[error(
        "decompressed binary size reached the maximum allowed size: limited: cannot use {}, limit is {}",
        Size(*got), Size(*limit)
    )]
    Decompressed {
        /// Bytes decompressed until it was given up: at most one more than the limit.
        got: u64,
        /// Bytes allowed.
        limit: u64,
    },
}

/// What is wrong with a module's export `memory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemoryExport {
    /// There is none.
    #[error("module does not export \"memory\"")]
    Missing,
    /// It is something else.
    #[error("module export \"memory\" is not a memory")]
    OtherKind,
}

/// What the engine said about a module, cut to 1,000 characters.
#[derive(Clone)]
pub struct Cause(Arc<wasmtime::Error>);

/// Which generation of the interface a module speaks (1.4).
#[derive(Debug)]
pub(crate) struct Abi {
    /// The version marker it imports; of several the last, as the reference has it.
    pub(crate) label: String,
    /// Whether its `call_capability` has a response buffer.
    pub(crate) call_has_response: bool,
}

/// Gives the module's bytes, decompressed if they are not a core module already.
///
/// A core module is known by its first four bytes, so both forms are always accepted. Memory grows
/// with what the stream yields and stops one byte beyond the limit.
pub(crate) fn unpack<'b>(
    binary: &'b [u8],
    limits: &BinaryLimits,
) -> Result<Cow<'b, [u8]>, AdmitError> {
    if binary.starts_with(MAGIC) {
        fits(binary.len(), binary.len(), limits)?;
        return Ok(Cow::Borrowed(binary));
    }
    fits(binary.len(), 0, limits)?;
    let mut module = Vec::new();
    brotli::Decompressor::new(binary, DECOMPRESS_BUFFER_BYTES)
        .take(limits.decompressed_bytes.saturating_add(1))
        .read_to_end(&mut module)
        .map_err(|error| AdmitError::Decompress(error.kind()))?;
    fits(binary.len(), module.len(), limits)?;
    Ok(Cow::Owned(module))
}

/// Whether a binary and the module in it are within their limits. A binary that is the module itself
/// is not compressed.
pub(crate) fn fits(
    delivered_bytes: usize,
    module_bytes: usize,
    limits: &BinaryLimits,
) -> Result<(), TooLarge> {
    let is_compressed = delivered_bytes != module_bytes;
    let (got, limit) = (length(delivered_bytes), limits.compressed_bytes);
    if is_compressed && got > limit {
        return Err(TooLarge::Compressed { got, limit });
    }
    let (got, limit) = (length(module_bytes), limits.decompressed_bytes);
    if got > limit {
        // A stream is read to one byte beyond the limit; one that is known already is told alike.
        let got = if is_compressed { limit.saturating_add(1) } else { got };
        return Err(TooLarge::Decompressed { got, limit });
    }
    Ok(())
}

/// Checks what a module must export.
pub(crate) fn check_exports(module: &wasmtime::Module) -> Result<(), AdmitError> {
    match module.get_export("memory") {
        None => return Err(MemoryExport::Missing.into()),
        Some(export) if export.memory().is_none() => return Err(MemoryExport::OtherKind.into()),
        Some(_) => {}
    }
    let start = module.get_export("_start");
    let start = start.as_ref().and_then(wasmtime::ExternType::func).ok_or(AdmitError::NoStart)?;
    if start.params().len() == 0 && start.results().len() == 0 {
        return Ok(());
    }
    Err(AdmitError::NoStart)
}

/// Reads a module's generation from its imports.
pub(crate) fn abi(module: &wasmtime::Module) -> Result<Abi, AdmitError> {
    let mut label = None;
    let mut call_has_response = false;
    for import in module.imports().filter(|import| import.module() == "env") {
        if import.name().starts_with(MARKER) {
            label = Some(import.name().to_owned());
        }
        if import.name() == "call_capability" {
            let parameters = import.ty().func().map_or(0, |func| func.params().len());
            call_has_response = parameters == 4;
        }
    }
    let label = label.ok_or(AdmitError::Legacy)?;
    Ok(Abi { label, call_has_response })
}

impl From<wasmtime::Error> for Cause {
    fn from(error: wasmtime::Error) -> Self {
        Self(Arc::new(error))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names in the text come from the module: no line breaks, no end.
        let text = format!("{:#}", self.0);
        text.chars()
            .take(CAUSE_CHARS)
            .try_for_each(|c| fmt::Write::write_char(f, if c.is_control() { ' ' } else { c }))
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cause({self})")
    }
}

/// A size as the reference writes it: decimal units, no trailing zeros.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1_000_000_000_000, 12, "tb"), (1_000_000_000, 9, "gb"), (1_000_000, 6, "mb")];
        let units = units.into_iter().chain([(1_000, 3, "kb")]);
        for (unit, digits, name) in units {
            let (Some(whole), Some(rest)) = (self.0.checked_div(unit), self.0.checked_rem(unit))
            else {
                continue;
            };
            if whole > 0 {
                let rest = format!("{rest:0digits$}");
                let rest = rest.trim_end_matches('0');
                let point = if rest.is_empty() { "" } else { "." };
                return write!(f, "{whole}{point}{rest}{name}");
            }
        }
        write!(f, "{}b", self.0)
    }
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// How a core module begins; components begin the same way and fail to compile.
const MAGIC: &[u8] = b"\0asm";

/// How the names of version markers begin. A module may import several: all are linked.
pub(crate) const MARKER: &str = "version_v2";

const DECOMPRESS_BUFFER_BYTES: usize = 64 * 1024;

const CAUSE_CHARS: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> BinaryLimits {
        BinaryLimits { compressed_bytes: 50, decompressed_bytes: 1_000, ..BinaryLimits::default() }
    }

    fn compressed(bytes: &[u8]) -> Vec<u8> {
        let mut stream = Vec::new();
        let mut bytes = bytes;
        let params = brotli::enc::BrotliEncoderParams::default();
        brotli::BrotliCompress(&mut bytes, &mut stream, &params).unwrap();
        stream
    }

    fn refusal(binary: &[u8]) -> String {
        unpack(binary, &small()).unwrap_err().to_string()
    }

    #[test]
    fn sizes_are_written_in_decimal_units() {
        let cases = [(0, "0b"), (999, "999b"), (1_000, "1kb"), (791_725, "791.725kb")];
        for (bytes, text) in cases {
            assert_eq!(Size(bytes).to_string(), text);
        }
        assert_eq!(Size(1_000_001).to_string(), "1.000001mb");
        assert_eq!(Size(20_971_520).to_string(), "20.97152mb");
        assert_eq!(Size(2_500_000_000).to_string(), "2.5gb");
    }

    #[test]
    fn a_core_module_is_taken_as_it_is() {
        let module = b"\0asm\x01\0\0\0";
        assert_eq!(unpack(module, &small()).unwrap(), Cow::Borrowed(&module[..]));
    }

    #[test]
    fn a_brotli_stream_is_decompressed_up_to_the_limit_inclusive() {
        let module = vec![b'm'; 1_000];
        assert_eq!(unpack(&compressed(&module), &small()).unwrap(), module);
        assert_eq!(
            refusal(&compressed(&vec![b'm'; 1_001])),
            "decompressed binary size reached the maximum allowed size: \
             limited: cannot use 1.001kb, limit is 1kb"
        );
    }

    #[test]
    fn a_bomb_is_given_up_one_byte_beyond_the_limit() {
        let bomb = compressed(&vec![0; 40_000_000]);
        let limits = BinaryLimits { decompressed_bytes: 5_000, ..BinaryLimits::default() };
        let error = unpack(&bomb, &limits).unwrap_err();
        assert!(matches!(
            error,
            AdmitError::TooLarge(TooLarge::Decompressed { got: 5_001, limit: 5_000 })
        ));
    }

    #[test]
    fn a_large_stream_is_not_even_opened() {
        assert_eq!(
            refusal(&[b'x'; 51]),
            "compressed binary size exceeds the maximum allowed size: \
             limited: cannot use 51b, limit is 50b"
        );
        assert!(refusal(&[b'x'; 50]).starts_with("failed to decompress binary: "));
    }

    #[test]
    fn a_large_core_module_is_refused_without_brotli_too() {
        let mut module = b"\0asm".to_vec();
        module.resize(1_001, 0);
        assert!(refusal(&module).starts_with("decompressed binary size reached"));
    }

    #[test]
    fn w_60_limits_above_the_references_are_kept_too() {
        let binary = vec![b'x'; 21 * 1024 * 1024];
        let limits = BinaryLimits { compressed_bytes: 30 * 1024 * 1024, ..BinaryLimits::default() };
        assert!(matches!(unpack(&binary, &limits), Err(AdmitError::Decompress(_))));
        let error = unpack(&binary, &BinaryLimits::default()).unwrap_err();
        assert!(matches!(error, AdmitError::TooLarge(_)));
    }

    #[test]
    fn a_cut_stream_is_refused() {
        let stream = compressed(b"workflow workflow workflow");
        let cut = &stream[..stream.len() - 3];
        assert!(refusal(cut).starts_with("failed to decompress binary: "));
        assert!(refusal(&[]).starts_with("failed to decompress binary: "));
    }

    #[test]
    fn what_the_engine_says_is_one_bounded_line() {
        let cause = Cause::from(wasmtime::Error::msg("a\nb".repeat(1_000)));
        assert_eq!(cause.to_string().chars().count(), CAUSE_CHARS);
        assert!(!cause.to_string().contains('\n'));
    }
}
