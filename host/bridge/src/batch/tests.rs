use axum::{Router, body::Bytes, routing::post};
use crypto::sign::SigningKey;
use protocol::{
    compute::{Batch, ComputeRequest},
    ids::FaultBound,
    json,
};
use transport::{
    http::{ServerLimits, serve},
    memory,
};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

const LIMITS: BatchLimits = BatchLimits {
    quorum_timeout: SECOND,
    require_bft_quorum: false,
    result_age: SECOND,
    results_bytes: 1 << 20,
    pending_per_signer: 16,
    pending_bytes_per_signer: 1 << 20,
    pending_bytes: 1 << 20,
};

const SERVER: ServerLimits = ServerLimits {
    connections: 16,
    head_bytes: 8192,
    head_timeout: SECOND,
    write_stall: SECOND,
    drain: Duration::ZERO,
};

/// A collector before an enclave that answers with the number of requests in the batch.
fn collector(limits: BatchLimits) -> Collector {
    let count =
        |body: Bytes| async move { json::from_slice::<Batch>(&body).unwrap().len().to_string() };
    let (dialer, listener) = memory::pair();
    let router = Router::new().route("/requests", post(count));
    tokio::spawn(serve(Box::new(listener), router, SERVER, CancellationToken::new()));
    let exchange = ClientLimits { head_bytes: 8192, body_bytes: 1 << 20, timeout: SECOND };
    Collector::new(limits, Link::new(Arc::new(dialer)), exchange, CancellationToken::new())
}

fn member(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

fn committee(members: &[u8], faults: u32) -> Committee {
    let members = members.iter().map(|number| member(*number).public()).collect();
    Committee::new(members, FaultBound::new(faults)).unwrap()
}

fn signed(request: u8, by: u8) -> Unchecked {
    let request = ComputeRequest {
        request_id: [request; 32].into(),
        version: "0.0.6".to_owned(),
        ..ComputeRequest::default()
    };
    Unchecked::decode(&json::to_vec(&request.sign(&member(by)))).unwrap()
}

#[tokio::test(start_paused = true)]
async fn w_42_a_quorum_that_shrinks_while_requests_wait_is_noticed() {
    let collector = collector(LIMITS);
    let (before, after) = (committee(&[1, 2, 3], 2), committee(&[1, 2, 3], 1));
    let (first, second) = (signed(1, 1), signed(1, 2));
    let again = async {
        tokio::time::sleep(SECOND / 2).await;
        collector.submit(signed(1, 2), &after).await
    };
    let (first, second, again) =
        tokio::join!(collector.submit(first, &before), collector.submit(second, &before), again);
    for answer in [first, second, again] {
        assert_eq!(answer.unwrap().body, "2", "exactly the new quorum was sent");
    }
}

#[tokio::test(start_paused = true)]
async fn w_42_who_left_the_committee_counts_no_more() {
    let collector = collector(LIMITS);
    let (before, after) = (committee(&[1, 2, 3], 1), committee(&[2, 3, 4], 1));
    let late = async {
        tokio::time::sleep(SECOND / 2).await;
        collector.submit(signed(1, 2), &after).await
    };
    let (first, late) = tokio::join!(collector.submit(signed(1, 1), &before), late);
    for outcome in [first, late] {
        assert!(matches!(outcome, Err(SubmitError::Failed(_, Failure::NoQuorum { .. }))));
    }
}

#[tokio::test(start_paused = true)]
async fn w_42_the_largest_fault_bound_is_not_a_quorum_of_zero() {
    assert_eq!(FaultBound::new(u32::MAX).quorum(), 1 << 32);
    let keys = vec![member(1).public()];
    assert!(Committee::new(keys, FaultBound::new(u32::MAX)).is_err());
}

#[tokio::test(start_paused = true)]
async fn what_is_over_leaves_nothing_behind() {
    let collector = collector(LIMITS);
    let committee = committee(&[1, 2], 1);
    let (_, _, lonely) = tokio::join!(
        collector.submit(signed(1, 1), &committee),
        collector.submit(signed(1, 2), &committee),
        collector.submit(signed(2, 1), &committee),
    );
    assert!(lonely.is_err());
    assert_eq!(collector.counts(), (0, 0));
    assert!(collector.state().is_idle());
}
