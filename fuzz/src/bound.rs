//! How much memory an input may cost.

use std::sync::{
    LazyLock,
    atomic::{AtomicUsize, Ordering},
};

use peak_alloc::PeakAlloc;

/// How much memory may be held at once for an input: a multiple of its length and a constant.
///
/// A list that grows counts with its copy. What libraries in C take does not count.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Bytes for each byte of the input.
    pub times: usize,
    /// Bytes for the shortest input.
    pub plus: usize,
}

impl Bound {
    /// Runs `target` and looks at the most memory it held beyond what was held before.
    ///
    /// # Panics
    ///
    /// If it held more than is allowed: that is a finding.
    pub fn hold(self, input: &[u8], target: impl FnOnce()) {
        let measures = *MEASURES;
        HEAP.reset_peak_usage();
        let before = HEAP.current_usage();
        target();
        let got = HEAP.peak_usage().saturating_sub(before);
        let limit = input.len().saturating_mul(self.times).saturating_add(self.plus);
        if measures {
            self.report(got, input.len());
        }
        assert!(got <= limit, "{got} bytes were held for {} of input, {limit} may be", input.len());
    }

    /// Prints each input that needs a larger multiple, or a larger constant, than all before.
    fn report(self, got: usize, length: usize) {
        let times = got.saturating_sub(self.plus).div_ceil(length.max(1));
        if MOST_TIMES.fetch_max(times, Ordering::Relaxed) < times {
            eprintln!("measured: {got} bytes for {length}: {times} times and {}", self.plus);
        }
        let plus = got.saturating_sub(length.saturating_mul(self.times));
        if MOST_PLUS.fetch_max(plus, Ordering::Relaxed) < plus {
            eprintln!("measured: {got} bytes for {length}: {} times and {plus}", self.times);
        }
    }
}

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Set to find out what bounds have to be.
static MEASURES: LazyLock<bool> = LazyLock::new(|| std::env::var_os("FUZZ_MEASURE").is_some());

static MOST_TIMES: AtomicUsize = AtomicUsize::new(0);
static MOST_PLUS: AtomicUsize = AtomicUsize::new(0);
