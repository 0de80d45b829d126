//! Which relay nodes misbehave, and how.

use std::{collections::BTreeMap, str::FromStr};

use host_relay::{Fault, ParseFaultError};

/// One `--fault` of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FaultyRelay {
    relay: usize,
    fault: Fault,
}

/// Relay nodes by what they do wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults(BTreeMap<usize, Fault>);

/// Why a text names no fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FaultError {
    /// It is not `ROLE=KIND`.
    #[error("a fault is ROLE=KIND, such as relay-2=lie")]
    Form,
    /// The role is none that can misbehave.
    #[error("the roles that can misbehave are relay-1 to relay-{RELAYS}")]
    Role,
    /// There is no such fault.
    #[error(transparent)]
    Kind(#[from] ParseFaultError),
}

/// A relay node has two faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("relay-{relay} has two faults; give each relay node one at most")]
pub(crate) struct TwiceError {
    relay: usize,
}

/// The relay nodes of a devnet.
pub(crate) const RELAYS: usize = 4;

impl FromStr for FaultyRelay {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let (role, kind) = text.split_once('=').ok_or(FaultError::Form)?;
        let number = role.strip_prefix("relay-").ok_or(FaultError::Role)?;
        let relay = (1..=RELAYS).find(|relay| relay.to_string() == number);
        Ok(Self { relay: relay.ok_or(FaultError::Role)?, fault: kind.parse()? })
    }
}

impl Faults {
    /// Collects the faults of a command line.
    ///
    /// # Errors
    ///
    /// [`TwiceError`].
    pub(crate) fn new(faults: &[FaultyRelay]) -> Result<Self, TwiceError> {
        let mut by_relay = BTreeMap::new();
        for &FaultyRelay { relay, fault } in faults {
            if by_relay.insert(relay, fault).is_some() {
                return Err(TwiceError { relay });
            }
        }
        Ok(Self(by_relay))
    }

    /// What a relay node does wrong, if anything.
    pub(crate) fn of(&self, relay: usize) -> Option<Fault> {
        self.0.get(&relay).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_by_its_name() {
        for kind in ["lie", "garbage", "stall", "down", "duplicate"] {
            let faulty: FaultyRelay = format!("relay-4={kind}").parse().unwrap();
            assert_eq!((faulty.relay, faulty.fault.to_string().as_str()), (4, kind));
        }
    }

    #[test]
    fn what_cannot_misbehave_is_refused() {
        for role in ["relay-0", "relay-5", "relay-02", "relay-", "relay", "gateway", ""] {
            assert_eq!(
                format!("{role}=lie").parse::<FaultyRelay>(),
                Err(FaultError::Role),
                "{role}"
            );
        }
        for kind in ["lying", "Lie", ""] {
            let error = format!("relay-1={kind}").parse::<FaultyRelay>().unwrap_err();
            assert_eq!(error, FaultError::Kind(ParseFaultError));
        }
        assert_eq!("relay-1".parse::<FaultyRelay>(), Err(FaultError::Form));
    }

    #[test]
    fn one_relay_node_has_one_fault() {
        let [first, second]: [FaultyRelay; 2] =
            ["relay-1=lie", "relay-2=down"].map(|text| text.parse().unwrap());
        let faults = Faults::new(&[first, second]).unwrap();
        assert_eq!((faults.of(1), faults.of(3)), (Some(Fault::Lie), None));
        assert_eq!(Faults::new(&[first, second, first]), Err(TwiceError { relay: 1 }));
    }
}
