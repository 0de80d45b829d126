//! `params-validation.json`: the rules for params, owners, settings, and the order of secrets.

use protocol::{
    ids::Owner,
    relay::{
        CapabilityRequestParams, Params, SecretEntry, SecretIdentifier, SecretsRequestParams,
        reconcile,
    },
    settings::{SettingsError, WorkflowSettings},
};
use serde_json::{Value, json};
use vectors::{Answer, Case, Text};

use crate::build::Model;

fn answer(case: &Case) -> Answer {
    let input = &case.input;
    match case.op.as_str() {
        "secrets" => validate::<SecretsRequestParams>(&input["params"]),
        "capability" => validate::<CapabilityRequestParams>(&input["params"]),
        "owner" => {
            let owner = Owner::normalised(input["owner"].as_str().unwrap());
            Answer::Value(json!({ "address": owner.to_string() }))
        }
        "settings" => match WorkflowSettings::decode(input["json"].as_str().unwrap().as_bytes()) {
            Ok(_) => Answer::Value(json!({ "valid": true })),
            // The variant inside says more than that decoding failed.
            Err(SettingsError::Decode(error)) => Answer::refused(&error),
            Err(error) => Answer::refused(&error),
        },
        _ => order(input),
    }
}

fn validate<P: Params + Model>(params: &Value) -> Answer {
    match P::build(params).map(|params| params.validate()) {
        Ok(Ok(())) => Answer::Value(json!({ "valid": true })),
        Ok(Err(error)) => Answer::refused(&error),
        Err(refused) => refused,
    }
}

fn order(input: &Value) -> Answer {
    let identifiers = |name: &str| {
        let list = Option::<Vec<SecretIdentifier>>::build(&input[name]);
        list.map(Option::unwrap_or_default)
    };
    let (requested, got) = match (identifiers("requested"), identifiers("got")) {
        (Ok(requested), Ok(got)) => (requested, got),
        (Err(refused), _) | (_, Err(refused)) => return refused,
    };
    let entry = |id| SecretEntry { id, ..SecretEntry::default() };
    let entries: Vec<_> = got.into_iter().map(entry).collect();
    let reconciled = match reconcile(&requested, &entries) {
        Ok(reconciled) => reconciled,
        Err(error) => return Answer::refused(&error),
    };
    let position = |found: &SecretEntry| entries.iter().position(|e| std::ptr::eq(e, found));
    let shown: Vec<_> = reconciled
        .distinct()
        .map(|(id, entry)| json!({ "id": id.show(), "got": entry.and_then(position) }))
        .collect();
    // One output for each input, of the secret that was asked for there (W-21).
    let of_inputs: Vec<_> = reconciled.by_request().collect();
    assert_eq!(of_inputs.len(), requested.len());
    let distinct: Vec<_> = reconciled.distinct().collect();
    for (id, position) in requested.iter().zip(of_inputs) {
        assert_eq!(distinct[position].0, id);
    }
    let entries = if input["requested"].is_null() { Value::Null } else { json!(shown) };
    Answer::Value(json!({ "entries": entries }))
}

#[test]
fn params_are_judged_as_the_reference_judges_them() {
    let ops = ["capability", "order_secrets", "owner", "secrets", "settings"];
    let text = |case: &Case| match case.error.as_deref() {
        Some(text) if case.op == "settings" && !text.starts_with("missing") => Text::Any,
        _ => Text::Exact,
    };
    vectors::run("params-validation.json", &ops, &[], text, answer);
}
