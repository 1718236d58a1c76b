//! Caches in front (`[purge]`), which are told to drop what was removed. Each kind has its own way:
//!
//! - nginx with `ngx_cache_purge`: `PURGE` of each URL.
//! - Varnish: `BAN` with a regular expression for URLs.
//! - Cloudflare: its API, with URLs or with tags.
//! - Fastly: its API, with surrogate keys.

pub(crate) mod urls;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HOST};
use reqwest::{Client, Method, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use self::urls::Doomed;
use super::outgoing::{self, Unconfirmed};
use crate::config::PurgeConfig;
use crate::{Result, id};

/// The header with the regular expression, which the VCL in docs/caches.md bans.
const BAN: &str = "x-pict-rs-ban";
/// URLs in one request to Cloudflare; all its plans take as many.
const FILES: usize = 30;

/// All caches that are told, the inner ones first: an outer one may ask an inner one again at once.
#[derive(Debug)]
pub(crate) struct Caches {
    caches: Vec<Cache>,
    sites: Vec<Url>,
    paths: Vec<String>,
    client: Client,
}

#[derive(Debug)]
enum Cache {
    Nginx(Url),
    Varnish(Url),
    /// With a token.
    Cloudflare(Url, String, Form),
    Fastly(Url, String),
}

/// How Cloudflare is told.
#[derive(Debug)]
enum Form {
    Files,
    Tags,
}

/// The answer of one cache.
#[derive(Debug)]
pub(crate) struct Confirmation {
    /// Its kind, and where it is.
    pub(crate) cache: String,
    pub(crate) result: Result<Counts, Unconfirmed>,
}

/// What a cache was asked, and what it said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// URLs, expressions or tags.
    pub(crate) asked: u64,
    /// Those that it did not have, where it tells.
    pub(crate) absent: u64,
}

impl Caches {
    /// As the settings say; `None` without any cache.
    ///
    /// # Errors
    /// [`crate::ErrorCode::ConfigInvalid`].
    pub(crate) fn open(config: &PurgeConfig) -> Result<Option<Self>> {
        if !config.is_on() {
            return Ok(None);
        }
        let bases = |key, list: &[String]| PurgeConfig::bases(key, list);
        let api = |key, text: &String, path: String| -> Result<Url> {
            let mut url = bases(key, std::slice::from_ref(text))?.remove(0);
            url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
            Ok(url)
        };
        let secret = |key: &Option<crate::config::Secret>| {
            let key = key.as_ref().map(|key| key.expose().to_owned());
            key.unwrap_or_default()
        };
        let mut caches = Vec::new();
        caches.extend(
            bases("nginx", &config.nginx.0)?
                .into_iter()
                .map(Cache::Nginx),
        );
        caches.extend(
            bases("varnish", &config.varnish.0)?
                .into_iter()
                .map(Cache::Varnish),
        );
        if let Some(zone) = config.zone() {
            let path = format!("/zones/{zone}/purge_cache");
            let url = api("cloudflare_api", &config.cloudflare_api, path)?;
            let form = match config.cloudflare_tags {
                true => Form::Tags,
                false => Form::Files,
            };
            caches.push(Cache::Cloudflare(
                url,
                secret(&config.cloudflare_token),
                form,
            ));
        }
        if let Some(service) = config.service() {
            let path = format!("/service/{service}/purge");
            let url = api("fastly_api", &config.fastly_api, path)?;
            caches.push(Cache::Fastly(url, secret(&config.fastly_token)));
        }
        Ok(Some(Self {
            caches,
            sites: bases("sites", &config.sites.0)?,
            paths: config.paths.0.clone(),
            client: outgoing::client("[purge]", config.timeout.duration())?,
        }))
    }

    /// Tells every cache, whatever the others say.
    pub(crate) async fn purge(&self, doomed: &Doomed) -> Vec<Confirmation> {
        let paths = doomed.paths(&self.paths);
        let mut confirmations = Vec::new();
        for cache in &self.caches {
            let result = match cache {
                Cache::Nginx(address) => self.purge_nginx(address, &paths).await,
                Cache::Varnish(address) => self.ban(address, doomed).await,
                Cache::Cloudflare(url, token, Form::Files) => {
                    self.purge_files(url, token, &paths).await
                }
                Cache::Cloudflare(url, token, Form::Tags) => {
                    let body = json!({ "tags": [tag(doomed)] });
                    self.ask_cloudflare(url, token, &body, 1).await
                }
                Cache::Fastly(url, token) => self.purge_keys(url, token, doomed).await,
            };
            confirmations.push(Confirmation {
                cache: cache.name(),
                result,
            });
        }
        confirmations
    }

