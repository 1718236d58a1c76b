//! Use cases, one per file. Only they see media, store and repo together.

pub(crate) mod access;
pub mod auto;
pub mod background;
pub mod claim;
pub mod collect;
pub mod download;
pub(crate) mod dummy;
pub mod export;
pub mod find;
pub(crate) mod flight;
pub mod hashes;
pub mod health;
pub mod import;
pub(crate) mod known;
pub mod maintain;
pub mod moderate;
pub mod placeholder;
pub mod process;
pub mod proxy;
pub mod remove;
pub(crate) mod retention;
pub mod spool;
pub mod unanswered;
pub mod upload;
pub(crate) mod validate;
pub(crate) mod wake;
