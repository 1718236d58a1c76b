//! Work on a file, as data, and the function that does it.
//!
//! A [`Job`] contains only values, so that it can be serialised and passed to another process. The
//! file is not part of it. [`Job::memory`] estimates the required memory in advance, and [`run()`]
//! does the work.

use std::borrow::Cow;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::clean::clean;
use crate::codec::video::{clip, without_messages};
use crate::inspect::{inspect, is_svg};
use crate::limits::Bounds;
use crate::memory::{clean_memory, predicted_memory, preview_memory};
use crate::operation::Operation;
use crate::preview::{Preview, preview, preview_of_cleaned};
use crate::repair::repair;
use crate::transform::{transform, transform_frame};
use crate::unsupported::{foreign, rare_kind};
use crate::{Clip, Control, Error, Facts, Foreign, Output, Repaired, Result};

/// What to do with a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Job {
    /// Read its facts and check them against limits. Returns [`Done::Facts`]. No shown pixel is
    /// decoded.
    Inspect(Bounds),
    /// Determine whether another program must read it. Returns [`Done::Kinds`].
    Recognise,
    /// Repair a damaged file, so that it can be inspected. Returns [`Done::Repaired`].
    Repair(Bounds),
    /// Drop its metadata, without decoding it if possible. Returns [`Done::Made`].
    Keep {
        /// The facts of the file.
        facts: Facts,
        /// Whether the result keeps author and copyright.
        credits: bool,
        /// Whether to compute its hashes, which also proves that the pixels can be decoded.
        preview: bool,
    },
    /// Apply operations and encode the result. Returns [`Done::Made`].
    Convert {
        /// The facts of the file.
        facts: Facts,
        /// The operations, in order.
        operations: Vec<Operation>,
        /// The output options.
        output: Output,
        /// One frame of an animation, counted from 1; the result is then a still.
        frame: Option<u32>,
        /// Whether to compute the hashes of the result.
        preview: bool,
    },
    /// Encode some frames as separate stills. Returns [`Done::Stills`].
    Stills {
        /// The facts of the file.
        facts: Facts,
        /// The frames, counted from 1.
        frames: Vec<u32>,
        /// The output options.
        output: Output,
    },
    /// Compute its hashes. Returns [`Done::Preview`].
    Preview(Facts),
    /// Read the container of a clip. Returns [`Done::Clip`].
    Clip,
}

impl Job {
    /// An upper estimate, in bytes, of the memory that the job needs for a file of `size` bytes,
    /// including the file. A job with [`Bounds`] stays within their memory, or reports how much
    /// more it needs.
    pub fn memory(&self, size: u64) -> u64 {
        let preview = |facts, wanted| if wanted { preview_memory(facts) } else { 0 };
        let work = match self {
            Self::Inspect(bounds) | Self::Repair(bounds) => bounds.memory,
            // Only headers are read.
            Self::Recognise | Self::Clip => return 0,
            Self::Keep {
                facts,
                preview: wanted,
                ..
            } => clean_memory(facts).max(preview(facts, *wanted)),
            Self::Convert {
                facts,
                operations,
                output,
                preview: wanted,
                ..
            } => {
                let convert = predicted_memory(facts, operations, output);
                // The result is never larger than the source.
                convert.max(preview(facts, *wanted))
            }
            Self::Stills { facts, output, .. } => predicted_memory(facts, &[], output),
            Self::Preview(facts) => preview_memory(facts),
        };
        size.saturating_add(work)
    }

    /// The bounds of a job that determines its memory while it runs.
    pub fn bounds_mut(&mut self) -> Option<&mut Bounds> {
        match self {
            Self::Inspect(bounds) | Self::Repair(bounds) => Some(bounds),
            _ => None,
        }
    }
}

/// The result of a [`Job`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Done {
    /// The facts of the file.
    Facts(Facts),
    /// Which program must read the file.
    Kinds(Kinds),
    /// The repaired file; `None` if its format cannot be repaired, or too little of it is left.
    Repaired(Option<Repaired>),
    /// A new file.
    Made(Made),
    /// New files, in the order requested.
    Stills(Vec<Vec<u8>>),
    /// The hashes of a picture.
    Preview(Preview),
    /// The contents of a clip's container.
    Clip(ClipFile),
}

/// What the first bytes and headers tell about who can read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kinds {
    /// Whether it is an SVG. A server may not want to render SVG from untrusted clients. Always
    /// false in a build without the feature `svg`.
    pub svg: bool,
    /// Set if another program must convert the file.
    pub foreign: Option<Foreign>,
    /// Set if another program could convert the file, in case decoding reveals that the engine
    /// cannot read it.
    pub rare: Option<Foreign>,
}

