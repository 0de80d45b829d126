//! One bit flipped anywhere in what is signed or attested: in its text, wherever it stands.

use std::time::SystemTime;

use crypto::{
    ocr::OcrSigningKey,
    sign::{Domain, SigningKey, find_signer},
};
use proptest::prelude::*;
use protocol::{
    answer::{
        ExecuteResponse, ListedEnclave, MetricEvent, PublicKeyResponse, SetConfigResponse,
        UpdateConfigRequest, UpdateConfigResponse, enclaves_list_hash,
    },
    base64,
    committee::Committee,
    compute::{ComputeRequest, SignedComputeRequest},
    config::{EnclaveConfig, set_config_user_data},
    ids::FaultBound,
    json::{self, Bytes, Tree},
    link::{AnswerError, AnswerFrame, Challenge, ChallengeFrame, answer},
    messages::{
        self,
        capabilities::{
            AttributedSignature, CapabilityResponse, MeteringReportNodeDetail, OcrAttestation,
            ResponseMetadata,
        },
        well_known::Any,
    },
    ocr,
    quorum::{select, unanimous},
    relay::{
        Bundle, CapabilityRequestParams, CapabilityResult, Params, SecretEntry, SecretIdentifier,
        SecretsRequestParams, SecretsResult, SignedResult,
    },
};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn committee() -> Committee {
    let members = (1..=4).map(|seed| key(seed).public()).collect();
    Committee::new(members, FaultBound::new(1)).unwrap()
}

/// The same text with one bit flipped. No member of what is flipped here is empty: to a hash, nil is as
/// good as empty.
fn flipped(text: &[u8], place: prop::sample::Index, bit: u8) -> Vec<u8> {
    let mut text = text.to_vec();
    let place = place.index(text.len());
    text[place] ^= 1 << bit;
    text
}

fn request() -> ComputeRequest {
    ComputeRequest {
        request_id: [7; 32].into(),
        application_request_id: "application".to_owned(),
        public_data: b"public".as_slice().into(),
        ciphertexts: Some(vec![b"c1".as_slice().into(), b"c2".as_slice().into()]),
        ciphertext_names: Some(vec!["n1".to_owned(), "n2".to_owned()]),
        encrypted_decryption_key_shares: Some(vec![Some(vec![b"share".as_slice().into()])]),
        enclave_ephemeral_public_key: vec![3; 32].into(),
        master_public_key: b"mpk".as_slice().into(),
        app_id: "app".to_owned(),
        version: "0.0.7".to_owned(),
    }
}

/// What the hash of a request covers, if its version is not the one that binds itself.
fn covered(request: &ComputeRequest) -> ComputeRequest {
    let mut covered = request.clone();
    covered.encrypted_decryption_key_shares = None;
    covered.version = String::new();
    covered
}

fn params() -> SecretsRequestParams {
    let id = |key: &str| SecretIdentifier { key: key.to_owned(), namespace: "main".to_owned() };
    SecretsRequestParams {
        workflow_id: "1".repeat(64),
        owner: "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".to_owned(),
        execution_id: "2".repeat(64),
        org_id: "org".to_owned(),
        secrets: Some(vec![id("a"), id("b")]),
        enclave_public_key: "33".repeat(32),
        enclave_config: Some((&config()).into()),
        attestation: String::new(),
        signed_compute_requests: Some(vec![request().sign(&key(1)).into()]),
    }
}

fn call() -> CapabilityRequestParams {
    CapabilityRequestParams {
        workflow_id: "1".repeat(64),
        owner: "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".to_owned(),
        execution_id: "2".repeat(64),
        reference_id: "7".to_owned(),
        capability_id: "write@1.0.0".to_owned(),
        payload: "CgNhYmM=".to_owned(),
        enclave_config: Some((&config()).into()),
        ..CapabilityRequestParams::default()
    }
}

fn config() -> EnclaveConfig {
    EnclaveConfig {
        signers: Some(
            (1..=4).map(|seed| key(seed).public().as_bytes().as_slice().into()).collect(),
        ),
        master_public_key: b"mpk".as_slice().into(),
        t: 2,
        f: 1,
    }
}

