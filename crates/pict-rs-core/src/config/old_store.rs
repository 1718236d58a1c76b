//! `[old_store]`: the store whose files are moved to the one of `[store]`, while the server serves
//! from both.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Seconds, Secret, ServerConfig, StoreConfig, StoreType, invalid};
use crate::Result;
use crate::store::BucketSettings;

/// `[old_store]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default)]
pub struct OldStoreConfig {
    /// Where the files are that are moved; unset moves nothing.
    pub r#type: Option<StoreType>,
    /// Folder.
    pub path: Option<PathBuf>,
    /// URL of the S3 server, without the bucket.
    pub endpoint: Option<String>,
    /// S3 bucket.
    pub bucket_name: Option<String>,
    /// S3 region.
    pub region: Option<String>,
    /// S3 key id.
    pub access_key: Option<Secret>,
    /// File that holds `access_key`.
    pub access_key_file: Option<PathBuf>,
    /// S3 secret.
    pub secret_key: Option<Secret>,
    /// File that holds `secret_key`.
    pub secret_key_file: Option<PathBuf>,
    /// S3 session.
    pub session_token: Option<Secret>,
    /// File that holds `session_token`.
    pub session_token_file: Option<PathBuf>,
    /// Take the key from the cloud that the server runs in, instead of the settings.
    pub instance_credentials: bool,
    /// Bucket in the path instead of the host name.
    pub use_path_style: bool,
    /// Timeout of one S3 request, without the body of its answer.
    pub client_timeout: Seconds,
    /// CA certificates for the S3 server, PEM, besides those of the system.
    pub certificate_file: Option<PathBuf>,
    /// Files that are copied at a time.
    pub concurrency: usize,
    /// Files that are copied or compared per second at most; 0 means no limit.
    pub rate: u64,
    /// Read every file once more at the end and compare its digest, not only its size.
    pub digests: bool,
}

impl Default for OldStoreConfig {
    fn default() -> Self {
        let StoreConfig { client_timeout, .. } = StoreConfig::default();
        Self {
            r#type: None,
            path: None,
            endpoint: None,
            bucket_name: None,
            region: None,
            access_key: None,
            access_key_file: None,
            secret_key: None,
            secret_key_file: None,
            session_token: None,
            session_token_file: None,
            instance_credentials: false,
            use_path_style: false,
            client_timeout,
            certificate_file: None,
            concurrency: 4,
            rate: 100,
            digests: true,
        }
    }
}

/// The upper bound of `old_store.concurrency`: each takes memory for a file.
const MAX_CONCURRENCY: usize = 256;

impl OldStoreConfig {
    /// The same as a store that is only read; `None` when nothing is moved.
    pub fn store(&self) -> Option<StoreConfig> {
        let old = self.clone();
        Some(StoreConfig {
            r#type: self.r#type?,
            path: old.path,
            endpoint: old.endpoint,
            bucket_name: old.bucket_name,
            region: old.region,
            access_key: old.access_key,
            access_key_file: old.access_key_file,
            secret_key: old.secret_key,
            secret_key_file: old.secret_key_file,
            session_token: old.session_token,
            session_token_file: old.session_token_file,
            instance_credentials: old.instance_credentials,
            use_path_style: old.use_path_style,
            client_timeout: old.client_timeout,
            certificate_file: old.certificate_file,
            // Every file is read once.
            cache_size: 0,
            ..StoreConfig::default()
        })
    }

    /// The settings of its bucket; `None` when it is a folder, or there is none.
    ///
    /// # Errors
    /// [`crate::ErrorCode::ConfigInvalid`], naming the key.
    pub(crate) fn bucket(&self) -> Result<Option<BucketSettings>> {
        match self.store() {
            Some(store) => store.bucket_of("old_store"),
            None => Ok(None),
        }
    }

    /// From now on the files of this store are moved.
    pub fn set_store(&mut self, store: StoreConfig) {
        *self = Self {
            r#type: Some(store.r#type),
            path: store.path,
            endpoint: store.endpoint,
            bucket_name: store.bucket_name,
            region: store.region,
            access_key: store.access_key,
            access_key_file: store.access_key_file,
            secret_key: store.secret_key,
            secret_key_file: store.secret_key_file,
            session_token: store.session_token,
            session_token_file: store.session_token_file,
            instance_credentials: store.instance_credentials,
            use_path_style: store.use_path_style,
            client_timeout: store.client_timeout,
            certificate_file: store.certificate_file,
            concurrency: self.concurrency,
            rate: self.rate,
            digests: self.digests,
        };
    }

    /// # Errors
    /// [`crate::ErrorCode::ConfigInvalid`], naming the key.
    pub(super) fn validate(&self, store: &StoreConfig, server: &ServerConfig) -> Result<()> {
        if !(1..=MAX_CONCURRENCY).contains(&self.concurrency) {
            return Err(invalid(format!(
                "old_store.concurrency = {}: it must be between 1 and {MAX_CONCURRENCY}",
                self.concurrency
            )));
        }
        let Some(old) = self.store() else {
            return Ok(());
        };
        let is_same = match (self.bucket()?, store.bucket()?) {
            (Some(old), Some(new)) => (&old.endpoint, &old.name) == (&new.endpoint, &new.name),
            (None, None) => old.path == store.path,
            _ => false,
        };
        if is_same {
            return Err(invalid(
                "[store] and [old_store] name the same place; old_store is where the files are now, store \
                 is where they go"
                    .to_owned(),
            ));
        }
        if server.read_only {
            return Err(invalid(
                "old_store.type needs a server that may move the files: server.read_only is true"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(old: &OldStoreConfig, read_only: bool) -> String {
        let server = ServerConfig {
            read_only,
            ..ServerConfig::default()
        };
        let refused = old.validate(&StoreConfig::default(), &server);
        refused.expect_err("refused").to_string()
    }

    #[test]
    fn an_old_store_is_complete_elsewhere_and_may_be_moved() {
        let none = OldStoreConfig::default();
        let read_only = ServerConfig {
            read_only: true,
            ..ServerConfig::default()
        };
        none.validate(&StoreConfig::default(), &read_only)
            .expect("nothing is moved");
        let mut old = OldStoreConfig {
            r#type: Some(StoreType::ObjectStorage),
            ..none.clone()
        };
        let message = refusal(&old, false);
        assert!(message.contains("old_store.bucket_name"), "{message}");
        old.r#type = Some(StoreType::Filesystem);
        assert!(refusal(&old, false).contains("same place"));
        old.path = Some("elsewhere".into());
        old.validate(&StoreConfig::default(), &ServerConfig::default())
            .expect("valid");
        assert!(refusal(&old, true).contains("server.read_only"));
        old.concurrency = 0;
        assert!(refusal(&old, false).contains("old_store.concurrency = 0"));
    }

    #[test]
    fn a_store_that_is_set_is_the_one_that_is_moved() {
        let mut old = OldStoreConfig::default();
        assert!(old.store().is_none());
        let store = StoreConfig {
            endpoint: Some("http://s3:9000".to_owned()),
            ..StoreConfig::default()
        };
        old.set_store(store);
        let set = old.store().expect("set");
        assert_eq!(set.endpoint.as_deref(), Some("http://s3:9000"));
    }
}
