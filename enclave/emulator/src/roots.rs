//! Certificates that the emulator's egress trusts beside those of the web.

use std::path::Path;

use anyhow::Context as _;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

/// Reads the certificates of a PEM file.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let file = path.display();
    let text = std::fs::read(path).with_context(|| format!("reading {file}"))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let certificates = certificates.with_context(|| format!("{file} is no PEM file"))?;
    anyhow::ensure!(!certificates.is_empty(), "{file} holds no certificate");
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(contents: Option<&str>) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        if let Some(contents) = contents {
            std::fs::write(&path, contents).unwrap();
        }
        read(&path).unwrap_err().to_string()
    }

    #[test]
    fn files_without_a_certificate_are_refused_by_name() {
        assert!(refusal(None).starts_with("reading "));
        assert!(refusal(Some("nothing")).ends_with("ca.pem holds no certificate"));
        let broken = "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n";
        assert!(refusal(Some(broken)).ends_with("ca.pem is no PEM file"));
    }
}
