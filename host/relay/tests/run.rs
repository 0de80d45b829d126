//! A relay node as its program starts it: files, a gateway on loopback, the end.
#![cfg(test)]

use std::{os::unix::fs::PermissionsExt as _, path::Path, time::SystemTime};

use crypto::{
    sign::SigningKey,
    tdh2::{self, Deal, Threshold},
};
use futures_util::{SinkExt as _, StreamExt as _};
use host_relay::{Config, Dangerous, Fault, RunError, run};
use protocol::link::Challenge;
use rand_core::OsRng;
use tokio::{net::TcpListener, sync::watch};
use tokio_tungstenite::{accept_async, tungstenite::Message};
use tokio_util::sync::CancellationToken;

struct Files {
    folder: tempfile::TempDir,
    deal: Deal,
}

impl Files {
    fn new() -> Self {
        let deal = tdh2::deal(Threshold::new(2).unwrap(), 4, &mut OsRng).unwrap();
        let files = Self { folder: tempfile::tempdir().unwrap(), deal };
        files.write("relay.key", "01".repeat(32).as_bytes(), 0o600);
        files.write("relay.share", files.deal.shares[0].to_json().expose(), 0o600);
        files.write("master.json", files.deal.public_key.as_bytes(), 0o644);
        files.write("prices.json", br#"{"ETH-USD":{"price":"1","timestamp_ms":1}}"#, 0o644);
        files
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, contents: &[u8], mode: u32) {
        let path = self.path().join(name);
        std::fs::write(&path, contents).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn config(&self, port: u16) -> Config {
        let text = format!(
            r#"
            [gateway]
            url = "ws://127.0.0.1:{port}/"
            id = "gateway-1"
            [node]
            key_file = "{dir}/relay.key"
            [registry]
            file = "{dir}/registry.json"
            [vault]
            address = "127.0.0.1:1"
            share_file = "{dir}/relay.share"
            master_public_key_file = "{dir}/master.json"
            [capabilities]
            price_feed_file = "{dir}/prices.json"
            "#,
            dir = self.path().display()
        );
        Config::parse(&text).unwrap()
    }

    async fn refusal(&self) -> RunError {
        let shutdown = CancellationToken::new();
        let (linked, _) = watch::channel(false);
        run(self.config(1), Dangerous::default(), linked, shutdown).await.unwrap_err()
    }
}

#[tokio::test]
async fn a_node_links_to_its_gateway_and_ends_when_told() {
    let files = Files::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let config = files.config(listener.local_addr().unwrap().port());
    let (sender, mut linked) = watch::channel(false);
    let shutdown = CancellationToken::new();
    let node = tokio::spawn(run(config, Dangerous::default(), sender, shutdown.clone()));

    let (stream, _) = listener.accept().await.unwrap();
    let mut end = accept_async(stream).await.unwrap();
    let challenge = Challenge::new("gateway-1", [7; 32], SystemTime::UNIX_EPOCH);
    end.send(Message::text(challenge.frame())).await.unwrap();
    let answer = end.next().await.unwrap().unwrap().into_text().unwrap();
    let member = SigningKey::from_seed(&[1; 32]).public();
    assert_eq!(challenge.check(answer.as_bytes(), &[member]).unwrap(), member);
    end.send(Message::Ping(Vec::new().into())).await.unwrap();
    linked.wait_for(|linked| *linked).await.unwrap();

    shutdown.cancel();
    while end.next().await.is_some_and(|frame| frame.is_ok()) {}
    node.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_node_that_is_down_dials_nobody_and_ends_when_told() {
    let files = Files::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let config = files.config(listener.local_addr().unwrap().port());
    let (sender, linked) = watch::channel(false);
    let shutdown = CancellationToken::new();
    let down = Dangerous { fault: Some(Fault::Down), ..Dangerous::default() };
    let node = tokio::spawn(run(config, down, sender, shutdown.clone()));
    shutdown.cancel();
    node.await.unwrap().unwrap();
    assert!(!*linked.borrow());
}

#[tokio::test]
async fn files_of_no_use_stop_a_node_before_it_serves() {
    let files = Files::new();
    files.write("relay.key", b"zz", 0o600);
    assert!(matches!(files.refusal().await, RunError::Key(_)));

    let files = Files::new();
    files.write("relay.key", "01".repeat(32).as_bytes(), 0o644);
    assert!(matches!(files.refusal().await, RunError::Key(_)));

    let files = Files::new();
    files.write("relay.share", b"{}", 0o600);
    assert!(matches!(files.refusal().await, RunError::Share(_)));

    let files = Files::new();
    files.write("relay.share", Files::new().deal.shares[0].to_json().expose(), 0o600);
    assert!(matches!(files.refusal().await, RunError::ForeignShare(_)));

    let files = Files::new();
    files.write("master.json", b"{}", 0o644);
    assert!(matches!(files.refusal().await, RunError::MasterPublicKey(_)));

    let files = Files::new();
    std::fs::remove_file(files.path().join("prices.json")).unwrap();
    assert!(matches!(files.refusal().await, RunError::Prices(_)));
}
