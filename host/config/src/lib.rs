//! Strict configuration files: unknown keys refused, all errors at once.
//!
//! A role takes its keys out of a text one by one, each with its form, its range and its default;
//! [`Keys`] remembers what is wrong and what nobody took. There is a configuration only if nothing
//! is.
//!
//! ```
//! use std::net::SocketAddr;
//!
//! use host_config::{ConfigErrors, Keys};
//!
//! fn parse(text: &str) -> Result<(SocketAddr, usize), ConfigErrors> {
//!     let mut keys = Keys::new(text)?;
//!     let listen = keys.text("users.listen", "an address with a port", |text| text.parse().ok());
//!     let connections = keys.number_or("users.connections", (1, 1024), 256);
//!     keys.finish(listen.map(|listen| (listen, connections)))
//! }
//!
//! assert!(parse("users.listen = '127.0.0.1:5002'").is_ok());
//! assert_eq!(
//!     parse("[users]\nconnections = 0\nport = 1").unwrap_err().to_string(),
//!     "users.listen is missing: an address with a port; \
//!      users.connections is 0, it must be from 1 to 1024; \
//!      users.port is not a key of this configuration"
//! );
//! ```
//!
//! What a role finds wrong beyond single keys is a rule of its own: the parameter of
//! [`ConfigError::Rule`].

mod error;
mod json;
mod keys;

pub use error::{ConfigError, ConfigErrors};
pub use keys::Keys;
