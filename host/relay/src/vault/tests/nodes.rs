//! Whole nodes over one vault, judged as the enclave judges them.

use std::sync::Arc;

use crypto::tdh2::{Ciphertext, combine};
use futures_util::future::join_all;
use protocol::{
    base64,
    committee::Committee,
    json,
    quorum::select,
    relay::{Bundle, SecretsResult, SignedResult},
};

use super::*;
use crate::{
    Executions, Fault,
    handler::Handler,
    world::{Canned, request},
};

/// What the gateway collects from four nodes, one of which has a fault.
async fn bundle(
    play: &Play,
    params: &SecretsRequestParams,
    fault: Option<Fault>,
) -> Bundle<SecretsResult> {
    let faults = [None, fault, None, None].into_iter().enumerate();
    let answers = faults.map(|(index, fault)| answers(play, params, index, fault));
    let answers = join_all(answers).await;
    let results = answers.iter().flatten().filter_map(|text| {
        let response: protocol::rpc::Response = json::from_slice(text.as_bytes()).unwrap();
        let result = response.result?;
        json::from_slice::<SignedResult<SecretsResult>>(result.as_str().as_bytes()).ok()
    });
    Bundle { responses: Some(results.collect()) }
}

async fn answers(
    play: &Play,
    params: &SecretsRequestParams,
    index: usize,
    fault: Option<Fault>,
) -> Vec<String> {
    let member = play.member(index, fault.map(Fault::conduct).unwrap_or_default());
    let executions = Executions::standalone(Arc::new(member), Arc::new(Canned::Answers));
    let mut setup = play.world.setup(executions);
    setup.key = play.world.node(index);
    let (handler, request) = (Handler::new(setup), request(params));
    let response = handler.answer(&request).await;
    match fault {
        Some(fault) => fault.answers(&handler, &request, response),
        None => vec![crate::connector::text(&response)],
    }
}

fn open(world: &World, result: &SecretsResult) -> Vec<u8> {
    let entry = &result.secrets.as_ref().unwrap()[0];
    let key = &world.deal.public_key;
    let ciphertext = Ciphertext::parse(&base64::decode(&entry.ciphertext).unwrap(), key).unwrap();
    let sealed = entry.encrypted_shares.iter().flatten();
    let shares = sealed.map(|share| world.enclave.open(&base64::decode(share).unwrap()));
    let shares: Vec<_> = shares.filter_map(Result::ok).collect();
    let threshold = tdh2::Threshold::new(2).unwrap();
    let shares = shares.iter().map(|share| share.expose());
    combine(key, &ciphertext, shares, threshold).unwrap().expose().to_vec()
}

#[tokio::test(start_paused = true)]
async fn the_enclave_agrees_whatever_one_node_does() {
    let all = [Fault::Lie, Fault::Garbage, Fault::Stall, Fault::Down, Fault::Duplicate];
    for fault in std::iter::once(None).chain(all.map(Some)) {
        let play = Play::new();
        play.put("KEY", b"hunter2").await;
        let params = play.world.attest(play.world.bare_secrets());
        let bundle = bundle(&play, &params, fault).await;
        let members = play.world.nodes.iter().map(SigningKey::public).collect();
        let committee = Committee::new(members, FaultBound::new(1)).unwrap();
        let agreed = select(&params, &bundle, &committee).unwrap();
        assert!(agreed.signers().len() >= 2, "{fault:?}");
        assert_eq!(open(&play.world, agreed.get().result), b"hunter2", "{fault:?}");
    }
}
