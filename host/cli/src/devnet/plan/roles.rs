//! What each process is told.

use std::{ffi::OsString, io, net::SocketAddr, path::Path};

use attestation::Measurements;
use serde_json::{Value, json};

use super::{PRICES_FILE, Plan, Role, Spec};
use crate::{
    devnet::{
        keys::{self, FAULTS, THRESHOLD},
        ports::{EGRESS_PORT, ENCLAVE_PORT},
    },
    files::{self, Readers},
};

impl Plan {
    pub(super) fn bridge(&self, spec: &mut Spec) -> io::Result<()> {
        let config = self.configure(spec, &self.bridge_config())?;
        spec.argue(["bridge".into(), "--config".into(), config]);
        spec.argue(["--dangerous-trust-root".into(), self.root_file().into_os_string()]);
        let allowed = [
            self.enclaves_gateway(),
            self.address(Role::Workflows, "workflows"),
            self.address(Role::Echo, "echo"),
        ];
        for address in allowed {
            spec.argue(["--dangerous-allow", &address.to_string()]);
        }
        spec.environment = self.emulation();
        spec.listens = &["egress", "nodes", "operator"];
        Ok(())
    }

    fn bridge_config(&self) -> Value {
        let gateway = self.enclaves_gateway();
        let set = self.measurements.iter().map(Measurements::to_registry_json);
        let sets: Vec<Value> = set.filter_map(|set| serde_json::from_str(&set).ok()).collect();
        json!({
            "shutdown_ms": DRAIN_MS,
            "nodes": { "listen": self.address(Role::Bridge, "nodes").to_string() },
            "operator": { "listen": self.address(Role::Bridge, "operator").to_string() },
            "batch": { "quorum_timeout_ms": 5_000 },
            "enclave": {
                "cid": self.vsock.cid,
                "port": ENCLAVE_PORT,
                "egress_port": EGRESS_PORT,
                // An enclave that was started again is noticed, and given its configuration, by then.
                "poll_ms": 500,
                "measurements": sets,
                "config": {
                    "signers": texts(&self.keys.signers()),
                    "master_public_key": String::from_utf8_lossy(self.keys.vault.public_key.as_bytes()),
                    "t": THRESHOLD,
                    "f": FAULTS,
                },
                "settings": {
                    "gatewayUrl": format!("http://{gateway}"),
                    "storageServiceUrl": self.address(Role::Workflows, "workflows").to_string(),
                    "storageKey": keys::seed(&self.keys.storage_key).as_str(),
                    // A workflow that hangs is ended while somebody is still watching.
                    "executionTimeout": "15s",
                },
            },
        })
    }

    pub(super) fn gateway(&self, spec: &mut Spec) -> io::Result<()> {
        let config = self.configure(
            spec,
            &json!({
                "users": { "listen": self.address(Role::Gateway, "users").to_string() },
                "nodes": {
                    "listen": self.address(Role::Gateway, "nodes").to_string(),
                    "gateway_id": GATEWAY_ID,
                    "faults": FAULTS,
                    "members": texts(&self.keys.signers()),
                    // One machine asks as fast as it can; production rates would throttle a bench.
                    "node_rate": "100000rps:10000",
                    "total_rate": "400000rps:40000",
                },
                // Nodes on one machine are quick or gone: faults show sooner than in production.
                "relay": { "requestTimeoutSec": 10, "quorumGraceMillis": 1_000 },
            }),
        )?;
        spec.argue(["gateway".into(), "--config".into(), config]);
        spec.listens = &["users", "nodes"];
        Ok(())
    }

