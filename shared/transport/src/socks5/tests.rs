use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A whole exchange of section 10.7: what the client says up to its first byte of payload.
fn spoken(request: &[u8]) -> Vec<u8> {
    let mut bytes = vec![5, 2, 0, 2];
    bytes.extend(b"\x01\x06public\x06public");
    bytes.extend(request);
    bytes
}

/// Lets the server hear `bytes` and then the end, and returns its result and its answers.
async fn hear(bytes: &[u8]) -> (Result<Request, AcceptError>, Vec<u8>) {
    let (mut client, mut server) = duplex(4096);
    client.write_all(bytes).await.unwrap();
    client.shutdown().await.unwrap();
    let result = accept(&mut server, SECOND).await;
    drop(server);
    let mut answers = Vec::new();
    client.read_to_end(&mut answers).await.unwrap();
    (result, answers)
}

/// Lets the client hear `bytes` and then the end, and returns its result and what it said.
async fn answer(target: &Target, bytes: &[u8]) -> (Result<(), ConnectError>, Vec<u8>) {
    let (mut client, mut server) = duplex(4096);
    server.write_all(bytes).await.unwrap();
    server.shutdown().await.unwrap();
    let result = connect(&mut client, Profile::Configured, target, SECOND).await;
    drop(client);
    let mut said = Vec::new();
    server.read_to_end(&mut said).await.unwrap();
    (result, said)
}

fn name(host: &str, port: u16) -> Target {
    Target { host: host.parse().unwrap(), port }
}

const ACCEPTED: &[u8] = &[5, 2, 1, 0];
const CONNECTED: &[u8] = &[5, 2, 1, 0, 5, 0, 0, 1, 10, 0, 0, 7, 0x9c, 0x40];

#[tokio::test(start_paused = true)]
async fn the_client_says_exactly_the_bytes_of_10_7() {
    let (result, said) = answer(&name("example.com", 443), CONNECTED).await;
    assert!(result.is_ok());
    let mut expected = vec![5, 2, 0, 2];
    expected.extend(b"\x01\x0aconfigured\x0aconfigured");
    expected.extend(b"\x05\x01\x00\x03\x0bexample.com\x01\xbb");
    assert_eq!(said, expected);
}

#[tokio::test(start_paused = true)]
async fn addresses_are_sent_as_addresses() {
    let (_, said) = answer(&name("192.0.2.7", 80), CONNECTED).await;
    assert!(said.ends_with(&[5, 1, 0, 1, 192, 0, 2, 7, 0, 80]));
    let (_, said) = answer(&name("[::1]", 80), CONNECTED).await;
    let tail = [5, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80];
    assert!(said.ends_with(&tail));
}

#[tokio::test(start_paused = true)]
async fn the_server_understands_every_kind_of_address() {
    for (request, expected) in [
        (&b"\x05\x01\x00\x01\xc0\x00\x02\x07\x01\xbb"[..], "192.0.2.7:443"),
        (b"\x05\x01\x00\x03\x0bexample.com\x01\xbb", "example.com:443"),
        (b"\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x50", "[::1]:80"),
    ] {
        let (result, answers) = hear(&spoken(request)).await;
        let request = result.unwrap();
        assert_eq!(
            (request.profile, request.target.to_string().as_str()),
            (Profile::Public, expected)
        );
        assert_eq!(answers, ACCEPTED);
    }
}

