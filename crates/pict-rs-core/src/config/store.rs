//! `[store]`: where the bytes are. Its keys are in [`super::place`].

use std::path::{Path, PathBuf};

use url::Url;

use super::{Secret, StoreConfig, StoreType, invalid};
use crate::Result;
use crate::store::{BucketSettings, Credentials, Redirects};

/// The longest time that S3 allows for a signature, in seconds.
const LONGEST_SIGNATURE: u64 = 7 * 24 * 60 * 60;

impl StoreConfig {
    /// The settings of the bucket; `None` when files are kept in a folder.
    ///
    /// # Errors
    /// [`crate::ErrorCode::ConfigInvalid`], naming the key.
    pub fn bucket(&self) -> Result<Option<BucketSettings>> {
        self.bucket_of("store")
    }

    /// The same, for settings of this section.
    pub(super) fn bucket_of(&self, section: &str) -> Result<Option<BucketSettings>> {
        if self.r#type != StoreType::ObjectStorage {
            return Ok(None);
        }
        if self.client_timeout.0 == 0 {
            return Err(invalid(format!(
                "{section}.client_timeout must be at least 1"
            )));
        }
        let name = needed(section, "bucket_name", self.bucket_name.as_deref())?;
        // Such a name would change the path or host of every request.
        let is_name = |name: &str| {
            let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            name.bytes().all(is_allowed) && name.bytes().any(|byte| byte != b'.')
        };
        if !is_name(name) {
            return Err(invalid(format!(
                "{section}.bucket_name = \"{name}\": a bucket is named by letters, digits, '-', '_' and '.'"
            )));
        }
        Ok(Some(BucketSettings {
            endpoint: url(
                &format!("{section}.endpoint"),
                needed(section, "endpoint", self.endpoint.as_deref())?,
            )?,
            name: name.to_owned(),
            region: needed(section, "region", self.region.as_deref())?.to_owned(),
            credentials: self.credentials(section)?,
            path_style: self.use_path_style,
            timeout: self.client_timeout.duration(),
            certificates: self.certificate_file.clone(),
            redirects: self.redirects()?,
            cache_size: self.cache_size.saturating_mul(1024 * 1024),
            cache_folder: self.cache_path.clone(),
        }))
    }

    /// The folder. `data` is the default data folder.
    pub(crate) fn files_folder(&self, data: &Path) -> PathBuf {
        self.path.clone().unwrap_or_else(|| data.join("files"))
    }

    fn credentials(&self, section: &str) -> Result<Credentials> {
        let id = given(self.access_key.as_ref().map(Secret::expose));
        let secret = given(self.secret_key.as_ref().map(Secret::expose));
        let session = given(self.session_token.as_ref().map(Secret::expose));
        match (id, secret, self.instance_credentials) {
            (Some(id), Some(secret), false) => Ok(Credentials::Key {
                id: id.to_owned(),
                secret: secret.to_owned(),
                session: session.map(str::to_owned),
            }),
            (None, None, true) => Ok(Credentials::Instance),
            (_, _, true) => Err(invalid(format!(
                "{section}.instance_credentials is true, so {section}.access_key and \
                 {section}.secret_key must not be set"
            ))),
            _ => Err(invalid(format!(
                "{section}.type = \"object_storage\" needs {section}.access_key and \
                 {section}.secret_key, or {section}.instance_credentials = true"
            ))),
        }
    }

    fn redirects(&self) -> Result<Redirects> {
        let public = given(self.public_endpoint.as_deref());
        match (public, self.signed_redirects) {
            (None, None) => Ok(Redirects::Never),
            (Some(public), None) => Ok(Redirects::Public(url("store.public_endpoint", public)?)),
            (None, Some(lifetime)) => {
                let lifetime = lifetime.duration();
                match lifetime.as_secs() {
                    1..=LONGEST_SIGNATURE => Ok(Redirects::Signed(lifetime)),
                    seconds => Err(invalid(format!(
                        "store.signed_redirects = {seconds}s: it must be between 1s and 7d"
                    ))),
                }
            }
            (Some(_), Some(_)) => Err(invalid(
                "store.public_endpoint and store.signed_redirects are both set; one of them has to go"
                    .to_owned(),
            )),
        }
    }
}

