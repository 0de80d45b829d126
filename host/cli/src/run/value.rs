//! What a workflow answers, as JSON for people and programs.
//!
//! | `values.v1.Value` | JSON |
//! |---|---|
//! | nothing set | `null` |
//! | string, bool, list, map | the same |
//! | int64, uint64, float64 | a number; `"NaN"`, `"Infinity"`, `"-Infinity"` for what JSON has no number for |
//! | bytes | `{"base64": …}`, and with `"text"` if they are UTF-8 |
//! | bigint | a decimal text; `"0x…"` for more than four thousand digits |
//! | decimal | coefficient and exponent: `"12345e-2"` |
//! | time | RFC 3339 text; `{"seconds": …, "nanos": …}` outside the years 0 to 9999 |

use std::time::SystemTime;

use protocol::{
    base64,
    messages::{
        self, cron, http,
        sdk::{Requirements, TeeItem, TeeType, TriggerSubscription},
        values::{BigInt, Decimal, Kind, Value},
        well_known::{Any, Timestamp},
    },
    time::Rfc3339,
};
use serde_json::{Value as Json, json};

/// The JSON of a value.
pub(crate) fn json(value: &Value) -> Json {
    match &value.kind {
        None => Json::Null,
        Some(Kind::String(text)) => Json::from(text.as_str()),
        Some(Kind::Bool(flag)) => Json::from(*flag),
        Some(Kind::Bytes(bytes)) => bytes_json(bytes),
        Some(Kind::Map(map)) => {
            Json::Object(map.fields.iter().map(|(key, value)| (key.clone(), json(value))).collect())
        }
        Some(Kind::List(list)) => Json::Array(list.fields.iter().map(json).collect()),
        Some(Kind::Decimal(decimal)) => Json::from(decimal_text(decimal)),
        Some(Kind::Int64(number)) => Json::from(*number),
        Some(Kind::Uint64(number)) => Json::from(*number),
        Some(Kind::BigInt(number)) => Json::from(big_text(number)),
        Some(Kind::Time(time)) => time_json(*time),
        Some(Kind::Float64(number)) => float_json(*number),
    }
}

/// The JSON of a subscription: the trigger that a workflow asks for at this index.
pub(crate) fn subscription(index: usize, subscription: &TriggerSubscription) -> Json {
    let TriggerSubscription { id, payload, method, requirements, pre_hook } = subscription;
    json!({
        "trigger": index,
        "id": id,
        "method": method,
        "pre_hook": pre_hook,
        "requirements": requirements.as_ref().map(requirements_json),
        "payload": payload.as_ref().map(trigger_config),
    })
}

/// The enclaves in which a handler may run: of any type in some regions, or of some types. No region
/// is any region.
fn requirements_json(requirements: &Requirements) -> Json {
    let item = requirements.tee.as_ref().map(|tee| &tee.item);
    let tee = item.map(|item| match item {
        Some(TeeItem::AnyRegions(any)) => json!({ "regions": any.regions }),
        Some(TeeItem::TypesAndRegions(typed)) => {
            let types = typed.tee_type_and_regions.iter().map(|one| {
                let name = if one.r#type() == TeeType::AwsNitro { "AWS_NITRO" } else { "unknown" };
                json!({ "type": name, "regions": one.regions })
            });
            json!({ "types": types.collect::<Vec<_>>() })
        }
        None => json!("unknown"),
    });
    json!({ "tee": tee })
}

/// The configuration of a trigger: of the two that are known here, in words.
fn trigger_config(any: &Any) -> Json {
    if let Ok(cron::Config { schedule }) = messages::unpack(any) {
        return json!({ "schedule": schedule });
    }
    if let Ok(http::Config { authorized_keys }) = messages::unpack(any) {
        let keys: Vec<_> = authorized_keys.into_iter().map(|key| key.public_key).collect();
        return json!({ "authorized_keys": keys });
    }
    let mut json = bytes_json(&any.value);
    if let Json::Object(members) = &mut json {
        members.insert("type".to_owned(), Json::from(any.type_url.as_str()));
    }
    json
}

fn bytes_json(bytes: &[u8]) -> Json {
    let base64 = base64::encode(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => json!({ "base64": base64, "text": text }),
        Err(_) => json!({ "base64": base64 }),
    }
}

fn float_json(number: f64) -> Json {
    if number.is_finite() {
        return Json::from(number);
    }
    let name = if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    };
    Json::from(name)
}

fn decimal_text(decimal: &Decimal) -> String {
    let coefficient = decimal.coefficient.as_ref().map_or_else(|| "0".to_owned(), big_text);
    format!("{coefficient}e{}", decimal.exponent)
}

fn big_text(number: &BigInt) -> String {
    number.to_text().unwrap_or_else(|_too_long| {
        let sign = if number.is_negative() { "-" } else { "" };
        format!("{sign}0x{}", hex::encode(&number.abs_val))
    })
}

fn time_json(time: Timestamp) -> Json {
    let text = SystemTime::try_from(time).ok().and_then(|time| Rfc3339::try_from(time).ok());
    match text {
        Some(text) => Json::from(text.to_string()),
        None => json!({ "seconds": time.seconds, "nanos": time.nanos }),
    }
}

