//! Conformance: what nodes sign, and how many of them signed alike.

use std::{collections::BTreeMap, fmt::Write as _};

use enclave_sdk::{
    Consensus, FromValue as _, ToValue as _, WorkflowError,
    consensus::{Aggregation, Frequency},
    messages::values::Value,
};
use workflows::perform_node_action;

fn main() {
    workflows::on_basic_trigger(|runtime| {
        let fields =
            [("payload", Aggregation::Identical), ("signatures", Aggregation::FrequencyList)];
        let agreed = runtime.in_node_mode(Consensus::fields(fields), |node| {
            let number = perform_node_action(node)?;
            let bytes = |text: &str| format!("{text}-{number}").into_bytes().to_value();
            let members = [("payload", bytes("payload")?), ("signatures", bytes("sig")?)];
            Ok(BTreeMap::from(members.map(|(name, value)| (name.to_owned(), value))))
        });
        text(agreed.wait()?)
    });
}

fn text(mut agreed: BTreeMap<String, Value>) -> Result<String, WorkflowError> {
    let payload = Vec::<u8>::from_value(agreed.remove("payload").ok_or("no payload")?)?;
    let signatures = agreed.remove("signatures").ok_or("no signatures")?;
    let signatures = Vec::<Frequency<Vec<u8>>>::from_value(signatures)?;
    let signatures =
        signatures.iter().map(|entry| format!("{}x{}", hex(&entry.value), entry.count));
    Ok(format!("{}|{}", hex(&payload), signatures.collect::<Vec<_>>().join(",")))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
