use serde_json::{Value, json};

use super::*;
use crate::vault::wire::{self, CIPHERTEXTS, CONTRIBUTIONS};

fn post(path: &'static str, body: &[u8], key: &SigningKey) -> HttpRequest<Bytes> {
    let request = HttpRequest::post(path).header("host", "vault");
    let signed = wire::sign(path, body, key);
    let request = signed.into_iter().fold(request, |r, (name, value)| r.header(name, value));
    request.body(body.to_vec().into()).unwrap()
}

async fn status(play: &Play, request: HttpRequest<Bytes>) -> (u16, String) {
    let response = play.send(request).await;
    let text = String::from_utf8(response.body().to_vec()).unwrap();
    (response.status().as_u16(), text)
}

fn opening(play: &Play) -> Vec<u8> {
    let request = protocol::messages::encode(&play.request(&["KEY"]).payload);
    let request = protocol::base64::encode(&request);
    json!({ "round": "00".repeat(32), "request": request }).to_string().into_bytes()
}

#[tokio::test(start_paused = true)]
async fn names_are_listed_and_nothing_else() {
    let play = Play::new();
    play.put("KEY", b"hunter2").await;
    let list = |token: &str| {
        let request = HttpRequest::get("/secrets").header("host", "vault");
        request.header("authorization", token).body(Bytes::new()).unwrap()
    };
    let (code, body) = status(&play, list(&format!("Bearer {TOKEN}"))).await;
    let names: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(code, 200);
    let name = json!({ "owner": OWNER, "namespace": "main", "name": "KEY" });
    assert_eq!(names, json!({ "secrets": [name] }));
    for token in ["", "Bearer ", "Bearer wrong", TOKEN] {
        assert_eq!(status(&play, list(token)).await.0, 401, "{token}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_put_by_whoever_holds_the_token() {
    let play = Play::new();
    let good = encrypt(&play.world.deal.public_key, OWNER, b"hunter2");
    let mut request = put(OWNER, "KEY", good);
    request.headers_mut().remove("authorization");
    assert_eq!(status(&play, request).await.0, 401);
}

#[tokio::test(start_paused = true)]
async fn a_ciphertext_that_is_not_the_owners_is_refused() {
    let play = Play::new();
    let key = &play.world.deal.public_key;
    let other = format!("0x{}", "11".repeat(20));
    let good = encrypt(key, OWNER, b"hunter2");
    let mut changed = good.clone();
    let at = changed.len() / 2;
    changed[at] ^= 1;
    let foreign = encrypt(&World::new().deal.public_key, OWNER, b"hunter2");
    let long = encrypt(key, OWNER, &[0; 1_200]);
    for (owner, name, ciphertext, code) in [
        (other.as_str(), "KEY", good.clone(), 400),
        (OWNER, "KEY", changed, 400),
        (OWNER, "KEY", foreign, 400),
        (OWNER, "KEY", Vec::new(), 400),
        (OWNER, "KEY", long, 413),
        ("alice", "KEY", good.clone(), 400),
        (OWNER, &"K".repeat(65), good.clone(), 400),
        (OWNER, "%0A", good, 400),
    ] {
        assert_eq!(status(&play, put(owner, name, ciphertext)).await.0, code, "{owner} {name}");
    }
}

#[tokio::test(start_paused = true)]
async fn strangers_and_wrong_signatures_open_no_round() {
    let play = Play::new();
    let (body, member) = (opening(&play), play.world.node(0));
    assert_eq!(status(&play, post(CIPHERTEXTS, &body, &member)).await.0, 200);
    let stranger = SigningKey::from_seed(&[9; 32]);
    assert_eq!(status(&play, post(CIPHERTEXTS, &body, &stranger)).await.0, 401);
    let mut other = post(CIPHERTEXTS, &body, &member);
    *other.body_mut() = Bytes::from(body.iter().rev().copied().collect::<Vec<_>>());
    assert_eq!(status(&play, other).await.0, 401);
    let mut path = post(CIPHERTEXTS, &body, &member);
    *path.uri_mut() = CONTRIBUTIONS.parse().unwrap();
    assert_eq!(status(&play, path).await.0, 401);
}

#[tokio::test(start_paused = true)]
async fn bodies_that_are_no_part_of_a_round_are_refused() {
    let play = Play::new();
    let member = play.world.node(0);
    let long = vec![b' '; 64 * 1024 + 1];
    let wrong = json!({ "round": "00".repeat(32), "request": "/w==" }).to_string();
    for (path, body, code) in [
        (CIPHERTEXTS, &b"{}"[..], 400),
        (CIPHERTEXTS, wrong.as_bytes(), 400),
        (CIPHERTEXTS, &long, 413),
        (CONTRIBUTIONS, &opening(&play), 400),
    ] {
        assert_eq!(status(&play, post(path, body, &member)).await.0, code, "{path}");
    }
    let mut unknown: Value = serde_json::from_slice(&opening(&play)).unwrap();
    unknown["shares"] = json!([null]);
    let unknown = unknown.to_string();
    let (code, text) = status(&play, post(CONTRIBUTIONS, unknown.as_bytes(), &member)).await;
    assert_eq!((code, text.as_str()), (404, "there is no such round"));
}

#[tokio::test(start_paused = true)]
async fn a_member_that_contradicts_itself_is_told_so() {
    let play = Play::new();
    play.put("KEY", b"hunter2").await;
    let (body, member) = (opening(&play), play.world.node(0));
    assert_eq!(status(&play, post(CIPHERTEXTS, &body, &member)).await.0, 200);
    let contribution = |share: &str| {
        let mut body: Value = serde_json::from_slice(&body).unwrap();
        body["shares"] = json!([share]);
        post(CONTRIBUTIONS, body.to_string().as_bytes(), &member)
    };
    let first = play.send(contribution("AQ=="));
    let second = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        status(&play, contribution("Ag==")).await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(second.0, 409);
    assert_eq!(first.status(), StatusCode::GATEWAY_TIMEOUT);
}
