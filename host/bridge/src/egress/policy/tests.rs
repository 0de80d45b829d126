use super::*;

const PROFILES: [Profile; 3] = [Profile::Public, Profile::Configured, Profile::Test];

/// A machine without addresses, so that no test depends on where it runs.
fn policy() -> EgressPolicy {
    EgressPolicy { is_local: |_address| false, ..EgressPolicy::default() }
}

fn check(profile: Profile, address: &str) -> Result<SocketAddrV4, Denied> {
    policy().check(profile, address.parse().unwrap())
}

#[test]
fn public_addresses_are_allowed_under_every_profile() {
    for address in ["1.1.1.1:443", "9.255.255.255:80", "172.15.255.255:443", "172.32.0.0:443"] {
        for profile in PROFILES {
            assert_eq!(check(profile, address).unwrap().to_string(), address);
        }
    }
}

#[test]
fn no_profile_reaches_loopback_link_local_multicast_or_reserved() {
    for address in [
        "0.0.0.0:443",
        "0.255.255.255:443",
        "127.0.0.1:443",
        "127.255.255.255:443",
        "169.254.169.254:80",
        "224.0.0.1:443",
        "239.255.255.255:443",
        "240.0.0.1:443",
        "255.255.255.255:443",
    ] {
        for profile in PROFILES {
            assert!(matches!(check(profile, address), Err(Denied::Forbidden(_))), "{address}");
        }
    }
}

#[test]
fn workflows_do_not_reach_private_or_special_addresses() {
    for (first, last) in [
        ("10.0.0.0", "10.255.255.255"),
        ("100.64.0.0", "100.127.255.255"),
        ("172.16.0.0", "172.31.255.255"),
        ("192.0.0.0", "192.0.0.255"),
        ("192.0.2.0", "192.0.2.255"),
        ("192.88.99.0", "192.88.99.255"),
        ("192.168.0.0", "192.168.255.255"),
        ("198.18.0.0", "198.19.255.255"),
        ("198.51.100.0", "198.51.100.255"),
        ("203.0.113.0", "203.0.113.255"),
    ] {
        for address in [first, last] {
            let refused = check(Profile::Public, &format!("{address}:443"));
            assert!(matches!(refused, Err(Denied::NotPublic(_))), "{address}");
        }
        let just_after = u32::from(last.parse::<Ipv4Addr>().unwrap()).wrapping_add(1);
        let next = SocketAddr::from((Ipv4Addr::from(just_after), 443));
        assert!(policy().check(Profile::Public, next).is_ok(), "{next}");
    }
}

#[test]
fn ipv6_is_refused_mapped_addresses_too() {
    for address in ["[2606:4700::1111]:443", "[::1]:443", "[::ffff:1.1.1.1]:443"] {
        for profile in PROFILES {
            assert_eq!(check(profile, address), Err(Denied::NotIpv4), "{address}");
        }
    }
}

#[test]
fn workflows_reach_two_ports_and_the_operator_any() {
    assert_eq!(check(Profile::Public, "1.1.1.1:22"), Err(Denied::Port(22)));
    assert!(check(Profile::Configured, "1.1.1.1:9000").is_ok());
}

#[test]
fn w_57_local_addresses_are_asked_of_the_kernel_not_listed() {
    // No interface lists 127.0.0.77, and yet connections to it arrive here.
    assert!(is_local(Ipv4Addr::new(127, 0, 0, 77)));
    assert!(!is_local(Ipv4Addr::new(1, 1, 1, 1)));
    assert!(can_tell_local());
}

#[test]
fn w_57_an_address_that_became_local_is_denied_under_every_profile() {
    let policy = EgressPolicy { is_local: |_address| true, ..EgressPolicy::default() };
    for profile in PROFILES {
        let public = "1.1.1.1:443".parse().unwrap();
        assert_eq!(policy.check(profile, public), Err(Denied::Local));
    }
    let private = "10.0.0.1:443".parse().unwrap();
    assert_eq!(policy.check(Profile::Configured, private), Err(Denied::Local));
}

#[test]
fn the_operator_reaches_private_addresses_and_workflows_do_not() {
    assert!(check(Profile::Configured, "10.1.2.3:9000").is_ok());
    assert!(matches!(check(Profile::Public, "10.1.2.3:443"), Err(Denied::NotPublic(_))));
}

#[test]
fn an_allowance_is_one_address_and_one_port() {
    let local = SocketAddr::from(([127, 0, 0, 1], 8443));
    let policy = EgressPolicy::default().dangerous_allow([local]);
    assert!(policy.check(Profile::Public, local).is_ok());
    let neighbours = ["127.0.0.1:8444", "127.0.0.2:8443", "[::1]:8443"];
    for other in neighbours.map(|text| text.parse().unwrap()) {
        assert!(policy.check(Profile::Public, other).is_err(), "{other}");
    }
}

#[test]
fn the_first_ipv4_address_is_preferred() {
    let addresses = ["::1", "1.1.1.1", "1.0.0.1"].map(|text| text.parse().unwrap());
    assert_eq!(preferred(&addresses), Some(addresses[1]));
    assert_eq!(preferred(&addresses[..1]), Some(addresses[0]));
    assert_eq!(preferred(&[]), None);
}
