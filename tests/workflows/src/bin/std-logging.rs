//! Conformance: writes one log line.

fn main() {
    workflows::on_basic_trigger(|runtime| {
        runtime.log("log from wasm!");
        Ok(runtime.config().to_vec())
    });
}
