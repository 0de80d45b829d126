//! Memory and threads of this process.

/// What the process takes.
#[derive(Clone, Copy)]
pub(crate) struct Taken {
    /// Private memory that is resident.
    pub(crate) anonymous_kib: u64,
    pub(crate) threads: u64,
}

impl Taken {
    pub(crate) fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let word = line.and_then(|line| line.split_whitespace().next());
            word.and_then(|word| word.parse().ok()).expect("a number")
        };
        Self { anonymous_kib: number("RssAnon:"), threads: number("Threads:") }
    }

    pub(crate) fn or_more(self, other: Self) -> Self {
        Self {
            anonymous_kib: self.anonymous_kib.max(other.anonymous_kib),
            threads: self.threads.max(other.threads),
        }
    }
}
