use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};

use super::*;

fn gzip(plain: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// A server that answers these bytes and calls them gzip, whatever is asked.
fn serving(body: Vec<u8>) -> Bridge {
    Bridge::serving(move |_request| {
        let response = Response::builder().header("content-encoding", "GZIP").header("x-a", "b");
        response.body(Bytes::from(body.clone())).unwrap()
    })
}

async fn get(body: Vec<u8>) -> Result<wire::Response, String> {
    ask(&serving(body), request("http://api.test/")).await
}

#[tokio::test]
async fn no_encoding_is_offered() {
    let (bridge, seen) = recorder();
    ask(&bridge, request("http://api.test/")).await.unwrap();
    let seen = seen.lock().unwrap().take().unwrap();
    assert!(!seen.headers().contains_key("accept-encoding"));
}

#[tokio::test]
async fn gzip_that_comes_unasked_is_decoded_and_no_longer_announced() {
    let two = [gzip(b"plain ", Compression::best()), gzip(b"text", Compression::none())].concat();
    let response = get(two).await.unwrap();
    assert_eq!(response.body, b"plain text");
    let names: Vec<_> = response.headers.keys().map(String::as_str).collect();
    assert!(names.contains(&"X-A") && !names.contains(&"Content-Encoding"), "{names:?}");
    assert!(!names.contains(&"Content-Length"), "{names:?}");
}

#[tokio::test]
async fn a_workflow_that_asks_for_an_encoding_or_a_range_reads_what_came() {
    let body = gzip(b"plain", Compression::best());
    for name in ["Accept-Encoding", "Range"] {
        let mut asked = request("http://api.test/");
        asked.headers.insert(name.to_owned(), "x".to_owned());
        let response = ask(&serving(body.clone()), asked).await.unwrap();
        assert_eq!(
            (&response.body, response.headers["Content-Encoding"].as_str()),
            (&body, "GZIP")
        );
    }
}

#[tokio::test]
async fn the_limit_of_a_response_counts_once_it_is_decoded() {
    let of_the_limit = vec![7; BODY_LIMIT_BYTES];
    assert_eq!(get(gzip(&of_the_limit, Compression::best())).await.unwrap().body, of_the_limit);
    assert_eq!(get(gzip(&of_the_limit, Compression::none())).await.unwrap().body, of_the_limit);
    let bomb = gzip(&vec![0; 100 * BODY_LIMIT_BYTES], Compression::best());
    assert!(bomb.len() < BODY_LIMIT_BYTES);
    let limit = "http-actions: response body exceeds limit 1024000 bytes";
    assert_eq!(get(bomb).await.unwrap_err(), limit);
    assert_eq!(get(vec![7; BODY_LIMIT_BYTES + 20_000]).await.unwrap_err(), limit);
}

#[tokio::test]
async fn a_broken_encoding_is_an_answer_that_is_cut_off_or_malformed() {
    let whole = gzip(b"plain text", Compression::best());
    let closed = (502, "upstream closed the connection before responding".to_owned());
    assert_eq!(shown(get(whole[..whole.len() - 4].to_vec()).await), closed);
    let malformed = "http-actions: http request failed: malformed response";
    assert_eq!(get(b"no gzip at all".to_vec()).await.unwrap_err(), malformed);
    let mut changed = whole;
    let checksum = changed.len() - 6;
    changed[checksum] ^= 1;
    assert_eq!(get(changed).await.unwrap_err(), malformed);
    assert_eq!(get(Vec::new()).await.unwrap().headers["Content-Encoding"], "GZIP");
}
