use std::sync::atomic::{AtomicU32, Ordering};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};
use transport::{
    BoxStream, Dial as _,
    memory::{self, MemoryDialer},
    socks5::{ConnectError, Profile, connect},
};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

const LIMITS: EgressLimits =
    EgressLimits { tunnels: 8, handshake: SECOND, resolve: SECOND, connect: SECOND, idle: SECOND };

/// A server on loopback that answers each byte with the next one.
async fn upstream() -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            while let Ok(byte) = stream.read_u8().await {
                stream.write_u8(byte.wrapping_add(1)).await.unwrap();
            }
        }
    });
    (address, serving)
}

/// A resolver that gives one answer after the other and counts the questions.
fn resolver(answers: &'static [&'static str]) -> (Resolve, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&asked);
    let resolve: Resolve = Arc::new(move |_name| {
        let index = counter.fetch_add(1, Ordering::Relaxed) as usize;
        let answer = answers.get(index).map(|text| text.parse().unwrap());
        Box::pin(async move { Ok(answer.into_iter().collect()) })
    });
    (resolve, asked)
}

fn serve(egress: Egress) -> (MemoryDialer, CancellationToken) {
    let (dialer, listener) = memory::pair();
    let stop = CancellationToken::new();
    tokio::spawn(egress.serve(Box::new(listener), stop.clone()));
    (dialer, stop)
}

fn egress(allowed: &[SocketAddr]) -> Egress {
    let policy = EgressPolicy::default().dangerous_allow(allowed.iter().copied());
    Egress::new(policy, LIMITS, 16).unwrap()
}

async fn open(
    dialer: &MemoryDialer,
    profile: Profile,
    host: &str,
    port: u16,
) -> Result<BoxStream, ConnectError> {
    let mut stream = dialer.dial().await.unwrap();
    let target = Target { host: host.parse().unwrap(), port };
    connect(&mut *stream, profile, &target, SECOND).await.map(|()| stream)
}

async fn refusal(egress: Egress, profile: Profile, host: &str, port: u16) -> Reply {
    let (dialer, _stop) = serve(egress);
    match open(&dialer, profile, host, port).await {
        Err(ConnectError::Refused(reply)) => reply,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("{host}:{port} was reached"),
    }
}

#[tokio::test]
async fn an_allowed_destination_is_reached_and_bytes_flow() {
    let (address, _serving) = upstream().await;
    let (dialer, _stop) = serve(egress(&[address]));
    let mut stream = open(&dialer, Profile::Public, "127.0.0.1", address.port()).await.unwrap();
    stream.write_all(b"A").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'B');
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read_to_end(&mut Vec::new()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_destination_that_is_not_allowed_hears_nothing() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for profile in [Profile::Public, Profile::Configured, Profile::Test] {
        assert_eq!(refusal(egress(&[]), profile, "127.0.0.1", port).await, Reply::NotAllowed);
    }
    let connected = tokio::time::timeout(Duration::ZERO, listener.accept()).await;
    assert!(connected.is_err(), "no connection was made");
}

#[tokio::test]
async fn workflows_do_not_reach_private_addresses() {
    for host in ["10.0.0.1", "192.168.1.1", "169.254.169.254", "::1", "2606:4700::1111"] {
        assert_eq!(refusal(egress(&[]), Profile::Public, host, 443).await, Reply::NotAllowed);
    }
}

#[tokio::test]
async fn a_name_that_resolves_to_a_denied_address_is_refused() {
    let (resolve, _) = resolver(&["169.254.169.254"]);
    let egress = Egress { resolve, ..egress(&[]) };
    assert_eq!(refusal(egress, Profile::Public, "example.com", 443).await, Reply::NotAllowed);
}

#[tokio::test]
async fn a_name_is_resolved_once_and_that_address_is_dialed() {
    let (address, _serving) = upstream().await;
    // A second question would be answered with an address that nobody may reach.
    let (resolve, asked) = resolver(&["127.0.0.1", "169.254.169.254"]);
    let (dialer, _stop) = serve(Egress { resolve, ..egress(&[address]) });
    let mut stream = open(&dialer, Profile::Public, "example.com", address.port()).await.unwrap();
    stream.write_all(b"A").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'B');
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_name_without_an_address_is_an_unreachable_host() {
    let (resolve, _) = resolver(&[]);
    let egress = Egress { resolve, ..egress(&[]) };
    assert_eq!(refusal(egress, Profile::Public, "example.com", 443).await, Reply::HostUnreachable);
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_does_not_answer_is_an_unreachable_host() {
    let resolve: Resolve = Arc::new(|_| Box::pin(std::future::pending()));
    let egress = Egress { resolve, ..egress(&[]) };
    let egress = Egress { limits: EgressLimits { resolve: SECOND / 2, ..LIMITS }, ..egress };
    assert_eq!(refusal(egress, Profile::Public, "example.com", 443).await, Reply::HostUnreachable);
}

#[tokio::test]
async fn a_closed_port_is_a_refused_connection() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let reply = refusal(egress(&[address]), Profile::Public, "127.0.0.1", address.port()).await;
    assert_eq!(reply, Reply::ConnectionRefused);
}

#[tokio::test(start_paused = true)]
async fn w_26_tunnels_above_the_cap_wait() {
    let egress = egress(&[]);
    let (dialer, _stop) = serve(Egress { limits: EgressLimits { tunnels: 1, ..LIMITS }, ..egress });
    let _silent = dialer.dial().await.unwrap();
    let started = tokio::time::Instant::now();
    let mut second = dialer.dial().await.unwrap();
    second.write_all(&[5, 1, 2]).await.unwrap();
    second.read_u8().await.unwrap();
    assert_eq!(started.elapsed(), SECOND, "until the silent one ran out of time");
}

#[tokio::test]
async fn open_tunnels_end_with_the_egress() {
    let (address, _serving) = upstream().await;
    let (dialer, stop) = serve(egress(&[address]));
    let mut stream = open(&dialer, Profile::Public, "127.0.0.1", address.port()).await.unwrap();
    stop.cancel();
    assert_eq!(stream.read_to_end(&mut Vec::new()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_machine_that_is_not_the_enclave_gets_no_tunnel() {
    let (mut client, server) = tokio::io::duplex(64);
    let peer = Endpoint::Vsock { cid: 17, port: 1 };
    egress(&[]).tunnel(Accepted { stream: Box::new(server), peer }).await;
    assert_eq!(client.read_to_end(&mut Vec::new()).await.unwrap(), 0);
}

#[test]
fn dial_errors_have_the_replies_of_10_7() {
    let endpoint = Endpoint::Memory;
    let reply = |error: DialError| Refusal::Dial(error).reply();
    assert_eq!(reply(DialError::Refused { endpoint }), Reply::ConnectionRefused);
    assert_eq!(reply(DialError::NetworkUnreachable { endpoint }), Reply::NetworkUnreachable);
    assert_eq!(reply(DialError::HostUnreachable { endpoint }), Reply::HostUnreachable);
    assert_eq!(reply(DialError::TimedOut { endpoint }), Reply::HostUnreachable);
}

#[test]
fn w_32_a_slow_destination_is_a_timeout_at_the_enclave_and_not_a_race() {
    assert!(EgressLimits::default().connect > limits::EGRESS_TIMEOUT);
}