#[tokio::test(start_paused = true)]
async fn both_sides_understand_each_other_and_no_byte_is_lost() {
    for profile in [Profile::Public, Profile::Configured, Profile::Test] {
        let (mut client, mut server) = duplex(4096);
        let target = name("example.com", 443);
        let serving = async {
            let request = accept(&mut server, SECOND).await.unwrap();
            reply(&mut server, Reply::Succeeded, Some(([10, 0, 0, 7], 40_000).into()))
                .await
                .unwrap();
            let mut payload = [0; 5];
            server.read_exact(&mut payload).await.unwrap();
            (request, payload)
        };
        let connecting = async {
            connect(&mut client, profile, &target, SECOND).await.unwrap();
            client.write_all(b"hello").await.unwrap();
        };
        let ((request, payload), ()) = tokio::join!(serving, connecting);
        assert_eq!(request, Request { profile, target: target.clone() });
        assert_eq!(&payload, b"hello");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_ten_bytes() {
    let (mut client, mut server) = duplex(64);
    reply(&mut server, Reply::Succeeded, Some(([10, 0, 0, 7], 40_000).into())).await.unwrap();
    reply(&mut server, Reply::NotAllowed, None).await.unwrap();
    drop(server);
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes, [5, 0, 0, 1, 10, 0, 0, 7, 0x9c, 0x40, 5, 2, 0, 1, 0, 0, 0, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_names_no_profile_is_refused() {
    let (result, answers) = hear(&[5, 1, 0]).await;
    assert!(matches!(result, Err(AcceptError::NoProfile)));
    assert_eq!(answers, [5, 0xff]);
    let (result, answers) = hear(&[5, 0]).await;
    assert!(matches!(result, Err(AcceptError::NoProfile)));
    assert_eq!(answers, [5, 0xff]);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_or_contradictory_profile_is_refused() {
    for credentials in [
        &b"\x01\x04root\x04root"[..],
        b"\x01\x06public\x0aconfigured",
        b"\x01\x06Public\x06Public",
        b"\x01\x00\x00",
    ] {
        let (result, answers) = hear(&[&[5, 2, 0, 2], credentials].concat()).await;
        assert!(matches!(result, Err(AcceptError::UnknownProfile)));
        assert_eq!(answers, [5, 2, 1, 1]);
    }
}

#[tokio::test(start_paused = true)]
async fn other_versions_are_refused() {
    let (result, answers) = hear(&[4, 1, 0]).await;
    assert!(matches!(result, Err(AcceptError::Version { got: 4 })) && answers.is_empty());
    let (result, _) = hear(&[5, 1, 2, 5]).await;
    assert!(matches!(result, Err(AcceptError::Version { got: 5 })));
    let (result, _) = hear(&spoken(&[4])).await;
    assert!(matches!(result, Err(AcceptError::Version { got: 4 })));
}

#[tokio::test(start_paused = true)]
async fn bind_and_udp_are_forbidden_and_other_commands_unknown() {
    for (command, code) in [(2, 2), (3, 2), (4, 7), (0, 7)] {
        let (result, answers) = hear(&spoken(&[5, command, 0, 1, 1, 1, 1, 1, 0, 80])).await;
        assert!(matches!(result, Err(AcceptError::Command { got }) if got == command));
        assert_eq!(answers, [ACCEPTED, &[5, code, 0, 1, 0, 0, 0, 0, 0, 0]].concat());
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_kind_of_address_is_refused() {
    let (result, answers) = hear(&spoken(&[5, 1, 0, 2])).await;
    assert!(matches!(result, Err(AcceptError::AddressType { got: 2 })));
    assert_eq!(answers, [ACCEPTED, &[5, 8, 0, 1, 0, 0, 0, 0, 0, 0]].concat());
}

#[tokio::test(start_paused = true)]
async fn a_malformed_name_is_refused() {
    for bad in [&b"\x00"[..], b"\x03a b", b"\x02a\n", b"\x02\xff\xfe", b"\x05a@b/c"] {
        let request = [b"\x05\x01\x00\x03", bad, b"\x00\x50"].concat();
        let (result, answers) = hear(&spoken(&request)).await;
        assert!(matches!(result, Err(AcceptError::Name)));
        assert_eq!(answers, [ACCEPTED, &[5, 4, 0, 1, 0, 0, 0, 0, 0, 0]].concat());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_cut_off_at_any_byte_is_truncated() {
    let whole = spoken(b"\x05\x01\x00\x03\x0bexample.com\x01\xbb");
    for length in 0..whole.len() {
        let (result, _) = hear(&whole[..length]).await;
        assert!(matches!(result, Err(AcceptError::Truncated)), "{length}");
    }
    assert!(hear(&whole).await.0.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_server_cut_off_at_any_byte_is_truncated() {
    for length in 0..CONNECTED.len() {
        let (result, _) = answer(&name("example.com", 443), &CONNECTED[..length]).await;
        assert!(matches!(result, Err(ConnectError::Truncated)), "{length}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_reply_code_is_kept() {
    for code in 1..=u8::MAX {
        let (result, _) = answer(&name("example.com", 443), &[5, 2, 1, 0, 5, code]).await;
        let Err(ConnectError::Refused(refusal)) = result else { panic!("{code}: {result:?}") };
        assert_eq!(refusal.code(), code);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_deviates_is_refused() {
    let target = name("example.com", 443);
    let answered = async |bytes: &[u8]| answer(&target, bytes).await.0.unwrap_err();
    assert!(matches!(answered(&[4, 2]).await, ConnectError::Version { got: 4 }));
    assert!(matches!(answered(&[5, 0]).await, ConnectError::Method { got: 0 }));
    assert!(matches!(answered(&[5, 0xff]).await, ConnectError::Method { got: 0xff }));
    assert!(matches!(answered(&[5, 2, 1, 1]).await, ConnectError::Profile));
    assert!(matches!(answered(&[5, 2, 5, 0]).await, ConnectError::Version { got: 5 }));
    assert!(matches!(answered(&[5, 2, 1, 0, 5, 0, 0, 9]).await, ConnectError::Malformed));
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_times_out() {
    let (mut client, mut server) = duplex(64);
    let silent = accept(&mut server, SECOND).await;
    assert!(matches!(silent, Err(AcceptError::TimedOut)));
    let silent = connect(&mut client, Profile::Public, &name("a", 1), SECOND).await;
    assert!(matches!(silent, Err(ConnectError::TimedOut)));
}

#[test]
fn names_are_bounded() {
    assert!("a".repeat(253).parse::<Name>().is_ok());
    assert!("a".repeat(254).parse::<Name>().is_err());
    assert!("_dmarc.example-1.com.".parse::<Name>().is_ok());
    assert!("".parse::<Host>().is_err());
    assert!("[example.com]".parse::<Host>().is_err());
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_server_panic(bytes: Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (_result, answers) = runtime.block_on(hear(&bytes));
        assert!(answers.len() <= 14);
    }
}
