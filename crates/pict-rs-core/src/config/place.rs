//! The keys of `[store]` and `[old_store]`. Both say where files are, so most keys are those of either,
//! and stand here once. A struct inside both cannot: serde's `flatten` converts no text, as variables
//! of the environment are, and finds no unknown keys.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Seconds, Secret, Span, StoreType};

macro_rules! sections {
    ($($(#[$doc:meta])* $key:ident: $type:ty = $default:expr,)*) => {
        /// `[store]`: flat, as in the existing pict-rs; `type` decides which keys apply.
        #[derive(Clone, Debug, Deserialize, Serialize)]
        #[serde(default)]
        pub struct StoreConfig {
            /// Where bytes are kept.
            pub r#type: StoreType,
            $($(#[$doc])* pub $key: $type,)*
            /// Redirect clients there instead of sending the bytes.
            pub public_endpoint: Option<String>,
            /// Redirect clients to the S3 server instead of sending the bytes, with a URL that is valid for
            /// this long.
            pub signed_redirects: Option<Span>,
            /// What small objects of the bucket may take on a local disk, in MiB; 0 keeps none.
            pub cache_size: u64,
            /// What small objects that are served often may take in memory, in MiB; 0 keeps none.
            pub memory_cache_size: u64,
            /// Folder for those on disk; with the temporary files by default.
            pub cache_path: Option<PathBuf>,
            /// Accepted, without effect: a health check stores no object.
            pub tag_healthz: bool,
        }

        impl Default for StoreConfig {
            fn default() -> Self {
                Self {
                    r#type: StoreType::default(),
                    $($key: $default,)*
                    public_endpoint: None,
                    signed_redirects: None,
                    cache_size: 256,
                    memory_cache_size: 32,
                    cache_path: None,
                    tag_healthz: false,
                }
            }
        }

        /// `[old_store]`
        #[derive(Clone, Debug, Deserialize, Serialize)]
        #[serde(default)]
        pub struct OldStoreConfig {
            /// Where the files are that are moved; unset moves nothing.
            pub r#type: Option<StoreType>,
            $($(#[$doc])* pub $key: $type,)*
            /// Files that are copied at a time.
            pub concurrency: usize,
            /// Files that are copied or compared per second at most; 0 means no limit.
            pub rate: u64,
            /// Read every file once more at the end and compare its digest, not only its size.
            pub digests: bool,
        }

        impl Default for OldStoreConfig {
            fn default() -> Self {
                Self {
                    r#type: None,
                    $($key: $default,)*
                    concurrency: 4,
                    rate: 100,
                    digests: true,
                }
            }
        }

        impl OldStoreConfig {
            /// The same as a store that is only read; `None` when nothing is moved.
            pub fn store(&self) -> Option<StoreConfig> {
                Some(StoreConfig {
                    r#type: self.r#type?,
                    $($key: self.$key.clone(),)*
                    // Every file is read once.
                    cache_size: 0,
                    memory_cache_size: 0,
                    ..StoreConfig::default()
                })
            }

            /// From now on the files of this store are moved.
            pub fn set_store(&mut self, store: StoreConfig) {
                self.r#type = Some(store.r#type);
                $(self.$key = store.$key;)*
            }
        }
    };
}

sections! {
    /// Folder.
    path: Option<PathBuf> = None,
    /// URL of the S3 server, without the bucket.
    endpoint: Option<String> = None,
    /// S3 bucket.
    bucket_name: Option<String> = None,
    /// S3 region.
    region: Option<String> = None,
    /// S3 key id.
    access_key: Option<Secret> = None,
    /// File that holds `access_key`.
    access_key_file: Option<PathBuf> = None,
    /// S3 secret.
    secret_key: Option<Secret> = None,
    /// File that holds `secret_key`.
    secret_key_file: Option<PathBuf> = None,
    /// S3 session.
    session_token: Option<Secret> = None,
    /// File that holds `session_token`.
    session_token_file: Option<PathBuf> = None,
    /// Take the key from the cloud that the server runs in, instead of the settings.
    instance_credentials: bool = false,
    /// Bucket in the path instead of the host name.
    use_path_style: bool = false,
    /// Timeout of one S3 request, without the body of its answer.
    client_timeout: Seconds = Seconds(30),
    /// CA certificates for the S3 server, PEM, besides those of the system.
    certificate_file: Option<PathBuf> = None,
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(set.cache_size, 0);
    }
}
