//! `[old_store]`: the store whose files are moved to the one of `[store]`, while the server serves
//! from both. Its keys are in [`super::place`].

use super::{OldStoreConfig, ServerConfig, StoreConfig, invalid};
use crate::Result;
use crate::store::BucketSettings;

/// The upper bound of `old_store.concurrency`: each takes memory for a file.
const MAX_CONCURRENCY: usize = 256;

impl OldStoreConfig {
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
    use super::super::StoreType;
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
}