    async fn purge_nginx(&self, address: &Url, paths: &[String]) -> Result<Counts, Unconfirmed> {
        let method = Method::from_bytes(b"PURGE").expect("a method of letters");
        let mut counts = Counts::default();
        for site in &self.sites {
            let host = authority(site);
            for path in paths {
                let url = below(address, &below(site, path)[origin(site).len()..]);
                let request = self.client.request(method.clone(), url).header(HOST, &host);
                let status = outgoing::send(request).await?.status();
                counts.asked += 1;
                match status {
                    status if status.is_success() => {}
                    // What versions of the module say of a URL that is not in the cache.
                    StatusCode::NOT_FOUND | StatusCode::PRECONDITION_FAILED => counts.absent += 1,
                    status => return Err(outgoing::refusal(status)),
                }
            }
        }
        Ok(counts)
    }

    async fn ban(&self, address: &Url, doomed: &Doomed) -> Result<Counts, Unconfirmed> {
        let method = Method::from_bytes(b"BAN").expect("a method of letters");
        let mut counts = Counts::default();
        for expression in doomed.expressions() {
            let request = self.client.request(method.clone(), address.clone());
            let status = outgoing::send(request.header(BAN, expression))
                .await?
                .status();
            counts.asked += 1;
            if !status.is_success() {
                return Err(outgoing::refusal(status));
            }
        }
        Ok(counts)
    }

    async fn purge_files(
        &self,
        url: &Url,
        token: &str,
        paths: &[String],
    ) -> Result<Counts, Unconfirmed> {
        let files = self.sites.iter();
        let files: Vec<_> = files
            .flat_map(|site| paths.iter().map(move |path| below(site, path)))
            .collect();
        let mut counts = Counts::default();
        for files in files.chunks(FILES) {
            let body = json!({ "files": files });
            let asked = files.len() as u64;
            counts.asked += self.ask_cloudflare(url, token, &body, asked).await?.asked;
        }
        Ok(counts)
    }

    async fn ask_cloudflare(
        &self,
        url: &Url,
        token: &str,
        body: &Value,
        asked: u64,
    ) -> Result<Counts, Unconfirmed> {
        #[derive(Deserialize)]
        struct CloudflareAnswer {
            success: bool,
        }
        let request = self.client.post(url.clone()).bearer_auth(token);
        let request = request.header(CONTENT_TYPE, "application/json");
        let answer = outgoing::send(request.body(body.to_string())).await?;
        if !answer.status().is_success() {
            return Err(outgoing::refusal(answer.status()));
        }
        let said = answer.bytes().await.unwrap_or_default();
        let said = serde_json::from_slice::<CloudflareAnswer>(&said);
        match said.is_ok_and(|said| said.success) {
            true => Ok(Counts { asked, absent: 0 }),
            false => Err(Unconfirmed::Refused("it does not confirm".to_owned())),
        }
    }

    async fn purge_keys(
        &self,
        url: &Url,
        token: &str,
        doomed: &Doomed,
    ) -> Result<Counts, Unconfirmed> {
        let body = json!({ "surrogate_keys": [tag(doomed)] });
        let request = self.client.post(url.clone()).header("fastly-key", token);
        let request = request
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json");
        let status = outgoing::send(request.body(body.to_string()))
            .await?
            .status();
        match status.is_success() {
            true => Ok(Counts {
                asked: 1,
                absent: 0,
            }),
            false => Err(outgoing::refusal(status)),
        }
    }
}

impl Cache {
    fn name(&self) -> String {
        match self {
            Self::Nginx(url) => format!("nginx {}", authority(url)),
            Self::Varnish(url) => format!("varnish {}", authority(url)),
            Self::Cloudflare(..) => "cloudflare".to_owned(),
            Self::Fastly(..) => "fastly".to_owned(),
        }
    }
}

fn tag(doomed: &Doomed) -> String {
    id::tag_of_digest(&doomed.digest)
}

/// Host and port, as in a `Host` header.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The URL of a path, which is encoded already, below another URL.
fn below(base: &Url, path: &str) -> String {
    format!("{}{path}", base.as_str().trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_sent_below_the_site_as_clients_ask_for_it() {
        let url = |text: &str| Url::parse(text).expect("valid");
        let site = url("https://a.example/pics");
        let public = below(&site, "/image/original/b%20c");
        assert_eq!(public, "https://a.example/pics/image/original/b%20c");
        let path = &public[origin(&site).len()..];
        let asked = below(&url("http://127.0.0.1:8081"), path);
        assert_eq!(asked, "http://127.0.0.1:8081/pics/image/original/b%20c");
        assert_eq!(authority(&site), "a.example");
        assert_eq!(authority(&url("http://[::1]:9/")), "[::1]:9");
    }
}
