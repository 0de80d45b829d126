use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::messages::{
    self, DecodeMessageError, Described, Message,
    http::Request,
    sdk::{
        AwaitCapabilitiesRequest, AwaitCapabilitiesResponse, CapabilityOutcome, CapabilityRequest,
        CapabilityResponse, ExecuteRequest, Phase, ReportResponse, Trigger, TriggerSubscription,
        TriggerSubscriptionRequest,
    },
    values::{Kind as ValueKind, List, Map, Value},
    well_known::Any,
};

fn canonical_of<M: Message>(hex: &str) -> Result<String, WireError> {
    canonical(M::schema(), &hex::decode(hex).unwrap()).map(hex::encode)
}

#[test]
fn a_oneof_member_follows_all_other_fields() {
    let request = ExecuteRequest {
        config: b"config".to_vec(),
        max_response_size: 5,
        request: Some(Phase::Trigger(Trigger::default())),
    };
    assert_eq!(hex::encode(messages::encode(&request)), "0a06636f6e66696720051a00");
}

#[test]
fn a_message_field_that_occurs_twice_is_merged() {
    // Any { type_url: "a" }, then Any { value: ff }.
    assert_eq!(
        canonical_of::<CapabilityRequest>("12030a016112031201ff").unwrap(),
        "12060a01611201ff"
    );
}

#[test]
fn only_the_last_run_of_a_oneof_member_is_merged() {
    // payload { "a" }, error "e", payload { ff }: the first payload is gone.
    let mixed = "0a030a0161".to_owned() + "120165" + "0a031201ff";
    assert_eq!(canonical_of::<CapabilityResponse>(&mixed).unwrap(), "0a031201ff");
    // payload { "a" }, payload { ff }: one payload.
    assert_eq!(
        canonical_of::<CapabilityResponse>("0a030a01610a031201ff").unwrap(),
        "0a060a01611201ff"
    );
}

#[test]
fn what_is_replaced_must_be_well_formed_too() {
    let replaced_member = "0a020a05".to_owned() + "120165";
    assert_eq!(canonical_of::<CapabilityResponse>(&replaced_member), Err(WireError::Malformed));
    let replaced_entry = "0a060801120212ff".to_owned() + "0a0408011200";
    assert_eq!(
        canonical_of::<AwaitCapabilitiesResponse>(&replaced_entry),
        Err(WireError::Malformed)
    );
    let replaced_text = "0a01ff".to_owned() + "0a0161";
    assert_eq!(canonical_of::<CapabilityRequest>(&replaced_text), Err(WireError::NotUtf8));
}

#[test]
fn unknown_fields_stay_behind_the_known_ones_as_they_came() {
    // Field 99 in an over-long spelling, then field 1; field 4 as text is unknown, too.
    let bytes = "9886008500".to_owned() + "220178" + "0a0169";
    assert_eq!(
        canonical_of::<CapabilityRequest>(&bytes).unwrap(),
        "0a0169".to_owned() + "9886008500" + "220178"
    );
    let known = canonical_known(CapabilityRequest::schema(), &hex::decode(&bytes).unwrap());
    assert_eq!(known.unwrap(), [0x0a, 1, b'i']);
}

#[test]
fn one_field_can_be_left_out_of_the_outermost_message() {
    let report = ReportResponse { config_digest: vec![1], seq_nr: 5, ..ReportResponse::default() };
    let signed = ReportResponse {
        sigs: vec![messages::sdk::AttributedSignature::default()],
        ..report.clone()
    };
    let stripped = canonical_without(ReportResponse::schema(), &messages::encode(&signed), 5);
    assert_eq!(stripped.unwrap(), messages::encode(&report));
    // In the messages within, a field of that number stays.
    let any = Any { type_url: "t".to_owned(), value: vec![1] };
    let named = CapabilityRequest { id: "i".to_owned(), payload: Some(any), ..Default::default() };
    let nameless = CapabilityRequest { id: String::new(), ..named.clone() };
    let stripped = canonical_without(CapabilityRequest::schema(), &messages::encode(&named), 1);
    assert_eq!(stripped.unwrap(), messages::encode(&nameless));
    // Malformed is malformed, also where it is left out.
    assert_eq!(
        canonical_without(ReportResponse::schema(), &[0x2a, 1, 0x0a], 5),
        Err(WireError::Malformed)
    );
}

