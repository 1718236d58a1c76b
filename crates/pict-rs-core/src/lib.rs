//! Everything pict-rs knows that is true without HTTP and without a command line.
//!
//! Start reading at [`Context`], which is opened once at start, then at [`service`], where
//! each use case has a file; [`worker`] does what services have queued. Services see everything;
//! `media`, `store`, `repo` and `fetch` do not know each other.

pub mod accept;
mod clock;
pub mod config;
mod context;
mod error;
pub mod fetch;
pub mod helper;
mod id;
#[cfg(feature = "migrate")]
pub mod legacy;
pub mod media;
mod metrics;
pub mod query;
pub mod repo;
pub mod scratch;
pub mod service;
mod state;
pub mod store;
mod task;
pub mod timing;
pub mod worker;

pub use config::Config;
pub use context::Context;
pub use error::{Error, ErrorCode, Result, UserMessage};
pub use id::{Alias, ContentKey, DeleteToken, Digest, ObjectKey, SourceUrl, UploadId, VariantKey};
