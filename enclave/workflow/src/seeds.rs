//! The seeds behind `random_seed` (2.11).

use rand_core::CryptoRngCore;

pub(crate) use protocol::seed::don_seed;

/// The seeds of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seeds {
    /// Equal on all nodes and in all runs of one execution id.
    pub(crate) don: i64,
    /// Fresh for every run.
    pub(crate) node: i64,
}

impl Seeds {
    /// The seed for a mode, or -1 for a mode that has none.
    pub(crate) fn of_mode(self, mode: i32) -> i64 {
        match mode {
            MODE_DON => self.don,
            MODE_NODE => self.node,
            _ => -1,
        }
    }
}

/// Draws a node seed. Cryptographic, unlike the reference's, because a guest in an enclave may
/// derive from it what should not be guessed (W-56). Guests draw keys from `random_get`, which is the
/// system's.
pub(crate) fn node_seed(rng: &mut impl CryptoRngCore) -> i64 {
    i64::from_le_bytes(rng.next_u64().to_le_bytes())
}

pub(crate) const MODE_DON: i32 = 1;
pub(crate) const MODE_NODE: i32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w_56_node_seeds_are_drawn_from_the_systems_randomness() {
        let mut rng = rand_core::OsRng;
        let drawn: std::collections::HashSet<_> = (0..100).map(|_| node_seed(&mut rng)).collect();
        assert_eq!(drawn.len(), 100);
    }

    #[test]
    fn other_modes_have_no_seed() {
        let seeds = Seeds { don: 5, node: 6 };
        assert_eq!([0, 1, 2, 3, -1].map(|mode| seeds.of_mode(mode)), [-1, 5, 6, -1, -1]);
    }
}