#[test]
fn impossible_bytes_are_refused() {
    for hex in [
        "0a",
        "0a05",
        "08",
        "00",
        "07",
        "0780",
        "0e",
        "0f00",
        "9b060801",
        "9c06",
        "0d0000",
        "0900",
        // A number of more than 64 bits, a field number above the largest, a length above the rest.
        "20ffffffffffffffffff02",
        "8080808010",
        "0affffffffffffffffff01",
        // A number without an end.
        "2080808080808080808080",
        // Groups that close in another order than they opened.
        "9b06a3069c06a406",
    ] {
        assert_eq!(canonical_of::<CapabilityRequest>(hex), Err(WireError::Malformed), "{hex}");
    }
}

#[test]
fn nesting_stops_at_the_limit() {
    let nested = |levels: usize| {
        let mut value = Value::default();
        for _level in 0..levels {
            value = List { fields: vec![value] }.into();
        }
        messages::encode(&value)
    };
    let schema = Value::schema();
    let too_deep = Err(WireError::Depth { limit: DEPTH });
    assert!(check(schema, &nested(DEPTH / 2)).is_ok());
    assert_eq!(check(schema, &nested(DEPTH / 2 + 1)).map(|()| Vec::new()), too_deep);
    // Ten megabytes of nothing but nesting are refused, not followed.
    let hostile = hostile_nesting(5_000_000);
    assert_eq!(canonical(schema, &hostile), too_deep);
    assert!(messages::decode::<Value>(&hostile).is_err());
    let groups = [0x9b, 0x06].repeat(100_000);
    assert_eq!(canonical(schema, &groups), too_deep);
}

#[test]
fn structs_stop_where_their_decoder_stops_and_say_so() {
    let lists = |levels: usize| {
        let mut value = Value::default();
        for _level in 0..levels {
            value = List { fields: vec![value] }.into();
        }
        value
    };
    let maps = |levels: usize| {
        let mut value = Value::default();
        for _level in 0..levels {
            value = Map { fields: [("k".to_owned(), value)].into() }.into();
        }
        value
    };
    for (deepest, deeper) in
        [(lists(STRUCT_DEPTH / 2), lists(STRUCT_DEPTH / 2 + 1)), (maps(33), maps(34))]
    {
        assert_eq!(messages::decode(&messages::encode(&deepest)), Ok(deepest));
        let refused = messages::decode::<Value>(&messages::encode(&deeper)).unwrap_err();
        let source = WireError::Depth { limit: STRUCT_DEPTH };
        assert_eq!(refused, DecodeMessageError::Malformed { name: Value::NAME, source });
    }
}

#[test]
fn what_nests_deeper_than_anybody_reads_is_written_in_order_too() {
    // The derived encoder leaves the empty key out.
    let mut value = Value::default();
    for _level in 0..DEPTH {
        value = Map { fields: [(String::new(), value)].into() }.into();
    }
    let bytes = messages::encode(&value);
    assert_eq!(bytes.windows(2).filter(|pair| *pair == [0x0a, 0]).count(), DEPTH);
}

#[test]
fn dense_messages_are_put_in_order() {
    // Two bytes a field: unknown ones, a list of empty messages, one message in many parts.
    let unknown = [0x18, 1].repeat(200_000);
    assert_eq!(canonical(List::schema(), &unknown), Ok(unknown));
    let list = [0x12, 0].repeat(200_000);
    assert_eq!(canonical(List::schema(), &list), Ok(list));
    let parts = [0x12, 0].repeat(200_000);
    assert_eq!(canonical(CapabilityRequest::schema(), &parts), Ok(vec![0x12, 0]));
    // Entries of one key: the last one stays.
    let mut entries = [0x0a, 0].repeat(200_000);
    entries.extend([0x0a, 4, 0x0a, 0, 0x12, 0]);
    assert_eq!(canonical(Map::schema(), &entries), Ok(vec![0x0a, 4, 0x0a, 0, 0x12, 0]));
    // Numbers one by one become one run, in their order.
    let numbers: Vec<u8> = (0..100).flat_map(|number| [0x08, number]).collect();
    let run: Vec<u8> = [0x0a, 100].into_iter().chain(0..100).collect();
    assert_eq!(canonical(AwaitCapabilitiesRequest::schema(), &numbers), Ok(run));
}

