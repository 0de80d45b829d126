//! One pass over a module before it is compiled: whether it is valid, and what compiling it takes.
//!
//! A compilation cannot be interrupted, so what it may cost is decided here. Validation costs a
//! hundredth of it, and nothing invalid reaches the compiler.

use std::cmp::Reverse;

use wasmparser::{
    BinaryReaderError, FuncValidator, FuncValidatorAllocations, FunctionBody, OperatorsReader,
    Parser, Payload, ValidPayload, Validator, ValidatorResources, WasmFeatures,
};

use crate::{AdmitError, BinaryLimits, Capacity, TooComplex, effort::Effort, engine};

/// How large a module is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Functions with a body.
    pub functions: u64,
    /// Bytes of all bodies.
    pub code_bytes: u64,
    /// Bytes of the largest body.
    pub function_bytes: u64,
    /// Bytes of the eight largest bodies, the smallest of them last.
    pub largest_functions: [u64; 8],
    /// What compiling all bodies takes, estimated; the unit is about one simple operator.
    pub effort: u64,
    /// The same for the body that takes most.
    pub function_effort: u64,
    /// Bytes of all data segments.
    pub data_bytes: u64,
    /// Elements that its tables begin with.
    pub table_elements: u64,
    /// Pages of 64 KiB that its memory begins with.
    pub memory_pages: u64,
    /// Pages that its memory may grow to, where it says so itself.
    pub memory_max_pages: Option<u64>,
}

impl Survey {
    /// Reads a core module.
    ///
    /// # Errors
    ///
    /// - [`AdmitError::TooComplex`] if it goes beyond a limit, as soon as that is known.
    /// - [`AdmitError::Feature`] if it is valid, but uses what is refused here.
    /// - [`AdmitError::Compile`] if it is invalid, or an instance would not fit into the capacity.
    pub(crate) fn of(
        module: &[u8],
        limits: &BinaryLimits,
        capacity: &Capacity,
    ) -> Result<Self, AdmitError> {
        let mut survey = Self::default();
        match survey.read(module, limits) {
            Ok(()) => {}
            Err(Refused::Limit(error)) => return Err(error.into()),
            Err(Refused::Invalid(error)) => {
                let valid = Validator::new_with_features(WasmFeatures::all()).validate_all(module);
                let cause = wasmtime::Error::from(error).into();
                return Err(if valid.is_ok() {
                    AdmitError::Feature(cause)
                } else {
                    AdmitError::Compile(cause)
                });
            }
        }
        let limit = u64::from(capacity.table_elements);
        within(survey.table_elements, limit, |got, limit| TooComplex::Table { got, limit })?;
        Ok(survey)
    }

    /// Whether compiling it keeps within the limits.
    pub(crate) fn fits(&self, limits: &BinaryLimits) -> Result<(), TooComplex> {
        within(self.functions, limits.functions, |got, limit| TooComplex::Functions {
            got,
            limit,
        })?;
        within(self.code_bytes, limits.code_bytes, |got, limit| TooComplex::Code { got, limit })?;
        within(self.function_bytes, limits.function_bytes, |got, limit| TooComplex::Function {
            got,
            limit,
        })?;
        within(self.effort, limits.effort, |got, limit| TooComplex::Effort { got, limit })?;
        within(self.function_effort, limits.function_effort, |got, limit| {
            TooComplex::FunctionEffort { got, limit }
        })
    }

    fn read(&mut self, module: &[u8], limits: &BinaryLimits) -> Result<(), Refused> {
        let mut validator = Validator::new_with_features(engine::accepted_features());
        let mut allocations = FuncValidatorAllocations::default();
        let mut effort = Effort::default();
        for payload in Parser::new(0).parse_all(module) {
            let payload = payload?;
            if let ValidPayload::Func(function, body) = validator.payload(&payload)? {
                let mut function = function.into_validator(allocations);
                self.function(&mut function, &body, &mut effort, limits)?;
                allocations = function.into_allocations();
            }
            self.section(payload)?;
            self.fits(limits)?;
        }
        Ok(())
    }

    /// Notes what a section announces; the validator has counted its items already.
    #[expect(clippy::wildcard_enum_match_arm, reason = "other sections add nothing")]
    fn section(&mut self, payload: Payload<'_>) -> Result<(), Refused> {
        match payload {
            Payload::CodeSectionStart { count, .. } => self.functions = count.into(),
            Payload::TableSection(tables) => {
                for table in tables {
                    self.table_elements = self.table_elements.saturating_add(table?.ty.initial);
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    let memory = memory?;
                    self.memory_pages = self.memory_pages.saturating_add(memory.initial);
                    self.memory_max_pages = memory.maximum;
                }
            }
            Payload::DataSection(segments) => {
                for segment in segments {
                    let segment = segment?;
                    let bytes = u64::try_from(segment.data.len()).unwrap_or(u64::MAX);
                    self.data_bytes = self.data_bytes.saturating_add(bytes);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn function(
        &mut self,
        function: &mut FuncValidator<ValidatorResources>,
        body: &FunctionBody<'_>,
        effort: &mut Effort,
        limits: &BinaryLimits,
    ) -> Result<(), Refused> {
        let bytes = u64::try_from(body.range().len()).unwrap_or(u64::MAX);
        self.code_bytes = self.code_bytes.saturating_add(bytes);
        self.function_bytes = self.function_bytes.max(bytes);
        if let Some(least) = self.largest_functions.last_mut().filter(|least| **least < bytes) {
            *least = bytes;
            self.largest_functions.sort_unstable_by_key(|bytes| Reverse(*bytes));
        }
        self.fits(limits)?;
        let mut reader = body.get_binary_reader();
        function.read_locals(&mut reader)?;
        reader.set_features(engine::accepted_features());
        effort.begin(function.len_locals());
        let mut operators = OperatorsReader::new(reader);
        while !operators.eof() {
            let (operator, offset) = operators.read_with_offset()?;
            if let Some(arity) = operator.operator_arity(function) {
                effort.add(&operator, arity);
            }
            function.op(offset, &operator)?;
        }
        operators.finish()?;
        self.effort = self.effort.saturating_add(effort.function());
        self.function_effort = self.function_effort.max(effort.function());
        Ok(())
    }
}

/// Why a module is not read to its end.
enum Refused {
    Invalid(BinaryReaderError),
    Limit(TooComplex),
}

impl From<BinaryReaderError> for Refused {
    fn from(error: BinaryReaderError) -> Self {
        Self::Invalid(error)
    }
}

impl From<TooComplex> for Refused {
    fn from(error: TooComplex) -> Self {
        Self::Limit(error)
    }
}

fn within(
    got: u64,
    limit: u64,
    error: impl FnOnce(u64, u64) -> TooComplex,
) -> Result<(), TooComplex> {
    if got > limit { Err(error(got, limit)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_that_names_no_maximum_has_none() {
        for (memory, expected) in [("(memory 3)", None), ("(memory 3 7)", Some(7))] {
            let module = wat::parse_str(format!("(module {memory})")).unwrap();
            let survey = Survey::of(&module, &BinaryLimits::default(), &Capacity::default());
            let survey = survey.unwrap();
            assert_eq!((survey.memory_pages, survey.memory_max_pages), (3, expected));
        }
    }
}