/// With one bit flipped in one of two votes, they are no quorum, unless the bit is in what nobody signs.
fn spoils_the_quorum<P: protocol::quorum::Grouping>(
    params: &P,
    result: &P::Result,
    (place, bit): (prop::sample::Index, u8),
) -> Result<(), TestCaseError>
where
    P::Result: std::fmt::Debug,
{
    let vote = |seed| SignedResult::sign(params, result.clone(), &key(seed)).unwrap();
    let text = flipped(&json::to_vec(&vote(2)), place, bit);
    let Ok(changed) = json::from_slice::<SignedResult<P::Result>>(&text) else { return Ok(()) };
    // The claimed key is a hint, the list of signatures is read by nobody.
    let is_signed =
        changed.result == *result && changed.signature.signature == vote(2).signature.signature;
    let bundle = Bundle { responses: Some(vec![vote(1), changed]) };
    prop_assert_eq!(select(params, &bundle, &committee()).is_ok(), is_signed);
    Ok(())
}

/// With one bit flipped in params, their document binds something else, unless it is the document.
fn spoils_the_attestation<P: Params + PartialEq + std::fmt::Debug>(
    mut params: P,
    (place, bit): (prop::sample::Index, u8),
) -> Result<(), TestCaseError> {
    params.set_attestation("ZG9jdW1lbnQ=".to_owned());
    let text = flipped(&json::to_vec(&params), place, bit);
    let Ok(changed) = json::from_slice::<P>(&text) else { return Ok(()) };
    let mut bare = changed.clone();
    bare.set_attestation(params.attestation().to_owned());
    prop_assert_eq!(changed.user_data() == params.user_data(), bare == params);
    prop_assert_ne!(changed, params);
    Ok(())
}

/// With one bit flipped in an answer, its document binds something else, unless the bit is in what no
/// document covers.
fn spoils_what_is_bound<T: json::Wire, H: PartialEq, C: PartialEq>(
    answer: T,
    bound: impl Fn(&T) -> H,
    covered: impl Fn(T) -> C,
    (place, bit): (prop::sample::Index, u8),
) -> Result<(), TestCaseError> {
    let text = flipped(&json::to_vec(&answer), place, bit);
    let Ok(changed) = json::from_slice::<T>(&text) else { return Ok(()) };
    let is_bound = bound(&changed) == bound(&answer);
    prop_assert_eq!(is_bound, covered(changed) == covered(answer));
    Ok(())
}

fn executed() -> ExecuteResponse {
    ExecuteResponse {
        request_id: [7; 32].into(),
        application_request_id: "application".to_owned(),
        request_hash: request().hash(),
        output: b"output".as_slice().into(),
        config: config(),
        attestation: b"document".as_slice().into(),
        metrics: Some([("event".to_owned(), Tree::from("detail"))].into()),
        metric_events: Some(vec![MetricEvent { event: "event".to_owned(), details: None }]),
    }
}

fn keys() -> PublicKeyResponse {
    let time = |text: &str| text.parse().unwrap();
    PublicKeyResponse {
        public_keys: Some(vec![vec![3; 32].into(), vec![4; 32].into()]),
        creation_times: Some(vec![
            time("2026-08-20T10:00:00.123456789Z"),
            time("2026-08-20T12:00:00+02:00"),
        ]),
        ttls: Some(vec![3_600_000_000_000, 60_000_000_000]),
        config: config(),
        attestation: b"document".as_slice().into(),
    }
}

fn listed(seed: u8) -> ListedEnclave {
    ListedEnclave {
        enclave_id: [seed; 32],
        enclave_url: format!("http://host-{seed}:8080"),
        trusted_values: Some(vec![b"{}".as_slice().into(), b"[]".as_slice().into()]),
        enclave_type: "nitro".to_owned(),
        enclave_auth_header: "Bearer token".to_owned(),
        enclave_extra_data: b"extra".as_slice().into(),
        region: "us-west-2".to_owned(),
    }
}

fn challenge() -> Challenge {
    Challenge::new(GATEWAY, NONCE, SystemTime::UNIX_EPOCH)
}

fn lets_in(challenge: Challenge, frame: &[u8]) -> bool {
    challenge.check(frame, committee().members()).is_ok()
}

const GATEWAY: &str = "gateway";

/// As digits it has letters, which may be of either case.
const NONCE: [u8; 32] = [0xab; 32];