#[test]
fn runs_of_numbers_keep_their_order_and_lose_their_long_spellings() {
    // [300, 1 in three bytes], 5, [7]
    let mixed = "0a05ac02818000".to_owned() + "0805" + "0a0107";
    assert_eq!(canonical_of::<AwaitCapabilitiesRequest>(&mixed).unwrap(), "0a05ac02010507");
    assert_eq!(canonical_of::<AwaitCapabilitiesRequest>("0a00").unwrap(), "");
    // A run that ends inside a number.
    assert_eq!(canonical_of::<AwaitCapabilitiesRequest>("0a0180"), Err(WireError::Malformed));
}

/// The bytes keep such a field as unknown; a struct has no place for it, and the derived reader takes
/// a map's number for the length of an entry.
#[test]
fn a_known_field_in_a_foreign_wire_type_becomes_no_struct() {
    fn refused<M: Message>(hex: &str) {
        let bytes = hex::decode(hex).unwrap();
        assert_eq!(canonical(M::schema(), &bytes), Ok(bytes.clone()), "{hex}");
        assert_eq!(canonical_known(M::schema(), &bytes), Ok(Vec::new()), "{hex}");
        let source = WireError::Malformed;
        let error = DecodeMessageError::Malformed { name: M::NAME, source };
        assert_eq!(messages::decode::<M>(&bytes).err(), Some(error), "{hex}");
    }
    // A map of messages: as an entry of fifteen bytes; as groups; as eight bytes.
    refused::<AwaitCapabilitiesResponse>("080f08fcffffffffffffffff0112020a00");
    refused::<AwaitCapabilitiesResponse>("0b0c");
    refused::<AwaitCapabilitiesResponse>("090000000000000000");
    refused::<Map>("0800");
    refused::<CapabilityRequest>("0801");
    refused::<CapabilityRequest>("1001");
    refused::<CapabilityRequest>("2200");
    // Inside a map's entry, and inside a message.
    let inside = [("0a020a00", "0a0408001200"), ("0a021001", "0a0408001200")];
    for (hex, canonical_hex) in inside {
        assert_eq!(canonical_of::<AwaitCapabilitiesResponse>(hex).unwrap(), canonical_hex);
        let decoded = messages::decode::<AwaitCapabilitiesResponse>(&hex::decode(hex).unwrap());
        assert!(decoded.is_err(), "{hex}");
    }
    assert!(messages::decode::<CapabilityResponse>(&[0x0a, 2, 0x08, 0x01]).is_err());
}

#[test]
fn a_short_message_cannot_ask_for_much_memory() {
    // Subscriptions of two bytes each; nulls of two bytes each are what workflows may send.
    let subscriptions = [0x0a, 0].repeat(100_000);
    let dense = messages::decode::<TriggerSubscriptionRequest>(&subscriptions).unwrap_err();
    let name = TriggerSubscriptionRequest::NAME;
    assert_eq!(dense, DecodeMessageError::Malformed { name, source: WireError::Expansion });
    // As long as the inputs of an agreement may be in a DON.
    let nulls = List { fields: vec![Value::default(); 50_000] };
    assert_eq!(messages::decode(&messages::encode(&nulls)), Ok(nulls));
    // Longer ones are for who has them to himself, and not without bounds either.
    let long = messages::encode(&List { fields: vec![Value::default(); 200_000] });
    let name = List::NAME;
    let refused = DecodeMessageError::Malformed { name, source: WireError::Expansion };
    assert_eq!(messages::decode::<List>(&long), Err(refused));
    assert_eq!(messages::decode_own::<List>(&long).unwrap().fields.len(), 200_000);
    assert!(messages::decode_own::<TriggerSubscriptionRequest>(&subscriptions).is_err());
    let entry = |number: i64| (format!("{number:05}"), Value::from(number));
    let map = Map { fields: (0..20_000).map(entry).collect() };
    assert_eq!(messages::decode(&messages::encode(&map)), Ok(map));
    let map = BTreeMap::from([("a".to_owned(), Value::from(1_i64))]);
    let maps = List { fields: vec![Value::from(map); 100_000 / 13] };
    assert_eq!(messages::decode(&messages::encode(&maps)), Ok(maps));
    let names = TriggerSubscriptionRequest {
        subscriptions: vec![
            TriggerSubscription {
                id: "cron-trigger@1.0.0".to_owned(),
                ..Default::default()
            };
            1000
        ],
    };
    assert_eq!(messages::decode(&messages::encode(&names)), Ok(names));
}

