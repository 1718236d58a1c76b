//! The target of a request: an alias, or a URL whose copy has an alias. The alias of a URL changes
//! when its upstream has new bytes, and ends when the copy is removed, so work that no longer finds
//! it is retried with the current alias.

use std::sync::Arc;

use futures_util::FutureExt as _;

use crate::service::{proxy, takeover};
use crate::{Alias, Context, ErrorCode, Result, SourceUrl};

/// The target of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    /// An upload, or a copy by its alias.
    Alias(Alias),
    /// The copy of a remote file.
    Proxy(SourceUrl),
}

/// What to do for a URL that was not proxied yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Fetch it.
    Fetch,
    /// Refuse it.
    Refuse,
}

impl Target {
    /// Runs `work` with the alias of the target. If it fails with [`ErrorCode::AliasNotFound`], it
    /// is retried if the predecessor of a takeover has the alias, or the URL has another alias by
    /// now; if it fails with [`ErrorCode::LostFile`], it
    /// is retried after the copy was fetched again, if fetching is allowed.
    ///
    /// # Errors
    /// Those of [`takeover::bring`], of [`proxy::obtain`] or [`proxy::known`], and of `work`.
    pub async fn with_alias<T>(
        &self,
        ctx: &Arc<Context>,
        unknown: Unknown,
        work: impl AsyncFn(&Alias) -> Result<T>,
    ) -> Result<T> {
        let url = match self {
            Self::Alias(alias) => {
                return match work(alias).await {
                    Err(error) if error.code() == ErrorCode::AliasNotFound => {
                        match takeover::bring(ctx, alias).boxed().await? {
                            true => work(alias).await,
                            false => Err(error),
                        }
                    }
                    done => done,
                };
            }
            Self::Proxy(url) => url,
        };
        let find = async || match unknown {
            Unknown::Fetch => proxy::obtain(ctx, url).boxed().await,
            Unknown::Refuse => proxy::known(ctx, url).boxed().await,
        };
        let alias = find().await?;
        match work(&alias).await {
            // It was removed, or a newer copy has just replaced it.
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
                let found = proxy::renew(ctx, url).boxed().await?;
                work(&found).await
            }
            done => done,
        }
    }
}
