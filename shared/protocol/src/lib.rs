//! The rules both sides must agree on: JSON, hashes, quorum, limits, messages.