#[cfg(test)]
mod tests {
    use protocol::messages::{
        sdk::{Regions, TRIGGER, Tee, TeeTypeAndRegions, TeeTypesAndRegions},
        values::{List, Map},
    };

    use super::*;

    fn of(kind: Kind) -> Json {
        json(&Value { kind: Some(kind) })
    }

    fn big(abs_val: &[u8], sign: i64) -> BigInt {
        BigInt { abs_val: abs_val.to_vec(), sign }
    }

    #[test]
    fn plain_values_are_themselves() {
        assert_eq!(json(&Value::default()), Json::Null);
        assert_eq!(of(Kind::String("a".to_owned())), "a");
        assert_eq!(of(Kind::Bool(true)), true);
        assert_eq!(of(Kind::Int64(i64::MIN)), i64::MIN);
        assert_eq!(of(Kind::Uint64(u64::MAX)), u64::MAX);
        assert_eq!(of(Kind::Float64(1.5)), 1.5);
        let one = Value { kind: Some(Kind::Int64(1)) };
        let map = Map { fields: [("k".to_owned(), one.clone())].into() };
        assert_eq!(of(Kind::Map(map)), json!({ "k": 1 }));
        assert_eq!(of(Kind::List(List { fields: vec![one, Value::default()] })), json!([1, null]));
    }

    #[test]
    fn bytes_say_whether_they_are_text() {
        assert_eq!(of(Kind::Bytes(b"hi".to_vec())), json!({ "base64": "aGk=", "text": "hi" }));
        assert_eq!(of(Kind::Bytes(vec![0xff])), json!({ "base64": "/w==" }));
    }

    #[test]
    fn large_numbers_keep_every_digit() {
        assert_eq!(of(Kind::BigInt(big(&[0, 0, 1, 0], 1))), "256");
        assert_eq!(of(Kind::BigInt(big(&[5], -1))), "-5");
        assert_eq!(of(Kind::BigInt(big(&[], -1))), "0");
        assert_eq!(of(Kind::BigInt(big(&[0xff; 16], 1))), u128::MAX.to_string());
        assert_eq!(of(Kind::BigInt(big(&[1, 0], -1))), "-256");
        assert_eq!(of(Kind::BigInt(big(&[1; 2000], -1))), format!("-0x{}", "01".repeat(2000)));
        let decimal = Decimal { coefficient: Some(big(&[0x30, 0x39], 1)), exponent: -2 };
        assert_eq!(of(Kind::Decimal(decimal)), "12345e-2");
        assert_eq!(of(Kind::Decimal(Decimal::default())), "0e0");
    }

    #[test]
    fn what_json_has_no_form_for_is_a_text() {
        assert_eq!(of(Kind::Float64(f64::NAN)), "NaN");
        assert_eq!(of(Kind::Float64(f64::NEG_INFINITY)), "-Infinity");
        assert_eq!(
            of(Kind::Time(Timestamp { seconds: 0, nanos: 500_000_000 })),
            "1970-01-01T00:00:00.5Z"
        );
        let far = Timestamp { seconds: i64::MAX, nanos: -1 };
        assert_eq!(of(Kind::Time(far)), json!({ "seconds": i64::MAX, "nanos": -1 }));
    }

    #[test]
    fn a_subscription_shows_what_it_waits_for() {
        let cron = cron::Config { schedule: "0 * * * *".to_owned() };
        let subscribed = TriggerSubscription {
            id: "cron-trigger@1.0.0".to_owned(),
            payload: Some(messages::pack(&cron)),
            method: TRIGGER.to_owned(),
            ..TriggerSubscription::default()
        };
        let json = subscription(3, &subscribed);
        assert_eq!(json["trigger"], 3);
        assert_eq!(json["payload"]["schedule"], "0 * * * *");
        assert_eq!(json["requirements"], Json::Null);
        let other = Any { type_url: "type.googleapis.com/x.Y".to_owned(), value: vec![0xff] };
        let json = subscription(0, &TriggerSubscription { payload: Some(other), ..subscribed });
        assert_eq!(json["payload"], json!({ "base64": "/w==", "type": "type.googleapis.com/x.Y" }));
    }

    #[test]
    fn a_subscription_shows_the_enclaves_it_requires() {
        let of = |item: Option<TeeItem>| {
            let requirements = Some(Requirements { tee: Some(Tee { item }) });
            let subscribed = TriggerSubscription { requirements, ..TriggerSubscription::default() };
            subscription(0, &subscribed)["requirements"]["tee"].clone()
        };
        let regions = || vec!["us-west-2".to_owned()];
        let any = TeeItem::AnyRegions(Regions { regions: regions() });
        assert_eq!(of(Some(any)), json!({ "regions": ["us-west-2"] }));
        let types = [TeeType::AwsNitro.into(), 9];
        let typed = types.map(|r#type| TeeTypeAndRegions { r#type, regions: regions() });
        let typed = TeeTypesAndRegions { tee_type_and_regions: typed.into() };
        let shown = of(Some(TeeItem::TypesAndRegions(typed)));
        assert_eq!(shown["types"][0], json!({ "type": "AWS_NITRO", "regions": ["us-west-2"] }));
        assert_eq!(shown["types"][1]["type"], "unknown");
        assert_eq!(of(None), "unknown");
    }
}
