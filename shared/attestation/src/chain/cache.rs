//! Remembers paths that passed, so that the next document of the same enclave costs one signature.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use super::Chain;
use crate::{hash::Sha256, root::TrustRoot};

/// A bounded table of verified chains; the one not used for longest makes room.
///
/// Only signatures and fixed properties are remembered. Whoever takes a chain out checks the
/// validity of each of its certificates again.
#[derive(Debug)]
pub(crate) struct ChainCache {
    limit: NonZeroUsize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<ChainKey, Entry>,
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    chain: Chain,
    used: u64,
}

/// SHA-256 over the roots, the leaf and the bundle, each with its length before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ChainKey([u8; 32]);

impl ChainKey {
    pub(crate) fn of(leaf: &[u8], bundle: &[Vec<u8>], roots: &[TrustRoot]) -> Self {
        let mut hash = Sha256::new();
        hash.field(leaf);
        hash.field(&roots.iter().flat_map(|root| *root.sha256()).collect::<Vec<_>>());
        bundle.iter().for_each(|der| hash.field(der));
        Self(hash.finish())
    }
}

impl ChainCache {
    pub(crate) fn new(limit: NonZeroUsize) -> Self {
        Self { limit, table: Mutex::default() }
    }

    pub(crate) fn find(&self, key: &ChainKey) -> Option<Chain> {
        let mut table = self.table();
        table.uses = table.uses.saturating_add(1);
        let uses = table.uses;
        let entry = table.entries.get_mut(key)?;
        entry.used = uses;
        Some(entry.chain.clone())
    }

    /// Remembers a chain. Those that have expired by `now` leave first.
    pub(crate) fn insert(&self, key: ChainKey, chain: Chain, now: SystemTime) {
        let mut table = self.table();
        table.entries.retain(|_, entry| entry.chain.links.iter().all(|l| now <= l.validity.until));
        while table.entries.len() >= self.limit.get() {
            let oldest = table.entries.iter().min_by_key(|(_, entry)| entry.used);
            let Some(oldest) = oldest.map(|(key, _)| *key) else { break };
            table.entries.remove(&oldest);
        }
        let used = table.uses;
        table.entries.insert(key, Entry { chain, used });
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::{
        certificate::{CertificateId, Validity},
        chain::Link,
    };

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap()
    }

    fn key(byte: u8) -> ChainKey {
        ChainKey([byte; 32])
    }

    fn chain(until: u64) -> Chain {
        let id = CertificateId::of(TrustRoot::aws().der()).unwrap();
        let validity = Validity { from: at(0), until: at(until) };
        Chain { links: vec![Link { id, validity }], leaf_key: [4; 97] }
    }

    fn cache(limit: usize) -> ChainCache {
        ChainCache::new(NonZeroUsize::new(limit).unwrap())
    }

    #[test]
    fn the_chain_not_used_for_longest_makes_room() {
        let cache = cache(2);
        cache.insert(key(1), chain(100), at(1));
        cache.insert(key(2), chain(100), at(1));
        assert!(cache.find(&key(1)).is_some());
        cache.insert(key(3), chain(100), at(1));
        assert!(cache.find(&key(2)).is_none());
        assert!(cache.find(&key(1)).is_some() && cache.find(&key(3)).is_some());
        assert_eq!(cache.table().entries.len(), 2);
    }

    #[test]
    fn expired_chains_leave_before_any_other() {
        let cache = cache(2);
        cache.insert(key(1), chain(100), at(1));
        cache.insert(key(2), chain(5), at(1));
        assert!(cache.find(&key(2)).is_some());
        cache.insert(key(3), chain(100), at(6));
        assert!(cache.find(&key(2)).is_none());
        assert!(cache.find(&key(1)).is_some());
    }

    #[test]
    fn the_key_depends_on_each_certificate_and_root() {
        let aws = [TrustRoot::aws()];
        let key = |leaf: &[u8], bundle: &[&[u8]], roots: &[TrustRoot]| {
            let bundle: Vec<_> = bundle.iter().map(|der| der.to_vec()).collect();
            ChainKey::of(leaf, &bundle, roots)
        };
        let base = key(b"leaf", &[b"ab", b"c"], &aws);
        assert_eq!(base, key(b"leaf", &[b"ab", b"c"], &aws));
        assert_ne!(base, key(b"leaf", &[b"a", b"bc"], &aws));
        assert_ne!(base, key(b"leaf", &[b"abc"], &aws));
        assert_ne!(base, key(b"leafab", &[b"c"], &aws));
        assert_ne!(base, key(b"leaf", &[b"ab", b"c"], &[]));
        assert_ne!(base, key(b"leaf", &[b"c", b"ab"], &aws));
    }
}
