//! Workflow binaries: any bytes, any valid module, and modules of the shape of a workflow.
//!
//! Holds: a binary is let in or refused with a short text, the same in both tiers; a module of that shape
//! which uses what is accepted is let in, unless it names no version.
//!
//! Memory: 4,096 times. The generator makes more of an input than it is given, and the compiler holds many
//! times the code that it reads; the constant is for a stream that unpacks to its limit, a megabyte.

#![no_main]

use std::sync::LazyLock;

use enclave_workflow::{
    AdmitError, Binary, BinaryHash, BinaryLimits, Capacity, Engine, Module, Tier,
};
use fuzz::{Bound, Input, guest};
use libfuzzer_sys::arbitrary::{Arbitrary as _, Unstructured};
use wasm_smith::Config;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (engine, shape) = (&*ENGINE, &*SHAPE);
    BOUND.hold(input, || {
        let mut input = Input::new(input);
        let kind = input.below(3);
        let mut rest = Unstructured::new(input.rest());
        match kind {
            0 => drop(admit(engine, input.rest())),
            1 => {
                let Ok(config) = Config::arbitrary(&mut rest) else { return };
                let Ok(module) = wasm_smith::Module::new(config, &mut rest) else { return };
                drop(admit(engine, &module.to_bytes()));
            }
            _ => {
                let Ok(module) = wasm_smith::Module::new(workflow(shape), &mut rest) else {
                    return;
                };
                let refusal = admit(engine, &module.to_bytes());
                assert!(matches!(refusal, None | Some(AdmitError::Legacy)), "{refusal:?}");
            }
        }
    });
});

/// Compiles a binary in each tier; gives why it is refused.
fn admit(engine: &Engine, binary: &[u8]) -> Option<AdmitError> {
    let [baseline, optimized] =
        [Tier::Baseline, Tier::Optimized].map(|tier| compile(engine, binary, tier));
    let text = |refusal: &Option<AdmitError>| refusal.as_ref().map(ToString::to_string);
    assert_eq!(text(&baseline), text(&optimized));
    optimized
}

fn compile(engine: &Engine, binary: &[u8], tier: Tier) -> Option<AdmitError> {
    match Module::compile(engine, &Binary::new(binary.to_vec()), &limits(), tier) {
        Ok(module) => {
            assert_eq!(module.hash(), BinaryHash::of(binary));
            assert!(module.facts().label.starts_with("version_v2"));
            assert_eq!(module.facts().delivered_bytes, binary.len());
            None
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.chars().count() < 1200 && !text.contains('\n'), "{text}");
            Some(error)
        }
    }
}

/// Modules with the imports and exports of a workflow and the features that are accepted.
fn workflow(shape: &[u8]) -> Config {
    Config {
        available_imports: Some(shape.to_vec()),
        exports: Some(shape.to_vec()),
        allow_start_export: false,
        custom_descriptors_enabled: false,
        exceptions_enabled: false,
        gc_enabled: false,
        // The exported one comes on top.
        max_memories: 0,
        max_memory32_bytes: 1 << 20,
        max_table_elements: 1000,
        max_tables: 1,
        memory64_enabled: false,
        // References to what the host holds belong to garbage collection here.
        reference_types_enabled: false,
        threads_enabled: false,
        ..Config::default()
    }
}

static ENGINE: LazyLock<Engine> =
    LazyLock::new(|| Engine::new(Capacity::default()).expect("an engine"));

static SHAPE: LazyLock<Vec<u8>> = LazyLock::new(|| guest::module(&[], &[]));

/// Small enough that a stream which unpacks to its limit costs little.
fn limits() -> BinaryLimits {
    BinaryLimits {
        compressed_bytes: 64 * 1024,
        decompressed_bytes: 1024 * 1024,
        ..BinaryLimits::default()
    }
}

const BOUND: Bound = Bound { times: 4096, plus: 64 * 1024 * 1024 };
