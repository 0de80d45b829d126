use std::time::{Duration, SystemTime};

use protocol::ids::RequestId;
use rand_core::OsRng;

use super::*;

const LIFE: Duration = Duration::from_secs(24 * 3600);
const START: SystemTime = SystemTime::UNIX_EPOCH;

fn keychain() -> Keychain {
    Keychain::new(LIFE, &mut OsRng, START)
}

fn request(number: u64) -> RequestId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.to_be_bytes());
    RequestId::from(id)
}

#[test]
fn w35_the_first_key_exists_before_anybody_asks() {
    assert_eq!(keychain().live(START).len(), 1);
}

#[test]
fn w34_an_expired_key_is_dropped_by_the_sweep() {
    let keychain = keychain();
    let key = Arc::downgrade(&keychain.live(START)[0]);
    keychain.sweep(START + LIFE);
    assert!(key.upgrade().is_some());
    keychain.sweep(START + LIFE + Duration::from_millis(1));
    assert!(key.upgrade().is_none(), "nobody holds the key, so it is wiped");
}

#[test]
fn a_clock_that_is_set_back_revives_no_key() {
    let keychain = keychain();
    let public = keychain.live(START)[0].public().as_bytes().to_vec();
    assert!(keychain.live(START + LIFE * 2).is_empty());
    assert_eq!(keychain.find(&public, START).unwrap_err(), FindKeyError::Unknown);
    assert_eq!(keychain.pinned(request(1), START).unwrap_err(), PinError::NoKeys);
}

#[test]
fn an_expired_key_opens_nothing() {
    let keychain = keychain();
    let key = keychain.live(START).remove(0);
    let sealed = key.public().seal(b"share", &mut OsRng).unwrap();
    assert_eq!(key.open(&sealed, START + LIFE).unwrap().expose(), b"share");
    let error = key.open(&sealed, START + LIFE + Duration::from_millis(1)).unwrap_err();
    assert_eq!(error.to_string(), "keypair has expired: 86400001ms old, TTL: 86400000ms");
}

#[test]
fn a_box_for_another_key_is_not_opened() {
    let keychain = keychain();
    let key = keychain.live(START).remove(0);
    let error = key.open(&[7; 80], START).unwrap_err();
    assert_eq!(error, UnsealError::Sealed(OpenError::Failed));
}

#[test]
fn the_oldest_pins_go_when_there_are_too_many() {
    let keychain = keychain();
    let first = keychain.pinned(request(0), START).unwrap();
    keychain.rotate(&mut OsRng, START + Duration::from_secs(1));
    for number in 1..=PIN_LIMIT as u64 {
        keychain.pinned(request(number), START + Duration::from_secs(2)).unwrap();
    }
    let again = keychain.pinned(request(0), START + Duration::from_secs(3)).unwrap();
    assert_ne!(again.public(), first.public());
    assert!(keychain.book().pins.len() <= PIN_LIMIT);
}

#[test]
fn nothing_prints_a_secret_key() {
    let debug = format!("{:?}", keychain());
    assert!(debug.contains("EphemeralKey(of "), "{debug}");
}
