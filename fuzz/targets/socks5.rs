//! SOCKS5, each side against any bytes of the other.
//!
//! Holds: each side ends, and reads no byte behind the exchange; what a client asks for is what the
//! server reads.
//!
//! Memory: 16 times. The input is held in a pipe and in what is left of it, which takes three times that
//! while it grows; the constant is for two pipes.

#![no_main]

use std::{sync::LazyLock, time::Duration};

use fuzz::{Bound, Input};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    runtime::{Builder, Runtime},
};
use transport::socks5::{self, Host, Profile, Reply, Request, Target};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let runtime = &*RUNTIME;
    BOUND.hold(input, || {
        let mut input = Input::new(input);
        match input.below(3) {
            0 => runtime.block_on(server(input.rest())),
            1 => runtime.block_on(client(input.rest())),
            _ => runtime.block_on(both(&mut input)),
        }
    });
});

async fn server(bytes: &[u8]) {
    let (_peer, mut stream) = peer(bytes).await;
    let Ok(request) = socks5::accept(&mut stream, TIMEOUT).await else { return };
    // Greeting, credentials and request: what follows them is the tunnel's.
    let methods = usize::from(bytes[1]);
    let user = usize::from(bytes[3 + methods]);
    let password = usize::from(bytes[4 + methods + user]);
    let read = 2 + methods + 3 + user + password + 3 + length(&request.target);
    assert_eq!(left(stream).await, bytes[read..]);
    assert_eq!(served(request.profile, &request.target).await, request);
}

async fn client(bytes: &[u8]) {
    let target = Target { host: Host::Ip([192, 0, 2, 1].into()), port: 443 };
    let (_peer, mut stream) = peer(bytes).await;
    let connected = socks5::connect(&mut stream, Profile::Public, &target, TIMEOUT).await;
    if connected.is_ok() {
        let length = match bytes[7] {
            1 => 7,
            4 => 19,
            _ => 4 + usize::from(bytes[8]),
        };
        assert_eq!(left(stream).await, bytes[7 + length..]);
    }
}

async fn both(input: &mut Input<'_>) {
    let profile = input.pick(&[Profile::Public, Profile::Configured, Profile::Test]);
    let port = u16::from_le_bytes(input.array());
    let Ok(text) = std::str::from_utf8(input.rest()) else { return };
    let Ok(host) = text.parse::<Host>() else { return };
    let target = Target { host, port };
    assert_eq!(served(profile, &target).await, Request { profile, target });
}

/// What a server makes of a client's request.
async fn served(profile: Profile, target: &Target) -> Request {
    let (mut client, mut server) = tokio::io::duplex(PIPE_BYTES);
    let connecting = socks5::connect(&mut client, profile, target, TIMEOUT);
    let serving = async {
        let request = socks5::accept(&mut server, TIMEOUT).await.expect("our client asks");
        socks5::reply(&mut server, Reply::Succeeded, None).await.expect("the client reads");
        request
    };
    let (connected, request) = tokio::join!(connecting, serving);
    connected.expect("our server serves");
    request
}

/// A stream on which these bytes came and nothing follows, and its other end, which takes answers.
async fn peer(bytes: &[u8]) -> (DuplexStream, DuplexStream) {
    let (mut peer, stream) = tokio::io::duplex(bytes.len().max(PIPE_BYTES));
    peer.write_all(bytes).await.expect("the pipe holds them");
    peer.shutdown().await.expect("it is open");
    (peer, stream)
}

async fn left(mut stream: DuplexStream) -> Vec<u8> {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.expect("the peer closed it");
    rest
}

/// Bytes of a target: kind, address and port.
fn length(target: &Target) -> usize {
    match &target.host {
        Host::Ip(address) if address.is_ipv4() => 7,
        Host::Ip(_) => 19,
        Host::Name(name) => 4 + name.as_str().len(),
    }
}

/// Time stands still where nothing else is to be done, so waiting costs nothing.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime of one thread")
});

const TIMEOUT: Duration = Duration::from_secs(1);

/// More than one side of an exchange writes.
const PIPE_BYTES: usize = 2048;

const BOUND: Bound = Bound { times: 16, plus: 16 * 1024 };
