//! Answers for nodes that come late.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use protocol::ids::RequestHash;
use tokio::time::Instant;

use super::Answer;

/// Successes by request, the oldest first to go; bounded in age and in bytes.
///
/// The age stays below the five minutes for which validators accept an attestation document, so nobody
/// is handed an answer that can no longer be verified (W-59).
#[derive(Debug)]
pub(super) struct Results {
    by_hash: BTreeMap<RequestHash, (Answer, Instant)>,
    by_age: VecDeque<RequestHash>,
    bytes: usize,
    age: Duration,
    limit_bytes: usize,
}

impl Results {
    pub(super) fn new(age: Duration, limit_bytes: usize) -> Self {
        Self { by_hash: BTreeMap::new(), by_age: VecDeque::new(), bytes: 0, age, limit_bytes }
    }

    pub(super) fn find(&mut self, hash: &RequestHash, now: Instant) -> Option<Answer> {
        self.expire(now);
        self.by_hash.get(hash).map(|(answer, _since)| answer.clone())
    }

    /// Keeps an answer, unless it alone is larger than all may be.
    pub(super) fn keep(&mut self, hash: RequestHash, answer: Answer, now: Instant) {
        self.expire(now);
        let bytes = answer.body.len();
        if bytes > self.limit_bytes || self.age.is_zero() || self.by_hash.contains_key(&hash) {
            return;
        }
        while self.bytes > self.limit_bytes.saturating_sub(bytes) && self.drop_oldest() {}
        self.bytes = self.bytes.saturating_add(bytes);
        self.by_age.push_back(hash);
        self.by_hash.insert(hash, (answer, now));
    }

    fn expire(&mut self, now: Instant) {
        let age = self.age;
        let is_old = |since: &Instant| now.saturating_duration_since(*since) >= age;
        while let Some((_, since)) = self.by_age.front().and_then(|hash| self.by_hash.get(hash)) {
            if !is_old(since) || !self.drop_oldest() {
                break;
            }
        }
    }

    /// False if there is none.
    fn drop_oldest(&mut self) -> bool {
        let Some(hash) = self.by_age.pop_front() else { return false };
        if let Some((answer, _since)) = self.by_hash.remove(&hash) {
            self.bytes = self.bytes.saturating_sub(answer.body.len());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn hash(byte: u8) -> RequestHash {
        [byte; 32].into()
    }

    fn answer(length: usize) -> Answer {
        Answer { body: vec![0; length].into(), ..Answer::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn answers_expire() {
        let mut results = Results::new(MINUTE, 100);
        results.keep(hash(1), answer(10), Instant::now());
        tokio::time::advance(MINUTE - Duration::from_millis(1)).await;
        assert!(results.find(&hash(1), Instant::now()).is_some());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(results.find(&hash(1), Instant::now()).is_none());
        assert_eq!(results.bytes, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_goes_when_there_is_no_room() {
        let mut results = Results::new(MINUTE, 100);
        for byte in 0..3 {
            results.keep(hash(byte), answer(40), Instant::now());
        }
        let kept = (0..3).map(|byte| results.find(&hash(byte), Instant::now()).is_some());
        assert_eq!(kept.collect::<Vec<_>>(), [false, true, true]);
        assert_eq!(results.bytes, 80);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_larger_than_the_room_is_not_kept_and_evicts_nothing() {
        let mut results = Results::new(MINUTE, 100);
        results.keep(hash(1), answer(100), Instant::now());
        results.keep(hash(2), answer(101), Instant::now());
        assert!(results.find(&hash(1), Instant::now()).is_some());
        assert!(results.find(&hash(2), Instant::now()).is_none());
    }
}
