#![expect(clippy::arithmetic_side_effects, reason = "the sums of these tests are small")]

use proptest::prelude::*;

use super::*;

fn plain() -> Statement {
    Statement {
        boot_id: [1; 16],
        config_hash: [2; 32],
        config_epoch: 3,
        settings_hash: [4; 32],
        hpke_public_key: [5; 32],
        answer: None,
    }
}

fn of_answer() -> Statement {
    let answer = AnswerStatement {
        shares_hash: [6; 32],
        telemetry_hash: [7; 32],
        application_request_id: "execution".to_owned(),
        request_version: "0.0.6".to_owned(),
    };
    Statement { answer: Some(answer), ..plain() }
}

#[test]
fn the_encoding_is_fixed() {
    let [two, four, five] = ["02", "04", "05"].map(|byte| byte.repeat(32));
    let one = "01".repeat(16);
    let want = format!("a600010150{one}025820{two}0303045820{four}055820{five}");
    assert_eq!(hex::encode(plain().encode().unwrap()), want);
}

#[test]
fn what_is_encoded_is_decoded() {
    for statement in [plain(), of_answer()] {
        assert_eq!(Statement::decode(&statement.encode().unwrap()), Ok(statement));
    }
}

#[test]
fn texts_that_do_not_fit_are_refused() {
    let mut statement = of_answer();
    let id = &mut statement.answer.as_mut().unwrap().application_request_id;
    *id = "x".repeat(900);
    let Err(StatementError::TooLong { got }) = statement.encode() else { panic!() };
    assert!(got > 1024);
    assert_eq!(Statement::decode(&vec![0; got]), Err(StatementError::TooLong { got }));
}

#[test]
fn another_version_is_refused() {
    let bytes = Writer::new().map(1).unsigned(0).unsigned(2).finish();
    assert_eq!(Statement::decode(&bytes), Err(StatementError::Version { got: 2 }));
}

#[test]
fn other_keys_are_refused() {
    let start = |entries| Writer::new().map(entries).unsigned(0).unsigned(1);
    let cases = [
        (Writer::new().map(0), 0),
        (start(1), 1),
        (start(2).unsigned(2).bytes(&[2; 32]), 1),
        (start(2).text("1").bytes(&[1; 16]), 1),
        (start(2).raw(&[0x20]).null(), 1),
    ];
    for (writer, read) in cases {
        assert_eq!(Statement::decode(&writer.finish()), Err(StatementError::Keys { read }));
    }
    let mut eleven = of_answer().encode().unwrap();
    eleven[0] = 0xab;
    eleven.extend([0x0a, 0x00]);
    assert_eq!(Statement::decode(&eleven), Err(StatementError::Keys { read: 10 }));
    let mut seven = plain().encode().unwrap();
    seven[0] = 0xa7;
    seven.extend(Writer::new().unsigned(6).bytes(&[6; 32]).finish());
    assert_eq!(Statement::decode(&seven), Err(StatementError::Keys { read: 7 }));
}

#[test]
fn a_value_of_another_length_is_refused() {
    let short = Writer::new().map(2).unsigned(0).unsigned(1).unsigned(1).bytes(&[1; 15]).finish();
    assert_eq!(Statement::decode(&short), Err(StatementError::Length { key: 1, got: 15 }));
}

#[test]
fn loose_cbor_is_refused() {
    let mut trailing = plain().encode().unwrap();
    trailing.push(0);
    let refusal = Statement::decode(&trailing);
    assert!(matches!(refusal, Err(StatementError::Cbor(CborError::Trailing { .. }))));
    let refusal = Statement::decode(&[0xbf, 0xff]);
    assert_eq!(refusal, Err(StatementError::Cbor(CborError::Indefinite { at: 0 })));
    assert!(Statement::decode(&[]).is_err());
}

#[test]
fn nothing_known_is_nothing_compared() {
    assert_eq!(plain().check(&ExpectedStatement::default()), Ok(()));
    assert_eq!(of_answer().check(&ExpectedStatement::default()), Ok(()));
}

#[test]
fn each_field_is_compared() {
    use StatementMismatch as Mismatch;
    let (hash, boot_id) = ([9; 32], [9; 16]);
    let none = ExpectedStatement::default();
    let answer = |answer| ExpectedStatement { answer: Some(answer), ..none };
    let any = ExpectedAnswer::default();
    let cases = [
        (ExpectedStatement { boot_id: Some(&boot_id), ..none }, Mismatch::BootId),
        (ExpectedStatement { config_hash: Some(&hash), ..none }, Mismatch::ConfigHash),
        (ExpectedStatement { config_epoch: Some(2), ..none }, Mismatch::ConfigEpoch),
        (ExpectedStatement { settings_hash: Some(&hash), ..none }, Mismatch::SettingsHash),
        (ExpectedStatement { hpke_public_key: Some(&hash), ..none }, Mismatch::HpkePublicKey),
        (answer(ExpectedAnswer { shares_hash: Some(&hash), ..any }), Mismatch::SharesHash),
        (answer(ExpectedAnswer { telemetry_hash: Some(&hash), ..any }), Mismatch::TelemetryHash),
        (
            answer(ExpectedAnswer { application_request_id: Some("other"), ..any }),
            Mismatch::ApplicationRequestId,
        ),
        (
            answer(ExpectedAnswer { request_version: Some("0.0.7"), ..any }),
            Mismatch::RequestVersion,
        ),
    ];
    for (expected, mismatch) in cases {
        assert_eq!(of_answer().check(&expected), Err(mismatch));
    }
    assert_eq!(plain().check(&answer(any)), Err(Mismatch::NoAnswer));
}

#[test]
fn a_statement_as_known_is_taken() {
    let statement = of_answer();
    let answer = statement.answer.as_ref().unwrap();
    let expected = ExpectedStatement {
        boot_id: Some(&statement.boot_id),
        config_hash: Some(&statement.config_hash),
        config_epoch: Some(3),
        settings_hash: Some(&statement.settings_hash),
        hpke_public_key: Some(&statement.hpke_public_key),
        answer: Some(ExpectedAnswer {
            shares_hash: Some(&answer.shares_hash),
            telemetry_hash: Some(&answer.telemetry_hash),
            application_request_id: Some("execution"),
            request_version: Some("0.0.6"),
        }),
    };
    assert_eq!(statement.check(&expected), Ok(()));
}

proptest! {
    #[test]
    fn there_is_one_encoding(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0_usize..200, bit in 0..8) {
        if let Ok(statement) = Statement::decode(&bytes) {
            prop_assert_eq!(statement.encode(), Ok(bytes));
        }
        let mut flipped = of_answer().encode().unwrap();
        let at = at % flipped.len();
        flipped[at] ^= 1_u8 << bit;
        if let Ok(statement) = Statement::decode(&flipped) {
            prop_assert_eq!(statement.encode(), Ok(flipped));
        }
    }
}
