//! The devnet as a program: what it prints, and that it leaves nothing behind.

use std::os::unix::fs::PermissionsExt as _;

use e2e::devnet::{Devnet, eventually, kill, lives, terminate};

fn pids(devnet: &Devnet) -> Vec<u32> {
    let json = devnet.json();
    let pids = json["pids"].as_object().unwrap().values();
    pids.map(|pid| u32::try_from(pid.as_u64().unwrap()).unwrap()).collect()
}

#[tokio::test]
async fn every_role_has_a_line_a_log_and_a_process_and_an_interrupt_ends_all() {
    let devnet = Devnet::start(&[]).await;
    let roles =
        ["vault", "gateway", "workflows", "echo", "enclave", "bridge", "relay-1", "relay-4"];
    for role in roles {
        assert!(devnet.printed.iter().any(|line| line.starts_with(role)), "{role}");
        assert!(devnet.path(&format!("logs/{role}.log")).exists(), "{role}");
    }
    let mode = devnet.path("devnet.json").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let pids = pids(&devnet);
    assert_eq!(pids.len(), 10);
    assert!(pids.iter().all(|pid| lives(*pid)));
    let (code, _) = devnet.stop().await;
    assert_eq!(code, 0);
    assert!(!pids.iter().any(|pid| lives(*pid)), "a process is left");
}

#[tokio::test]
async fn the_death_of_a_process_is_said_and_ends_the_devnet() {
    let devnet = Devnet::start(&[]).await;
    let pids = pids(&devnet);
    kill(devnet.pid("gateway"));
    let ended = devnet.end().await;
    assert_eq!(ended.code, 7, "{ended:?}");
    assert!(format!("{}{}", ended.out, ended.err).contains("gateway"), "{ended:?}");
    assert!(!pids.iter().any(|pid| lives(*pid)), "a process is left");
}

#[tokio::test]
async fn a_devnet_killed_outright_takes_its_processes_with_it() {
    let devnet = Devnet::start(&[]).await;
    let pids = pids(&devnet);
    kill(devnet.supervisor());
    eventually(|| async { (!pids.iter().any(|pid| lives(*pid))).then_some(()) }).await;
}

#[tokio::test]
async fn one_folder_is_one_devnet() {
    let devnet = Devnet::start(&[]).await;
    let folder = devnet.path("");
    let second = devnet.ctl(&["devnet", "--dir", folder.to_str().unwrap()]).await;
    assert_eq!(second.code, 3, "{second:?}");
    assert!(second.err.contains("a devnet is running in"), "{}", second.err);
    terminate(devnet.supervisor());
}

#[tokio::test]
async fn a_fault_of_nobody_is_refused() {
    for fault in ["relay-9=lie", "relay-2=sing", "bridge=lie", "relay-2"] {
        let refused = Devnet::fail(&["--fault", fault]).await;
        assert_eq!(refused.code, 2, "{fault}: {refused:?}");
        assert!(!refused.err.is_empty());
    }
}
