//! TLS with a certificate that can be renewed while the server runs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context as _, bail};
use pict_rs_core::config::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::signal::unix::Signal;

/// How often the files are looked at. Also at once on SIGHUP.
const PERIOD: Duration = Duration::from_secs(30);

/// The pair of files, and what was last read from them.
#[derive(Debug)]
pub struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// Reads the files that the settings name; `None` without TLS.
    ///
    /// # Errors
    /// Files that cannot be read, hold nothing useful, or do not belong together.
    pub fn open(config: &ServerConfig) -> anyhow::Result<Option<Arc<Self>>> {
        let (Some(chain), Some(key)) = (&config.certificate, &config.private_key) else {
            // Only one of them was refused with the configuration.
            return Ok(None);
        };
        let current = read(chain, key)?;
        Ok(Some(Arc::new(Self {
            chain: chain.clone(),
            key: key.clone(),
            current: RwLock::new(Arc::new(current)),
        })))
    }

    /// What the server needs. HTTP/2 or 1.1 is agreed upon by ALPN.
    ///
    /// # Errors
    /// Never in practice: the versions of TLS are the provider's own.
    pub fn acceptor(self: &Arc<Self>) -> anyhow::Result<rustls::ServerConfig> {
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        Ok(config)
    }

    /// Follows the files for ever.
    pub async fn follow(self: Arc<Self>, mut hangup: Signal) {
        loop {
            tokio::select! {
                _ = hangup.recv() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
            let this = self.clone();
            // A panic there leaves what is in use in use.
            let _ = tokio::task::spawn_blocking(move || this.renew()).await;
        }
    }

    /// Takes new files into use; bad ones are logged, and what was in use stays in use.
    fn renew(&self) {
        let new = match read(&self.chain, &self.key) {
            Ok(new) => new,
            Err(error) => {
                tracing::error!("the old TLS certificate stays in use: {error:#}");
                return;
            }
        };
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.cert != new.cert {
            *current = Arc::new(new);
            tracing::info!("a new TLS certificate is in use");
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(current.clone())
    }
}

fn read(chain: &Path, key: &Path) -> anyhow::Result<CertifiedKey> {
    let named = |what: &str, path: &Path| format!("{what} = \"{}\"", path.display());
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| named("server.certificate", chain))?;
    if certificates.is_empty() {
        bail!(
            "{} holds no certificate",
            named("server.certificate", chain)
        );
    }
    refuse_encrypted(key)?;
    let private =
        PrivateKeyDer::from_pem_file(key).with_context(|| named("server.private_key", key))?;
    CertifiedKey::from_der(certificates, private, &default_provider()).with_context(|| {
        format!(
            "{} and {} do not belong together",
            named("server.certificate", chain),
            named("server.private_key", key)
        )
    })
}

/// A key behind a passphrase is a mistake that the parser would only call a file without a key.
fn refuse_encrypted(key: &Path) -> anyhow::Result<()> {
    let named = || format!("server.private_key = \"{}\"", key.display());
    let text = std::fs::read(key).with_context(named)?;
    let text = String::from_utf8_lossy(&text);
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
        bail!(
            "{} is encrypted, and a server that starts by itself cannot be told the passphrase; \
             `openssl pkey -in FILE -out NEW` writes the key without one",
            named()
        );
    }
    Ok(())
}
