//! The seed of the random numbers that all nodes of an execution draw alike (wasm-abi 2.11).

/// FNV-1a over the execution id, as the reference seeds it. Anybody who knows the id knows the seed:
/// it serves agreement, not secrecy.
#[must_use]
pub fn don_seed(execution_id: &str) -> i64 {
    let hash = execution_id
        .bytes()
        .fold(FNV_OFFSET, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
    i64::from_le_bytes(hash.to_le_bytes())
}

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
}
