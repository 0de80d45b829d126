use std::fs;

use attestation::Pcr;
use rand_core::OsRng;

use super::*;

/// A plan in a folder that is removed with it.
fn plan(faults: &[&str]) -> (Plan, tempfile::TempDir) {
    // Quotes and blanks, so that a path that is not quoted right does not go unnoticed.
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::take(&folder.path().join("it's a \"dev\" net")).unwrap();
    let keys = Keys::generate(&mut OsRng).unwrap();
    keys.store(&layout).unwrap();
    let faults: Vec<_> = faults.iter().map(|text| text.parse().unwrap()).collect();
    let pcr = |byte: &str| byte.repeat(48).parse::<Pcr>().unwrap();
    let plan = Plan {
        layout,
        keys,
        faults: Faults::new(&faults).unwrap(),
        programs: Programs { enclavectl: "/bin/ctl".into(), emulator: "/bin/emulator".into() },
        log: "info".to_owned(),
        clock_offset_s: 0,
        gateway_through: None,
        vsock: Vsock::of(16).unwrap(),
        measurements: Measurements::new(pcr("01"), pcr("02"), pcr("03")).ok(),
        bound: BTreeMap::new(),
    };
    (plan, folder)
}

fn config(plan: &Plan, role: Role) -> String {
    plan.spec(role).unwrap();
    fs::read_to_string(plan.layout.config(&role.to_string())).unwrap()
}

fn arguments(spec: &Spec) -> Vec<&str> {
    spec.arguments.iter().map(|argument| argument.to_str().unwrap()).collect()
}

#[test]
fn every_role_accepts_the_configuration_that_is_written_for_it() {
    let (plan, _folder) = plan(&[]);
    let text = config(&plan, Role::Bridge);
    assert!(["01", "02", "03"].iter().all(|byte| text.contains(&byte.repeat(48))));
    let bridge = host_bridge::Config::parse(&text).unwrap();
    assert_eq!(bridge.enclave.cid, 16);
    assert!(bridge.enclave.config.is_some() && bridge.enclave.settings.is_some());
    let gateway = host_gateway::Config::parse(&config(&plan, Role::Gateway)).unwrap();
    assert_eq!(gateway.nodes.members.len(), RELAYS);
    let relay = host_relay::Config::parse(&config(&plan, Role::Relay(2))).unwrap();
    assert_eq!(relay.registry_file, plan.layout.registry());
    assert_eq!(relay.node.key_file, plan.layout.key("relay-2.key"));
    host_relay::vault::Config::parse(&config(&plan, Role::Vault)).unwrap();
}

#[test]
fn deadlines_nest_so_that_the_innermost_speaks_first() {
    let (plan, _folder) = plan(&[]);
    let gateway = host_gateway::Config::parse(&config(&plan, Role::Gateway)).unwrap();
    let relay = host_relay::Config::parse(&config(&plan, Role::Relay(1))).unwrap();
    let vault = host_relay::vault::Config::parse(&config(&plan, Role::Vault)).unwrap();
    assert!(vault.round_deadline < relay.node.deadline);
    assert!(relay.node.deadline < gateway.relay.request_timeout);
    assert!(gateway.relay.request_timeout < protocol::limits::GATEWAY_ATTEMPT_TIMEOUT);
}

#[test]
fn the_settings_are_those_that_an_enclave_takes() {
    let (plan, _folder) = plan(&[]);
    let bridge = host_bridge::Config::parse(&config(&plan, Role::Bridge)).unwrap();
    let settings = bridge.enclave.settings.unwrap();
    // Before anybody listens the ports are 0, which no service can have.
    assert!(protocol::settings::Settings::decode(settings.expose()).is_err());
    let (mut plan, _folder) = self::plan(&[]);
    let address: SocketAddr = ([127, 0, 0, 1], 4000).into();
    plan.bound.insert((Role::Workflows, "workflows".to_owned()), address);
    plan.bound.insert((Role::Gateway, "users".to_owned()), address);
    let bridge = host_bridge::Config::parse(&config(&plan, Role::Bridge)).unwrap();
    let settings = bridge.enclave.settings.unwrap();
    let settings = protocol::settings::Settings::decode(settings.expose()).unwrap();
    assert_eq!(settings.gateways, ["http://127.0.0.1:4000"]);
    assert_eq!(settings.storage_service, "127.0.0.1:4000");
}

