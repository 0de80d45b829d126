use crypto::tdh2::{Ciphertext, combine};
use futures_util::future::join_all;
use protocol::messages::vault::{GetSecretsResponse, SecretResult};
use tokio::time::Instant;

use super::*;
use crate::vault::{Vault as _, answer::translate};

/// Asks as all these members at once, each of its conduct.
async fn ask(play: &Play, conducts: [Conduct; 4]) -> Vec<Result<GetSecretsResponse, VaultError>> {
    let members = conducts.into_iter().enumerate();
    let members: Vec<_> = members.map(|(index, conduct)| play.member(index, conduct)).collect();
    let asked = members.iter().map(|member| {
        let secrets = member.secrets(play.request(&["KEY", "NONE"]));
        async { tokio::time::timeout(Duration::from_secs(30), secrets).await }
    });
    let answers = join_all(asked).await.into_iter();
    answers.map(|answer| answer.unwrap_or(Err(VaultError::Deadline))).collect()
}

/// Opens the first secret of an answer as the enclave does: a bad share is passed over.
fn open(play: &Play, answer: &GetSecretsResponse) -> Vec<u8> {
    let Some(SecretResult::Data(data)) = &answer.responses[0].result else { panic!("{answer:?}") };
    let key = &play.world.deal.public_key;
    let ciphertext = Ciphertext::parse(&hex::decode(&data.encrypted_value).unwrap(), key).unwrap();
    let sealed = data.encrypted_decryption_key_shares[0].shares.iter();
    let shares: Vec<_> = sealed
        .filter_map(|share| play.world.enclave.open(&hex::decode(share).unwrap()).ok())
        .collect();
    let shares = shares.iter().map(|share| share.expose());
    let threshold = tdh2::Threshold::new(2).unwrap();
    combine(key, &ciphertext, shares, threshold).unwrap().expose().to_vec()
}

fn count(answer: &GetSecretsResponse) -> usize {
    match &answer.responses[0].result {
        Some(SecretResult::Data(data)) => data.encrypted_decryption_key_shares[0].shares.len(),
        other => panic!("{other:?}"),
    }
}

use Conduct::{Babbles, Honest, Lies, Repeats, Stalls};

#[tokio::test(start_paused = true)]
async fn all_members_get_the_same_answer_and_the_enclave_opens_it() {
    let play = Play::new();
    play.put("KEY", b"hunter2").await;
    let answers = ask(&play, [Honest; 4]).await;
    let first = answers[0].clone().unwrap();
    assert!(answers.iter().all(|answer| answer.as_ref() == Ok(&first)));
    assert_eq!((count(&first), open(&play, &first)), (4, b"hunter2".to_vec()));
    let missing = SecretResult::Error("key does not exist".to_owned());
    assert_eq!(first.responses[1].result, Some(missing));
}