/// Lists in lists, each length as long as what follows: the deepest that so many bytes can be.
fn hostile_nesting(bytes: usize) -> Vec<u8> {
    let mut reversed = Vec::new();
    while reversed.len() < bytes {
        for tag in [0x12, 0x2a] {
            let mut length = reversed.len();
            let mut prefix = vec![tag];
            while length > 0x7f {
                prefix.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
                length >>= 7;
            }
            prefix.push(u8::try_from(length).unwrap());
            reversed.extend(prefix.iter().rev());
        }
    }
    reversed.reverse();
    reversed
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::default()),
        any::<String>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<Vec<u8>>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i128>().prop_map(|number| messages::values::BigInt::from(number).into()),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..4).prop_map(Value::from),
        ]
    })
}

proptest! {
    #[test]
    fn decoding_undoes_encoding(value in value()) {
        let bytes = messages::encode(&value);
        prop_assert_eq!(messages::decode::<Value>(&bytes), Ok(value));
        prop_assert_eq!(canonical(Value::schema(), &bytes), Ok(bytes));
    }

    #[test]
    fn the_order_of_fields_is_no_part_of_the_meaning(parts in proptest::collection::vec(0..5_usize, 0..8)) {
        // Distinct fields in any order, each at most once.
        let fields: [&[u8]; 5] = [b"\x0a\x01i", b"\x12\x00", b"\x1a\x01m", b"\x20\x05", b"\x98\x06\x01"];
        let mut seen = Vec::new();
        for part in parts {
            if !seen.contains(&part) {
                seen.push(part);
            }
        }
        let shuffled: Vec<u8> = seen.iter().flat_map(|part| fields[*part]).copied().collect();
        seen.sort_unstable();
        let sorted: Vec<u8> = seen.iter().flat_map(|part| fields[*part]).copied().collect();
        prop_assert_eq!(canonical(CapabilityRequest::schema(), &shuffled), Ok(sorted));
    }

    #[test]
    fn any_bytes_are_refused_or_come_to_rest(bytes in any::<Vec<u8>>(), field in 0_u8..16) {
        let mut message = vec![field << 3 | 2, u8::try_from(bytes.len().min(127)).unwrap()];
        message.extend(bytes.iter().take(127));
        for schema in [
            CapabilityResponse::schema(), Value::schema(), Request::schema(),
            AwaitCapabilitiesResponse::schema(), ReportResponse::schema(),
        ] {
            for input in [&bytes, &message] {
                if let Ok(once) = canonical(schema, input) {
                    prop_assert_eq!(canonical(schema, &once), Ok(once.clone()));
                    prop_assert!(once.len() <= input.len().saturating_mul(3));
                }
            }
        }
    }

    #[test]
    fn the_struct_and_the_bytes_mean_the_same(url in any::<String>(), value in any::<Vec<u8>>()) {
        let response = CapabilityResponse {
            response: Some(CapabilityOutcome::Payload(Any { type_url: url, value })),
        };
        let mut bytes = messages::encode(&response);
        bytes.splice(0..0, [0x12, 1, b'e', 0x98, 0x06, 0x01]);
        let known = canonical_known(CapabilityResponse::schema(), &bytes).unwrap();
        prop_assert_eq!(messages::decode::<CapabilityResponse>(&known), Ok(response));
    }
}

#[test]
fn a_value_holds_what_was_put_into_it() {
    let map = Map { fields: [("k".to_owned(), Value::from("v"))].into() };
    let value = Value::from(map.clone());
    assert_eq!(value.kind, Some(ValueKind::Map(map)));
}
