//! Random numbers that every node draws alike.

/// Random numbers from a seed of the host (xoshiro256++).
///
/// In DON mode all nodes draw the same numbers, and so does anybody who knows the execution id:
/// they are for sampling and shuffling. For keys and nonces there is [`crate::secure_random`].
///
/// ```
/// use enclave_sdk::{Consensus, Setup, WorkflowError, secure_random, testing::Double, trigger};
///
/// fn init(setup: &mut Setup<'_>) -> Result<(), WorkflowError> {
///     setup.on(trigger::cron("0 * * * * *"), |runtime, _event| {
///         // All nodes pick the same auditors.
///         let mut names = ["Ada", "Brook", "Charlie", "Dana"].map(str::to_owned);
///         runtime.random()?.shuffle(&mut names);
///         // Each node waits for a time of its own.
///         let pause = runtime.in_node_mode(Consensus::median(), |node| Ok(node.random()?.below(100)));
///         pause.wait()?;
///         // Nobody else knows this.
///         let mut nonce = [0; 16];
///         secure_random(&mut nonce)?;
///         Ok(names[..2].to_vec())
///     });
///     Ok(())
/// }
///
/// let picked = |id: &str| {
///     let run = Double::new().execution_id(id).trigger(init, 0, &trigger::Cron::default());
///     run.value::<Vec<String>>().unwrap()
/// };
/// assert_eq!(picked("one"), picked("one"));
/// ```
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // SplitMix64 spreads one seed over the state, which must not be all zero.
        let mut mix = seed;
        let state = [(); 4].map(|()| {
            mix = mix.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (mix ^ (mix >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        });
        Self { state }
    }

    /// Draws 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let drawn = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        drawn
    }

    /// Draws a number below `end`, all equally likely; 0 if `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        // The numbers from the largest multiple of `end` on would favour small remainders.
        let Some(excess) = u64::MAX.checked_rem(end).and_then(|rest| rest.checked_add(1)) else {
            return 0;
        };
        let last = u64::MAX.wrapping_sub(excess.checked_rem(end).unwrap_or_default());
        loop {
            let drawn = self.next_u64();
            if drawn <= last {
                return drawn.checked_rem(end).unwrap_or_default();
            }
        }
    }

    /// Puts things into a random order, each as likely as any other.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            let end = u64::try_from(last).unwrap_or(u64::MAX).saturating_add(1);
            let other = usize::try_from(self.below(end)).unwrap_or(last);
            things.swap(other, last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with the authors' C program for this state.
    #[test]
    fn draws_the_published_sequence() {
        let mut random = Random { state: [1, 2, 3, 4] };
        let drawn = [(); 5].map(|()| random.next_u64());
        assert_eq!(
            drawn,
            [
                41_943_041,
                58_720_359,
                3_588_806_011_781_223,
                3_591_011_842_654_386,
                9_228_616_714_210_784_205
            ]
        );
    }

    #[test]
    fn equal_seeds_draw_equal_numbers_and_others_do_not() {
        let draw = |seed| Random::new(seed).next_u64();
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert_ne!(draw(0), 0);
    }

    #[test]
    fn numbers_stay_below_their_end() {
        let mut random = Random::new(1);
        let drawn: Vec<_> = (0..1_000).map(|_| random.below(6)).collect();
        assert!((0..6).all(|face| drawn.contains(&face)) && drawn.iter().all(|face| *face < 6));
        assert_eq!((random.below(1), random.below(0)), (0, 0));
        assert!(random.below(u64::MAX) < u64::MAX);
    }

    #[test]
    fn a_shuffle_keeps_everything_and_reaches_every_order() {
        let mut random = Random::new(1);
        let mut orders = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let mut things = [1, 2, 3];
            random.shuffle(&mut things);
            orders.insert(things);
        }
        assert_eq!(orders.len(), 6);
        random.shuffle::<u8>(&mut []);
    }
}
