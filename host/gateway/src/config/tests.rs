//! Configurations that work, and everything that is refused in one go.

use serde_json::{Value, json};

use super::*;

const KEYS: [&str; 4] = [
    "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c",
    "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394",
    "ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1",
    "ca93ac1705187071d67b83c7ff0efe8108e8ec4530575d7726879333dbdabe7c",
];

fn text(users: &str, nodes: &str, relay: &str) -> String {
    let members = KEYS.map(|key| format!("{key:?}")).join(", ");
    format!(
        "[users]\nlisten = '127.0.0.1:0'\n{users}\n[nodes]\nlisten = '127.0.0.1:0'\n\
         gateway_id = 'g'\nmembers = [{members}]\n{nodes}\n[relay]\n{relay}\n"
    )
}

fn refused(text: &str) -> Vec<String> {
    let errors = Config::parse(text).unwrap_err();
    errors.errors().iter().map(ToString::to_string).collect()
}

#[test]
fn the_defaults_are_those_of_the_specification() {
    let config = Config::parse(&text("", "", "")).unwrap();
    assert_eq!(config.users.max_request_bytes, 100_000);
    assert_eq!(config.users.request_timeout, Duration::from_secs(32));
    assert_eq!(config.nodes.max_frame_bytes, 100_000);
    assert_eq!(config.nodes.heartbeat, Duration::from_secs(20));
    assert_eq!(config.nodes.faults, FaultBound::new(1));
    assert_eq!(config.nodes.node_rate, Rate::PER_NODE);
    assert_eq!(config.nodes.total_rate, Rate::TOTAL);
    assert_eq!(config.relay, Relay::from_value(Value::Null).unwrap());
}

#[test]
fn the_documented_file_is_read_and_shows_the_defaults() {
    let documented: String = include_str!("mod.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .skip_while(|line| !line.contains("```toml"))
        .skip(1)
        .take_while(|line| !line.contains("```"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut documented = documented;
    for key in KEYS {
        documented = documented.replacen("<64 hex digits>", key, 1);
    }
    let shown = Config::parse(&documented).unwrap();
    let mut minimal = Config::parse(&text("", "", "")).unwrap();
    minimal.users.listen = shown.users.listen;
    minimal.nodes.listen = shown.nodes.listen;
    minimal.nodes.gateway_id = shown.nodes.gateway_id.clone();
    assert_eq!(shown, minimal);
}

#[test]
fn every_key_reaches_the_configuration() {
    let config = Config::parse(&text(
        "max_request_bytes = 2000\nmax_connections = 2\nmax_waiting = 3\nrequest_timeout_ms = 9000",
        "faults = 0\nmax_frame_bytes = 3000\nheartbeat_ms = 50\nnode_rate = '1rps:2'\n\
         total_rate = '3rps:4'\nshared = true",
        "requestTimeoutSec = 7\nnodeSendTimeoutSec = 8\nquorumGraceMillis = -1",
    ))
    .unwrap();
    let Users { max_request_bytes, max_connections, max_waiting, request_timeout, .. } =
        config.users;
    assert_eq!((max_request_bytes, max_connections, max_waiting), (2000, 2, 3));
    assert_eq!(request_timeout, Duration::from_secs(9));
    assert_eq!(config.nodes.max_frame_bytes, 3000);
    assert_eq!(config.nodes.heartbeat, Duration::from_millis(50));
    assert_eq!(config.nodes.node_rate, "1rps:2".parse().unwrap());
    assert_eq!(config.nodes.total_rate, "3rps:4".parse().unwrap());
    assert!(config.nodes.shared);
    assert_eq!(config.relay.node_send_timeout, Duration::from_secs(7));
    assert_eq!(config.relay.quorum_grace, None);
    assert_eq!(config.nodes.members.iter().map(ToString::to_string).collect::<Vec<_>>(), KEYS);
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_its_key() {
    let errors = refused(
        "[users]\nlisten = 'here'\nmax_waiting = 0\nport = 1\n\
         [nodes]\nlisten = '127.0.0.1:1'\nmembers = ['00']\nnode_rate = 'fast'\nshared = 1\n\
         [relay]\nrequestTimeoutSec = '30'\nnodeSendTimeoutSec = -3\n\
         [extra]\n",
    );
    for key in [
        "extra is not a key",
        "relay.requestTimeoutSec is not an integer",
        "relay.nodeSendTimeoutSec is -3, it must be from 0 to 86400",
        "users.listen is not an address",
        "users.max_waiting is 0, it must be from 1",
        "users.port is not a key",
        "nodes.gateway_id is missing",
        "nodes.members: 1 members, at least 3 are needed",
        "nodes.members: number 1 is not the public key",
        "nodes.node_rate is not a rate",
        "nodes.shared is not true or false",
    ] {
        assert!(errors.iter().any(|error| error.starts_with(key)), "{key} in {errors:#?}");
    }
    assert_eq!(errors.len(), 11);
}

#[test]
fn a_text_that_is_no_toml_is_refused_with_its_line() {
    assert_eq!(refused("[users]\nlisten = \n"), ["line 2 is not TOML, or repeats a key"]);
    assert_eq!(refused("[relay]\n\n[relay]\n"), ["line 3 is not TOML, or repeats a key"]);
}

#[test]
fn an_empty_text_names_what_must_be_there() {
    let missing = ["users.listen", "nodes.listen", "nodes.gateway_id", "nodes.members"];
    let errors = refused("");
    assert_eq!(errors.len(), missing.len());
    for (error, key) in errors.iter().zip(missing) {
        assert!(error.starts_with(&format!("{key} is missing")), "{error}");
    }
}

#[test]
fn a_member_named_twice_is_refused() {
    let same = KEYS[1].to_uppercase();
    let errors = refused(&text("", "", "").replace(KEYS[3], &same));
    assert_eq!(errors, ["nodes.members: number 4 is the same as one before it"]);
}

#[test]
fn a_key_that_anybody_can_sign_for_is_no_member() {
    let errors = refused(&text("", "", "").replace(KEYS[0], &"00".repeat(32)));
    assert!(errors[0].starts_with("nodes.members: number 1 is not the public key"));
}

#[test]
fn a_front_that_gives_up_before_the_handler_is_refused() {
    let errors = refused(&text("request_timeout_ms = 30999", "", ""));
    assert!(errors[0].starts_with("users.request_timeout_ms is 30999, it must be from 32000"));
}

#[test]
fn folded_and_foreign_keys_of_the_handler_are_refused() {
    let errors = Relay::from_value(json!({"REQUESTTIMEOUTSEC": 7, "other": 1})).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "relay.REQUESTTIMEOUTSEC is not a key of this configuration; \
         relay.other is not a key of this configuration"
    );
    for other in [json!([]), json!("text"), json!(5)] {
        let errors = Relay::from_value(other).unwrap_err();
        assert_eq!(errors.to_string(), "relay is not a table");
    }
}

#[test]
fn times_beyond_a_day_are_refused() {
    for key in ["requestTimeoutSec", "nodeSendTimeoutSec"] {
        assert!(Relay::from_value(json!({key: 86_400})).is_ok());
        assert!(Relay::from_value(json!({key: 86_401})).is_err());
        assert!(Relay::from_value(json!({key: u64::MAX})).is_err());
        assert!(Relay::from_value(json!({key: 1.0})).is_err());
    }
}