#[tokio::test(start_paused = true)]
async fn one_member_of_any_conduct_changes_no_secret() {
    for conduct in [Lies, Babbles, Stalls, Repeats] {
        let play = Play::new();
        play.put("KEY", b"hunter2").await;
        let began = Instant::now();
        let answers = ask(&play, [Honest, conduct, Honest, Honest]).await;
        let first = answers[0].clone().unwrap();
        for honest in [0, 2, 3] {
            assert_eq!(answers[honest], Ok(first.clone()), "{conduct:?}");
        }
        assert_eq!(open(&play, &first), b"hunter2", "{conduct:?}");
        if conduct == Repeats {
            assert_eq!(count(&first), 4);
            assert!(began.elapsed() < Duration::from_millis(300));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_silent_members_fail_the_round_for_all() {
    let play = Play::new();
    play.put("KEY", b"hunter2").await;
    let answers = ask(&play, [Honest, Honest, Stalls, Stalls]).await;
    assert_eq!(answers[..2], [Err(VaultError::Failed), Err(VaultError::Failed)]);
    assert_eq!(answers[2..], [Err(VaultError::Deadline), Err(VaultError::Deadline)]);
    // Asked again, the round is another one.
    let answers = ask(&play, [Honest; 4]).await;
    assert!(answers.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn a_member_that_comes_late_gets_the_same_answer() {
    let play = Play::new();
    play.put("KEY", b"hunter2").await;
    let late = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        play.member(3, Honest).secrets(play.request(&["KEY", "NONE"])).await
    };
    let (answers, late) = tokio::join!(ask(&play, [Honest, Honest, Honest, Stalls]), late);
    assert!(late == answers[0]);
    assert_eq!(count(&late.unwrap()), 3);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_changes_meanwhile_stays_what_the_round_began_with() {
    let play = Play::new();
    play.put("KEY", b"before").await;
    let first = play.member(0, Honest);
    let first = tokio::spawn({
        let request = play.request(&["KEY", "NONE"]);
        async move { first.secrets(request).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    play.put("KEY", b"after").await;
    let answers = ask(&play, [Stalls, Honest, Honest, Honest]).await;
    assert_eq!(open(&play, answers[1].as_ref().unwrap()), b"before");
    assert_eq!(first.await.unwrap(), answers[1]);
}

#[tokio::test(start_paused = true)]
async fn more_secrets_than_a_round_has_are_refused() {
    let play = Play::new();
    let names: Vec<_> = (0..11).map(|number| format!("KEY{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let refused = play.member(0, Honest).secrets(play.request(&names)).await;
    assert_eq!(refused, Err(VaultError::Failed));
}

#[tokio::test(start_paused = true)]
async fn a_node_without_a_vault_to_reach_fails() {
    let play = Play::new();
    play.shutdown.cancel();
    play.vault.await.unwrap().unwrap();
    let member = {
        let share = PrivateShare::parse(play.world.deal.shares[0].to_json().expose()).unwrap();
        let key = play.world.deal.public_key.clone();
        let second = Duration::from_secs(1);
        Member::new(Box::new(play.dialer.clone()), play.world.node(0), share, key, second).unwrap()
    };
    let secrets = play_request(&play.world);
    assert_eq!(member.secrets(secrets).await, Err(VaultError::Failed));
}

fn play_request(world: &World) -> Request {
    let key = world.enclave.public().to_string();
    Request {
        round: Round::of(&world.bare_secrets()),
        metadata: Metadata::default(),
        payload: payload(&[], OWNER, &key).unwrap(),
    }
}

#[tokio::test]
async fn a_share_of_another_key_is_refused_at_the_start() {
    let (world, other) = (World::new(), World::new());
    let share = PrivateShare::parse(other.deal.shares[0].to_json().expose()).unwrap();
    let (dialer, _listener) = memory::pair();
    let key = world.deal.public_key.clone();
    let member = Member::new(Box::new(dialer), world.node(0), share, key, Duration::from_secs(1));
    assert!(matches!(member, Err(crate::vault::ForeignShareError)));
}

#[tokio::test(start_paused = true)]
async fn w_01_nothing_a_member_prints_or_fails_with_shows_a_share() {
    let play = Play::new();
    play.put("KEY", b"hunter2").await;
    let mut answer = ask(&play, [Honest; 4]).await.remove(0).unwrap();
    answer.responses.truncate(1);
    let Some(SecretResult::Data(data)) = &mut answer.responses[0].result else { panic!() };
    let share = data.encrypted_decryption_key_shares[0].shares[0].clone();
    data.encrypted_decryption_key_shares[0].shares[1].push('x');
    let error = translate(answer, &play.world.enclave.public().to_string()).unwrap_err();
    let member = play.member(0, Honest);
    let private = hex::encode(play.world.deal.shares[0].to_json().expose());
    for text in [format!("{error} {error:?}"), format!("{member:?}")] {
        assert!(!text.contains(&share) && !text.contains(&share[..32]), "{text}");
        assert!(!text.contains(&private[..32]), "{text}");
    }
}
