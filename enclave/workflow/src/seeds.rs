//! The seeds behind `random_seed` (2.11).

use rand_core::CryptoRngCore;

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

/// FNV-1a over the execution id, as the reference seeds it. Anybody who knows the id knows the seed:
/// it serves agreement, not secrecy. Guests draw keys from `random_get`, which is the system's.
pub(crate) fn don_seed(execution_id: &str) -> i64 {
    let hash = execution_id
        .bytes()
        .fold(FNV_OFFSET, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
    i64::from_le_bytes(hash.to_le_bytes())
}

/// Draws a node seed. Cryptographic, unlike the reference's, because a guest in an enclave may
/// derive from it what should not be guessed (W-56).
pub(crate) fn node_seed(rng: &mut impl CryptoRngCore) -> i64 {
    i64::from_le_bytes(rng.next_u64().to_le_bytes())
}

pub(crate) const MODE_DON: i32 = 1;
pub(crate) const MODE_NODE: i32 = 2;

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_don_seed_is_the_references() {
        assert_eq!(don_seed(""), -3_750_763_034_362_895_579);
        assert_eq!(don_seed("id"), 628_021_283_683_842_752);
        assert_eq!(don_seed("Id"), 658_702_056_151_387_296);
        assert_eq!(don_seed("differentId"), 2_573_344_420_331_293_391);
    }

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
