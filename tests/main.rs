//! All integration tests, as one program. The server runs as a process of its own and is
//! spoken to over a socket; nothing here looks inside it.

/// Servers, clients, pictures, looks at the disk.
mod support;

/// Pages for administrators.
mod admin_pages;
/// What HTTP clients see, one file for each use.
mod api;
/// A copy of the database, and the way back.
mod backup;
/// What a browser sees of uploads, stored files and variants.
mod browser;
/// One budget for all that is stored, and how it fills.
mod budget;
/// Caches in front that are told of removals: nginx, Varnish, and the requests that services want.
mod caches;
/// Metadata goes, pixels and colour profiles stay.
mod cleaning;
/// Arguments, exit codes and messages of a program that does not serve.
mod cli;
/// Programs of others that speak to a server.
mod clients;
/// Pictures in other colours than sRGB.
mod colours;
/// Compose files, on servers that are no containers.
mod compose;
/// The differential driver, against two servers of ours.
mod conform;
/// Files that others test with.
mod corpus;
/// Death in the middle of work, and what the next start finds.
mod crash;
/// Static binaries, on every processor, with their packages.
mod cross;
/// What the documentation shows, done.
mod docs;
/// A receiver of events that is down, slow or picky.
mod events;
/// One row for each format, in and out.
mod formats;
/// Database and files held against each other.
mod fsck;
/// A disk without room.
mod full_disk;
/// Disks that are not mounted and clocks that are wrong.
mod guard;
/// ffmpeg and ImageMagick, and hostile ones.
mod helpers;
/// Bytes that change no pixel.
mod leftovers;
/// Every format as every other, on every processor.
mod matrix;
/// Memory that is taken, and given back.
mod memory;
/// Data of the existing pict-rs, taken over.
mod migrate;
/// A database that moves to the other engine.
mod move_repo;
/// Files that move to another store.
mod move_store;
/// Several servers on one database.
mod multinode;
/// A real nginx in front.
mod nginx;
/// A database or a bucket that is away, full, read-only or refuses its users.
mod outages;
/// Pages for people.
mod pages;
/// Recipes of distributions that are not here.
mod recipes;
/// The database: one suite for whatever is behind `Repo`.
mod repo;
/// A server whose files are in a bucket.
mod s3;
/// Decoders in processes of their own, and hostile ones.
mod sandbox;
/// Clients that read or send slowly, or not at all.
mod slow_clients;
/// A server that starts, stops, logs, or refuses to.
mod start;
/// The bytes: one suite for whatever is behind `Store`.
mod store;
/// A running server, taken over.
mod takeover;
/// Rules about the files of this repository.
mod tidy;
/// A server that speaks TLS.
mod tls;
/// Spans that reach a collector.
mod traces;
/// What is stored of a file, judged.
mod verify;
