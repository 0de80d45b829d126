//! Which files there are, which questions they ask, and which crates answer them.

/// A file of the folder.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// Its name.
    pub name: &'static str,
    /// The kinds of question in it; of a file of a form of its own, the parts that rules are about.
    pub ops: &'static [Op],
    /// Whether it has the form of all others: `ops` and `cases`.
    pub has_cases: bool,
}

/// A kind of question.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    /// Its name.
    pub name: &'static str,
    /// The crates whose tests ask it.
    pub by: &'static [&'static str],
    /// What the reference says to it.
    pub outcome: Outcome,
}

/// What the reference says to a kind of question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answers some and refuses others.
    Both,
    /// It refuses none, and why that is so.
    Answers(&'static str),
    /// It refuses all: the file asks about the refusals alone.
    Refuses,
}

const fn both(name: &'static str, by: &'static [&'static str]) -> Op {
    Op { name, by, outcome: Outcome::Both }
}

const fn answers(name: &'static str, by: &'static [&'static str], why: &'static str) -> Op {
    Op { name, by, outcome: Outcome::Answers(why) }
}

const fn refuses(name: &'static str, by: &'static [&'static str]) -> Op {
    Op { name, by, outcome: Outcome::Refuses }
}

const fn file(name: &'static str, ops: &'static [Op]) -> File {
    File { name, ops, has_cases: true }
}

const fn of_own_form(name: &'static str, ops: &'static [Op]) -> File {
    File { name, ops, has_cases: false }
}

const ATTESTATION: &[&str] = &["attestation"];
const CRYPTO: &[&str] = &["crypto"];
const GATEWAY: &[&str] = &["host-gateway"];
const PROTOCOL: &[&str] = &["protocol"];
const RELAY: &[&str] = &["host-relay"];
const SERVER: &[&str] = &["enclave-server"];
const WORKFLOW: &[&str] = &["enclave-workflow"];

/// A function of input that its callers have checked.
const TOTAL: &str = "a function of its input that fails for none";

/// What goes wrong is part of the answer.
const INSIDE: &str = "the answer says what was refused";

/// Every file.
pub const FILES: &[File] = &[
    file(
        "attestation-fake.json",
        &[
            answers("fake_create", ATTESTATION, TOTAL),
            both("fake_validate", ATTESTATION),
            both("nitro_fake", ATTESTATION),
            answers("passthrough_validate", ATTESTATION, "it lets everything pass"),
        ],
    ),
    file("attestation-nitro.json", &[both("validate", ATTESTATION)]),
    file("combiner.json", &[both("combine", CRYPTO), both("combine_sealed", CRYPTO)]),
    file("gateway-handler.json", &[both("config", GATEWAY), answers("sequence", GATEWAY, INSIDE)]),
    file(
        "hashes.json",
        &[
            both("capability_response", PROTOCOL),
            answers("compute_request", PROTOCOL, TOTAL),
            answers("domain_hash", PROTOCOL, TOTAL),
            answers("enclave_call", PROTOCOL, TOTAL),
            answers("enclave_config", PROTOCOL, TOTAL),
            answers("enclaves_list", PROTOCOL, TOTAL),
            answers("execute_response", PROTOCOL, TOTAL),
            answers("public_key_response", PROTOCOL, TOTAL),
            both("rpc_request_digest", PROTOCOL),
            both("rpc_response_digest", PROTOCOL),
            answers("same_hash", PROTOCOL, INSIDE),
            both("secrets_response", PROTOCOL),
            answers("set_config_response", PROTOCOL, TOTAL),
        ],
    ),
    of_own_form(
        "http-transcripts.json",
        &[answers("enclave", SERVER, INSIDE), answers("host", &["host-bridge"], INSIDE)],
    ),
    file(
        "json-canonical.json",
        &[
            both("decode", PROTOCOL),
            both("decode_request", PROTOCOL),
            both("encode", PROTOCOL),
            answers("string", PROTOCOL, TOTAL),
            both("strip_attestation", PROTOCOL),
        ],
    ),
    file("keychain.json", &[refuses("lookup_length", SERVER), answers("sequence", SERVER, INSIDE)]),
    file(
        "ocr-attestation.json",
        &[
            both("decode", PROTOCOL),
            answers("encode", PROTOCOL, TOTAL),
            both("report_data", PROTOCOL),
            answers("sig_data", PROTOCOL, TOTAL),
            answers("sign", PROTOCOL, TOTAL),
            both("verify", PROTOCOL),
            answers("verify_blob", PROTOCOL, INSIDE),
        ],
    ),
    file(
        "params-validation.json",
        &[
            both("capability", PROTOCOL),
            both("order_secrets", PROTOCOL),
            answers("owner", PROTOCOL, "text that is no address becomes one"),
            both("secrets", PROTOCOL),
            both("settings", PROTOCOL),
        ],
    ),
    file(
        "quorum.json",
        &[
            both("call_capability", PROTOCOL),
            both("canonical_payload", PROTOCOL),
            both("capability_bundle", PROTOCOL),
            answers("config_sequence", SERVER, INSIDE),
            answers("describe", PROTOCOL, TOTAL),
            both("enclave_batch", SERVER),
            both("get_secrets", &["enclave-server", "protocol"]),
            answers("host_batch", &["host-bridge"], INSIDE),
            both("secrets_bundle", PROTOCOL),
        ],
    ),
    file("relay-handler.json", &[answers("frame", RELAY, INSIDE), both("serve", RELAY)]),
    file(
        "restrictions.json",
        &[
            answers("enclave_tee", WORKFLOW, INSIDE),
            answers("requirements", WORKFLOW, INSIDE),
            answers("sequence", &["protocol", "enclave-workflow"], INSIDE),
            answers("tee_provider", WORKFLOW, INSIDE),
            answers("tee_selection", WORKFLOW, INSIDE),
        ],
    ),
    file(
        "sealed-box.json",
        &[answers("key", CRYPTO, TOTAL), both("open", CRYPTO), answers("seal", CRYPTO, TOTAL)],
    ),
    file(
        "signatures.json",
        &[
            answers("compute_payload", CRYPTO, TOTAL),
            answers("payload", CRYPTO, TOTAL),
            answers("relay_payload", CRYPTO, TOTAL),
            answers("sign", CRYPTO, TOTAL),
            both("verify", CRYPTO),
        ],
    ),
    of_own_form("tdh2.json", &[both("all", CRYPTO)]),
    file(
        "wasm-protocol.json",
        &[
            both("decode", PROTOCOL),
            answers("message", PROTOCOL, TOTAL),
            both("unwrap", PROTOCOL),
            both("wrap", PROTOCOL),
        ],
    ),
];

/// Files of the recorder about parts that do not exist yet, and which. The test says so in every run.
pub const LATER: &[(&str, &str)] = &[("confidential-module.json", "host/node")];
