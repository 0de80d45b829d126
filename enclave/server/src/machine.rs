//! What the machine has and what the program uses, as Linux tells it.

use protocol::answer::MemoryEstimateResponse;

/// Memory that can be had without swapping, in bytes; `None` if Linux does not tell.
pub(crate) fn available_bytes() -> Option<u64> {
    field(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// What the program has mapped and what of it is resident, in whole MiB: coarse on purpose, because
/// the host reads it (2.8). Unreadable is zero.
pub(crate) fn estimate() -> MemoryEstimateResponse {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mib = |name| rounded_mib(field(&status, name).unwrap_or(0));
    MemoryEstimateResponse { used_mib: mib("VmData:"), rss_mib: mib("VmRSS:") }
}

/// The bytes of a line `name   number kB`.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn rounded_mib(bytes: u64) -> u64 {
    bytes.saturating_add(MIB / 2) / MIB
}

const MIB: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_in_kilobytes() {
        let text =
            "Name:\tx\nVmRSS:\t    2048 kB\nVmData:\t 7 pages\nVmSize:\t99999999999999999 kB\n";
        assert_eq!(field(text, "VmRSS:"), Some(2 * MIB));
        assert_eq!(field(text, "VmData:"), None);
        assert_eq!(field(text, "VmSize:"), None);
        assert_eq!(field(text, "VmSwap:"), None);
    }

    #[test]
    fn sizes_are_rounded_to_the_nearest_mebibyte() {
        let half = MIB / 2;
        assert_eq!((rounded_mib(0), rounded_mib(half - 1), rounded_mib(half)), (0, 0, 1));
        assert_eq!(rounded_mib(u64::MAX), u64::MAX / MIB);
    }

    #[test]
    fn this_machine_tells() {
        assert!(available_bytes().is_some_and(|bytes| bytes > MIB));
        let estimate = estimate();
        assert!(estimate.rss_mib > 0 && estimate.used_mib > 0);
    }
}