#[test]
fn a_process_that_is_started_again_is_told_the_addresses_it_had() {
    let (mut plan, _folder) = plan(&[]);
    let address: SocketAddr = ([127, 0, 0, 1], 4001).into();
    for role in [Role::Vault, Role::Echo, Role::Workflows] {
        plan.bound.insert((role, role.to_string()), address);
    }
    assert!(config(&plan, Role::Vault).contains("127.0.0.1:4001"));
    for role in [Role::Echo, Role::Workflows] {
        let spec = plan.spec(role).unwrap();
        assert!(arguments(&spec).windows(2).any(|pair| pair == ["--listen", "127.0.0.1:4001"]));
    }
}

#[test]
fn a_faulty_relay_node_is_told_so_and_the_others_are_not() {
    let (plan, _folder) = plan(&["relay-2=lie"]);
    for role in Role::relays() {
        let spec = plan.spec(role).unwrap();
        let is_faulty = arguments(&spec).windows(2).any(|pair| pair == ["--fault", "lie"]);
        assert_eq!(is_faulty, role == Role::Relay(2), "{role}");
    }
}

#[test]
fn every_process_ends_with_its_parent() {
    let (plan, _folder) = plan(&[]);
    let others =
        [Role::Bridge, Role::Echo, Role::Enclave, Role::Gateway, Role::Vault, Role::Workflows];
    for role in Role::relays().chain(others) {
        let spec = plan.spec(role).unwrap();
        assert!(arguments(&spec).contains(&"--exit-with-stdin"), "{role}");
        assert_eq!(spec.program.ends_with("emulator"), role == Role::Enclave);
    }
}

#[test]
fn relay_nodes_read_the_registry_that_is_written_for_them() {
    let (plan, _folder) = plan(&[]);
    plan.store_registry().unwrap();
    let text = fs::read(plan.layout.registry()).unwrap();
    let snapshot = host_relay::registry::parse(&text).unwrap();
    assert_eq!(snapshot.don.members().len(), RELAYS);
    assert_eq!(snapshot.measurements.len(), 1);
    assert_eq!(snapshot.master_public_key, Some(plan.keys.vault.public_key.clone()));
    plan.store_prices().unwrap();
    let devnet = host_relay::capabilities::Devnet::none();
    devnet.with_prices(&plan.layout.state(PRICES_FILE)).unwrap();
}

#[test]
fn an_enclave_whose_clock_is_right_is_told_nothing_about_it() {
    let (mut plan, _folder) = plan(&[]);
    let offset = |plan: &Plan| {
        let spec = plan.spec(Role::Enclave).unwrap();
        arguments(&spec)
            .iter()
            .find_map(|argument| argument.strip_prefix("--clock-offset=").map(str::to_owned))
    };
    assert_eq!(offset(&plan), None);
    plan.clock_offset_s = -600;
    assert_eq!(offset(&plan).as_deref(), Some("-600"));
}

#[test]
fn the_enclave_asks_a_proxy_where_one_is_named() {
    let (mut plan, _folder) = plan(&[]);
    plan.gateway_through = Some("127.0.0.1:9".parse().unwrap());
    let spec = plan.spec(Role::Bridge).unwrap();
    assert!(arguments(&spec).windows(2).any(|pair| pair == ["--dangerous-allow", "127.0.0.1:9"]));
    assert!(config(&plan, Role::Bridge).contains("http://127.0.0.1:9"));
}
