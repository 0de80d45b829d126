use serde_json::json;

use super::*;

/// A rule of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a and b must differ")]
struct Same;

fn keys(text: &str) -> Keys<Same> {
    Keys::new(text).unwrap()
}

/// Everything that is wrong after `read`, as it is said.
fn errors<T: fmt::Debug>(
    text: &str,
    read: impl FnOnce(&mut Keys<Same>) -> Option<T>,
) -> Vec<String> {
    let mut keys = keys(text);
    let value = read(&mut keys);
    let errors = keys.finish(value).unwrap_err();
    errors.errors().iter().map(ToString::to_string).collect()
}

fn small(text: &str) -> Option<u8> {
    text.parse().ok()
}

#[test]
fn what_is_there_is_read() {
    let mut keys = keys(
        "text = '7'\npath = 'a/b'\nnumber = 3\nms = 1500\nflag = true\nlist = [1, 2]\n\
         [a.b]\nmembers = ['3', '1', '2']\n[c]\nx = { y = 1.5 }\n",
    );
    assert_eq!(keys.text("text", "a number", small), Some(7));
    assert_eq!(keys.path("path", "a path"), Some(PathBuf::from("a/b")));
    assert_eq!(keys.number("number", (1_u16, 3), "a number"), Some(3));
    assert_eq!(keys.millis_or("ms", (1500, 1500), Duration::ZERO), Duration::from_millis(1500));
    assert!(keys.flag_or("flag", false));
    assert_eq!(keys.list("list", "a number", |value| value.as_u64()), Some(vec![1, 2]));
    assert_eq!(keys.members("a.b.members", "a number", 3, small), Some(vec![3, 1, 2]));
    assert_eq!(keys.object("c"), Some(json!({"x": {"y": 1.5}})));
    assert_eq!(keys.finish(Some(())), Ok(()));
}

#[test]
fn defaults_fill_what_is_left_out() {
    let mut keys = keys("[table]\n");
    assert_eq!(keys.text_or("table.text", "a number", 9, small), Some(9));
    assert_eq!(keys.optional_path("table.path"), None);
    assert_eq!(keys.number_or("other.number", (1_usize, 3), 2), 2);
    assert_eq!(keys.millis_or("ms", (1, 2), Duration::from_nanos(1)), Duration::from_nanos(1));
    assert!(keys.flag_or("flag", true));
    assert_eq!(keys.object("object"), None);
    assert_eq!(keys.finish(Some(())), Ok(()));
}

#[test]
fn what_has_no_default_is_missing() {
    let read = |keys: &mut Keys<Same>| {
        let _text = keys.text("a.text", "a text", small);
        let _path = keys.path("a.path", "a path");
        let _number = keys.number("number", (1_u8, 2), "a number");
        let _list = keys.list("list", "a thing", |_| Some(()));
        keys.members("b.members", "a member", 0, small)
    };
    assert_eq!(
        errors("[a]\n", read),
        [
            "a.text is missing: a text",
            "a.path is missing: a path",
            "number is missing: a number",
            "list is missing: a thing",
            "b.members is missing: a member",
        ]
    );
}

#[test]
fn another_type_or_form_is_refused() {
    let text = "a = 5\nb = ''\nc = ''\nd = '1'\ne = 1.0\nf = true\ng = 1\nh = {}\ni = 'x'\nj = [1]\n\
                k = { l = 2026-11-21 }\nl = 'many'\n";
    let read = |keys: &mut Keys<Same>| {
        let _text = keys.text("a", "a text", small);
        let _path = keys.path("b", "a path");
        let _path = keys.optional_path("c");
        let _number = keys.number("d", (1_u8, 2), "a number");
        let _number = keys.number_or("e", (1_u8, 2), 1);
        let _millis = keys.millis_or("f", (1, 2), Duration::ZERO);
        let _flag = keys.flag_or("g", true);
        let _list = keys.list("h", "a thing", |_| Some(()));
        let _members = keys.members("i", "a member", 0, small);
        let _object = keys.object("j");
        let _object = keys.object("k");
        keys.text_or("l", "few", 1, small)
    };
    assert_eq!(
        errors(text, read),
        [
            "a is not a text",
            "b is not a path",
            "c is not the path of a file",
            "d is not an integer",
            "e is not an integer",
            "f is not an integer",
            "g is not true or false",
            "h is not a list",
            "i is not a list",
            "j is not a table",
            "k is not a JSON object",
            "l is not few",
        ]
    );
}

#[test]
fn a_number_beyond_its_range_is_refused_also_where_its_type_ends() {
    let text = format!("a = 0\nb = 3\nc = -1\nd = {}\n", i64::MAX);
    let read = |keys: &mut Keys<Same>| {
        let _number = keys.number("a", (1_u8, 2), "a number");
        let _number = keys.number_or("b", (1_i64, 2), 1);
        let _millis = keys.millis_or("c", (0, 5), Duration::ZERO);
        keys.number("d", (0, u32::MAX), "a number")
    };
    assert_eq!(
        errors(&text, read),
        [
            "a is 0, it must be from 1 to 2",
            "b is 3, it must be from 1 to 2",
            "c is -1, it must be from 0 to 5",
            "d is 9223372036854775807, it must be from 0 to 4294967295",
        ]
    );
    let mut keys = keys(&text);
    assert_eq!(keys.number("d", (0, u64::MAX), "a number"), Some(i64::MAX.unsigned_abs()));
}

#[test]
fn a_list_of_nothing_is_refused() {
    let read = |keys: &mut Keys<Same>| keys.list("a", "a thing", |_| Some(()));
    assert_eq!(errors("a = []", read), ["a is not a list of one or more"]);
}

