use bytes::Bytes;

use super::{
    super::telemetry::{RelayCall, Room},
    *,
};

fn telemetry() -> Telemetry {
    let room = |name: &str, duration_ms| Room { room: name.to_owned(), duration_ms };
    let call = RelayCall {
        method: "confidential.secrets.get".to_owned(),
        capability_id: None,
        signers: 4,
        required: 2,
        duration_ms: 3.0,
    };
    Telemetry {
        rooms: vec![room("admit", 1.0), room("run", 5.0)],
        relay_calls: vec![call],
        http_actions: Vec::new(),
        logs: vec!["hello".to_owned()],
        notes: Vec::new(),
        metering: None,
    }
}

fn hops(timing: Option<&str>) -> Vec<(String, f64)> {
    let answered = Answered {
        requests: Vec::new(),
        challenge: [0; 32].into(),
        boot_id: None,
        body: Bytes::new(),
        timing: timing.map(str::to_owned),
        elapsed: Duration::from_millis(10),
    };
    let mut hops = Hops::default();
    for name in ["publish", "sign", "verify"] {
        hops.add(name, Duration::from_millis(1));
    }
    let whole = whole(hops, &answered, &telemetry());
    whole.0.into_iter().map(|(name, spent)| (name, milliseconds(spent))).collect()
}

fn names(hops: &[(String, f64)]) -> Vec<&str> {
    hops.iter().map(|(name, _)| name.as_str()).collect()
}

fn report() -> Report {
    Report {
        execution_id: "e".to_owned(),
        request_hash: "h".to_owned(),
        pcrs: [("pcr0".to_owned(), Json::from("00"))].into_iter().collect(),
        module_id: "i-1-enc2".to_owned(),
        signers: (3, 4, 2),
        telemetry: telemetry(),
        hops: Hops(vec![("publish".to_owned(), Duration::from_micros(1_234))]),
        total: Duration::from_millis(20),
    }
}

#[test]
fn hops_are_told_in_the_order_in_which_they_happen() {
    let hops = hops(Some("batch;dur=2.5, enclave;dur=7"));
    assert_eq!(names(&hops), ["publish", "sign", "batch", "admit", "run", "verify"]);
    assert_eq!(hops[2].1, 2.5);
}

#[test]
fn a_bridge_that_does_not_say_took_what_the_enclave_did_not() {
    assert_eq!(hops(None)[2], ("batch".to_owned(), 4.0));
}

#[test]
fn the_object_has_what_programs_read() {
    let json = report().json(&Outcome::Result(json!({ "price": "1" })));
    assert_eq!(json["verified"], true);
    assert_eq!(json["result"]["price"], "1");
    assert_eq!((&json["execution_id"], &json["request_hash"]), (&json!("e"), &json!("h")));
    assert_eq!(json["enclave"]["pcr0"], "00");
    assert_eq!(json["enclave"]["module_id"], "i-1-enc2");
    assert_eq!(json["signers"], json!({ "signed": 3, "members": 4, "required": 2 }));
    assert_eq!(json["relay_calls"][0]["signers"], 4);
    assert_eq!(json["timings_ms"], json!({ "publish": 1.234, "total": 20.0 }));
    assert_eq!(json["logs"], json!(["hello"]));
    assert_eq!(json.get("error"), None);
}

#[test]
fn an_error_of_the_workflow_is_not_a_result() {
    let json = report().json(&Outcome::Error("no".to_owned()));
    assert_eq!((&json["result"], &json["error"]), (&Json::Null, &json!("no")));
    assert_eq!(json["verified"], true);
}