fn attested() -> CapabilityResponse {
    let metering = vec![MeteringReportNodeDetail {
        peer_2_peer_id: "peer".to_owned(),
        spend_unit: "unit".to_owned(),
        spend_value: "42".to_owned(),
        spend_value_in_gas_units: "1".to_owned(),
    }];
    let payload = Any { type_url: "type".to_owned(), value: b"payload".to_vec() };
    let report = ocr::report_data(&"e".into(), "7", &payload.value, &metering).unwrap();
    let digest = ocr::signing_digest(&report, &[1; 32], 5);
    let sign = |signer: u8| AttributedSignature {
        signature: ocr_key(signer).sign(&digest).unwrap().to_vec(),
        signer: signer.into(),
    };
    CapabilityResponse {
        metadata: Some(ResponseMetadata { metering, capdon_n: 4 }),
        payload: Some(payload),
        ocr_attestation: Some(OcrAttestation {
            config_digest: vec![1; 32],
            sequence_number: 5,
            signatures: vec![sign(0), sign(2)],
        }),
        ..CapabilityResponse::default()
    }
}

fn ocr_key(signer: u8) -> OcrSigningKey {
    OcrSigningKey::from_bytes(&[signer + 1; 32]).unwrap()
}

/// What signatures over an answer cover, and they themselves.
fn signed_part(response: &CapabilityResponse) -> impl PartialEq + std::fmt::Debug + use<> {
    let metering = response.metadata.clone().unwrap_or_default().metering;
    let costs: Vec<_> = metering.into_iter().map(|m| (m.spend_unit, m.spend_value)).collect();
    let payload = response.payload.clone().map(|payload| payload.value);
    (costs, payload, response.ocr_attestation.clone())
}

