//! Bounded bytes between two processes: vsock, its emulation, SOCKS5, HTTP/1.1.
