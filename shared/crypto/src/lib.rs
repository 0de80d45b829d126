//! Keys, signatures, sealed boxes and threshold encryption, exact to the wire.
