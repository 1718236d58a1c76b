//! A variant as it is asked for: in a format that is named, or in the best that the client can
//! show.

use std::sync::Arc;

use crate::accept::Accept;
use crate::query::ProcessRequest;
use crate::repo::Representation;
use crate::service::variant::Found;
use crate::service::{auto, background, variant};
use crate::{Alias, Context, Result};

/// What is asked for.
#[derive(Clone, Debug)]
pub enum Requested {
    /// In this format.
    Named(ProcessRequest),
    /// In any, of which this client can show some.
    Best(ProcessRequest, Accept),
}

/// What there is for it.
#[derive(Debug)]
pub struct Chosen {
    /// The content and the variant.
    pub found: Found,
    /// Set if the format was chosen for the client: whether a better one is on its way.
    pub fallback: Option<bool>,
}

impl Requested {
    /// The variant, made now if need be.
    ///
    /// # Errors
    /// As [`variant::get_or_make`].
    pub async fn variant(&self, ctx: &Arc<Context>, alias: &Alias) -> Result<Chosen> {
        Ok(match self {
            Self::Named(request) => variant::get_or_make(ctx, alias, request).await?.into(),
            Self::Best(request, accept) => auto::variant(ctx, alias, request, accept).await?.into(),
        })
    }

    /// The variant, if it was made before.
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

    /// Has it made some time.
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
    /// The variant itself.
    pub fn variant(&self) -> &Representation {
        &self.found.1
    }
}
