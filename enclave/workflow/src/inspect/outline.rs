//! What the sections before the code say: read as far as they can be read, and believed by nobody.

use std::fmt;

use wasmparser::{
    BinaryReaderError, CompositeInnerType, Encoding, ExternalKind, FuncType, Parser, Payload,
    TypeRef, ValType,
};

use super::Inspection;

/// The outline of a module.
#[derive(Debug, Default)]
pub(super) struct Outline {
    pub(super) imports: Vec<Import>,
    /// Whether the export `memory` is a memory, if there is one.
    pub(super) memory_export: Option<bool>,
    /// Whether there is a function `_start` without parameters and results.
    pub(super) has_start: bool,
    pub(super) memory: Option<Span>,
    pub(super) table: Option<Span>,
    types: Vec<Option<FuncType>>,
    /// Index of the type of each function, imported ones first.
    functions: Vec<u32>,
}

/// From how much to how much; no maximum is no limit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// What an instance begins with.
    pub min: u64,
    /// What it may grow to.
    pub max: Option<u64>,
}

/// Something a module imports. Displayed as `env.log (i32 i32)->()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The module's name.
    pub module: String,
    /// Its own.
    pub name: String,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Function(FuncType),
    Other(&'static str),
}

impl Outline {
    /// Reads a core module until something in it cannot be read.
    pub(super) fn read(module: &[u8]) -> Self {
        let mut outline = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            let Ok(payload) = payload else { break };
            if let Payload::CodeSectionStart { .. }
            | Payload::Version { encoding: Encoding::Component, .. } = payload
            {
                break;
            }
            if outline.section(payload).is_err() {
                break;
            }
        }
        outline
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "other sections say nothing of the outline")]
    fn section(&mut self, payload: Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::TypeSection(groups) => {
                for group in groups {
                    self.types.extend(group?.into_types().map(
                        |ty| match ty.composite_type.inner {
                            CompositeInnerType::Func(ty) => Some(ty),
                            CompositeInnerType::Array(_)
                            | CompositeInnerType::Struct(_)
                            | CompositeInnerType::Cont(_) => None,
                        },
                    ));
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    self.import(&import);
                }
            }
            Payload::FunctionSection(functions) => {
                for ty in functions {
                    self.functions.push(ty?);
                }
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    let ty = table?.ty;
                    let span = Span { min: ty.initial, max: ty.maximum };
                    self.table.get_or_insert(span);
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    let memory = memory?;
                    let span = Span { min: memory.initial, max: memory.maximum };
                    self.memory.get_or_insert(span);
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    self.export(export.name, export.kind, export.index);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn import(&mut self, import: &wasmparser::Import<'_>) {
        let kind = match import.ty {
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                self.functions.push(ty);
                self.type_of(ty).cloned().map_or(Kind::Other("function"), Kind::Function)
            }
            TypeRef::Table(_) => Kind::Other("table"),
            TypeRef::Memory(_) => Kind::Other("memory"),
            TypeRef::Global(_) => Kind::Other("global"),
            TypeRef::Tag(_) => Kind::Other("tag"),
        };
        if self.imports.len() < Inspection::IMPORTS {
            let (module, name) = (import.module.to_owned(), import.name.to_owned());
            self.imports.push(Import { module, name, kind });
        }
    }

    fn export(&mut self, name: &str, kind: ExternalKind, index: u32) {
        match name {
            "memory" => self.memory_export = Some(kind == ExternalKind::Memory),
            "_start" if kind == ExternalKind::Func => {
                let index = usize::try_from(index).unwrap_or(usize::MAX);
                let ty = self.functions.get(index).and_then(|ty| self.type_of(*ty));
                self.has_start =
                    ty.is_some_and(|ty| ty.params().is_empty() && ty.results().is_empty());
            }
            _ => {}
        }
    }

    fn type_of(&self, index: u32) -> Option<&FuncType> {
        self.types.get(usize::try_from(index).ok()?)?.as_ref()
    }
}

impl Import {
    /// Its type: `(i32 i32)->(i64)` of a function, else the word for what it is.
    #[must_use]
    pub fn type_text(&self) -> String {
        match &self.kind {
            Kind::Function(ty) => format!("({})->({})", list(ty.params()), list(ty.results())),
            Kind::Other(word) => (*word).to_owned(),
        }
    }

    /// How many parameters it has, if it is a function.
    pub(super) fn parameters(&self) -> Option<usize> {
        match &self.kind {
            Kind::Function(ty) => Some(ty.params().len()),
            Kind::Other(_) => None,
        }
    }

    /// A module that has this import and nothing else; `None` if no host function has such a type.
    pub(super) fn alone(&self) -> Option<Vec<u8>> {
        let Kind::Function(ty) = &self.kind else { return None };
        let mut types = vec![1, 0x60];
        for values in [ty.params(), ty.results()] {
            number(&mut types, values.len());
            for value in values {
                types.push(code(*value)?);
            }
        }
        let mut imports = vec![1];
        for name in [&self.module, &self.name] {
            number(&mut imports, name.len());
            imports.extend_from_slice(name.as_bytes());
        }
        // A function, of the first type.
        imports.extend_from_slice(&[0, 0]);
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        for (id, section) in [(1, types), (2, imports)] {
            module.push(id);
            number(&mut module, section.len());
            module.extend_from_slice(&section);
        }
        Some(module)
    }
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} {}", self.module, self.name, self.type_text())
    }
}

fn list(values: &[ValType]) -> String {
    let words: Vec<_> = values.iter().map(ValType::to_string).collect();
    words.join(" ")
}

/// The code of a value type that host functions may have.
fn code(value: ValType) -> Option<u8> {
    match value {
        ValType::I32 => Some(0x7f),
        ValType::I64 => Some(0x7e),
        ValType::F32 => Some(0x7d),
        ValType::F64 => Some(0x7c),
        ValType::V128 => Some(0x7b),
        ValType::Ref(_) => None,
    }
}

/// Writes a number as LEB128.
fn number(bytes: &mut Vec<u8>, number: usize) {
    prost::encoding::encode_varint(u64::try_from(number).unwrap_or(u64::MAX), bytes);
}
