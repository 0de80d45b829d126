use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ALL_VERSIONS, ServerConfig, SupportedProtocolVersion, version},
};
use transport::BoxStream;

use super::*;
use crate::bridge::Wrap;

/// A TLS server for `api.test` of these versions, and the root that vouches for it.
fn tls(versions: &[&'static SupportedProtocolVersion]) -> (Wrap, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["api.test".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], PrivateKeyDer::from(key))
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let wrap: Wrap = Arc::new(move |stream| {
        let acceptor = acceptor.clone();
        Box::pin(async move {
            let stream = acceptor.accept(stream).await.ok()?;
            Some(Box::new(stream) as BoxStream)
        })
    });
    (wrap, certificate)
}

#[tokio::test]
async fn tls_ends_inside_the_enclave_and_is_1_2_or_1_3() {
    for version in [&version::TLS12, &version::TLS13] {
        let (wrap, root) = tls(&[version]);
        let bridge = Bridge::serving(|_request| Response::new(Bytes::from_static(b"secure")));
        let bridge = bridge.wrapped(wrap);
        let allowed = Destination { host: "api.test".to_owned(), port: 8443 };
        let policy = EgressPolicy::dangerous_with_test_allowances(vec![allowed], vec![root]);
        let egress = egress(&bridge, policy);
        let response = ask_with(&egress, request("https://api.test:8443/")).await.unwrap();
        assert_eq!(response.body, b"secure");
    }
}

#[tokio::test]
async fn no_tls_below_1_2_is_offered_or_taken() {
    let hello = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&hello);
    let wrap: Wrap = Arc::new(move |mut stream| {
        let seen = Arc::clone(&seen);
        Box::pin(async move {
            let mut bytes = vec![0; 4096];
            let length = stream.read(&mut bytes).await.ok()?;
            bytes.truncate(length);
            *seen.lock().unwrap() = bytes;
            stream.write_all(&SERVER_HELLO_OF_TLS_1_1).await.ok()?;
            std::future::pending().await
        })
    });
    let bridge = Bridge::serving(|_request| Response::new(Bytes::new())).wrapped(wrap);
    let egress = egress(&bridge, EgressPolicy::production());
    let error = ask_with(&egress, request("https://api.test/")).await.unwrap_err();
    assert_eq!(error, "http-actions: http request failed: TLS handshake failed");
    // The extension `supported_versions`: type 43, five bytes, a list of four: 1.3 and 1.2.
    let offered = [0, 43, 0, 5, 4, 3, 4, 3, 3];
    assert!(hello.lock().unwrap().windows(offered.len()).any(|window| window == offered));
}

#[tokio::test(start_paused = true)]
async fn a_tls_handshake_that_does_not_end_is_a_timeout() {
    let wrap: Wrap = Arc::new(|stream| {
        Box::pin(async move {
            let _open = stream;
            std::future::pending().await
        })
    });
    let bridge = Bridge::serving(|_request| Response::new(Bytes::new())).wrapped(wrap);
    let egress = egress(&bridge, EgressPolicy::production());
    let mut slow = request("https://api.test/");
    slow.timeout = Some(well_known::Duration { seconds: 60, nanos: 0 });
    let start = tokio::time::Instant::now();
    let answer = shown(ask_with(&egress, slow).await);
    assert_eq!(answer, (504, "upstream request timed out".to_owned()));
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn a_certificate_nobody_trusts_is_refused() {
    let (wrap, _root) = tls(ALL_VERSIONS);
    let bridge = Bridge::serving(|_request| Response::new(Bytes::new())).wrapped(wrap);
    let egress = egress(&bridge, EgressPolicy::production());
    let error = ask_with(&egress, request("https://api.test/")).await.unwrap_err();
    assert_eq!(error, "http-actions: http request failed: TLS handshake failed");
    assert_eq!(bridge.asked(), [(Profile::Public, "api.test:443".to_owned())]);
}

/// A record of 38 + 4 bytes: a ServerHello of version 3.2 (TLS 1.1), a random value, no session,
/// TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, no compression.
const SERVER_HELLO_OF_TLS_1_1: [u8; 47] = {
    let mut hello = [7; 47];
    let head = [22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    let tail = [0, 0xc0, 0x13, 0];
    let mut index = 0;
    while index < head.len() {
        hello[index] = head[index];
        index += 1;
    }
    index = 0;
    while index < tail.len() {
        hello[43 + index] = tail[index];
        index += 1;
    }
    hello
};
