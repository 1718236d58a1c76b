//! Bytes in, bytes and facts out: the media engine of pict-rs.
//!
//! It owns detection, facts, limits, metadata cleaning, operations and codecs. It never
//! touches a file, a socket, a clock, a thread pool or a configuration, so it can be
//! benchmarked and fuzzed alone and run in a sandboxed process.
//!
//! Start reading at [`inspect`] (what is this file?), then [`clean()`] (drop metadata without
//! re-encoding) and [`transform()`] (make a variant).

mod clean;
mod codec;
mod control;
mod error;
mod facts;
mod format;
mod inspect;
pub mod limits;
pub mod operation;
mod preview;
mod rows;
mod transform;

pub use clean::{Cleaned, clean, clean_memory};
pub use control::Control;
pub use error::{Error, Result};
pub use facts::{ColourModel, Facts, Orientation};
pub use format::{Format, Kind, OutputFormat};
pub use inspect::inspect;
pub use preview::{blurhash, preview_memory};
pub use transform::{Output, Speed, Transformed, predicted_memory, transform};
