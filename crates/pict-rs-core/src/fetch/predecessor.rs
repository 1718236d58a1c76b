//! The running server that this one takes over from (`takeover.url`), spoken to over its HTTP API.
//!
//! The administrator names it, so it may have any address; what it redirects to is fetched like any
//! other URL. Clients are told neither its address nor what it said.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use bytes::Bytes;
use reqwest::header::{ETAG, LOCATION};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use crate::config::{Config, Secret};
use crate::tls;
use crate::{Alias, ContentKey, DeleteToken, Error, ErrorCode, Result, SourceUrl};

/// Names the server that asks, so that a server which is told to take over from itself notices it.
pub(crate) const SUCCESSOR: &str = "x-pict-rs-successor";
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The largest JSON answer that is read.
const JSON_BYTES: usize = 64 * 1024 * 1024;

/// The server that is taken over.
#[derive(Debug)]
pub(crate) struct Predecessor {
    url: Url,
    key: Secret,
    client: Client,
    /// The value of [`SUCCESSOR`].
    id: String,
    /// So that many requests here do not open as many connections there.
    turns: Semaphore,
}

/// What a request names.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Named<'a> {
    Alias(&'a Alias),
    Url(&'a SourceUrl),
}

/// What it tells about a file.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Recorded {
    pub(crate) width: u32,
    pub(crate) height: u32,
    #[serde(default)]
    pub(crate) frames: Option<u32>,
    pub(crate) content_type: String,
    created_at: String,
    /// Only from version 0.5.17 on.
    #[serde(default)]
    pub(crate) blurhash: Option<String>,
    /// In base 64. Only servers of this project tell it.
    #[serde(default)]
    thumbhash: Option<String>,
    /// As `#rrggbb`. Only servers of this project tell it.
    #[serde(default)]
    colour: Option<String>,
}

impl Recorded {
    pub(crate) fn thumbhash(&self) -> Option<Vec<u8>> {
        BASE64.decode(self.thumbhash.as_deref()?).ok()
    }

    /// In sRGB.
    pub(crate) fn colour(&self) -> Option<[u8; 3]> {
        let digits = self.colour.as_deref()?.strip_prefix('#')?;
        hex::decode(digits).ok()?.try_into().ok()
    }

    /// Unix time in milliseconds; 0 when it is not a time.
    pub(crate) fn created_at(&self) -> i64 {
        let time = OffsetDateTime::parse(&self.created_at, &Rfc3339).ok();
        let ms = time.map(|time| time.unix_timestamp_nanos().div_euclid(1_000_000));
        ms.and_then(|ms| i64::try_from(ms).ok()).unwrap_or(0)
    }
}

/// Its answer to a request for a file.
#[derive(Debug)]
pub(crate) enum Delivery<'a> {
    /// The bytes follow.
    File(Box<IncomingFile<'a>>),
    /// The bytes are elsewhere, in a public bucket.
    Elsewhere(SourceUrl),
    /// It knows no such alias.
    Unknown,
    /// It has lost the file.
    Lost,
}

/// A file that is being received.
#[derive(Debug)]
pub(crate) struct IncomingFile<'a> {
    /// The identity of the bytes, as it claims.
    pub(crate) key: Option<ContentKey>,
    response: Response,
    _turn: SemaphorePermit<'a>,
}

impl IncomingFile<'_> {
    /// The next bytes; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        let received = self.response.chunk().await;
        received.map_err(|error| broken_off(&error))
    }
}

/// A page of its contents.
#[derive(Debug, Deserialize)]
pub(crate) struct Listed {
    /// Where the next page begins.
    #[serde(default)]
    pub(crate) next: Option<String>,
    pub(crate) hashes: Vec<ListedContent>,
}

/// A content in its list.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ListedContent {
    hex: String,
    aliases: Vec<String>,
    #[serde(default)]
    pub(crate) details: Option<Recorded>,
}

