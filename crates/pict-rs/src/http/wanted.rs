//! The variant that a process URL asks for: in the format that it names, or with `process.auto` in
//! the best that its client can show.

use std::sync::Arc;

use actix_web::http::header::{self, CACHE_CONTROL, HeaderValue, VARY};
use actix_web::{HttpRequest, HttpResponse};
use pict_rs_core::accept::Accept;
use pict_rs_core::query::{self, ProcessRequest};
use pict_rs_core::repo::Representation;
use pict_rs_core::service::process::Found;
use pict_rs_core::service::{auto, background, process};
use pict_rs_core::{Alias, Context, Result};
use pict_rs_media::OutputFormat;

use super::request::Settings;

/// The extension that is no format.
pub const AUTO: &str = "auto";

/// What is asked for.
pub enum Wanted {
    /// In this format.
    Named(ProcessRequest),
    /// In any, of which this client can show some.
    Best(ProcessRequest, Accept),
}

/// What there is for it.
pub struct Chosen {
    /// The content and the variant.
    pub found: Found,
    /// Of `process.auto`: whether a better one is on its way.
    fallback: Option<bool>,
}

impl Wanted {
    /// From the extension and what of the query is not the subject.
    ///
    /// # Errors
    /// As [`ProcessRequest::parse`].
    pub fn parse(
        ctx: &Context,
        extension: &str,
        query: &str,
        request: &HttpRequest,
    ) -> Result<Self> {
        let filters = &ctx.config.media.filters.0;
        if ctx.config.media.strict_operations {
            query::refuse_unknown(query, filters)?;
        }
        if extension != AUTO {
            return ProcessRequest::parse(extension, query, filters).map(Self::Named);
        }
        // Stands for any, and the choice comes later.
        let any = OutputFormat::Jpeg.extension();
        let values = request.headers().get_all(header::ACCEPT);
        let values: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
        let accept = Accept::parse(&values.join(","));
        Ok(Self::Best(
            ProcessRequest::parse(any, query, filters)?,
            accept,
        ))
    }

    /// The variant, made now if need be.
    ///
    /// # Errors
    /// As [`process::variant`].
    pub async fn variant(&self, ctx: &Arc<Context>, alias: &Alias) -> Result<Chosen> {
        Ok(match self {
            Self::Named(request) => Chosen {
                found: process::variant(ctx, alias, request).await?,
                fallback: None,
            },
            Self::Best(request, accept) => auto::variant(ctx, alias, request, accept).await?.into(),
        })
    }

    /// The variant, if it was made before.
    ///
    /// # Errors
    /// As [`process::existing`].
    pub async fn existing(&self, ctx: &Context, alias: &Alias) -> Result<Option<Chosen>> {
        Ok(match self {
            Self::Named(request) => {
                let found = process::existing(ctx, alias, request).await?;
                found.map(|found| Chosen {
                    found,
                    fallback: None,
                })
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

impl From<auto::Answer> for Chosen {
    fn from(answer: auto::Answer) -> Self {
        Self {
            found: answer.found,
            fallback: Some(answer.is_fallback),
        }
    }
}

impl Chosen {
    /// What is to be served.
    pub fn variant(&self) -> &Representation {
        &self.found.1
    }

    /// Tells caches on what the answer depends, beside what it depends on already.
    pub fn mark_choice(&self, response: &mut HttpResponse) {
        if self.fallback.is_some() {
            let accept = HeaderValue::from_static("Accept");
            response.headers_mut().append(VARY, accept);
        }
    }

    /// As [`Chosen::mark_choice`], and for how long.
    pub fn mark(&self, settings: &Settings, response: &mut HttpResponse) {
        let Some(is_fallback) = self.fallback else {
            return;
        };
        self.mark_choice(response);
        let headers = response.headers_mut();
        if is_fallback && headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, settings.fallback_cache_control.clone());
        }
    }
}
