//! A requested variant: in a named format, or in the best one that the client can show.

use std::sync::Arc;

use futures_util::FutureExt as _;

use crate::accept::Accept;
use crate::query::ProcessRequest;
use crate::repo::Representation;
use crate::service::variant::Found;
use crate::service::{auto, background, variant};
use crate::{Alias, ContentKey, Context, Result};

/// The requested variant.
#[derive(Clone, Debug)]
pub enum Requested {
    /// In this format.
    Named(ProcessRequest),
    /// In the best format that this client accepts.
    Best(ProcessRequest, Accept),
}

/// The variant found for a request.
#[derive(Debug)]
pub struct Chosen {
    /// The content and the variant.
    pub found: Found,
    /// Set if the format was chosen for the client: whether a better one is being made.
    pub fallback: Option<bool>,
}

impl Requested {
    /// The variant, made now if needed.
    ///
    /// # Errors
    /// As [`variant::get_or_make`].
    pub async fn variant(&self, ctx: &Arc<Context>, alias: &Alias) -> Result<Chosen> {
        Ok(match self {
            Self::Named(request) => variant::get_or_make(ctx, alias, request).await?.into(),
            // On the heap, so that the future of the usual request stays small.
            Self::Best(request, accept) => {
                let answer = auto::variant(ctx, alias, request, accept).boxed();
                answer.await?.into()
            }
        })
    }

    /// The variant, if it exists.
    ///
    /// # Errors
    /// As [`variant::existing`] or [`auto::existing`].
    pub async fn existing(&self, ctx: &Context, alias: &Alias) -> Result<Option<Chosen>> {
        Ok(match self {
            Self::Named(request) => {
                let found = variant::existing(ctx, alias, request).await?;
                found.map(Chosen::from)
            }
            Self::Best(request, accept) => {
                let chosen = auto::existing(ctx, alias, request, accept).await?;
                chosen.map(Chosen::from)
            }
        })
    }

    /// Queues the variant.
    ///
    /// # Errors
    /// As [`background::process`].
    pub async fn in_background(&self, ctx: &Arc<Context>, alias: &Alias) -> Result<()> {
        match self {
            Self::Named(request) => background::process(ctx, alias, request).await,
            Self::Best(request, accept) => auto::in_background(ctx, alias, request, accept).await,
        }
    }
}

impl From<Found> for Chosen {
    fn from(found: Found) -> Self {
        Self {
            found,
            fallback: None,
        }
    }
}

impl From<auto::Answer> for Chosen {
    fn from(answer: auto::Answer) -> Self {
        Self {
            found: answer.found,
            fallback: Some(answer.is_fallback),
        }
    }
}

impl Chosen {
    /// The content that it was made from.
    pub fn content(&self) -> &ContentKey {
        self.found.0.hash()
    }

    /// The variant.
    pub fn variant(&self) -> &Representation {
        &self.found.1
    }
}