impl ListedContent {
    /// The key of the content, if its format is known here.
    pub(crate) fn key(&self) -> Option<ContentKey> {
        ContentKey::from_hex(&self.hex)
    }

    pub(crate) fn aliases(&self) -> Vec<Alias> {
        parsed(&self.aliases)
    }
}

#[derive(Deserialize)]
struct Paged {
    page: Listed,
}

#[derive(Deserialize)]
struct Aliases {
    aliases: Vec<String>,
}

/// Its answer to what it refuses.
#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    code: String,
    #[serde(default)]
    msg: String,
}

impl Predecessor {
    /// As the settings say; `None` without a takeover.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`].
    pub(crate) fn open(config: &Config) -> Result<Option<Self>> {
        let takeover = &config.takeover;
        let Some(url) = takeover.parse_url()? else {
            return Ok(None);
        };
        let client = Client::builder()
            .user_agent(concat!("pict-rs ", env!("CARGO_PKG_VERSION")))
            // The URL is configured explicitly, so proxies from the environment do not apply.
            .no_proxy()
            // A redirect may leave the server that was configured, so it must be judged.
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(takeover.timeout.duration())
            .tls_backend_preconfigured(tls::client_config(None)?);
        let client = client.build().map_err(|e| {
            Error::internal(
                ErrorCode::ConfigInvalid,
                "the client for takeover.url cannot be made",
                e,
            )
        })?;
        Ok(Some(Self {
            url,
            key: takeover.api_key.clone().unwrap_or_else(|| Secret::new("")),
            client,
            id: Uuid::new_v4().simple().to_string(),
            turns: Semaphore::new(config.client.concurrency.min(Semaphore::MAX_PERMITS)),
        }))
    }

    /// Whether a request with this value of [`SUCCESSOR`] comes from here.
    pub(crate) fn is_own(&self, id: &[u8]) -> bool {
        id == self.id.as_bytes()
    }

    /// Its address, for the log and the administrator.
    pub(crate) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// What it tells about a file; `None` when it does not know it. It fetches and makes nothing.
    ///
    /// # Errors
    /// [`ErrorCode::PredecessorUnavailable`], [`ErrorCode::PredecessorError`].
    pub(crate) async fn details(&self, of: Named<'_>) -> Result<Option<Recorded>> {
        let url = self.of(&["image", "details", "original"], of);
        self.ask(self.client.get(url)).await
    }

