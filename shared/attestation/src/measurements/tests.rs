use proptest::prelude::*;

use super::{MEASUREMENTS_LIMIT_BYTES, Measurements, MeasurementsError, ZeroPcrError};
use crate::pcr::Pcr;

const A: Pcr = Pcr::ZERO;

fn pcr(byte: u8) -> Pcr {
    Pcr::from([byte; 48])
}

fn image() -> Measurements {
    Measurements::new(pcr(0xa0), pcr(0xa1), pcr(0xa2)).unwrap()
}

fn all() -> Measurements {
    image().with_role(pcr(0xa3)).with_instance(pcr(0xa4)).with_signer(pcr(0xa8)).unwrap()
}

/// The flat form with further members, which begin with a comma.
fn flat(more: &str) -> String {
    let json = image().to_registry_json();
    format!("{}{more}}}", json.strip_suffix('}').unwrap())
}

fn refusal(json: &str) -> MeasurementsError {
    Measurements::parse(json.as_bytes()).unwrap_err()
}

#[test]
fn both_forms_are_read_back() {
    for measurements in [image(), all()] {
        let flat = measurements.to_registry_json();
        let nested = measurements.to_nitro_cli_json();
        assert_eq!(Measurements::parse(flat.as_bytes()), Ok(measurements.clone()));
        assert_eq!(Measurements::parse(nested.as_bytes()), Ok(measurements));
    }
}

