#![expect(clippy::arithmetic_side_effects, reason = "the sums of these tests are small")]

use proptest::prelude::*;

use super::*;
use crate::cbor::CborError;

fn plain() -> Statement {
    Statement {
        boot_id: [1; 16],
        config_hash: [2; 32],
        config_epoch: 3,
        settings_hash: Some([4; 32]),
        hpke_public_key: Some([5; 32]),
        answer: None,
    }
}

fn bare() -> Statement {
    Statement { settings_hash: None, hpke_public_key: None, ..plain() }
}

fn of_answer() -> Statement {
    let answer = AnswerStatement {
        shares_hash: Some([6; 32]),
        telemetry_hash: [7; 32],
        application_request_id: "execution".into(),
        request_version: "0.0.6".into(),
    };
    Statement { answer: Some(answer), ..plain() }
}

fn answer_without_shares() -> Statement {
    let mut statement = Statement { answer: of_answer().answer, ..bare() };
    statement.answer.as_mut().unwrap().shares_hash = None;
    statement
}

#[test]
fn the_encoding_is_fixed() {
    let [two, four, five] = ["02", "04", "05"].map(|byte| byte.repeat(32));
    let one = "01".repeat(16);
    let want = format!("a600010150{one}025820{two}0303045820{four}055820{five}");
    assert_eq!(hex::encode(plain().encode()), want);
    let want = format!("a400010150{one}025820{two}0303");
    assert_eq!(hex::encode(bare().encode()), want);
    let (seven, id, version) = ("07".repeat(32), hex::encode("execution"), hex::encode("0.0.6"));
    let want = format!("a700010150{one}025820{two}0303075820{seven}0869{id}0965{version}");
    assert_eq!(hex::encode(answer_without_shares().encode()), want);
}

#[test]
fn what_is_encoded_is_decoded() {
    for statement in [bare(), plain(), of_answer(), answer_without_shares()] {
        assert_eq!(Statement::decode(&statement.encode()), Ok(statement));
    }
}

#[test]
fn the_longest_statement_fits_its_field() {
    let mut statement = Statement { config_epoch: u64::MAX, ..of_answer() };
    let answer = statement.answer.as_mut().unwrap();
    answer.application_request_id = "x".repeat(NAME_LIMIT_BYTES).as_str().into();
    answer.request_version = "y".repeat(NAME_LIMIT_BYTES).as_str().into();
    let bytes = statement.encode();
    assert!(bytes.len() <= 730, "{} bytes", bytes.len());
    assert_eq!(Statement::decode(&bytes), Ok(statement));
}

#[test]
fn a_long_text_is_stated_by_its_hash() {
    let long = "x".repeat(NAME_LIMIT_BYTES + 1);
    let mut statement = of_answer();
    statement.answer.as_mut().unwrap().application_request_id = long.as_str().into();
    assert_eq!(Statement::decode(&statement.encode()), Ok(statement.clone()));
    let name = statement.answer.unwrap().application_request_id;
    assert!(name.is(&long) && !name.is(&long[1..]) && !name.is(""));
    assert!(name.to_string().starts_with("sha256:"), "{name}");
    assert_eq!(Name::from("short").to_string(), "short");
}

#[test]
fn a_long_text_that_is_stated_whole_is_refused() {
    for (key, got) in [(8, 257), (9, 300)] {
        let text = "x".repeat(got);
        let start = Writer::new().map(7).unsigned(0).unsigned(1).unsigned(1).bytes(&[1; 16]);
        let start = start.unsigned(2).bytes(&[2; 32]).unsigned(3).unsigned(3);
        let start = start.unsigned(7).bytes(&[7; 32]);
        let start = if key == 9 { start.unsigned(8).text("id") } else { start };
        let bytes = start.unsigned(key).text(&text).unsigned(9).text("").finish();
        assert_eq!(Statement::decode(&bytes), Err(StatementError::Length { key, got }));
    }
}

#[test]
fn more_than_the_field_holds_is_refused_unread() {
    let got = PUBLIC_KEY_LIMIT_BYTES + 1;
    assert_eq!(Statement::decode(&vec![0; got]), Err(StatementError::TooLong { got }));
    // One byte less is looked into.
    assert!(matches!(Statement::decode(&vec![0; got - 1]), Err(StatementError::Cbor(_))));
}

#[test]
fn another_version_is_refused() {
    let bytes = Writer::new().map(1).unsigned(0).unsigned(2).finish();
    assert_eq!(Statement::decode(&bytes), Err(StatementError::Version { got: 2 }));
}

