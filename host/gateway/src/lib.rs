//! JSON-RPC front of the relay nodes: fan-out and one bundle back.