#[test]
fn every_element_that_is_wrong_is_named() {
    let read = |keys: &mut Keys<Same>| keys.list("a", "a number", |value| value.as_u64());
    assert_eq!(
        errors("a = [1, 'x', 2, 2026-11-21]", read),
        ["a: number 2 is not a number", "a: number 4 is not a number"]
    );
}

#[test]
fn members_are_enough_well_formed_and_different() {
    let read = |least| move |keys: &mut Keys<Same>| keys.members("m", "a number", least, small);
    assert_eq!(errors("m = ['1', '2']", read(3)), ["m: 2 members, at least 3 are needed"]);
    assert_eq!(errors("m = []", read(1)), ["m: 0 members, at least 1 are needed"]);
    assert_eq!(
        errors("m = ['1', '300', '+1', 1]", read(5)),
        [
            "m: 4 members, at least 5 are needed",
            "m: number 2 is not a number",
            "m: number 3 is the same as one before it",
            "m: number 4 is not a number",
        ]
    );
}

#[test]
fn what_nobody_took_is_unknown() {
    let text = "other = 1\n[a]\nx = 1\n[a.b]\ny = 1\n[a.c]\nz = 1\n[d]\nx = 1\ny = 1\n";
    let read = |keys: &mut Keys<Same>| keys.number("a.b.c.deep", (1_u8, 2), "a number").or(Some(1));
    assert_eq!(
        errors(text, read),
        [
            "a.b.c.deep is missing: a number",
            "a.b.y is not a key of this configuration",
            "a.c is not a key of this configuration",
            "a.x is not a key of this configuration",
            "d is not a key of this configuration",
            "other is not a key of this configuration",
        ]
    );
}

#[test]
fn a_key_in_other_letters_is_another_key() {
    let read = |keys: &mut Keys<Same>| Some(keys.flag_or("flag", true));
    assert_eq!(errors("Flag = true", read), ["Flag is not a key of this configuration"]);
}

#[test]
fn a_value_in_the_place_of_a_table_is_refused() {
    let read =
        |keys: &mut Keys<Same>| Some((keys.flag_or("a.b", true), keys.flag_or("c.d.e", true)));
    assert_eq!(errors("a = 1\nc = { d = [] }", read), ["a is not a table", "c.d is not a table"]);
}

#[test]
fn a_quoted_name_is_not_a_path_of_names() {
    let read = |keys: &mut Keys<Same>| Some(keys.flag_or("a.b.c", true));
    assert_eq!(errors("[\"a.b\"]\n", read), ["a.b is not a key of this configuration"]);
    let mut keys = keys("\"a.b\" = { c = false }");
    assert!(!keys.has("a.b"));
    assert!(keys.flag_or("a.b.c", true));
}

#[test]
fn a_key_is_there_or_not() {
    let keys = keys("a = 1\n[b.c]\nd = 1\n");
    for key in ["a", "b", "b.c", "b.c.d"] {
        assert!(keys.has(key), "{key}");
    }
    for key in ["", "c", "a.b", "b.d", "b.c.d.e"] {
        assert!(!keys.has(key), "{key}");
    }
}

#[test]
fn a_broken_rule_is_said_in_its_own_words() {
    let mut keys = keys("b = 1");
    assert_eq!(keys.refuse::<()>(ConfigError::Rule(Same)), None);
    let errors = keys.finish(Some(())).unwrap_err();
    assert_eq!(errors.errors()[0], ConfigError::Rule(Same));
    assert_eq!(errors.to_string(), "a and b must differ; b is not a key of this configuration");
}

#[test]
fn a_text_that_is_no_toml_is_refused_by_its_line_and_not_repeated() {
    for (text, line) in [("hunter2", 1), ("a = 1\n\na = 'hunter2'", 3), ("a = 1\nb = hunter2\n", 2)]
    {
        let errors = Keys::<Same>::new(text).unwrap_err();
        assert_eq!(errors.to_string(), format!("line {line} is not TOML, or repeats a key"));
        assert!(!format!("{errors:?}").contains("hunter2"));
    }
}

#[test]
fn values_are_not_printed() {
    let mut keys = keys("secret = 'hunter2'\nnumber = 'hunter2'");
    let _number = keys.number_or("number", (1_u8, 2), 1);
    let shown = format!("{keys:?}");
    assert!(shown.contains("number") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn an_object_of_json_is_read_as_a_table() {
    let mut keys = Keys::<Same>::of_json("t", json!({"a": 1, "b": null, "c": {"d": 2}}));
    assert_eq!(keys.number("t.a", (1_u8, 2), "a number"), Some(1));
    assert!(keys.flag_or("t.b", true));
    assert_eq!(keys.number("t.c.d", (1_u8, 2), "a number"), Some(2));
    assert_eq!(keys.finish(Some(())), Ok(()));

    let mut keys = Keys::<Same>::of_json("t", json!(null));
    assert_eq!(keys.number_or("t.a", (1_u8, 2), 2), 2);
    assert_eq!(keys.finish(Some(())), Ok(()));

    let mut keys = Keys::<Same>::of_json("t", json!({"a": u64::MAX}));
    assert_eq!(keys.number_or("t.a", (1, u64::MAX), 2), 2);
    assert_eq!(keys.finish(Some(())).unwrap_err().to_string(), "t.a is not an integer");

    let mut keys = Keys::<Same>::of_json("t", json!([1]));
    assert!(keys.flag_or("t.a", true));
    assert_eq!(keys.finish(Some(())).unwrap_err().to_string(), "t is not a table");
}