#[test]
fn keys_that_are_unknown_or_out_of_place_are_refused() {
    let start = |entries| Writer::new().map(entries).unsigned(0).unsigned(1);
    let boot = |entries| start(entries).unsigned(1).bytes(&[1; 16]);
    let cases = [
        (Writer::new().map(1).unsigned(1).bytes(&[1; 16]), 0),
        (Writer::new().map(1).text("0").unsigned(1), 0),
        (start(2).text("1").bytes(&[1; 16]), 1),
        (start(2).raw(&[0x20]).null(), 1),
        (start(2).unsigned(10).null(), 1),
        (boot(4).unsigned(3).unsigned(3).unsigned(2).bytes(&[2; 32]), 3),
    ];
    for (writer, read) in cases {
        assert_eq!(Statement::decode(&writer.finish()), Err(StatementError::Keys { read }));
    }
    let mut eleven = of_answer().encode();
    eleven[0] = 0xab;
    eleven.extend([0x0a, 0x00]);
    assert_eq!(Statement::decode(&eleven), Err(StatementError::Keys { read: 10 }));
}

#[test]
fn what_has_to_be_there_is_missed() {
    let whole = answer_without_shares().encode();
    let entries: [(u64, std::ops::Range<usize>); 7] =
        [(0, 1..3), (1, 3..21), (2, 21..56), (3, 56..58), (7, 58..93), (8, 93..104), (9, 104..111)];
    assert_eq!(whole.len(), 111);
    for (key, entry) in entries {
        let mut fewer = whole.clone();
        fewer.drain(entry);
        fewer[0] -= 1;
        // Without a version nothing is known of the keys that follow.
        let want = if key == 0 {
            StatementError::Keys { read: 0 }
        } else {
            StatementError::Missing { key }
        };
        assert_eq!(Statement::decode(&fewer), Err(want));
    }
    assert_eq!(Statement::decode(&[0xa0]), Err(StatementError::Missing { key: 0 }));
    let mut shares_alone = bare().encode();
    shares_alone[0] += 1;
    shares_alone.extend(Writer::new().unsigned(6).bytes(&[6; 32]).finish());
    assert_eq!(Statement::decode(&shares_alone), Err(StatementError::Missing { key: 7 }));
}

#[test]
fn a_value_of_another_length_is_refused() {
    let short = Writer::new().map(2).unsigned(0).unsigned(1).unsigned(1).bytes(&[1; 15]).finish();
    assert_eq!(Statement::decode(&short), Err(StatementError::Length { key: 1, got: 15 }));
    let mut short = answer_without_shares().encode();
    short.splice(104.., Writer::new().unsigned(9).bytes(&[9; 31]).finish());
    assert_eq!(Statement::decode(&short), Err(StatementError::Length { key: 9, got: 31 }));
}

#[test]
fn loose_cbor_is_refused() {
    let mut trailing = plain().encode();
    trailing.push(0);
    let refusal = Statement::decode(&trailing);
    assert!(matches!(refusal, Err(StatementError::Cbor(CborError::Trailing { .. }))));
    let refusal = Statement::decode(&[0xbf, 0xff]);
    assert_eq!(refusal, Err(StatementError::Cbor(CborError::Indefinite { at: 0 })));
    let mut number = answer_without_shares().encode();
    number.splice(104.., [0x09, 0x05]);
    let refusal = Statement::decode(&number);
    assert!(matches!(refusal, Err(StatementError::Cbor(CborError::Type { at: 105, .. }))));
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
fn what_is_known_and_not_stated_differs() {
    use StatementMismatch as Mismatch;
    let hash = [4; 32];
    let none = ExpectedStatement::default();
    let settings = ExpectedStatement { settings_hash: Some(&hash), ..none };
    assert_eq!(bare().check(&settings), Err(Mismatch::SettingsHash));
    let key = ExpectedStatement { hpke_public_key: Some(&hash), ..none };
    assert_eq!(bare().check(&key), Err(Mismatch::HpkePublicKey));
    let shares = ExpectedAnswer { shares_hash: Some(&hash), ..ExpectedAnswer::default() };
    let shares = ExpectedStatement { answer: Some(shares), ..none };
    assert_eq!(answer_without_shares().check(&shares), Err(Mismatch::SharesHash));
}

#[test]
fn a_statement_as_known_is_taken() {
    let statement = of_answer();
    let answer = statement.answer.as_ref().unwrap();
    let expected = ExpectedStatement {
        boot_id: Some(&statement.boot_id),
        config_hash: Some(&statement.config_hash),
        config_epoch: Some(3),
        settings_hash: statement.settings_hash.as_ref(),
        hpke_public_key: statement.hpke_public_key.as_ref(),
        answer: Some(ExpectedAnswer {
            shares_hash: answer.shares_hash.as_ref(),
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
            prop_assert_eq!(statement.encode(), bytes);
        }
        let mut flipped = of_answer().encode();
        let at = at % flipped.len();
        flipped[at] ^= 1_u8 << bit;
        if let Ok(statement) = Statement::decode(&flipped) {
            prop_assert_eq!(statement.encode(), flipped);
        }
    }
}
