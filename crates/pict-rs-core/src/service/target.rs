//! What a request is about: an alias, or a URL whose copy we keep under one. The alias of a URL
//! changes when its upstream has newer bytes and ends when the copy is removed, so work that finds
//! it gone is done once more for the alias of now.

use std::sync::Arc;

use crate::service::proxy;
use crate::{Alias, Context, ErrorCode, Result, SourceUrl};

/// What a request is about.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    /// Something that was uploaded, or a copy by its name.
    Alias(Alias),
    /// The copy of what another server has.
    Proxy(SourceUrl),
}

/// What to do about a URL that was not proxied yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Fetch it.
    Fetch,
    /// Refuse it.
    Refuse,
}

impl Target {
    /// Does `work` for the alias that is meant. Work that ends with [`ErrorCode::AliasNotFound`] is
    /// repeated if the URL has got another alias meanwhile; work that ends with
    /// [`ErrorCode::LostFile`] is repeated after the copy was fetched again, if it may be fetched.
    ///
    /// # Errors
    /// Those of [`proxy::obtain`] or [`proxy::known`], and of `work`.
    pub async fn with_alias<T>(
        &self,
        ctx: &Arc<Context>,
        unknown: Unknown,
        work: impl AsyncFn(&Alias) -> Result<T>,
    ) -> Result<T> {
        let url = match self {
            Self::Alias(alias) => return work(alias).await,
            Self::Proxy(url) => url,
        };
        let find = async || match unknown {
            Unknown::Fetch => proxy::obtain(ctx, url).await,
            Unknown::Refuse => proxy::known(ctx, url).await,
        };
        let alias = find().await?;
        match work(&alias).await {
            // It was removed, or a newer copy has taken its place just now.
            Err(error) if error.code() == ErrorCode::AliasNotFound => {
                proxy::forget(ctx, url);
                let found = find().await?;
                if found == alias {
                    return Err(error);
                }
                work(&found).await
            }
            Err(error) if error.code() == ErrorCode::LostFile && unknown == Unknown::Fetch => {
                tracing::error!(
                    source = url.loggable(),
                    "a proxied copy is lost and is fetched again: {error}"
                );
                let found = proxy::renew(ctx, url).await?;
                work(&found).await
            }
            done => done,
        }
    }
}
