//! The part of pict-rs that needs neither HTTP nor a command line.
//!
//! Start reading at [`Context`], which is opened once at start, then at [`service`], where each use
//! case has a file; [`worker`] runs the jobs that services queue. Services may use everything;
//! `media`, `store`, `repo` and `fetch` are independent of each other.

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
pub mod requester;
pub mod sandbox;
pub mod scratch;
pub mod service;
mod state;
pub mod store;
pub mod system;
mod task;
pub mod timing;
mod tls;
pub mod worker;

pub use config::Config;
pub use context::Context;
pub use error::{Error, ErrorCode, Result, UserMessage};
pub use id::{
    Alias, ContentKey, DeleteToken, Digest, ObjectKey, Owner, SourceUrl, UploadId, VariantKey,
};
