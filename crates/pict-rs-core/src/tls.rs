//! Which servers are trusted when a connection to one is made over TLS.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

use crate::{Error, ErrorCode, Result};

/// Trusts the system's certificates if there are any, so that an admin can add one; otherwise
/// Mozilla's, as of the build. The certificates in the PEM file `besides` are trusted too. Blocks.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`] when `besides` cannot be read or contains no certificate.
pub(crate) fn client_config(besides: Option<&Path>) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (used, broken) = roots.add_parsable_certificates(found.certs);
    let broken = broken + found.errors.len();
    if used == 0 {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    tracing::info!(
        used,
        broken,
        built_in = used == 0,
        "certificates of the system"
    );
    if let Some(file) = besides {
        add(&mut roots, file)?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::internal(ErrorCode::UnknownError, "TLS cannot be set up", error))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn add(roots: &mut RootCertStore, file: &Path) -> Result<()> {
    let invalid = |why: String| {
        let file = file.display();
        Error::user(ErrorCode::ConfigInvalid, format!("{file}: {why}"))
    };
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| invalid(format!("the certificates cannot be read: {error}")))?;
    if certificates.is_empty() {
        return Err(invalid("there is no certificate in this file".to_owned()));
    }
    for certificate in certificates {
        roots
            .add(certificate)
            .map_err(|error| invalid(format!("a certificate cannot be used: {error}")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_of_an_admin_are_trusted_and_a_bad_file_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("ca.pem");
        let authority = include_str!("../../../tests/data/upstream-authority.pem");
        std::fs::write(&file, authority).expect("written");
        client_config(Some(&file)).expect("trusted");
        for broken in ["", "no certificate"] {
            std::fs::write(&file, broken).expect("written");
            let error = client_config(Some(&file)).expect_err("refused");
            assert_eq!(error.code(), ErrorCode::ConfigInvalid);
            assert!(error.to_string().contains("ca.pem"), "{error}");
        }
        let error = client_config(Some(&folder.path().join("absent"))).expect_err("refused");
        assert_eq!(error.code(), ErrorCode::ConfigInvalid);
    }
}
