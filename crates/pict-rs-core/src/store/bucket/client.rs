//! The HTTP client behind a bucket: our trust in certificates, and limits for everything.

use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::{HttpClient, HttpConnector};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use reqwest::redirect;

use super::settings::{BucketSettings, Credentials};
use crate::tls;
use crate::{Error, ErrorCode, Result};

/// How long a connection may take to be opened.
const CONNECT: Duration = Duration::from_secs(5);
/// How often a request is repeated.
const RETRIES: usize = 3;
/// The first pause, at most. The next is longer by a random factor of at most `GROWTH`.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const GROWTH: f64 = 4.0;
/// After this time a request is not repeated any more.
const PATIENCE: Duration = Duration::from_secs(15);

/// Sends no request. Blocks.
pub(super) fn open(settings: &BucketSettings) -> Result<AmazonS3> {
    let connector = Connector(client(settings)?);
    let root = settings.root();
    let root = root.as_str().trim_end_matches('/');
    let builder = match &settings.credentials {
        Credentials::Key {
            id,
            secret,
            session,
        } => {
            let builder = AmazonS3Builder::new()
                .with_access_key_id(id)
                .with_secret_access_key(secret);
            match session {
                Some(session) => builder.with_token(session),
                None => builder,
            }
        }
        // What these clouds give is named by variables that they set. Another one must not send
        // requests elsewhere.
        Credentials::Instance => {
            AmazonS3Builder::from_env().with_config(AmazonS3ConfigKey::S3Endpoint, root)
        }
    };
    builder
        .with_bucket_name(&settings.name)
        .with_region(&settings.region)
        // The name is in this URL already, wherever it belongs.
        .with_virtual_hosted_style_request(true)
        .with_endpoint(root)
        .with_allow_http(settings.endpoint.scheme() == "http")
        .with_retry(RetryConfig {
            backoff: BackoffConfig {
                init_backoff: PAUSE,
                max_backoff: LONGEST_PAUSE,
                base: GROWTH,
            },
            max_retries: RETRIES,
            retry_timeout: PATIENCE,
        })
        .with_http_connector(connector)
        .build()
        .map_err(unusable)
}

fn client(settings: &BucketSettings) -> Result<reqwest::Client> {
    reqwest::Client::builder()
        .user_agent(concat!("pict-rs ", env!("CARGO_PKG_VERSION")))
        // The endpoint is configured explicitly, so proxies from the environment do not apply.
        .no_proxy()
        // A signature is valid for one server only.
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT.min(settings.timeout))
        .read_timeout(settings.timeout)
        .tls_backend_preconfigured(tls::client_config(settings.certificates.as_deref())?)
        .build()
        .map_err(unusable)
}

fn unusable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal(
        ErrorCode::ConfigInvalid,
        "the client for the bucket cannot be made",
        error,
    )
}

/// Gives every part of `object_store` the same client.
#[derive(Debug)]
struct Connector(reqwest::Client);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}
