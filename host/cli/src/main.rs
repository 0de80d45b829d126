//! enclavectl: every host role and tool.
fn main() {}