/// A variable that a deployment left empty does not count.
fn given(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.is_empty())
}

fn needed<'a>(section: &str, key: &str, value: Option<&'a str>) -> Result<&'a str> {
    given(value).ok_or_else(|| {
        invalid(format!(
            "{section}.type = \"object_storage\" needs {section}.{key}"
        ))
    })
}

fn url(key: &str, text: &str) -> Result<Url> {
    let found = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.host().is_some()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    });
    found.ok_or_else(|| {
        // The URL may contain a password.
        invalid(format!(
            "{key}: the value is not a URL such as https://s3.example.org, without a user and a query"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Seconds, Span};
    use super::*;

    fn complete() -> StoreConfig {
        StoreConfig {
            r#type: StoreType::ObjectStorage,
            endpoint: Some("http://garage:3900".to_owned()),
            bucket_name: Some("pict-rs".to_owned()),
            region: Some("garage".to_owned()),
            access_key: Some(Secret::new("id")),
            secret_key: Some(Secret::new("hush")),
            ..StoreConfig::default()
        }
    }

    fn check(change: impl FnOnce(&mut StoreConfig), expected: &str) {
        let mut config = complete();
        change(&mut config);
        let message = config.bucket().expect_err(expected).to_string();
        assert!(message.contains(expected), "{message}");
        assert!(!message.contains("hush"), "{message}");
    }

    #[test]
    fn a_folder_needs_nothing_and_a_bucket_is_complete_or_refused_by_key() {
        assert!(StoreConfig::default().bucket().expect("valid").is_none());
        let bucket = complete().bucket().expect("valid").expect("a bucket");
        assert_eq!(bucket.redirects, Redirects::Never);
        check(|config| config.endpoint = None, "store.endpoint");
        check(
            |config| config.endpoint = Some("garage:3900".to_owned()),
            "store.endpoint",
        );
        check(
            |config| config.endpoint = Some("http://a:hush@garage".to_owned()),
            "store.endpoint",
        );
        check(
            |config| config.bucket_name = Some(String::new()),
            "store.bucket_name",
        );
        check(
            |config| config.bucket_name = Some("../x".to_owned()),
            "store.bucket_name",
        );
        check(|config| config.region = None, "store.region");
        check(|config| config.access_key = None, "store.access_key");
        check(
            |config| config.secret_key = Some(Secret::new("")),
            "store.secret_key",
        );
        check(
            |config| config.instance_credentials = true,
            "store.instance_credentials",
        );
        check(
            |config| config.client_timeout = Seconds(0),
            "store.client_timeout",
        );
    }

    #[test]
    fn clients_are_sent_to_one_place() {
        let redirects = |public: Option<&str>, signed: Option<u64>| {
            let config = StoreConfig {
                public_endpoint: public.map(str::to_owned),
                signed_redirects: signed.map(Span::seconds),
                ..complete()
            };
            config
                .bucket()
                .map(|bucket| bucket.expect("a bucket").redirects)
        };
        let cdn = "https://cdn.example/x";
        let expected = Redirects::Public(Url::parse(cdn).expect("a URL"));
        assert_eq!(redirects(Some(cdn), None).expect("valid"), expected);
        assert_eq!(redirects(Some(""), None).expect("valid"), Redirects::Never);
        assert!(matches!(
            redirects(None, Some(60)),
            Ok(Redirects::Signed(_))
        ));
        for (public, signed) in [
            (Some(cdn), Some(60)),
            (Some("cdn.example"), None),
            (None, Some(0)),
            (None, Some(LONGEST_SIGNATURE + 1)),
        ] {
            assert!(redirects(public, signed).is_err(), "{public:?} {signed:?}");
        }
    }

    #[test]
    fn the_key_of_the_machine_is_used_where_it_is_wanted() {
        let config = StoreConfig {
            access_key: None,
            secret_key: None,
            instance_credentials: true,
            ..complete()
        };
        let bucket = config.bucket().expect("valid").expect("a bucket");
        assert!(matches!(bucket.credentials, Credentials::Instance));
    }
}
