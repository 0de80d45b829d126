//! The command line that the server and its emulator share.

use std::time::Duration;

use protocol::time::GoDuration;

use crate::{Config, ConfigError, LimitSet};

/// Flags of an enclave. In an image they are measured: whoever changes one changes PCR2.
#[derive(Clone, Debug, clap::Args)]
pub struct Flags {
    /// The vsock port at which the host reaches the enclave.
    #[arg(long, value_name = "PORT", default_value_t = 5000)]
    pub vsock_port: u32,
    /// How long a key is given to new requests, as in 12h or 1h30m.
    #[arg(long, value_name = "DURATION", default_value = "12h", value_parser = span)]
    keypair_rotation: Duration,
    /// How long a key opens shares; at least as long as the rotation.
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = span)]
    keypair_expiration: Duration,
    /// Let the host replace the configuration at any time, without votes. For tests: images with
    /// this flag have other measurements.
    #[arg(long)]
    allow_reconfig: bool,
    /// The time for one attempt at a gateway, unless the settings name one.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = span)]
    gateway_timeout: Duration,
    /// What a run may use at most.
    #[arg(long, value_name = "SET", value_enum, default_value_t)]
    limits: LimitSet,
    /// Memory that requests share, in MiB; without it, what the machine has free at the start.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(LEAST_MIB..))]
    memory_mib: Option<u64>,
    /// What is logged to standard error, as in info or enclave_server=debug.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub log: String,
}

impl Flags {
    /// Checks what has to fit together.
    ///
    /// # Errors
    ///
    /// [`ConfigError`].
    pub fn config(&self) -> Result<Config, ConfigError> {
        let config = Config::new(
            self.keypair_rotation,
            self.keypair_expiration,
            self.allow_reconfig,
            self.gateway_timeout,
        )?;
        let config = config.with_limits(self.limits);
        Ok(match self.memory_mib {
            Some(mib) => config.with_memory(mib.saturating_mul(1024 * 1024)),
            None => config,
        })
    }
}

/// One run at its largest, by its claim 188 MiB and the module, beside the largest body, 64 MiB.
const LEAST_MIB: u64 = 256;

/// A flag is no duration, or not longer than zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a duration longer than zero, as in 90s or 1h30m")]
struct SpanError;

fn span(text: &str) -> Result<Duration, SpanError> {
    let span = text.parse::<GoDuration>().ok().and_then(GoDuration::positive);
    span.ok_or(SpanError)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        flags: Flags,
    }

    fn parse(line: &[&str]) -> Result<Flags, String> {
        let line = std::iter::once("enclave-server").chain(line.iter().copied());
        Line::try_parse_from(line).map(|line| line.flags).map_err(|error| error.to_string())
    }

    #[test]
    fn without_flags_the_defaults_hold() {
        let flags = parse(&[]).unwrap();
        assert_eq!((flags.vsock_port, flags.log.as_str()), (5000, "info"));
        assert_eq!(flags.config(), Ok(Config::default()));
    }

    #[test]
    fn durations_are_read_as_go_writes_them() {
        let flags = parse(&["--keypair-rotation=1h30m", "--keypair-expiration=90m"]).unwrap();
        flags.config().unwrap();
        let flags = parse(&["--keypair-rotation", "25h"]).unwrap();
        assert_eq!(flags.config(), Err(ConfigError::ExpirationBelowRotation));
    }

    #[test]
    fn w_18_limits_are_those_of_the_reference_or_of_a_don() {
        let set = |name| parse(&["--limits", name]).map(|flags| flags.config());
        assert_eq!(set("reference").unwrap(), Ok(Config::default()));
        assert_eq!(set("don").unwrap(), Ok(Config::default().with_limits(LimitSet::Don)));
        for name in ["", "DON", "none"] {
            let error = set(name).unwrap_err();
            assert!(error.contains("reference, don"), "{error}");
        }
    }

    #[test]
    fn w15_memory_is_given_in_mebibytes_and_is_not_too_little() {
        let memory = |mib| parse(&[&format!("--memory-mib={mib}")]).map(|flags| flags.config());
        assert_eq!(memory("256").unwrap(), Ok(Config::default().with_memory(256 << 20)));
        for mib in ["255", "0", "-1", "1g", ""] {
            assert!(memory(mib).unwrap_err().contains("--memory-mib"), "{mib}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_an_example() {
        for text in ["", "5", "0s", "-1h", "soon"] {
            let error = parse(&[&format!("--gateway-timeout={text}")]).unwrap_err();
            assert!(error.contains("as in 90s or 1h30m") || text.is_empty(), "{error}");
        }
    }
}
