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

/// How often the files are checked. SIGHUP checks them at once.
const PERIOD: Duration = Duration::from_secs(30);

/// The pair of files, and their last contents.
#[derive(Debug)]
pub struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// Reads the configured files; `None` without TLS.
    ///
    /// # Errors
    /// When a file cannot be read or parsed, or the two do not belong together.
    pub fn open(config: &ServerConfig) -> anyhow::Result<Option<Arc<Self>>> {
        let (Some(chain), Some(key)) = (&config.certificate, &config.private_key) else {
            // The configuration with only one of them has already been refused.
            return Ok(None);
        };
        let current = read(chain, key)?;
        Ok(Some(Arc::new(Self {
            chain: chain.clone(),
            key: key.clone(),
            current: RwLock::new(Arc::new(current)),
        })))
    }

    /// The TLS configuration of the server. ALPN selects HTTP/2 or 1.1.
    ///
    /// # Errors
    /// Never in practice: the provider supports its default versions of TLS.
    pub fn acceptor(self: &Arc<Self>) -> anyhow::Result<rustls::ServerConfig> {
        let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    /// Checks the files for ever.
    pub async fn follow(self: Arc<Self>, mut hangup: Signal) {
        loop {
            tokio::select! {
                _ = hangup.recv() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
            let this = self.clone();
            // If it panics, the current certificate stays in use.
            let _ = tokio::task::spawn_blocking(move || this.renew()).await;
        }
    }

    /// Loads new files; invalid ones are logged, and the current ones stay in use.
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

/// Reports a key with a passphrase, which the parser would only call a file without a key.
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