fn place() -> impl Strategy<Value = (prop::sample::Index, u8)> {
    (any::<prop::sample::Index>(), 0..8_u8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn in_a_compute_request((place, bit) in place()) {
        let signed = |seed| request().sign(&key(seed));
        let text = flipped(&json::to_vec(&signed(2)), place, bit);
        if let Ok(changed) = json::from_slice::<SignedComputeRequest>(&text) {
            let is_signed = covered(&changed.request) == covered(&request())
                && changed.request.version != "0.0.6"
                && changed.signature == signed(2).signature;
            prop_assert_eq!(unanimous(vec![signed(1), changed], &committee()).is_ok(), is_signed);
        }
    }

    #[test]
    fn in_a_result_of_a_call(place in place()) {
        let result = CapabilityResult {
            payload: base64::encode(b"payload"),
            error: "what went wrong".to_owned(),
        };
        spoils_the_quorum(&call(), &result, place)?;
    }

    #[test]
    fn in_a_result_with_secrets(place in place()) {
        let entry = |id: &SecretIdentifier| SecretEntry {
            id: id.clone(),
            ciphertext: base64::encode(b"ciphertext"),
            encrypted_shares: Some(vec![base64::encode(b"one"), base64::encode(b"two")]),
        };
        let secrets = params().secrets.iter().flatten().map(entry).collect();
        spoils_the_quorum(&params(), &SecretsResult { secrets: Some(secrets) }, place)?;
    }

    #[test]
    fn in_params_for_secrets(place in place()) {
        spoils_the_attestation(params(), place)?;
    }

    #[test]
    fn in_params_of_a_call(place in place()) {
        spoils_the_attestation(call(), place)?;
    }

    #[test]
    fn in_a_configuration_that_is_voted_for((place, bit) in place()) {
        let text = flipped(&json::to_vec(&config()), place, bit);
        if let Ok(changed) = json::from_slice::<EnclaveConfig>(&text) {
            prop_assert_ne!(changed.hash(), config().hash());
        }
    }

    #[test]
    fn in_a_vote((place, bit) in place()) {
        let signature = |config: &EnclaveConfig| {
            key(1).sign(Domain::ConfigVote, config.hash().as_bytes()).as_bytes().as_slice().into()
        };
        let vote = UpdateConfigRequest {
            config: json::to_vec(&config()).into(),
            signature: signature(&config()),
        };
        let text = flipped(&json::to_vec(&vote), place, bit);
        if let Ok(changed) = json::from_slice::<UpdateConfigRequest>(&text)
            && let Ok(config) = json::from_slice::<EnclaveConfig>(changed.config.as_slice())
        {
            let (members, hash) = (committee().members().to_vec(), config.hash());
            let (hash, signature) = (hash.as_bytes(), changed.signature.as_slice());
            prop_assert!(find_signer(&members, Domain::ConfigVote, hash, signature).is_err());
        }
    }

    #[test]
    fn in_an_answer_to_a_request(
        version in prop::sample::select(&["0.0.6", "0.0.7"][..]),
        place in place(),
    ) {
        let covered = |mut answer: ExecuteResponse| {
            (answer.attestation, answer.metrics, answer.metric_events) = (Bytes::nil(), None, None);
            if version == "0.0.6" {
                answer.application_request_id = String::new();
            }
            answer
        };
        spoils_what_is_bound(executed(), |answer| answer.user_data(version), covered, place)?;
    }

    #[test]
    fn in_an_answer_with_keys(place in place()) {
        let covered = |answer| PublicKeyResponse { attestation: Bytes::nil(), ..answer };
        spoils_what_is_bound(keys(), PublicKeyResponse::user_data, covered, place)?;
    }

    #[test]
    fn in_an_answer_to_a_first_configuration(place in place()) {
        let document = b"document".as_slice().into();
        let answer = SetConfigResponse { config: config(), attestation: document };
        let bound = |answer: &SetConfigResponse| set_config_user_data(answer.config.hash());
        spoils_what_is_bound(answer, bound, |answer| answer.config, place)?;
    }

    #[test]
    fn in_an_answer_to_a_vote(place in place()) {
        let answer = UpdateConfigResponse {
            applied: true,
            config: config(),
            signers_collected: 2,
            signers_required: 2,
            attestation: b"document".as_slice().into(),
        };
        let bound = |answer: &UpdateConfigResponse| set_config_user_data(answer.config.hash());
        spoils_what_is_bound(answer, bound, |answer| answer.config, place)?;
    }

    #[test]
    fn in_a_list_of_enclaves(place in place()) {
        let enclaves = vec![listed(1), listed(2)];
        spoils_what_is_bound(enclaves, |list| enclaves_list_hash(list), |list| list, place)?;
    }

    #[test]
    fn in_a_challenge((place, bit) in place()) {
        let text = flipped(challenge().frame().as_bytes(), place, bit);
        if let Ok(proof) = answer(&text, GATEWAY, &key(1)) {
            let changed: ChallengeFrame = json::from_slice(&text).unwrap();
            // Nobody signs the time.
            let is_same = changed.challenge.eq_ignore_ascii_case(&hex::encode(NONCE));
            prop_assert_eq!(lets_in(challenge(), proof.frame.as_bytes()), is_same);
        }
    }

    #[test]
    fn in_an_answer_to_a_challenge((place, bit) in place()) {
        let proof = answer(challenge().frame().as_bytes(), GATEWAY, &key(1)).unwrap().frame;
        let text = flipped(proof.as_bytes(), place, bit);
        let digits = |frame: &[u8]| {
            let AnswerFrame { node, signature } = json::from_slice(frame).ok()?;
            Some([node, signature].map(|digits| digits.to_ascii_lowercase()))
        };
        let is_same = digits(&text) == digits(proof.as_bytes());
        prop_assert_eq!(lets_in(challenge(), &text), is_same);
    }

    #[test]
    fn in_the_id_of_a_gateway((place, bit) in place()) {
        if let Ok(other) = String::from_utf8(flipped(GATEWAY.as_bytes(), place, bit)) {
            let frame = Challenge::new(&other, NONCE, SystemTime::UNIX_EPOCH).frame();
            let refused = answer(frame.as_bytes(), GATEWAY, &key(1));
            prop_assert_eq!(refused, Err(AnswerError::OtherGateway));
            let proof = answer(frame.as_bytes(), &other, &key(1)).unwrap();
            prop_assert!(!lets_in(challenge(), proof.frame.as_bytes()));
        }
    }

    #[test]
    fn in_an_attested_answer_of_a_capability((place, bit) in place()) {
        let bytes = flipped(&messages::encode(&attested()), place, bit);
        if let Ok(changed) = ocr::decode_response(&bytes) {
            let signers: Vec<_> = (0..4).map(|signer| ocr_key(signer).address()).collect();
            let (bound, id) = (FaultBound::new(1), "e".into());
            let holds = ocr::verify_response(&changed, &id, "7", &signers, bound).is_ok();
            prop_assert_eq!(holds, signed_part(&changed) == signed_part(&attested()));
        }
    }
}
