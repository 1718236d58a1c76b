//! Where a bucket is, and how requests to it are made.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

/// Where a bucket is, and how requests to it are made.
#[derive(Clone, Debug)]
pub struct BucketSettings {
    /// The server.
    pub endpoint: Url,
    /// The name of the bucket.
    pub name: String,
    /// The region that requests are signed for.
    pub region: String,
    /// What requests are signed with.
    pub credentials: Credentials,
    /// Whether the name is in the path of URLs instead of the host.
    pub path_style: bool,
    /// Timeout of one request, without the body of its answer.
    pub timeout: Duration,
    /// A PEM file with certificates that are trusted besides those of the system.
    pub certificates: Option<PathBuf>,
    /// Where clients get the bytes.
    pub redirects: Redirects,
    /// Bytes of small objects that are kept on a local disk; 0 keeps none.
    pub cache_size: u64,
    /// Where they are kept, if not with the temporary files.
    pub cache_folder: Option<PathBuf>,
}

/// What requests are signed with.
#[derive(Clone)]
pub enum Credentials {
    /// A key.
    Key {
        /// Its id.
        id: String,
        /// The secret.
        secret: String,
        /// The session that it is valid for.
        session: Option<String>,
    },
    /// What the environment of a cloud gives the machine.
    Instance,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key { .. } => "Key(***)",
            Self::Instance => "Instance",
        })
    }
}

/// Where clients get the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redirects {
    /// From us.
    Never,
    /// Below this URL, by the key of the object.
    Public(Url),
    /// From the bucket, by a URL that is valid for this long.
    Signed(Duration),
}

impl BucketSettings {
    /// For people.
    pub(super) fn place(&self) -> String {
        format!("bucket {} at {}", self.name, self.endpoint)
    }

    /// The URL below which the objects are.
    pub(super) fn root(&self) -> Url {
        if self.path_style {
            return below(&self.endpoint, &self.name);
        }
        let mut url = self.endpoint.clone();
        let host = url.host_str().map(|host| format!("{}.{host}", self.name));
        // Refused for an IP address: then the server cannot be asked for a host either.
        if url.set_host(host.as_deref()).is_err() {
            return below(&self.endpoint, &self.name);
        }
        url
    }
}

/// A URL with more segments in its path.
pub(super) fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    // Only URLs without a host have no path.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path.split('/'));
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_bucket_is_in_the_host_or_the_path() {
        let check = |endpoint: &str, path_style, expected: &str| {
            let settings = BucketSettings {
                endpoint: Url::parse(endpoint).expect("a URL"),
                name: "pictures".to_owned(),
                region: "garage".to_owned(),
                credentials: Credentials::Instance,
                path_style,
                timeout: Duration::from_secs(1),
                certificates: None,
                redirects: Redirects::Never,
                cache_size: 0,
                cache_folder: None,
            };
            assert_eq!(settings.root().as_str(), expected);
        };
        check("http://s3:9000", true, "http://s3:9000/pictures");
        check(
            "https://s3.example/x/",
            true,
            "https://s3.example/x/pictures",
        );
        check("https://s3.example", false, "https://pictures.s3.example/");
        check(
            "http://127.0.0.1:9000",
            false,
            "http://127.0.0.1:9000/pictures",
        );
    }

    #[test]
    fn a_key_is_added_to_any_base_and_what_is_odd_in_it_is_escaped() {
        let check = |base: &str, key: &str, expected: &str| {
            let base = Url::parse(base).expect("a URL");
            assert_eq!(below(&base, key).as_str(), expected);
        };
        check(
            "https://cdn.example",
            "a/b.png",
            "https://cdn.example/a/b.png",
        );
        check(
            "https://cdn.example/x/",
            "a/b.png",
            "https://cdn.example/x/a/b.png",
        );
        check(
            "https://cdn.example/x",
            "a?b#c",
            "https://cdn.example/x/a%3Fb%23c",
        );
    }

    #[test]
    fn a_secret_is_not_printed() {
        let key = Credentials::Key {
            id: "AKIA".to_owned(),
            secret: "hush".to_owned(),
            session: None,
        };
        assert_eq!(format!("{key:?}"), "Key(***)");
    }
}
