//! The HTTP interface, by use.

/// Uploads and variants that are answered before they are made.
mod background;
/// Full queues, big work, one conversion for many.
mod busy;
/// Removing, by owner and by content.
mod delete;
/// Media that are fetched from elsewhere and stay.
mod download;
/// What a client may not, and what it hears then.
mod errors;
/// The holder of the API key.
mod internal;
/// Originals: headers, ranges, conditions.
mod original;
/// Variants.
mod process;
/// Media of other servers, under their URL.
mod proxy;
/// A server that changes nothing.
mod read_only;
/// Uploads that are refused, and what is left of them: nothing.
mod refuse;
/// Uploads that are taken.
mod upload;
