//! Bytes in, bytes and facts out: the media engine of pict-rs.
//!
//! It contains detection, facts, limits, metadata cleaning, operations and codecs. It never uses a
//! file, a socket, a clock, a thread pool or a configuration, so it can be benchmarked and fuzzed
//! alone and run in a sandboxed process.
//!
//! Start reading at [`run()`]: all work on the bytes of a file is a [`Job`], which is data, and is
//! done by that function.

mod build;
mod clean;
mod codec;
mod colour;
mod control;
mod credits;
mod crop;
mod damage;
mod error;
mod facts;
mod format;
mod inspect;
mod job;
pub mod limits;
mod memory;
pub mod operation;
mod orient;
mod pdq;
mod preview;
mod repair;
mod resample;
mod rows;
mod small;
mod transform;
mod unsupported;

pub use build::{BuildFeature, build_features};
pub use codec::panics::panics_are_caught;
pub use codec::png::with_code;
pub use codec::video::{AudioCodec, Clip, ClipColours, VideoCodec};
pub use control::Control;
pub use damage::{Extent, Missing, Repaired};
pub use error::{Error, Result};
pub use facts::{ColourModel, Facts, Orientation};
pub use format::{Format, Kind, OutputFormat};
pub use job::{ClipFile, Done, Job, Kinds, Made, Piece, run};
pub use memory::{predicted_memory, preview_memory};
pub use pdq::{NotPdq, Pdq, PdqHash, Turned, near};
pub use preview::Preview;
pub use transform::{Output, Speed};
pub use unsupported::{Foreign, converted};

/// Whether JPEG decoding uses SIMD in this build. On x86-64 it needs `nasm` at build time.
pub const JPEG_SIMD: bool = cfg!(jpeg_simd);
