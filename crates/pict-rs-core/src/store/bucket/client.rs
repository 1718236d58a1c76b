//! The HTTP client behind a bucket: our trust in certificates, and limits for everything.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use reqwest::{Method, StatusCode, redirect};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::settings::{BucketSettings, Credentials};
use crate::{Error, ErrorCode, Result};
use crate::{metrics, tls};

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
    let connector = Connector(BucketClient {
        inner: client(settings)?,
        runtime: Handle::current(),
    });
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
struct Connector(BucketClient);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

/// Counts each request, repeated ones too, and sends it on one runtime. A connection belongs to the
/// runtime that opened it: one that was opened for a request to this server would break when the
/// server stops, and with it what is still being stored.
#[derive(Clone, Debug)]
struct BucketClient {
    inner: reqwest::Client,
    runtime: Handle,
}

impl HttpService for BucketClient {
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> BoxFuture<'b, Result<HttpResponse, HttpError>>
    where
        'a: 'b,
    {
        Box::pin(async move {
            let name = name(request.method(), request.uri().query().unwrap_or_default());
            let began = Instant::now();
            let answer = self.send(request).await;
            let is_answered = (answer.as_ref()).is_ok_and(|answer| {
                let status = answer.status();
                // An object that is not there is an answer.
                status.is_success() || status == StatusCode::NOT_FOUND
            });
            metrics::bucket_request(name, is_answered, began.elapsed());
            answer
        })
    }
}

impl BucketClient {
    /// Ends when the answer begins; its body is read by whom it is for.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let inner = self.inner.clone();
        // Ends the request when this is dropped.
        let mut sending = JoinSet::new();
        sending.spawn_on(async move { inner.call(request).await }, &self.runtime);
        match sending.join_next().await {
            Some(Ok(answer)) => answer,
            Some(Err(error)) => Err(HttpError::new(HttpErrorKind::Unknown, error)),
            None => Err(HttpError::new(
                HttpErrorKind::Unknown,
                std::io::Error::other("a request was not sent"),
            )),
        }
    }
}

/// The metric of a request. Names are those of the existing pict-rs.
fn name(method: &Method, query: &str) -> &'static str {
    let keys = query.split('&').map(|pair| pair.split('=').next());
    let has = |wanted: &str| keys.clone().any(|key| key == Some(wanted));
    match method.as_str() {
        "HEAD" => "pict_rs_object_storage_head_object_request",
        "GET" if has("list-type") => "pict_rs_object_storage_list_objects_request",
        "GET" => "pict_rs_object_storage_get_object_request",
        "PUT" if has("uploadId") => "pict_rs_object_storage_create_upload_part_request",
        "PUT" => "pict_rs_object_storage_put_object_request",
        "POST" if has("uploads") => "pict_rs_object_storage_create_multipart_request",
        "POST" if has("uploadId") => "pict_rs_object_storage_complete_multipart_request",
        "DELETE" if has("uploadId") => "pict_rs_object_storage_abort_multipart_request",
        "DELETE" => "pict_rs_object_storage_delete_object_request",
        // Of several objects at once.
        "POST" if has("delete") => "pict_rs_object_storage_delete_object_request",
        _ => "pict_rs_object_storage_other_request",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_the_names_of_what_they_do() {
        for (method, query, expected) in [
            (Method::PUT, "", "put_object"),
            (Method::PUT, "partNumber=1&uploadId=a", "create_upload_part"),
            (Method::POST, "uploads=", "create_multipart"),
            (Method::POST, "uploads", "create_multipart"),
            (Method::POST, "uploadId=a", "complete_multipart"),
            (Method::DELETE, "uploadId=a", "abort_multipart"),
            (Method::DELETE, "", "delete_object"),
            (Method::GET, "", "get_object"),
            (Method::GET, "list-type=2&prefix=a", "list_objects"),
            (Method::HEAD, "", "head_object"),
            (Method::POST, "delete", "delete_object"),
            (Method::OPTIONS, "", "other"),
        ] {
            let expected = format!("pict_rs_object_storage_{expected}_request");
            assert_eq!(name(&method, query), expected);
        }
    }
}
