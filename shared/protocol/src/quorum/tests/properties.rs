//! What changes no outcome, and what always does.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn the_order_of_votes_changes_no_outcome(
        (votes, order) in votes().prop_flat_map(|votes| {
            let order: Vec<_> = (0..votes.len()).collect();
            (Just(votes), Just(order).prop_shuffle())
        }),
    ) {
        let committee = committee(4, 1);
        let votes: Vec<_> = votes.into_iter().map(|(result, seed, honest)| {
            let result = ["a", "b", "c"][result];
            if honest { vote(result, seed) } else { forged(result, seed, 1) }
        }).collect();
        let shuffled: Vec<_> = order.into_iter().map(|index| votes[index].clone()).collect();
        let selected = |votes: &[SignedResult<CapabilityResult>]| {
            let bundle = bundle(votes.to_vec());
            let agreed = select(&params(), &bundle, &committee);
            agreed.map(|agreed| agreed.get().result.clone()).map_err(|no| (no.valid, no.signers))
        };
        prop_assert_eq!(selected(&votes), selected(&shuffled));
    }

    #[test]
    fn a_flipped_bit_anywhere_in_a_signed_request_is_refused(byte in 0..64_usize, bit in 0..8_u8, in_data: bool) {
        let mut batch = signed(b"a request of enough bytes to flip one of them, wherever it is, ....", [0, 1]);
        let member = if in_data { &mut batch[1].request.public_data } else { &mut batch[1].signature };
        let mut bytes = member.as_slice().to_vec();
        bytes[byte] ^= 1 << bit;
        *member = bytes.into();
        prop_assert!(unanimous(batch, &committee(4, 1)).is_err());
    }

    #[test]
    fn a_flipped_bit_anywhere_in_a_signed_result_is_no_vote(byte in 0..64_usize, bit in 0..8_u8, in_result: bool) {
        let text = "an answer of enough bytes to flip one of them, wherever it is, ......";
        let mut votes = vec![vote(text, 0), vote(text, 1)];
        if in_result {
            let mut bytes = text.as_bytes().to_vec();
            // Seven bits, so that the text stays ASCII.
            bytes[byte] ^= 1 << (bit % 7);
            votes[1].result.error = String::from_utf8(bytes).unwrap();
        } else {
            let mut bytes = votes[1].signature.signature.as_slice().to_vec();
            bytes[byte] ^= 1 << bit;
            votes[1].signature.signature = bytes.into();
        }
        prop_assert_eq!(index(votes, &committee(4, 1)), Err((1, 1, 1)));
    }

    #[test]
    fn permuting_a_batch_changes_nothing(seeds in Just(vec![3, 1, 0, 2, 1]).prop_shuffle()) {
        let agreed = unanimous(signed(b"x", seeds), &committee(4, 1)).unwrap();
        prop_assert_eq!(agreed.signers().len(), 4);
        prop_assert_eq!(agreed.get().hash(), request(b"x").hash());
    }

    #[test]
    fn permuting_what_is_forwarded_changes_nothing(seeds in Just(vec![9, 1, 8, 1, 2]).prop_shuffle()) {
        let requests: Vec<_> = signed(b"x", seeds).into_iter().map(Into::into).collect();
        let committee = committee(4, 1);
        let quorum = Quorum::honest(committee.fault_bound());
        let agreed = forwarded(&requests, committee.signers(), quorum).unwrap();
        prop_assert_eq!(agreed.signers(), [key(1).public(), key(2).public()]);
    }
}

/// Results, who claims to have signed each, and whether they did.
fn votes() -> impl Strategy<Value = Vec<(usize, usize, bool)>> {
    proptest::collection::vec((0..3_usize, 0..6_usize, any::<bool>()), 0..10)
}