/// A new file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Its parts, in order.
    pub pieces: Vec<Piece>,
    /// Its facts.
    pub facts: Facts,
    /// Its hashes, if requested.
    pub preview: Option<Preview>,
}

impl Made {
    /// Joins the pieces. `source` is the file that the job was done on.
    ///
    /// # Errors
    /// As [`Piece::bytes`].
    pub fn into_bytes(self, source: &[u8]) -> Result<Vec<u8>> {
        match <[Piece; 1]>::try_from(self.pieces) {
            Ok([Piece::Made(bytes)]) => Ok(bytes),
            Ok([piece]) => Ok(piece.bytes(source)?.to_vec()),
            Err(pieces) => {
                let parts = pieces.iter().map(|piece| piece.bytes(source));
                Ok(parts.collect::<Result<Vec<_>>>()?.concat())
            }
        }
    }
}

/// A clip prepared for another program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClipFile {
    /// The contents of its container.
    pub clip: Clip,
    /// The file without messages that the program would copy, in order.
    pub pieces: Vec<Piece>,
}

/// A part of a new file. Most parts of a cleaned file are ranges of the source, so that no data is
/// in memory twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Piece {
    /// These bytes of the source.
    Source(Range<usize>),
    /// Other bytes.
    Made(Vec<u8>),
}

impl Piece {
    /// Its bytes. `source` is the file that the job was done on.
    ///
    /// # Errors
    /// [`Error::Internal`] when `source` is another file that ends before the piece does.
    pub fn bytes<'a>(&'a self, source: &'a [u8]) -> Result<&'a [u8]> {
        match self {
            Self::Source(range) => source
                .get(range.clone())
                .ok_or_else(|| Error::Internal("a piece lies beyond the end of its file".into())),
            Self::Made(bytes) => Ok(bytes),
        }
    }

    fn of(piece: Cow<'_, [u8]>, source: &[u8]) -> Self {
        match piece {
            Cow::Owned(bytes) => Self::Made(bytes),
            Cow::Borrowed(bytes) => {
                // Only the addresses are compared. Constants are borrowed too, but are outside the
                // source.
                let start = bytes.as_ptr().addr().checked_sub(source.as_ptr().addr());
                let range = start.and_then(|start| Some(start..start.checked_add(bytes.len())?));
                match range {
                    Some(range) if range.end <= source.len() => Self::Source(range),
                    _ => Self::Made(bytes.to_vec()),
                }
            }
        }
    }
}

fn pieces(pieces: Vec<Cow<'_, [u8]>>, source: &[u8]) -> Vec<Piece> {
    let pieces = pieces.into_iter();
    pieces.map(|piece| Piece::of(piece, source)).collect()
}

/// Does the job on a file. `control` cancels it.
///
/// # Errors
/// - [`Error::Empty`] and [`Error::Unrecognised`] when the inspected file is empty or unknown.
/// - [`Error::Unsupported`] for formats that this build cannot read, for keeping a format that is
///   never kept, for a frame that does not exist, and for outputs that cannot represent the result.
/// - [`Error::Corrupt`] when the container is invalid, or pixels cannot be decoded.
/// - [`Error::Limit`] when the file exceeds the bounds of the job.
/// - [`Error::Cancelled`] through `control`.
pub fn run(job: &Job, source: &[u8], control: &Control) -> Result<Done> {
    Ok(match job {
        Job::Inspect(bounds) => Done::Facts(inspect(source, bounds, control)?),
        Job::Recognise => {
            control.check()?;
            Done::Kinds(Kinds {
                svg: is_svg(source),
                foreign: foreign(source, control),
                rare: rare_kind(source),
            })
        }
        Job::Repair(bounds) => Done::Repaired(repair(source, bounds, control)?),
        Job::Keep {
            facts,
            credits,
            preview,
        } => {
            let mut cleaned = clean(source, facts, control)?;
            if *credits {
                cleaned = cleaned.with_credits(source, control);
            }
            let preview = preview.then(|| preview_of_cleaned(&cleaned, source, facts, control));
            Done::Made(Made {
                pieces: pieces(cleaned.pieces, source),
                facts: cleaned.facts,
                preview: preview.transpose()?,
            })
        }
        Job::Convert {
            facts,
            operations,
            output,
            frame,
            preview: wants_preview,
        } => {
            let made = match *frame {
                None => transform(source, facts, operations, output, control)?,
                Some(frame) => transform_frame(source, facts, frame, operations, output, control)?,
            };
            let preview = wants_preview.then(|| preview(&made.bytes, &made.facts, control));
            let preview = preview.transpose()?;
            Done::Made(Made {
                pieces: vec![Piece::Made(made.bytes)],
                facts: made.facts,
                preview,
            })
        }
        Job::Stills {
            facts,
            frames,
            output,
        } => {
            let still = |frame: &u32| {
                let made = transform_frame(source, facts, *frame, &[], output, control)?;
                Ok(made.bytes)
            };
            Done::Stills(frames.iter().map(still).collect::<Result<_>>()?)
        }
        Job::Preview(facts) => Done::Preview(preview(source, facts, control)?),
        Job::Clip => {
            control.check()?;
            Done::Clip(ClipFile {
                clip: clip(source, control)?,
                pieces: pieces(without_messages(source), source),
            })
        }
    })
}

