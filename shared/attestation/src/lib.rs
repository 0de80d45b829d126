//! Nitro attestation documents: read, verify, and the seam that makes them.