    pub(super) fn relay(&self, spec: &mut Spec, number: usize) -> io::Result<()> {
        let key = |name: String| path_text(&self.layout.key(&name));
        let config = self.configure(
            spec,
            &json!({
                "gateway": {
                    "url": format!("ws://{}/", self.address(Role::Gateway, "nodes")),
                    "id": GATEWAY_ID,
                },
                // Less than the gateway's request timeout, more than the vault's round.
                "node": { "key_file": key(keys::relay_key(number)), "deadline_ms": 8_000 },
                "registry": { "file": path_text(&self.layout.registry()) },
                "vault": {
                    "address": self.address(Role::Vault, "vault").to_string(),
                    "share_file": key(keys::relay_share(number)),
                    "master_public_key_file": key(keys::MASTER_PUBLIC_KEY.to_owned()),
                },
                "capabilities": {
                    "price_feed_file": path_text(&self.layout.state(PRICES_FILE)),
                    "echo": true,
                },
            }),
        )?;
        spec.argue(["relay".into(), "--config".into(), config]);
        spec.argue(["--dangerous-trust-root".into(), self.root_file().into_os_string()]);
        if let Some(fault) = self.faults.of(number) {
            spec.argue(["--fault", &fault.to_string()]);
        }
        spec.links = true;
        Ok(())
    }

    pub(super) fn vault(&self, spec: &mut Spec) -> io::Result<()> {
        let config = self.configure(
            spec,
            &json!({
                "listen": self.address(Role::Vault, "vault").to_string(),
                "secrets_file": path_text(&self.layout.state("secrets.json")),
                "token_file": path_text(&self.layout.key(keys::VAULT_TOKEN)),
                "master_public_key_file": path_text(&self.layout.key(keys::MASTER_PUBLIC_KEY)),
                "members": texts(&self.keys.signers()),
                "faults": FAULTS,
                "threshold": THRESHOLD,
                // Less than a relay node's deadline.
                "round_deadline_ms": 6_000,
            }),
        )?;
        spec.argue(["vault".into(), "--config".into(), config]);
        spec.listens = &["vault"];
        Ok(())
    }

    pub(super) fn enclave(&self, spec: &mut Spec) {
        spec.program = self.programs.emulator.clone();
        spec.argue(["--vsock-port", &ENCLAVE_PORT.to_string()]);
        spec.argue(["--state-dir".into(), self.layout.state("enclave").into_os_string()]);
        let echo = self.address(Role::Echo, "echo").to_string();
        spec.argue(["--test-allow-http", &echo]);
        spec.argue(["--test-ca".into(), self.layout.key(keys::ECHO_CA).into_os_string()]);
        if self.clock_offset_s != 0 {
            // One argument, because a negative number alone looks like an option.
            spec.argue([format!("--clock-offset={}", self.clock_offset_s)]);
        }
        spec.environment = self.emulation();
        spec.listens = &[""];
    }

    pub(super) fn workflows(&self, spec: &mut Spec) {
        let listen = self.address(Role::Workflows, "workflows").to_string();
        spec.argue(["devnet", "workflows", "--listen", &listen]);
        spec.argue(["--folder".into(), self.layout.state("artifacts").into_os_string()]);
        spec.listens = &["workflows"];
    }

    pub(super) fn echo(&self, spec: &mut Spec) {
        let listen = self.address(Role::Echo, "echo").to_string();
        spec.argue(["devnet", "echo", "--listen", &listen]);
        let key = |name| self.layout.key(name).into_os_string();
        spec.argue(["--certificate".into(), key(keys::ECHO_CERTIFICATE)]);
        spec.argue(["--key".into(), key(keys::ECHO_KEY)]);
        spec.listens = &["echo"];
    }

    /// Where the enclave's relay calls go.
    fn enclaves_gateway(&self) -> SocketAddr {
        self.gateway_through.unwrap_or_else(|| self.address(Role::Gateway, "users"))
    }

    fn emulation(&self) -> Vec<(&'static str, String)> {
        vec![("VSOCK_BACKEND", "tcp".to_owned()), ("ENCLAVE_CID", self.vsock.cid.to_string())]
    }

    /// Writes a role's configuration and returns its path.
    fn configure(&self, spec: &Spec, config: &Value) -> io::Result<OsString> {
        let path = self.layout.config(&spec.role.to_string());
        let text = toml::to_string(config).map_err(io::Error::other)?;
        files::write(&path, text.as_bytes(), Readers::Owner)?;
        Ok(path.into_os_string())
    }
}

fn texts<T: ToString>(values: &[T]) -> Vec<String> {
    values.iter().map(T::to_string).collect()
}

/// The text of a path below the layout's folder, which is UTF-8.
fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// How long a role finishes what it began.
const DRAIN_MS: u64 = 1_000;

const GATEWAY_ID: &str = "devnet-gateway";