/// The error when the result is not of the kind that the caller asked for.
fn other() -> Error {
    Error::Internal("a job returned a different result than it was asked for".into())
}

impl Done {
    /// The bytes of all files in it, in order. Another process passes them on outside of the text that
    /// the rest becomes.
    pub fn files_mut(&mut self) -> Vec<&mut Vec<u8>> {
        fn made(pieces: &mut [Piece]) -> Vec<&mut Vec<u8>> {
            let pieces = pieces.iter_mut();
            let files = pieces.filter_map(|piece| match piece {
                Piece::Made(bytes) => Some(bytes),
                Piece::Source(_) => None,
            });
            files.collect()
        }
        match self {
            Self::Facts(_) | Self::Kinds(_) | Self::Preview(_) => Vec::new(),
            Self::Repaired(repaired) => {
                let repaired = repaired.iter_mut();
                repaired.map(|repaired| &mut repaired.bytes).collect()
            }
            Self::Made(file) => made(&mut file.pieces),
            Self::Stills(stills) => stills.iter_mut().collect(),
            Self::Clip(clip) => made(&mut clip.pieces),
        }
    }

    /// The parts of the file in it, if it may have several.
    pub fn pieces_mut(&mut self) -> Option<&mut Vec<Piece>> {
        match self {
            Self::Made(file) => Some(&mut file.pieces),
            Self::Clip(clip) => Some(&mut clip.pieces),
            _ => None,
        }
    }

    /// The result of [`Job::Inspect`].
    ///
    /// # Errors
    /// [`Error::Internal`] when it is the result of another job.
    pub fn facts(self) -> Result<Facts> {
        match self {
            Self::Facts(facts) => Ok(facts),
            _ => Err(other()),
        }
    }

    /// The result of [`Job::Recognise`].
    ///
    /// # Errors
    /// As [`Done::facts`].
    pub fn kinds(self) -> Result<Kinds> {
        match self {
            Self::Kinds(kinds) => Ok(kinds),
            _ => Err(other()),
        }
    }

    /// The result of [`Job::Repair`].
    ///
    /// # Errors
    /// As [`Done::facts`].
    pub fn repaired(self) -> Result<Option<Repaired>> {
        match self {
            Self::Repaired(repaired) => Ok(repaired),
            _ => Err(other()),
        }
    }

    /// The result of [`Job::Keep`] and [`Job::Convert`].
    ///
    /// # Errors
    /// As [`Done::facts`].
    pub fn made(self) -> Result<Made> {
        match self {
            Self::Made(made) => Ok(made),
            _ => Err(other()),
        }
    }

    /// The result of [`Job::Stills`].
    ///
    /// # Errors
    /// As [`Done::facts`].
    pub fn stills(self) -> Result<Vec<Vec<u8>>> {
        match self {
            Self::Stills(stills) => Ok(stills),
            _ => Err(other()),
        }
    }

    /// The result of [`Job::Preview`].
    ///
    /// # Errors
    /// As [`Done::facts`].
    pub fn preview(self) -> Result<Preview> {
        match self {
            Self::Preview(preview) => Ok(preview),
            _ => Err(other()),
        }
    }

