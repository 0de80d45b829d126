//! What cannot work, or would let nodes act as the operator, though every key is well-formed.

/// A rule of the bridge's configuration that is broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The configuration for the enclave cannot work.
    #[error("enclave.config: {0}")]
    Enclave(#[from] protocol::config::ConfigError),
    /// The operator's port could be reached from other machines.
    #[error(
        "operator.listen must be an address of loopback: whoever reaches it configures the enclave"
    )]
    OperatorExposed,
    /// Both ports are one.
    #[error("operator.listen and nodes.listen must differ: nodes must not configure the enclave")]
    SamePort,
}
