use super::*;

const LEAST: &str = r#"
    [nodes]
    listen = "0.0.0.0:8080"
    [enclave]
    measurements = [{ pcr0 = "PCR", pcr1 = "PCR", pcr2 = "PCR" }]
"#;

/// A committee of two, and a vault key of the specification's appendix A.6.
const ENCLAVE_CONFIG: &str = r#"
    [enclave.config]
    signers = [
      "4cb5abf6ad79fbf5abbccafcc269d85cd2651ed4b885b5869f241aedf0a5ba29",
      "7422b9887598068e32c4448a949adb290d0f4e35b9e01b0ee5f1a1e600fe2674",
    ]
    master_public_key = '{"Group":"P256","G_bar":"BLkrWNU9+cFS7m6tt/u1YSeOu3YDmDHPRcPg/cqhDCuH68hPvl92pDK5fLuPKDJymRSyArv4TQm/WboSiJy6aCs=","H":"BFc5KlSEiKQMki3Fj/tBISjXONlrqKFZo7sxlS0kmliw5euRVMT+mhRZX4MsSuWKWjn1Q7Przl1hR/Tqv4FMnng=","HArray":["BEMN/tHkTRYqFGQrnhw63RxxTicemK3TpVmhWhOw6ZRFroKEgQUl/tDq1N3gLXM7CsFHUuzEyKC2Z2OtWNTlm7g=","BF8v6e+px/omNTDolioi6lmDKblyiwjDxlqT7PTXeATsk2OLY4kt0nJmKKgJ/gbYu3EOQjI3be9JRGQw70LY0KU=","BCrkc50D3yIbONi/1J55XYbJQNB+H2/CivcIQmeUbIEemXWeT9qnoUKFG0vQmhnliMge2xe/0svyMHf1EXn23hI="]}'
    t = 2
    f = 1
"#;

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse(&text.replace("PCR", &"ab".repeat(48)))
}

fn errors(text: &str) -> Vec<String> {
    parse(text).unwrap_err().errors().iter().map(ToString::to_string).collect()
}

fn error(text: &str) -> String {
    let errors = errors(text);
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.concat()
}

