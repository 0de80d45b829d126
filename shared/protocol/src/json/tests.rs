use proptest::prelude::*;

use super::*;
use crate::{
    answer::{ExecuteResponse, PublicKeyResponse, UpdateConfigResponse},
    compute::{ComputeRequest, ForwardedComputeRequest, SignedComputeRequest},
    ids::RequestId,
    relay::{
        Bundle, CapabilityResult, EnclaveConfig, SecretEntry, SecretIdentifier,
        SecretsRequestParams, SecretsResult,
    },
    rpc,
    settings::WorkflowSettings,
};

fn refused<T: Wire>(text: &str) -> DecodeError {
    match from_slice::<T>(text.as_bytes()) {
        Ok(_) => panic!("{text} is taken"),
        Err(error) => error,
    }
}

fn rewritten<T: Wire>(text: &str) -> String {
    String::from_utf8(to_vec(&from_slice::<T>(text.as_bytes()).unwrap())).unwrap()
}

#[test]
fn each_refusal_names_the_member_at_fault() {
    type Config = EnclaveConfig;
    type Request = SignedComputeRequest;
    let member = "t";
    assert_eq!(refused::<Config>(r#"{"t":"1"}"#), DecodeError::Type { member });
    assert_eq!(refused::<Config>(r#"{"t":1.0}"#), DecodeError::Integer { member });
    assert_eq!(refused::<Config>(r#"{"t":4294967296}"#), DecodeError::Integer { member });
    assert_eq!(refused::<Config>(r#"{"t":1,"f":1,"t":1}"#), DecodeError::Duplicate { member });
    assert_eq!(refused::<Config>(r#"{"T":1}"#), DecodeError::Folded { member });
    let member = "master_public_key";
    assert_eq!(refused::<Config>(r#"{"master_public_key":"AQ"}"#), DecodeError::Base64 { member });
    let numbers = r#"{"master_public_key":[1]}"#;
    assert_eq!(refused::<Config>(numbers), DecodeError::BytesAsNumbers { member });
    let (member, want) = ("requestID", 32);
    assert_eq!(
        refused::<Request>(r#"{"requestID":[1]}"#),
        DecodeError::ArrayLength { member, want }
    );
    let member = "creationTimes";
    let time = r#"{"creationTimes":["now"]}"#;
    assert_eq!(refused::<PublicKeyResponse>(time), DecodeError::Time { member });
    let member = "key";
    assert_eq!(refused::<SecretIdentifier>(r#"{"key":null}"#), DecodeError::Null { member });
    // The innermost member is named.
    let nested = r#"{"enclave_config":{"signers":["!"]}}"#;
    let member = "signers";
    assert_eq!(refused::<SecretsRequestParams>(nested), DecodeError::Base64 { member });
    let map = r#"{"perNodeData":{"a":"","a":""}}"#;
    let member = "perNodeData";
    assert_eq!(refused::<ForwardedComputeRequest>(map), DecodeError::Duplicate { member });
}

#[test]
fn texts_that_are_no_json_are_told_from_those_that_are_other_json() {
    type Id = SecretIdentifier;
    assert_eq!(refused::<Id>("{}x"), DecodeError::Trailing);
    assert_eq!(refused::<Id>("{} {}"), DecodeError::Trailing);
    assert_eq!(refused::<Id>("[]"), DecodeError::Type { member: "value" });
    for text in ["", " ", "{", "{\"key\":}", "{'key':1}", "{\"key\":\"\t\"}", "{\"a\":1,}", "nul"] {
        assert!(matches!(refused::<Id>(text), DecodeError::Syntax { .. }), "{text}");
    }
    assert_eq!(from_slice::<Id>(b"{\"key\":\"\xff\"}"), Err(DecodeError::NotUtf8));
}

#[test]
fn half_a_surrogate_pair_is_told_from_other_bad_escapes() {
    type Id = SecretIdentifier;
    for half in [
        r"\ud83d",
        r"\ude00",
        r"\ude00\ud83d",
        r"\ud83d\u0041",
        r"\uD83Dx",
        r"\ud83d\n",
        r"\ud83d\ud83d\ude00",
        r"\\\ude00",
        r"\ud83d\ude00\ude00",
    ] {
        for text in [format!("{{\"key\":\"{half}\"}}"), format!("{{\n\n\"key\":\"é{half}\"}}")] {
            assert_eq!(refused::<Id>(&text), DecodeError::Surrogate, "{text}");
        }
    }
    for bad in [
        r"\u12",
        r"\u12G4",
        r"\x",
        r"\ud83d\ude00\q",
        // A backslash before a word, and an escape that is not finished.
        r"\\ud83d\x",
        r"\\\\ude00\x",
        r"\\ude00\u12",
        r"\ud83d\u12G4",
        r"\ud83d\ude00\x",
    ] {
        let text = format!("{{\"key\":\"{bad}\"}}");
        assert!(matches!(refused::<Id>(&text), DecodeError::Syntax { .. }), "{text}");
    }
    let pair = from_slice::<Id>(br#"{"key":"\ud83d\ude00"}"#).unwrap();
    assert_eq!(pair.key, "😀");
}

#[test]
fn nesting_stops_where_the_reference_stops() {
    let nested = |levels: usize| format!("{{\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert!(from_slice::<SecretIdentifier>(nested(DEPTH - 1).as_bytes()).is_ok());
    let limit = DEPTH;
    assert_eq!(refused::<SecretIdentifier>(&nested(DEPTH)), DecodeError::Depth { limit });
    assert_eq!(refused::<rpc::Response>(&nested(DEPTH)), DecodeError::Depth { limit });
    assert_eq!(RawJson::parse(nested(DEPTH)).unwrap_err(), DecodeError::Depth { limit });
    // Brackets inside texts do not nest, and what is closed does not either.
    let text = format!("{{\"key\":\"{}\\\"{}\"}}", "[".repeat(DEPTH), "{".repeat(DEPTH));
    assert!(from_slice::<SecretIdentifier>(text.as_bytes()).is_ok());
    let flat = format!("{{\"x\":[{}[]]}}", "[],".repeat(DEPTH));
    assert!(from_slice::<SecretIdentifier>(flat.as_bytes()).is_ok());
}

#[test]
fn values_of_no_fixed_form_stop_at_their_own_depth() {
    let nested = |levels: usize| {
        format!("{{\"metrics\":{{\"m\":{}{}}}}}", "[".repeat(levels), "]".repeat(levels))
    };
    assert!(from_slice::<ExecuteResponse>(nested(TREE_DEPTH).as_bytes()).is_ok());
    let limit = TREE_DEPTH;
    assert_eq!(refused::<ExecuteResponse>(&nested(TREE_DEPTH + 2)), DecodeError::Depth { limit });
}

#[test]
fn a_short_text_cannot_ask_for_much_memory() {
    let list =
        |item: &str| format!("{{\"responses\":[{}{item}]}}", format!("{item},").repeat(50_000));
    type Results = Bundle<CapabilityResult>;
    assert_eq!(refused::<Results>(&list("{}")), DecodeError::Expansion);
    // The memory is asked for before the element is read.
    let last = format!("{{\"responses\":[{}!", "{},".repeat(50_000));
    assert_eq!(refused::<Results>(&last), DecodeError::Expansion);
    // What the encoder writes for the smallest elements is taken.
    let written = r#"{"result":{},"signature":{"signer":null,"signature":null}}"#;
    assert_eq!(rewritten::<Results>(&list(written)), list(written));
    let names = format!("{{\"encrypted_shares\":[{}\"\"]}}", "\"\",".repeat(50_000));
    assert!(from_slice::<SecretEntry>(names.as_bytes()).is_ok());
}

#[test]
fn nil_and_empty_are_two_things() {
    let nil = r#"{"signers":null,"master_public_key":null,"t":0,"f":0}"#;
    let empty = r#"{"signers":[],"master_public_key":"","t":0,"f":0}"#;
    let inside = r#"{"signers":[null,""],"master_public_key":null,"t":0,"f":0}"#;
    for text in [nil, empty, inside] {
        assert_eq!(rewritten::<EnclaveConfig>(text), text);
    }
    assert_eq!(rewritten::<EnclaveConfig>("{}"), nil);
}

#[test]
fn null_is_nil_and_nothing_else() {
    // Lists, byte strings, maps, pointers and raw values may be nil.
    let nil = r#"{"secrets":null,"enclave_config":null,"signed_compute_requests":null}"#;
    assert_eq!(from_slice(nil.as_bytes()), Ok(SecretsRequestParams::default()));
    let nil = r#"{"publicData":null,"ciphertexts":[null],"perNodeData":null}"#;
    assert!(from_slice::<ForwardedComputeRequest>(nil.as_bytes()).is_ok());
    assert!(from_slice::<rpc::Request>(br#"{"params":null}"#).is_ok());
    assert_eq!(from_slice::<Option<Vec<SignedComputeRequest>>>(b"null"), Ok(None));
    // What a Go encoder has no nil for is not.
    let member = "value";
    assert_eq!(refused::<EnclaveConfig>(" null\n"), DecodeError::Null { member });
    let null = |member| DecodeError::Null { member };
    assert_eq!(refused::<EnclaveConfig>(r#"{"t":null}"#), null("t"));
    assert_eq!(refused::<SecretEntry>(r#"{"id":null}"#), null("id"));
    assert_eq!(refused::<SecretEntry>(r#"{"encrypted_shares":[null]}"#), null("encrypted_shares"));
    assert_eq!(refused::<SecretsRequestParams>(r#"{"secrets":[null]}"#), null("secrets"));
    assert_eq!(refused::<SignedComputeRequest>(r#"{"requestID":null}"#), null("requestID"));
    let nulls = format!("{{\"requestID\":[{}null]}}", "null,".repeat(31));
    assert_eq!(refused::<SignedComputeRequest>(&nulls), null("requestID"));
    let map = r#"{"perNodeData":{"a":null}}"#;
    assert_eq!(refused::<ForwardedComputeRequest>(map), null("perNodeData"));
    assert_eq!(refused::<PublicKeyResponse>(r#"{"creationTimes":[null]}"#), null("creationTimes"));
    assert_eq!(refused::<UpdateConfigResponse>(r#"{"applied":null}"#), null("applied"));
    let span = r#"{"executionTimeout":null}"#;
    assert_eq!(refused::<WorkflowSettings>(span), null("executionTimeout"));
}

#[test]
fn unknown_members_are_skipped_and_any_order_is_taken() {
    let text =
        r#"{ "f" : 3, "x":[{"y":null}], "master_public_key":"", "t":2, "":0, "signers":[] }"#;
    let want = r#"{"signers":[],"master_public_key":"","t":2,"f":3}"#;
    assert_eq!(rewritten::<EnclaveConfig>(text), want);
    // A name that is another's prefix, or has a letter that folds to none of its, is just unknown.
    for name in ["signer", "signerss", "ſignerſ ", "master-public-key"] {
        assert_eq!(
            rewritten::<EnclaveConfig>(&format!("{{\"{name}\":1}}")),
            rewritten::<EnclaveConfig>("{}")
        );
    }
    let folded = refused::<EnclaveConfig>("{\"\u{17f}igners\":[]}");
    assert_eq!(folded, DecodeError::Folded { member: "signers" });
}

#[test]
fn members_of_a_flattened_struct_are_members_of_the_whole() {
    let text = r#"{"signature":"AQ==","appID":"a","perNodeData":{"n":"1"}}"#;
    let forwarded: ForwardedComputeRequest = from_slice(text.as_bytes()).unwrap();
    assert_eq!(forwarded.signed.request.app_id, "a");
    assert_eq!(forwarded.signed.signature.as_slice(), [1]);
    let twice = r#"{"appID":"a","signature":"","appID":"b"}"#;
    let member = "appID";
    assert_eq!(refused::<ForwardedComputeRequest>(twice), DecodeError::Duplicate { member });
    let folded = r#"{"appid":"a"}"#;
    assert_eq!(refused::<ForwardedComputeRequest>(folded), DecodeError::Folded { member });
}

#[test]
fn raw_json_is_compacted_and_escaped_but_not_changed() {
    let raw =
        RawJson::parse(" { \"z\" : \"<&> \u{2028}\\\"  x\" ,\n \"a\":1e2 , \"z\":1.50}".to_owned());
    let want = "{\"z\":\"\\u003c\\u0026\\u003e \\u2028\\\"  x\",\"a\":1e2,\"z\":1.50}";
    assert_eq!(String::from_utf8(to_vec(&raw.unwrap())).unwrap(), want);
    for text in ["", "{", "{a:1}", "1 2", "nul"] {
        assert!(RawJson::parse(text.to_owned()).is_err(), "{text}");
    }
}

#[test]
fn nothing_that_may_hold_shares_is_printed() {
    let entry = SecretEntry {
        ciphertext: "CIPHER".to_owned(),
        encrypted_shares: Some(vec!["SHARE".to_owned()]),
        ..SecretEntry::default()
    };
    assert_eq!(format!("{entry:?}"), "SecretEntry { .. }");
    assert_eq!(format!("{:?}", Bytes::from(vec![1, 2])), "Bytes(2)");
    assert_eq!(format!("{:?}", RawJson::of(&entry)).len(), "RawJson(99)".len());
}

#[test]
fn numbers_are_written_as_go_writes_them() {
    for (number, want) in [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.5, "1.5"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (f64::MAX, "1.7976931348623157e+308"),
        (5e-324, "5e-324"),
    ] {
        assert_eq!(Number::try_from(number).unwrap().to_string(), want);
    }
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(Number::try_from(number), Err(NotFiniteError));
    }
}

fn bytes() -> impl Strategy<Value = Bytes> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)).prop_map(Bytes::from)
}

fn maybe_list<T: std::fmt::Debug>(
    item: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<Vec<T>>> {
    proptest::option::of(proptest::collection::vec(item, 0..4))
}

fn request() -> impl Strategy<Value = SignedComputeRequest> {
    let texts = (any::<String>(), any::<String>(), any::<String>());
    let lists = (maybe_list(bytes()), maybe_list(any::<String>()), maybe_list(maybe_list(bytes())));
    (any::<[u8; 32]>(), texts, lists, [bytes(), bytes(), bytes(), bytes()]).prop_map(
        |(id, texts, lists, [public_data, key, master, signature])| SignedComputeRequest {
            request: ComputeRequest {
                request_id: RequestId::from(id),
                application_request_id: texts.0,
                public_data,
                ciphertexts: lists.0,
                ciphertext_names: lists.1,
                encrypted_decryption_key_shares: lists.2,
                enclave_ephemeral_public_key: key,
                master_public_key: master,
                app_id: texts.1,
                version: texts.2,
            },
            signature,
        },
    )
}

fn secrets() -> impl Strategy<Value = SecretsResult> {
    let entry = (any::<[String; 3]>(), maybe_list(any::<String>())).prop_map(
        |([key, namespace, ciphertext], encrypted_shares)| SecretEntry {
            id: SecretIdentifier { key, namespace },
            ciphertext,
            encrypted_shares,
        },
    );
    maybe_list(entry).prop_map(|secrets| SecretsResult { secrets })
}

proptest! {
    #[test]
    fn reading_undoes_writing(request in request(), secrets in secrets()) {
        prop_assert_eq!(from_slice::<SignedComputeRequest>(&to_vec(&request)), Ok(request));
        prop_assert_eq!(from_slice::<SecretsResult>(&to_vec(&secrets)), Ok(secrets));
    }

    #[test]
    fn white_space_and_raw_passage_change_nothing(request in request()) {
        let text = String::from_utf8(to_vec(&request)).unwrap();
        let raw = RawJson::parse(text.clone()).unwrap();
        prop_assert_eq!(String::from_utf8(to_vec(&raw)).unwrap(), text);
        prop_assert_eq!(raw.decode::<SignedComputeRequest>(), Ok(request));
    }

    #[test]
    fn any_bytes_are_read_or_refused(text in any::<Vec<u8>>(), tail in ".*") {
        let _read = from_slice::<SecretsRequestParams>(&text);
        let object = format!("{{\"secrets\":[{tail}");
        let _read = from_slice::<SecretsRequestParams>(object.as_bytes());
        let _read = from_slice::<ExecuteResponse>(tail.as_bytes());
    }

    #[test]
    fn a_text_token_is_the_text_again(text in any::<String>()) {
        let token = text_token(text.as_bytes());
        prop_assert_eq!(serde_json::from_str::<String>(&token).unwrap(), text);
    }
}