#[test]
fn the_flat_form_is_the_registrys() {
    let [a, b, c] = ["a0", "a1", "a2"].map(|byte| byte.repeat(48));
    let want = format!(r#"{{"pcr0":"{a}","pcr1":"{b}","pcr2":"{c}"}}"#);
    assert_eq!(image().to_registry_json(), want);
}

#[test]
fn the_nested_form_is_nitro_clis() {
    let [a, b, c] = ["a0", "a1", "a2"].map(|byte| byte.repeat(48));
    let want = format!(
        "{{\n  \"Measurements\": {{\n    \"HashAlgorithm\": \"Sha384 {{ ... }}\",\n    \
         \"PCR0\": \"{a}\",\n    \"PCR1\": \"{b}\",\n    \"PCR2\": \"{c}\"\n  }}\n}}"
    );
    assert_eq!(image().to_nitro_cli_json(), want);
}

#[test]
fn either_letter_case_is_read() {
    for json in [image().to_registry_json(), image().to_nitro_cli_json()] {
        assert_eq!(Measurements::parse(json.to_uppercase().as_bytes()), Ok(image()));
        assert_eq!(Measurements::parse(json.to_lowercase().as_bytes()), Ok(image()));
    }
}

#[test]
fn members_that_name_no_register_are_not_looked_at() {
    let json =
        flat(r#","HashAlgorithm":"Sha384","pcr":1,"pcrs":{"pcr0":0},"pcr01":[],"note":null"#);
    assert_eq!(Measurements::parse(json.as_bytes()), Ok(image()));
    let described = format!(
        r#"{{"EifVersion":4,"Metadata":{{"PCR0":"{A}","Measurements":{{}}}},"IsSigned":false,{}"#,
        image().to_nitro_cli_json().strip_prefix('{').unwrap()
    );
    assert_eq!(Measurements::parse(described.as_bytes()), Ok(image()));
}

#[test]
fn a_set_without_pcr0_pcr1_or_pcr2_is_refused() {
    for json in ["{}", r#"{"pcr0":null}"#, r#"{"Measurements":{}}"#] {
        assert_eq!(refusal(json), MeasurementsError::Missing { index: 0 });
    }
    for index in 0..3 {
        let json = image().to_registry_json().replace(&format!("pcr{index}"), "other");
        assert_eq!(refusal(&json), MeasurementsError::Missing { index });
    }
}

#[test]
fn a_name_twice_is_refused_whatever_its_letter_case() {
    let value = "a0".repeat(48);
    for (name, index) in [("pcr0", 0), ("PCR1", 1), ("Pcr2", 2)] {
        let json = flat(&format!(r#","{name}":"{value}""#));
        assert_eq!(refusal(&json), MeasurementsError::Duplicate { index: Some(index) });
    }
    let json = flat(&format!(r#","pcr8":"{value}","PCR8":null"#));
    assert_eq!(refusal(&json), MeasurementsError::Duplicate { index: Some(8) });
    assert_eq!(refusal(&json).to_string(), "the measurements have a name twice: PCR8");
    let nested = image().to_nitro_cli_json();
    let json = nested.replacen("{", r#"{"measurements":{},"#, 1);
    assert_eq!(refusal(&json), MeasurementsError::Duplicate { index: None });
    assert_eq!(refusal(&json).to_string(), "the measurements have a name twice");
}

#[test]
fn the_two_forms_at_once_are_refused() {
    let json = flat(r#","Measurements":{}"#);
    assert_eq!(refusal(&json), MeasurementsError::Ambiguous);
}

#[test]
fn a_zero_image_register_is_refused() {
    assert_eq!(Measurements::new(A, pcr(1), pcr(2)), Err(ZeroPcrError { index: 0 }));
    assert_eq!(Measurements::new(pcr(1), A, pcr(2)), Err(ZeroPcrError { index: 1 }));
    for (index, byte) in [(0, "a0"), (1, "a1"), (2, "a2")] {
        let json = image().to_registry_json().replace(byte, "00");
        assert_eq!(refusal(&json), MeasurementsError::Zero(ZeroPcrError { index }));
    }
}

#[test]
fn a_zero_signer_is_refused() {
    assert_eq!(image().with_signer(A), Err(ZeroPcrError { index: 8 }));
    let json = flat(&format!(r#","PCR8":"{A}""#));
    assert_eq!(refusal(&json), MeasurementsError::Zero(ZeroPcrError { index: 8 }));
}

#[test]
fn a_value_of_another_length_or_type_is_refused() {
    let fifty = "a0".repeat(50);
    let fifty = format!("\"{fifty}\"");
    for value in [r#""00""#, r#""zz""#, r#""""#, "1", "true", "null", "[]", "{}", &fifty] {
        for index in [3, 4, 5, 8] {
            let json = flat(&format!(r#","pcr{index}":{value}"#));
            assert_eq!(refusal(&json), MeasurementsError::Value { index }, "{value}");
        }
    }
}

#[test]
fn a_register_that_no_policy_compares_is_refused() {
    let value = "a0".repeat(48);
    for index in [5, 7, 9, 31, 32, 255, 256, 264, 1 << 32, u64::MAX] {
        let json = flat(&format!(r#","PCR{index}":"{value}""#));
        assert_eq!(refusal(&json), MeasurementsError::Unsupported { index });
    }
    let json = flat(&format!(r#","pcr{}":null"#, "9".repeat(40)));
    assert_eq!(refusal(&json), MeasurementsError::Unsupported { index: u64::MAX });
}

#[test]
fn what_is_not_one_json_object_is_refused() {
    for json in ["null", "[]", "1", "\"x\"", "true", "1.5", "-1", r#"{"Measurements":null}"#] {
        assert_eq!(refusal(json), MeasurementsError::Shape, "{json}");
    }
    for json in ["", "{", "fake-measurements", "{} {}", "\u{feff}{}"] {
        assert!(matches!(refusal(json), MeasurementsError::Json { .. }), "{json}");
    }
}

#[test]
fn a_text_as_long_as_nitro_cli_prints_is_read() {
    let json = image().to_registry_json() + &" ".repeat(20_000);
    assert_eq!(Measurements::parse(json.as_bytes()), Ok(image()));
}

#[test]
fn a_text_beyond_the_limit_is_refused_unread() {
    let got = MEASUREMENTS_LIMIT_BYTES + 1;
    assert_eq!(refusal(&" ".repeat(got)), MeasurementsError::TooLong { got });
    let spaces = MEASUREMENTS_LIMIT_BYTES - image().to_registry_json().len();
    let json = " ".repeat(spaces) + &image().to_registry_json();
    assert_eq!(Measurements::parse(json.as_bytes()), Ok(image()));
}

proptest! {
    #[test]
    fn no_text_panics(json in proptest::collection::vec(any::<u8>(), 0..200)) {
        _ = Measurements::parse(&json);
    }

    #[test]
    fn what_is_written_is_read(bytes in any::<[u8; 6]>(), some in any::<[bool; 3]>()) {
        let [a, b, c, d, e, f] = bytes.map(|byte| pcr(byte | 1));
        let mut measurements = Measurements::new(a, b, c).unwrap();
        if some[0] { measurements = measurements.with_role(d); }
        if some[1] { measurements = measurements.with_instance(e); }
        if some[2] { measurements = measurements.with_signer(f).unwrap(); }
        let flat = measurements.to_registry_json();
        prop_assert_eq!(Measurements::parse(flat.as_bytes()), Ok(measurements.clone()));
        let nested = measurements.to_nitro_cli_json();
        prop_assert_eq!(Measurements::parse(nested.as_bytes()), Ok(measurements));
    }
}