    /// The result of [`Job::Clip`].
    ///
    /// # Errors
    /// As [`Done::facts`].
    pub fn clip(self) -> Result<ClipFile> {
        match self {
            Self::Clip(clip) => Ok(clip),
            _ => Err(other()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Format, Missing, OutputFormat, Speed};

    /// A small file of each format.
    const FILES: [&str; 20] = [
        "moving.apng",
        "moving.avif",
        "moving.gif",
        "moving.jxl",
        "moving.webp",
        "still.avif",
        "still.gif",
        "still.jpeg",
        "still.jxl",
        "still.png",
        "still.ppm",
        "still.webp",
        "clip.mp4",
        "clip.webm",
        "still.heic",
        "still.tiff",
        "still.bmp",
        "still.ico",
        "still.qoi",
        "still.svg",
    ];

    fn file(name: &str) -> Vec<u8> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/formats/");
        std::fs::read([folder, name].concat()).expect("a test file can be read")
    }

    fn facts(source: &[u8]) -> Result<Facts> {
        run(&Job::Inspect(Bounds::NONE), source, &Control::new())?.facts()
    }

    const OUTPUT: Output = Output {
        format: OutputFormat::Webp,
        quality: Some(80),
        lossless: false,
        speed: Speed::Quality,
    };

    fn keep(facts: Facts) -> Job {
        Job::Keep {
            facts,
            credits: true,
            preview: true,
        }
    }

    /// All kinds of jobs for a file with these facts.
    fn jobs(facts: &Facts) -> Vec<Job> {
        vec![
            Job::Inspect(Bounds::NONE),
            Job::Recognise,
            Job::Repair(Bounds::NONE),
            keep(facts.clone()),
            Job::Convert {
                facts: facts.clone(),
                operations: vec![Operation::Thumbnail(16), Operation::Blur(1.5)],
                output: OUTPUT,
                frame: Some(1),
                preview: true,
            },
            Job::Stills {
                facts: facts.clone(),
                frames: vec![1],
                output: OUTPUT,
            },
            Job::Preview(facts.clone()),
            Job::Clip,
        ]
    }

    #[test]
    fn the_files_are_of_every_format() {
        for format in Format::all().filter(|format| format.is_readable()) {
            let is_one = |name: &&str| facts(&file(name)).is_ok_and(|f| f.format == format);
            assert!(FILES.iter().any(is_one), "{format}");
        }
    }

    #[test]
    fn jobs_and_what_comes_of_them_can_be_written_down() {
        for name in ["still.jpeg", "moving.gif", "clip.mp4"] {
            let source = file(name);
            for job in jobs(&facts(&source).expect("is read")) {
                let text = serde_json::to_string(&job).expect("can be written");
                let again: Job = serde_json::from_str(&text).expect("can be read");
                assert_eq!(again, job);
                let control = Control::new();
                let Ok(done) = run(&job, &source, &control) else {
                    continue;
                };
                assert_eq!(run(&again, &source, &control).ok().as_ref(), Some(&done));
                let text = serde_json::to_string(&done).expect("can be written");
                let again: Done = serde_json::from_str(&text).expect("can be read");
                assert_eq!(again, done);
            }
        }
        let error = Error::from(Missing {
            format: Format::Png,
            there: crate::Extent::Rows(1, 2),
        });
        let text = serde_json::to_string(&error).expect("can be written");
        let again: Error = serde_json::from_str(&text).expect("can be read");
        assert_eq!(again.to_string(), error.to_string());
    }

    #[test]
    fn what_is_kept_borrows_from_the_source() {
        let source = file("still.png");
        let job = keep(facts(&source).expect("is read"));
        let made = run(&job, &source, &Control::new()).and_then(Done::made);
        let made = made.expect("is kept");
        let borrowed = |piece: &Piece| matches!(piece, Piece::Source(_));
        assert!(made.pieces.iter().any(borrowed), "{:?}", made.pieces);
        let other = source.split_at(20).0;
        assert!(made.pieces.iter().any(|piece| piece.bytes(other).is_err()));
        let again = made.into_bytes(&source).expect("is of this source");
        facts(&again).expect("is a whole file");
    }

    #[test]
    fn one_job_does_not_pass_for_another() {
        let source = file("still.png");
        let done = run(&Job::Recognise, &source, &Control::new()).expect("works");
        assert!(matches!(done.clone().facts(), Err(Error::Internal(_))));
        assert!(done.kinds().is_ok());
    }

    /// Work can be cancelled at every check of its control.
    #[test]
    fn inspecting_and_cleaning_stop_when_they_are_told_to() {
        for name in FILES {
            let source = file(name);
            let Ok(facts) = facts(&source) else {
                let is_optional = ["still.heic", "still.svg"].contains(&name);
                assert!(is_optional, "{name} is not read");
                continue;
            };
            let mut jobs = vec![Job::Inspect(Bounds::NONE)];
            if facts.format.is_kept() && facts.kind() != crate::Kind::Video {
                jobs.push(Job::Keep {
                    facts,
                    credits: false,
                    preview: false,
                });
            }
            for job in jobs {
                let control = Control::new();
                run(&job, &source, &control).expect("works");
                let looks = control.looks.taken();
                // One check before the work begins, and one after it when a file is inspected.
                let around = if matches!(job, Job::Inspect(_)) { 2 } else { 1 };
                assert!(looks > around, "{name} {job:?} never looks");
                for look in 1..=looks {
                    let control = Control::new();
                    control.looks.cancel_at(look);
                    let outcome = run(&job, &source, &control);
                    let is_cancelled = matches!(outcome, Err(Error::Cancelled));
                    assert!(is_cancelled, "{name} {job:?} at look {look}: {outcome:?}");
                    // The cancellation is passed on at once, not after other work.
                    let after = control.looks.taken() - look;
                    assert!(after <= 2, "{name} {job:?} looks {after} times more");
                }
            }
        }
    }
}
