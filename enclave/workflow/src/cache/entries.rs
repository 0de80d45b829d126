//! What a cache keeps, and what is on its way into it: counted in bytes.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::watch;

use super::{Compiled, Wanted};
use crate::{BinaryHash, BinaryLimits, Module, Tier};

#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) by_hash: HashMap<BinaryHash, Entry>,
    pub(super) budget_bytes: u64,
    pub(super) resident_bytes: u64,
    pub(super) clock: u64,
}

#[derive(Debug)]
pub(super) enum Entry {
    Ready(Kept),
    Compiling(Underway),
}

/// A module that is there.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) module: Arc<Module>,
    /// When it was used last.
    used: u64,
    /// Together with the binary, as long as that is to be compiled once more.
    bytes: u64,
    /// What that takes.
    better: Option<Better>,
}

/// A module that can be optimized.
#[derive(Debug)]
pub(super) struct Better {
    wanted: Wanted,
    is_queued: bool,
}

/// A module on its way.
#[derive(Debug)]
pub(super) struct Underway {
    pub(super) compiled: watch::Receiver<Option<Compiled>>,
    pub(super) owner: String,
    pub(super) limits: BinaryLimits,
    pub(super) turn: u64,
}

impl Entries {
    /// A module, and in whose name to queue it if it is to be optimized from now.
    pub(super) fn touch(&mut self, hash: &BinaryHash) -> Option<(Arc<Module>, Option<String>)> {
        self.clock = self.clock.saturating_add(1);
        let clock = self.clock;
        let kept = self.ready(hash)?;
        kept.used = clock;
        let better = kept.better.as_mut().filter(|better| !better.is_queued);
        let owner = better.map(|better| {
            better.is_queued = true;
            better.wanted.owner.clone()
        });
        Some((Arc::clone(&kept.module), owner))
    }

    fn ready(&mut self, hash: &BinaryHash) -> Option<&mut Kept> {
        match self.by_hash.get_mut(hash)? {
            Entry::Ready(kept) => Some(kept),
            Entry::Compiling(_) => None,
        }
    }

    /// Ends a compilation: its place is free, and what came of it is kept.
    pub(super) fn end(
        &mut self,
        hash: &BinaryHash,
        turn: u64,
        compiled: Option<(Arc<Module>, Wanted)>,
    ) {
        let place = self.by_hash.get(hash);
        if matches!(place, Some(Entry::Compiling(underway)) if underway.turn == turn) {
            self.by_hash.remove(hash);
        }
        if let Some((module, wanted)) = compiled {
            let better = Better { wanted, is_queued: false };
            let is_baseline = module.facts().tier == Tier::Baseline;
            self.keep(module, is_baseline.then_some(better));
        }
    }

    /// Keeps a module in the place of an earlier one for the same binary, forgetting others until the
    /// budget holds. One that is larger than the whole budget is not kept.
    fn keep(&mut self, module: Arc<Module>, better: Option<Better>) {
        let hash = module.hash();
        self.forget(&hash);
        let binary = better.as_ref().map_or(0, |better| better.wanted.bytes());
        let bytes = module.facts().resident_bytes.saturating_add(binary);
        if bytes > self.budget_bytes {
            return;
        }
        self.make_room(bytes);
        self.clock = self.clock.saturating_add(1);
        self.resident_bytes = self.resident_bytes.saturating_add(bytes);
        let kept = Kept { module, used: self.clock, bytes, better };
        self.by_hash.insert(hash, Entry::Ready(kept));
    }

    /// What is to be optimized now, unless it was forgotten meanwhile.
    pub(super) fn due(&mut self, hash: &BinaryHash) -> Option<(Arc<Module>, Wanted)> {
        let kept = self.ready(hash)?;
        let better = kept.better.as_ref().filter(|better| better.is_queued)?;
        Some((Arc::clone(&kept.module), better.wanted.clone()))
    }

    /// Leaves it to the next one who asks for a module to have it optimized.
    pub(super) fn put_off(&mut self, hash: &BinaryHash) {
        if let Some(better) = self.ready(hash).and_then(|kept| kept.better.as_mut()) {
            better.is_queued = false;
        }
    }

    /// Leaves a module as it is.
    pub(super) fn give_up(&mut self, hash: &BinaryHash) {
        let Some(kept) = self.ready(hash) else { return };
        let freed = kept.better.take().map_or(0, |better| better.wanted.bytes());
        kept.bytes = kept.bytes.saturating_sub(freed);
        self.resident_bytes = self.resident_bytes.saturating_sub(freed);
    }

    /// Takes a module in the place of the one in the baseline tier, unless that was forgotten.
    pub(super) fn replace(&mut self, module: Arc<Module>) {
        if self.ready(&module.hash()).is_some_and(|kept| kept.better.is_some()) {
            self.keep(module, None);
        }
    }

    /// Forgets what was used longest ago until the budget holds with so many bytes more.
    pub(super) fn make_room(&mut self, size: u64) {
        while self.resident_bytes.saturating_add(size) > self.budget_bytes && self.forget_oldest() {
        }
    }

    fn forget_oldest(&mut self) -> bool {
        let ready = self.by_hash.iter().filter_map(|(hash, entry)| match entry {
            Entry::Ready(kept) => Some((kept.used, *hash)),
            Entry::Compiling(_) => None,
        });
        let oldest = ready.min_by_key(|(used, _hash)| *used);
        oldest.is_some_and(|(_used, hash)| self.forget(&hash))
    }

    /// Whether there was a module to forget.
    fn forget(&mut self, hash: &BinaryHash) -> bool {
        let Some(Entry::Ready(kept)) = self.by_hash.get(hash) else { return false };
        self.resident_bytes = self.resident_bytes.saturating_sub(kept.bytes);
        self.by_hash.remove(hash);
        true
    }
}

impl Wanted {
    /// What the binary takes.
    fn bytes(&self) -> u64 {
        u64::try_from(self.binary.bytes().len()).unwrap_or(u64::MAX)
    }
}
