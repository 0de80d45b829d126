//! Whole paths over the real processes, and the bench.