    /// Requests the bytes of a file.
    ///
    /// # Errors
    /// As [`Predecessor::details`].
    pub(crate) async fn original(&self, alias: &Alias) -> Result<Delivery<'_>> {
        let url = self.of(&["image", "original"], Named::Alias(alias));
        let (turn, response) = self.send(self.client.get(url.clone())).await?;
        let status = response.status();
        if status == StatusCode::OK {
            let etag = response
                .headers()
                .get(ETAG)
                .and_then(|tag| tag.to_str().ok());
            let key = etag.and_then(|tag| ContentKey::from_base64(tag.trim_matches('"')));
            return Ok(Delivery::File(Box::new(IncomingFile {
                key,
                response,
                _turn: turn,
            })));
        }
        if status == StatusCode::NOT_FOUND {
            return Ok(Delivery::Unknown);
        }
        if status.is_redirection() {
            let to = response.headers().get(LOCATION);
            let to = to.and_then(|to| url.join(to.to_str().ok()?).ok());
            let to = to.and_then(|to| SourceUrl::parse(to.as_str()).ok());
            return to.map(Delivery::Elsewhere).ok_or_else(|| {
                let refusal = Refusal::saying("it redirects to no URL");
                fault(status, &refusal)
            });
        }
        let refusal: Refusal = read(response).await.unwrap_or_default();
        match (status, &*refusal.code) {
            (StatusCode::INTERNAL_SERVER_ERROR, "not-found" | "lost-file") => Ok(Delivery::Lost),
            _ => Err(fault(status, &refusal)),
        }
    }

    /// All aliases of the content; `None` when it does not know it.
    ///
    /// # Errors
    /// As [`Predecessor::details`].
    pub(crate) async fn aliases(&self, of: Named<'_>) -> Result<Option<Vec<Alias>>> {
        let url = self.of(&["internal", "aliases"], of);
        let found: Option<Aliases> = self.ask(self.keyed(Method::GET, url)).await?;
        Ok(found.map(|found| parsed(&found.aliases)))
    }

    /// A page of its contents, newest first, beginning with `slug` if it exists.
    ///
    /// # Errors
    /// As [`Predecessor::details`].
    pub(crate) async fn page(&self, slug: Option<&str>, limit: u32) -> Result<Listed> {
        let mut url = self.at(&["internal", "hashes"]);
        url.query_pairs_mut()
            .append_pair("limit", &limit.to_string())
            .extend_pairs(slug.map(|slug| ("slug", slug)));
        let found: Option<Paged> = self.ask(self.keyed(Method::GET, url)).await?;
        // 0.4 has no such list.
        found.map(|found| found.page).ok_or_else(|| {
            Error::user(
                ErrorCode::PredecessorError,
                "The server that this one takes over from does not list its contents; it must be \
                 pict-rs 0.5 or later",
            )
        })
    }

    /// Deletes an alias with its token. Returns false when the token is refused.
    ///
    /// # Errors
    /// As [`Predecessor::details`].
    pub(crate) async fn delete_with(&self, token: &DeleteToken, alias: &Alias) -> Result<bool> {
        // In a path these would be folders.
        if matches!(token.expose(), "." | "..") {
            return Ok(false);
        }
        let url = self.at(&["image", "delete", token.expose(), alias.as_str()]);
        let (_turn, response) = self.send(self.client.delete(url)).await?;
        match response.status() {
            StatusCode::FORBIDDEN => Ok(false),
            status if status.is_success() => Ok(true),
            status => Err(refused(status, response).await),
        }
    }

    /// Deletes an alias, if it has it.
    ///
    /// # Errors
    /// As [`Predecessor::details`].
    pub(crate) async fn delete(&self, alias: &Alias) -> Result<()> {
        let url = self.of(&["internal", "delete"], Named::Alias(alias));
        let deleted: Option<serde_json::Value> = self.ask(self.keyed(Method::POST, url)).await?;
        drop(deleted);
        Ok(())
    }

    fn keyed(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.client.request(method, url);
        request.header("X-Api-Token", self.key.expose())
    }

    fn at(&self, path: &[&str]) -> Url {
        let mut url = self.url.clone();
        // Only URLs without a host have no path, and those are refused at start.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    fn of(&self, path: &[&str], named: Named<'_>) -> Url {
        let mut url = self.at(path);
        let (key, value) = match named {
            Named::Alias(alias) => ("alias", alias.as_str()),
            Named::Url(source) => ("proxy", source.as_str()),
        };
        url.query_pairs_mut().append_pair(key, value);
        url
    }

    /// The JSON that it answers with; `None` for 404.
    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<Option<T>> {
        let (_turn, response) = self.send(request).await?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => read(response).await.map(Some),
            status => Err(refused(status, response).await),
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<(SemaphorePermit<'_>, Response)> {
        let turn = self.turns.acquire().await;
        let turn = turn.map_err(|_| unavailable("This server is stopping"))?;
        let response = request.header(SUCCESSOR, &self.id).send().await;
        let response = response.map_err(|error| broken_off(&error))?;
        let status = response.status().as_u16();
        match matches!(status, 429 | 502..=504) {
            true => Err(unavailable(format!("It answered {status}"))),
            false => Ok((turn, response)),
        }
    }
}

