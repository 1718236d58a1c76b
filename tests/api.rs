//! The HTTP interface, by use.

/// The log of removals.
mod audit;
/// The best format for a client, and an answer in time.
mod auto;
/// AVIF files that come in.
mod avif_in;
/// Pictures that become AVIF.
mod avif_out;
/// Uploads and variants that are answered before they are made.
mod background;
/// Bytes that are not taken in again.
mod blocklist;
/// Pages of other sites.
mod browser;
/// Files that are not quite right, and what browsers make of them.
mod browsers;
/// Full queues, big work, one conversion for many.
mod busy;
/// Colours of clips.
mod clip_colours;
/// Messages in the streams of clips.
mod clip_messages;
/// The checklist of a drop-in, a test for each box.
mod contract;
/// Stored files that are not as they were stored.
mod damaged;
/// Clients that say how long they wait, and that ask where the time went.
mod deadline;
/// Removing, by owner and by content.
mod delete;
/// Media that are fetched from elsewhere and stay.
mod download;
/// Any bytes are a picture, for other projects' tests.
mod dummy;
/// What a client may not, and what it hears then.
mod errors;
/// Copies of the database, and life with a copy.
mod export;
/// Formats that are taken in and stored as others.
mod foreign;
/// Looking through everything there is.
mod hashes;
/// How the server is, and what it takes.
mod health;
/// HEIF from phones.
mod heif;
/// Small files that want much.
mod hostile;
/// Files that are taken in under their own names.
mod import;
/// The holder of the API key.
mod internal;
/// Jobs and long runs, as administrators see them.
mod jobs;
/// JPEG XL, in and out.
mod jxl;
/// The calls of Lemmy, one by one.
mod lemmy;
/// Lines of the log, their subjects and no secrets.
mod logs;
/// Formats that ImageMagick reads for us.
mod magick;
/// The sentences of refusals, and the numbers beside them.
mod messages;
/// What Prometheus reads.
mod metrics;
/// A file that stands in for missing ones.
mod not_found;
/// The description of the API.
mod openapi;
/// Originals: headers, ranges, conditions.
mod original;
/// For whom something is uploaded.
mod owners;
/// Pictures that look like others.
mod perceptual;
/// Variants.
mod process;
/// Media of other servers, under their URL.
mod proxy;
/// Long work over everything.
mod prune;
/// Lists of pictures that others publish.
mod published_lists;
/// A server that changes nothing.
mod read_only;
/// Small variants of large photographs.
mod reduced;
/// Uploads that are refused, and what is left of them: nothing.
mod refuse;
/// Files that break the rules of their format.
mod repaired;
/// Variants that nobody uses, and too many of them.
mod retention;
/// How much is stored, and files that nobody needs.
mod storage;
/// Drawings.
mod svg;
/// Uploads that are taken.
mod upload;
/// Somebody else is asked before a file is kept.
mod validation;
/// Clips, with a real ffmpeg and with broken ones.
mod video;