#[test]
fn what_has_a_default_may_be_left_out() {
    let config = parse(LEAST).unwrap();
    assert_eq!(config.nodes.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(config.nodes.max_body_bytes, 64 << 20);
    assert_eq!(config.operator_listen.to_string(), "127.0.0.1:8081");
    let enclave = &config.enclave;
    assert_eq!((enclave.cid, enclave.port, enclave.egress_port), (16, 5000, 5001));
    assert!(enclave.config.is_none() && enclave.settings.is_none());
    assert_eq!(config.batch.quorum_timeout, Duration::from_secs(20));
    assert!(!config.batch.require_bft_quorum);
    assert_eq!(config.egress, EgressLimits::default());
    assert_eq!(config.shutdown, Duration::from_secs(25));
}

#[test]
fn the_example_of_the_documentation_has_the_defaults() {
    let example = include_str!("mod.rs").split("```").nth(1).unwrap();
    let lines = example.lines().skip(1).map(|line| line.trim_start_matches("//!"));
    let example = lines.collect::<Vec<_>>().join("\n");
    let example = example.replace("<96 hex digits>", "PCR");
    let (before, given) = example.split_once("[enclave.config]").unwrap();
    let (_, after) = given.split_once("[batch]").unwrap();
    let documented = parse(&format!("{before}[batch]{after}")).unwrap();
    assert_eq!(format!("{documented:?}"), format!("{:?}", parse(LEAST).unwrap()));
}

#[test]
fn configuration_and_settings_for_the_enclave_are_read() {
    let settings = "[enclave.settings]\ngatewayUrl = \"https://g/\"\nmaxBinarySize = 7\n";
    let config = parse(&format!("{LEAST}{ENCLAVE_CONFIG}{settings}")).unwrap();
    let enclave = config.enclave.config.unwrap();
    assert_eq!((enclave.t, enclave.f, enclave.signers.unwrap().len()), (2, 1, 2));
    let settings = config.enclave.settings.unwrap();
    assert_eq!(settings.expose(), br#"{"gatewayUrl":"https://g/","maxBinarySize":7}"#);
}

#[test]
fn settings_are_not_printed() {
    let config = parse(&format!("{LEAST}[enclave.settings]\nstorageKey = \"hunter2\"\n")).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let text = r#"
        shutdown = 1
        [nodes]
        max_connections = 0
        [enclave]
        cid = "16"
        measurements = [{ pcr0 = "00" }, 7]
        [batch]
        quorum_timeout_ms = 300000
        require_bft_quorum = 1
        [proxy]
        port = 1
    "#;
    assert_eq!(
        errors(text),
        [
            "nodes.listen is missing: an address such as \"0.0.0.0:8080\"",
            "nodes.max_connections is 0, it must be from 1 to 65536",
            "enclave.cid is not an integer",
            "enclave.measurements: number 1 is not PCR0, PCR1 and PCR2 of an image, each 96 \
             hexadecimal digits and not zero",
            "enclave.measurements: number 2 is not PCR0, PCR1 and PCR2 of an image, each 96 \
             hexadecimal digits and not zero",
            "batch.quorum_timeout_ms is 300000, it must be from 1 to 299999",
            "batch.require_bft_quorum is not true or false",
            "proxy is not a key of this configuration",
            "shutdown is not a key of this configuration",
        ]
    );
}

#[test]
fn a_text_that_is_no_toml_is_refused_by_its_line_and_not_repeated() {
    let message = error("[enclave.settings]\nstorageKey = hunter2\n");
    assert_eq!(message, "line 2 is not TOML, or repeats a key");
}

#[test]
fn no_image_is_not_an_image() {
    let none = LEAST.replace("[{ pcr0 = \"PCR\", pcr1 = \"PCR\", pcr2 = \"PCR\" }]", "[]");
    assert_eq!(error(&none), "enclave.measurements is not a list of one or more");
    assert!(
        error("[nodes]\nlisten = \"0.0.0.0:1\"").starts_with("enclave.measurements is missing")
    );
}

#[test]
fn a_debug_image_is_refused() {
    let zero = LEAST.replace("PCR", &"00".repeat(48));
    assert!(error(&zero).starts_with("enclave.measurements: number 1 is not"));
}

#[test]
fn w_26_the_operators_port_is_not_that_of_the_nodes() {
    let same = format!("{LEAST}[operator]\nlisten = \"127.0.0.1:8080\"");
    assert!(error(&same).starts_with("operator.listen and nodes.listen must differ"));
    let any = LEAST.replace("0.0.0.0:8080", "127.0.0.1:0");
    assert!(parse(&format!("{any}[operator]\nlisten = \"127.0.0.1:0\"")).is_ok());
}

#[test]
fn w_03_the_operators_port_is_on_loopback() {
    for address in ["0.0.0.0:8081", "10.0.0.1:8081", "[::]:8081"] {
        let exposed = format!("{LEAST}[operator]\nlisten = \"{address}\"");
        assert!(error(&exposed).starts_with("operator.listen must be an address of loopback"));
    }
}

#[test]
fn w_12_a_signer_that_is_no_key_is_refused_at_the_start() {
    let short = ENCLAVE_CONFIG.replace("4cb5abf6", "");
    let message = error(&format!("{LEAST}{short}"));
    assert!(message.starts_with("enclave.config.signers: number 1 is not"), "{message}");
}

#[test]
fn w_11_a_configuration_that_cannot_work_is_refused_at_the_start() {
    for (from, to, expected) in [
        ("f = 1", "f = 2", "enclave.config: 2 signers cannot make a quorum of 3"),
        ("t = 2", "", "enclave.config.t is missing: how many shares open a secret"),
        ("f = 1", "", "enclave.config.f is missing: how many nodes may be faulty"),
        ("P256", "P384", "enclave.config: the master public key is none"),
        (
            "7422b9887598068e32c4448a949adb290d0f4e35b9e01b0ee5f1a1e600fe2674",
            "4cb5abf6ad79fbf5abbccafcc269d85cd2651ed4b885b5869f241aedf0a5ba29",
            "enclave.config: signer 1 occurs twice",
        ),
    ] {
        let text = format!("{LEAST}{}", ENCLAVE_CONFIG.replace(from, to));
        assert_eq!(error(&text), expected);
    }
}

#[test]
fn w_59_results_cannot_outlive_their_documents() {
    let old = format!("{LEAST}[batch]\nresult_age_ms = 300000\n");
    assert_eq!(error(&old), "batch.result_age_ms is 300000, it must be from 0 to 240000");
}
