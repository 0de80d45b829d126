//! What the program's environment says. Only [`crate::main`] reads it.

use transport::{Vsock, VsockConfigError};

/// The variables that roles look at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    /// `VSOCK_BACKEND`: `tcp` for the emulation.
    pub(crate) vsock_backend: Option<String>,
    /// `ENCLAVE_CID`: the enclave around which vsock is emulated.
    pub(crate) enclave_cid: Option<String>,
}

impl Environment {
    /// How vsock addresses are reached.
    ///
    /// # Errors
    ///
    /// [`VsockConfigError`].
    pub(crate) fn vsock(&self) -> Result<Vsock, VsockConfigError> {
        Vsock::parse(self.vsock_backend.as_deref(), self.enclave_cid.as_deref())
    }
}
