//! What the strict reader takes, and how it refuses the rest.

use super::*;

const NAMES: &[&str] = &["Group", "Index", "U_i", "kS"];

fn parse(text: &str) -> Result<Object<'_>, ParseError> {
    Object::parse(text.as_bytes(), NAMES, 200)
}

fn refusal(text: &str) -> ParseError {
    parse(text).err().unwrap()
}

#[test]
fn members_come_in_any_order_with_strangers_and_spaces() {
    let object =
        parse(" {\"x\":{\"Group\":1},\"Index\" : 7,\n\"Group\":\"P256\",\"é\":[null]}\t").unwrap();
    assert_eq!(object.group(), Ok(()));
    assert_eq!(object.index(), Ok(7));
}

#[test]
fn escapes_are_read_like_plain_characters() {
    let object = parse(r#"{"\u0047roup":"P\u003256","U_i":"AA\/\/"}"#).unwrap();
    assert_eq!(object.group(), Ok(()));
    assert_eq!(object.bytes("U_i").unwrap().as_slice(), [0, 15, 255]);
}

#[test]
fn texts_that_are_not_json_are_refused() {
    for text in ["", " ", "{", "{\"Group\":", "{}x", "{}{}", "{,}", "{'a':1}", "\u{feff}{}", "nul"]
    {
        assert_eq!(refusal(text), ParseError::Json, "{text}");
    }
    let not_text = Object::parse(b"{\"Group\":\"\xff\"}", NAMES, 200);
    assert_eq!(not_text.err(), Some(ParseError::Json));
}

#[test]
fn documents_other_than_objects_are_refused() {
    for text in ["null", "[]", "[{}]", "1", "\"{}\"", "true"] {
        assert_eq!(refusal(text), ParseError::Type { member: DOCUMENT }, "{text}");
    }
}

#[test]
fn the_limit_is_the_longest_text() {
    let text = format!("{{{}}}", " ".repeat(198));
    assert!(parse(&text).is_ok());
    let long = format!("{text} ");
    assert_eq!(refusal(&long), ParseError::TooLong { got: 201, limit: 200 });
}

#[test]
fn a_known_member_stands_there_once() {
    let duplicate = ParseError::Duplicate { member: "Group" };
    assert_eq!(refusal(r#"{"Group":"P256","Group":"P256"}"#), duplicate);
    assert_eq!(refusal(r#"{"Group":"P256","\u0047roup":null}"#), duplicate);
    assert!(parse(r#"{"x":1,"x":2}"#).is_ok());
}

#[test]
fn names_in_another_case_are_refused() {
    for (name, member) in [
        ("group", "Group"),
        ("GROUP", "Group"),
        ("u_i", "U_i"),
        ("ks", "kS"),
        ("k\u{17f}", "kS"),
        ("\u{212a}S", "kS"),
        (r"\u212a\u017f", "kS"),
    ] {
        let text = format!("{{\"{name}\":1}}");
        assert_eq!(refusal(&text), ParseError::Folded { member }, "{name}");
    }
    for stranger in ["Gröup", "Groups", "Grou", "ſſ", ""] {
        assert!(parse(&format!("{{\"{stranger}\":1}}")).is_ok(), "{stranger}");
    }
}

#[test]
fn byte_strings_have_one_form() {
    let bytes = |text: &str| {
        let json = format!("{{\"U_i\":{text}}}");
        parse(&json).unwrap().bytes("U_i").map(|bytes| bytes.to_vec())
    };
    assert_eq!(bytes("\"/+8=\""), Ok(vec![255, 239]));
    assert_eq!(bytes("\"\""), Ok(Vec::new()));
    let base64 = Err(ParseError::Base64 { member: "U_i" });
    for text in ["/+9=", "/+8", "_-8=", "/+8=\\n", "\\r\\n/+8=", "/+8==", "/", " /+8=", "=", "ä"] {
        assert_eq!(bytes(&format!("\"{text}\"")), base64, "{text}");
    }
    for text in ["null", "5", "[255,239]", "{}", "true"] {
        assert_eq!(bytes(text), Err(ParseError::Type { member: "U_i" }), "{text}");
    }
    assert_eq!(bytes(r#""\ud800""#), Err(ParseError::Json));
    let missing = parse("{}").unwrap().bytes("U_i").err();
    assert_eq!(missing, Some(ParseError::Missing { member: "U_i" }));
}

#[test]
fn an_index_is_a_small_natural_number() {
    let index = |text: &str| parse(&format!("{{\"Index\":{text}}}")).unwrap().index();
    assert_eq!(index("0"), Ok(0));
    assert_eq!(index("4294967295"), Ok(u32::MAX));
    for text in ["-1", "4294967296", "9223372036854775807", "-9223372036854775808"] {
        assert_eq!(index(text), Err(ParseError::Index), "{text}");
    }
    for text in ["1.0", "1e0", "\"1\"", "null", "[]", "9223372036854775808"] {
        assert_eq!(index(text), Err(ParseError::Type { member: "Index" }), "{text}");
    }
}

#[test]
fn a_list_may_be_absent_but_not_another_type() {
    let points = |text: &str| {
        parse(&format!("{{\"U_i\":{text}}}")).unwrap().points("U_i").map(|points| points.len())
    };
    assert_eq!(parse("{}").unwrap().points("U_i").map(|points| points.len()), Ok(0));
    assert_eq!(points("null"), Ok(0));
    assert_eq!(points("[]"), Ok(0));
    for text in ["{}", "1", "\"\"", "[null]", "[1]", "[[]]"] {
        assert_eq!(points(text), Err(ParseError::Type { member: "U_i" }), "{text}");
    }
    let short = ParseError::Point { member: "U_i", error: PointError::Length };
    assert_eq!(points("[\"\"]"), Err(short));
}

#[test]
fn deep_and_long_strangers_do_no_harm() {
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(50_000), "]".repeat(50_000));
    assert!(Object::parse(deep.as_bytes(), NAMES, 200_000).is_ok());
    let open = "[".repeat(100_000);
    assert_eq!(
        Object::parse(open.as_bytes(), NAMES, 200_000).err(),
        Some(ParseError::Type { member: DOCUMENT })
    );
}

#[test]
fn the_writer_emits_one_line_in_the_order_of_the_calls() {
    let text = Writer::with_capacity(64).group().index(12).bytes("V", &[255, 239]).points("P", &[]);
    assert_eq!(text.finish().as_slice(), br#"{"Group":"P256","Index":12,"V":"/+8=","P":[]}"#);
}
