//! What the fuzz targets share: a bound on memory, a reader of inputs, keys that are known.
//!
//! A target in `targets/` takes any bytes and says what must hold for them. In all of them nothing
//! panics, and the code never holds more memory at once than the target's [`Bound`] allows for an
//! input of that length. What else holds, and where the bound comes from, the head of each says.
//!
//! `scripts/fuzz` builds and runs them; `examples/seeds.rs` makes their corpora from the vectors.

mod bound;
pub mod guest;
mod input;
pub mod known;
mod messages;

pub use bound::Bound;
pub use input::Input;
