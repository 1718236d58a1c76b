//! Another server, as chores have it too, and one that speaks TLS with a certificate of the tests'
//! own authority.

use std::path::PathBuf;
use std::sync::Arc;

pub use testkit::upstream::{Asked, Reply, Upstream};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The same bytes whatever is asked for, as `localhost` and 127.0.0.1.
pub fn serving_tls(bytes: &[u8]) -> Upstream {
    let certificate = CertificateDer::from_pem_file(data("upstream.pem")).expect("PEM");
    let key = PrivateKeyDer::from_pem_file(data("upstream-key.pem")).expect("PEM");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key);
    let config = Arc::new(config.expect("a key that fits"));
    Upstream::serving_tls(bytes, move |socket| {
        let connection = ServerConnection::new(config.clone()).expect("configured");
        Box::new(StreamOwned::new(connection, socket))
    })
}

/// The certificate of the authority that vouches for [`serving_tls`].
pub fn authority() -> PathBuf {
    data("upstream-authority.pem")
}

fn data(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data");
    PathBuf::from(folder).join(name)
}