fn parsed(aliases: &[String]) -> Vec<Alias> {
    let aliases = aliases.iter();
    aliases.filter_map(|text| Alias::parse(text).ok()).collect()
}

async fn read<T: DeserializeOwned>(mut response: Response) -> Result<T> {
    let status = response.status();
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| broken_off(&error))? {
        if bytes.len() + chunk.len() > JSON_BYTES {
            return Err(fault(status, &Refusal::saying("its answer is too long")));
        }
        bytes.extend_from_slice(&chunk);
    }
    let parsed = serde_json::from_slice(&bytes);
    parsed.map_err(|error| fault(status, &Refusal::saying(&error.to_string())))
}

async fn refused(status: StatusCode, response: Response) -> Error {
    let refusal: Refusal = read(response).await.unwrap_or_default();
    fault(status, &refusal)
}

impl Refusal {
    fn saying(what: &str) -> Self {
        Self {
            code: String::new(),
            msg: what.to_owned(),
        }
    }
}

fn broken_off(error: &reqwest::Error) -> Error {
    tracing::debug!(?error, "the server that is taken over does not answer");
    unavailable(if error.is_timeout() {
        "It did not answer in time"
    } else if error.is_connect() {
        "It cannot be connected to"
    } else {
        "It broke the connection off"
    })
}

fn unavailable(detail: impl Into<String>) -> Error {
    let message = "The server that this one takes over from does not answer";
    Error::user(ErrorCode::PredecessorUnavailable, message).detail(detail)
}

fn fault(status: StatusCode, refusal: &Refusal) -> Error {
    tracing::warn!(
        status = status.as_u16(),
        code = refusal.code,
        said = refusal.msg,
        "the server that is taken over fails"
    );
    let detail = match status {
        _ if refusal.code == ErrorCode::ConfigInvalid.as_str() => {
            "takeover.url leads back to this server itself".to_owned()
        }
        StatusCode::UNAUTHORIZED => "It refuses the API key, takeover.api_key".to_owned(),
        status => format!("It answered {}", status.as_u16()),
    };
    Error::user(
        ErrorCode::PredecessorError,
        "The server that this one takes over from fails",
    )
    .detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TakeoverConfig;

    fn open(url: &str) -> Predecessor {
        let takeover = TakeoverConfig {
            url: Some(url.to_owned()),
            api_key: Some(Secret::new("key")),
            ..TakeoverConfig::default()
        };
        let config = Config {
            takeover,
            ..Config::default()
        };
        let opened = Predecessor::open(&config).expect("valid");
        opened.expect("one is configured")
    }

    #[test]
    fn names_reach_the_other_server_as_they_are() {
        let check = |base: &str, name: &str, expected: &str| {
            let alias = Alias::parse(name).expect("valid");
            let found = open(base).of(&["image", "original"], Named::Alias(&alias));
            assert_eq!(found.as_str(), expected);
        };
        check(
            "http://old",
            "a.png",
            "http://old/image/original?alias=a.png",
        );
        check(
            "http://old/pictrs/",
            "a b&c=ü/+.png",
            "http://old/pictrs/image/original?alias=a+b%26c%3D%C3%BC%2F%2B.png",
        );
        let old = open("http://old:1/");
        let url = old.at(&["image", "delete", "a/b", "c d?.png"]);
        assert_eq!(url.as_str(), "http://old:1/image/delete/a%2Fb/c%20d%3F.png");
    }

    #[test]
    fn times_are_read_to_the_millisecond() {
        let recorded = |created_at: &str| Recorded {
            width: 1,
            height: 1,
            frames: None,
            content_type: "image/png".to_owned(),
            created_at: created_at.to_owned(),
            blurhash: None,
            thumbhash: None,
            colour: None,
        };
        let time = recorded("2026-11-22T11:07:22.915017293Z").created_at();
        assert_eq!(time, 1_795_345_642_915);
        assert_eq!(recorded("yesterday").created_at(), 0);
    }
}
