//! Conformance: returns its configuration.

fn main() {
    workflows::on_basic_trigger(|runtime| Ok(runtime.config().to_vec()));
}
