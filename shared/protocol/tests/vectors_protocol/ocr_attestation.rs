//! `ocr-attestation.json`: answers of a capability DON with signatures over them.

use crypto::{
    address::Address,
    ocr::{self, OcrSigningKey},
};
use protocol::{
    ids::FaultBound,
    messages::{
        self,
        capabilities::{
            AttributedSignature, CapabilityResponse, MeteringReportNodeDetail, OcrAttestation,
            ResponseMetadata,
        },
        values,
        well_known::Any,
    },
    ocr::{decode_response, report_data, signing_digest, verify_response},
};
use serde_json::{Value, json};
use vectors::{Answer, Case, Text, model};

fn bytes(value: &Value) -> Vec<u8> {
    model::hex(value.as_str().unwrap())
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

fn metering(value: &Value) -> Vec<MeteringReportNodeDetail> {
    let record = |record: &Value| MeteringReportNodeDetail {
        peer_2_peer_id: text(&record["peer"]),
        spend_unit: text(&record["unit"]),
        spend_value: text(&record["value"]),
        spend_value_in_gas_units: String::new(),
    };
    value.as_array().unwrap().iter().map(record).collect()
}

fn answer(case: &Case) -> Answer {
    let input = &case.input;
    match case.op.as_str() {
        "report_data" => {
            let payload = input["payload"].as_str().map(model::hex).unwrap_or_default();
            let execution_id = input["execution_id"].as_str().unwrap().into();
            let reference_id = input["reference_id"].as_str().unwrap();
            let records = metering(&input["metering"]);
            match report_data(&execution_id, reference_id, &payload, &records) {
                Ok(data) => Answer::Value(json!({ "report_data": hex::encode(data) })),
                Err(error) => Answer::refused(&error),
            }
        }
        "sig_data" => {
            let sequence_number = input["sequence_number"].as_u64().unwrap();
            let (report, config) = (bytes(&input["report_data"]), array(&input["config_digest"]));
            let digest = signing_digest(&report, &config, sequence_number);
            Answer::Value(json!({ "sig_data": hex::encode(digest) }))
        }
        "sign" => {
            let key = match OcrSigningKey::from_bytes(&array(&input["secret_key"])) {
                Ok(key) => key,
                Err(error) => return Answer::refused(&error),
            };
            let signature = key.sign(&array(&input["sig_data"])).unwrap();
            let address = hex::encode(key.address().as_bytes());
            Answer::Value(json!({ "signature": hex::encode(signature), "address": address }))
        }
        "verify_blob" => {
            // What has not 20 bytes is nobody's address, what has not 32 no digest.
            let address = <[u8; 20]>::try_from(bytes(&input["address"])).map(Address::from);
            let digest = <[u8; 32]>::try_from(bytes(&input["sig_data"]));
            let signature = bytes(&input["signature"]);
            let valid = address
                .and_then(|address| Ok((address, digest?)))
                .is_ok_and(|(address, digest)| ocr::verify(&address, &digest, &signature).is_ok());
            Answer::Value(json!({ "valid": valid }))
        }
        "encode" => match response(input) {
            Ok(response) => {
                Answer::Value(json!({ "response_hex": hex::encode(messages::encode(&response)) }))
            }
            Err(error) => Answer::refused(&error),
        },
        "decode" => match decode_response(&bytes(&input["response_hex"])) {
            Ok(response) => Answer::Value(shown(&response)),
            Err(error) => Answer::refused(&error),
        },
        _ => verify(input),
    }
}

/// The reference takes any number of signers, we F.
#[derive(Debug, thiserror::Error)]
#[error("no fault bound makes a quorum of nobody")]
struct NobodyError;

fn verify(input: &Value) -> Answer {
    let response = match decode_response(&bytes(&input["response_hex"])) {
        Ok(response) => response,
        Err(error) => return Answer::refused(&error),
    };
    let Some(bound) = number(&input["required"]).checked_sub(1).map(FaultBound::new) else {
        return Answer::refused(&NobodyError);
    };
    let signers =
        input["signers"].as_array().unwrap().iter().map(|s| Address::from(array::<20>(s)));
    let signers: Vec<_> = signers.collect();
    let execution_id = input["execution_id"].as_str().unwrap().into();
    let reference_id = input["reference_id"].as_str().unwrap();
    match verify_response(&response, &execution_id, reference_id, &signers, bound) {
        Ok(()) => Answer::Value(json!({ "valid": true })),
        Err(error) => Answer::refused(&error),
    }
}

/// An answer as the reference sends it: value and metadata are always there.
fn response(input: &Value) -> Result<CapabilityResponse, messages::DecodeMessageError> {
    let value =
        input["value"].as_str().map(|hex| messages::decode(&model::hex(hex))).transpose()?;
    let payload = input["payload"].as_object().map(|payload| Any {
        type_url: text(&payload["type_url"]),
        value: bytes(&payload["value"]),
    });
    let attestation = input["ocr_attestation"].as_object().map(|attestation| {
        let signature = |signature: &Value| AttributedSignature {
            signature: bytes(&signature["signature"]),
            signer: number(&signature["signer"]),
        };
        OcrAttestation {
            config_digest: bytes(&attestation["config_digest"]),
            sequence_number: attestation["sequence_number"].as_u64().unwrap(),
            signatures: attestation["signatures"]
                .as_array()
                .unwrap()
                .iter()
                .map(signature)
                .collect(),
        }
    });
    Ok(CapabilityResponse {
        value: Some(value.unwrap_or_default()),
        error: String::new(),
        metadata: Some(ResponseMetadata {
            metering: metering(&input["metering"]),
            capdon_n: number(&input["capdon_n"]),
        }),
        payload,
        ocr_attestation: attestation,
    })
}

fn shown(response: &CapabilityResponse) -> Value {
    let metadata = response.metadata.clone().unwrap_or_default();
    let record = |record: &MeteringReportNodeDetail| {
        json!({
            "peer": record.peer_2_peer_id,
            "unit": record.spend_unit,
            "value": record.spend_value,
        })
    };
    let signature = |signature: &AttributedSignature| json!({ "signature": hex::encode(&signature.signature), "signer": signature.signer });
    let attestation = response.ocr_attestation.as_ref().map(|attestation| {
        let signatures: Vec<_> = attestation.signatures.iter().map(signature).collect();
        json!({
            "config_digest": hex::encode(&attestation.config_digest),
            "sequence_number": attestation.sequence_number,
            "signatures": signatures,
        })
    });
    let payload = response.payload.as_ref().map(
        |payload| json!({ "type_url": payload.type_url, "value": hex::encode(&payload.value) }),
    );
    let value =
        response.value.as_ref().map(|value: &values::Map| hex::encode(messages::encode(value)));
    json!({
        "capdon_n": metadata.capdon_n,
        "metering": metadata.metering.iter().map(record).collect::<Vec<_>>(),
        "ocr_attestation": attestation,
        "payload": payload,
        "value": value,
    })
}

#[test]
fn attestations_of_answers_hold_where_the_reference_says_so() {
    let ops = ["decode", "encode", "report_data", "sig_data", "sign", "verify", "verify_blob"];
    let text = |case: &Case| match case.error.as_deref() {
        // The reference aborts where there is no payload.
        Some(error) if error.starts_with("panic: ") => Text::Any,
        _ => Text::Exact,
    };
    vectors::run("ocr-attestation.json", &ops, &[], text, answer);
}
