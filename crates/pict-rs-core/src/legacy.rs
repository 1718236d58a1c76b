//! Reads the database of the existing pict-rs for migration.
//!
//! Of a sled or PostgreSQL database of version 0.5 or 0.6, or a fjall database of 0.6, only what cannot
//! be recreated is read: contents, their aliases and tokens, the URLs of proxied ones, and the alias of
//! the placeholder. Variants, jobs and unclaimed uploads are not. Nothing is written to it. Start
//! reading at [`Existing::open`].

mod copy;
mod embedded;
mod fjall;
mod names;
mod postgres;
mod sled;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::repo::{
    FJALL_FOLDER, SLED_FOLDER, Server, ServerSettings, is_fjall, is_sled, what_is_in,
};
use crate::task::blocking;
use crate::{Alias, ContentKey, DeleteToken, Error, ErrorCode, Result};
use embedded::OldTables;

/// What keeps a database in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Library {
    Sled,
    Fjall,
}

/// Contents that are read ahead.
const AHEAD: usize = 100;
/// How long is waited for a database server that cannot be reached.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a database of the existing pict-rs is.
#[derive(Clone, Debug)]
pub enum OldDatabase {
    /// In the folder that `repo.path` names in its configuration.
    Folder(PathBuf),
    /// On a PostgreSQL server.
    Server(Box<Server>),
}

impl OldDatabase {
    /// Reads a folder or a URL, which the option or setting `key` gives.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`].
    pub fn parse(key: &str, text: &str) -> Result<Self> {
        let is_url = ["postgres:", "postgresql:"]
            .iter()
            .any(|scheme| text.starts_with(scheme));
        if !is_url {
            return Ok(Self::Folder(text.into()));
        }
        let server = Server::new(&ServerSettings {
            key,
            url: text,
            use_tls: false,
            certificate_file: None,
            max_connections: 2,
            patience: PATIENCE,
        })?;
        Ok(Self::Server(server.into()))
    }
}

/// A database of the existing pict-rs.
#[derive(Debug)]
pub struct Existing(Opened);

#[derive(Debug)]
enum Opened {
    Folder {
        /// Closed before its folder is removed.
        database: Arc<OldTables>,
        _copy: tempfile::TempDir,
    },
    Postgres(Arc<postgres::Tables>),
}

/// The files that a database names. Paths are kept as 64-bit hashes, so that millions of them fit
/// into memory; collisions are practically impossible.
#[derive(Debug, Default)]
pub struct Files(Vec<u64>);

impl Files {
    fn new(mut files: Vec<u64>) -> Self {
        files.sort_unstable();
        Self(files)
    }

    /// Whether the database names this file; the path is relative to the folder of files.
    pub fn contains(&self, file: &Path) -> bool {
        let hash = hash_of(file.as_os_str().as_encoded_bytes());
        self.0.binary_search(&hash).is_ok()
    }
}

fn hash_of(path: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}

/// One uploaded file, with all its aliases.
#[derive(Clone, Debug)]
pub struct LegacyContent {
    /// Digest and size of its bytes as they were stored, and their format.
    pub key: ContentKey,
    /// Path of its bytes, relative to the folder of files.
    pub file: PathBuf,
    /// Unix time in milliseconds.
    pub created_at: i64,
    /// Its blurhash, if one was computed.
    pub blurhash: Option<String>,
    /// Its details, if there are any.
    pub details: Option<Details>,
    /// Its aliases.
    pub names: Vec<Name>,
}

/// An alias of a content.
#[derive(Clone, Debug)]
pub struct Name {
    /// The public name.
    pub alias: Alias,
    /// The secret that deletes it.
    pub token: DeleteToken,
    /// The URL it was fetched from, if it is proxied.
    pub url: Option<String>,
}

/// Details that the existing pict-rs stored about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Details {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// For animations and clips.
    #[serde(default)]
    pub frames: Option<u32>,
}

impl Existing {
    /// Opens the database of an existing pict-rs, which must not be running. Of a database in a
    /// folder a copy is opened, because the libraries write to what they open. The copy is in the folder
    /// `scratch` and is removed when this is dropped.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] when there is no readable database, or it is in use;
    /// [`ErrorCode::AlreadyRunning`] when others are connected to it;
    /// [`ErrorCode::FileIoError`] when it cannot be copied.
    pub async fn open(origin: &OldDatabase, scratch: &Path) -> Result<Self> {
        let folder = match origin {
            OldDatabase::Folder(folder) => folder.clone(),
            OldDatabase::Server(server) => {
                let database = postgres::Tables::open(server).await?;
                database.refuse_if_in_use().await?;
                return Ok(Self(Opened::Postgres(database.into())));
            }
        };
        let scratch = scratch.to_owned();
        blocking(move || Self::open_folder(&folder, &scratch)).await
    }

    fn open_folder(folder: &Path, scratch: &Path) -> Result<Self> {
        let find = |inside: &str, is_one: fn(&Path) -> bool| {
            let inside = folder.join(inside);
            [inside.as_path(), folder]
                .into_iter()
                .find(|folder| is_one(folder))
                .map(Path::to_owned)
        };
        let (place, library) = if let Some(place) = find(SLED_FOLDER, is_sled) {
            (place, Library::Sled)
        } else if let Some(place) = find(FJALL_FOLDER, is_fjall) {
            (place, Library::Fjall)
        } else {
            return Err(nothing_in(folder));
        };
        let copy = copy::of(&place, library, scratch)?;
        let opened = unless_it_panics(|| {
            Ok(match library {
                Library::Sled => OldTables::new(sled::Trees::open(copy.path())?),
                Library::Fjall => OldTables::new(fjall::Paths::open(copy.path())?),
            })
        });
        let database = opened.map_err(|error| copy::advice(&place, library, error))?;
        Ok(Self(Opened::Folder {
            database: database.into(),
            _copy: copy,
        }))
    }

    /// How many contents there are.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn count(&self) -> Result<u64> {
        match &self.0 {
            Opened::Folder { database, .. } => {
                let database = database.clone();
                blocking(move || unless_it_panics(|| database.count())).await
            }
            Opened::Postgres(database) => database.count().await,
        }
    }

    /// All contents, oldest first. Unreadable contents are errors that name them.
    pub fn contents(&self) -> Contents {
        let (sender, contents) = mpsc::channel(AHEAD);
        match &self.0 {
            Opened::Folder { database, .. } => {
                let database = database.clone();
                tokio::task::spawn_blocking(move || send(database.contents(), &sender));
            }
            Opened::Postgres(database) => {
                let database = database.clone();
                tokio::spawn(async move {
                    if let Err(error) = database.send_contents(&sender).await {
                        // The receiver may be gone.
                        let _ = sender.send(Err(error)).await;
                    }
                });
            }
        }
        Contents(contents)
    }

    /// Inconsistencies in the database, for people. Empty for an intact one, and where foreign keys
    /// exclude them.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn contradictions(&self) -> Result<Vec<String>> {
        match &self.0 {
            Opened::Folder { database, .. } => {
                let database = database.clone();
                blocking(move || unless_it_panics(|| database.contradictions())).await
            }
            Opened::Postgres(_) => Ok(Vec::new()),
        }
    }

    /// All files that the database names, including variants.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn files(&self) -> Result<Files> {
        match &self.0 {
            Opened::Folder { database, .. } => {
                let database = database.clone();
                let mut files = Vec::new();
                blocking(move || {
                    unless_it_panics(|| database.each_file(|file| files.push(hash_of(file))))?;
                    Ok(Files::new(files))
                })
                .await
            }
            Opened::Postgres(database) => database.files().await,
        }
    }

    /// The alias of the placeholder for missing media.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn not_found_alias(&self) -> Result<Option<Alias>> {
        match &self.0 {
            Opened::Folder { database, .. } => database.not_found_alias(),
            Opened::Postgres(database) => database.not_found_alias().await,
        }
    }
}

/// Aliases in the PostgreSQL database of an existing pict-rs that may be running.
#[derive(Debug)]
pub(crate) struct Names(postgres::Tables);

impl Names {
    /// Connects when they are asked for.
    pub(crate) fn at(server: &Server) -> Self {
        Self(postgres::Tables::at(server))
    }

    /// Those of these aliases that are there.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub(crate) async fn find(&self, aliases: &[Alias]) -> Result<Vec<Name>> {
        self.0.find(aliases).await
    }
}

/// Contents that are being read. Dropping it ends that.
#[derive(Debug)]
pub struct Contents(Receiver<Result<LegacyContent>>);

impl Contents {
    /// The next one; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<LegacyContent>> {
        self.0.recv().await
    }
}

/// Sends contents until there is no receiver. Blocks.
fn send(
    mut contents: impl Iterator<Item = Result<LegacyContent>>,
    to: &Sender<Result<LegacyContent>>,
) {
    loop {
        let next = match unless_it_panics(|| Ok(contents.next())) {
            Ok(Some(content)) => content,
            Ok(None) => return,
            Err(error) => {
                // The library cannot continue after an error.
                let _ = to.blocking_send(Err(error));
                return;
            }
        };
        if to.blocking_send(next).is_err() {
            return;
        }
    }
}

fn nothing_in(folder: &Path) -> Error {
    let place = folder.display();
    let message = match what_is_in(folder).filter(|what| what.starts_with("fjall")) {
        Some(what) => format!(
            "{place} holds a {what}, which cannot be read: let pict-rs 0.6 start with it once, which makes \
             one in {FJALL_FOLDER} of it, see docs/deployment.md"
        ),
        None => format!(
            "{place} holds no sled or fjall database of pict-rs 0.5 or 0.6, which is a folder {SLED_FOLDER} \
             with the files conf and db, or a folder {FJALL_FOLDER} with the folder keyspaces"
        ),
    };
    Error::user(ErrorCode::ConfigInvalid, message)
}

/// Catches panics: the library panics on some damage.
fn unless_it_panics<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(broken("the library that reads it has given up")))
}

/// Checks that a path is inside the folder of files.
fn file_inside(identifier: &str) -> Result<PathBuf> {
    let path = PathBuf::from(identifier);
    let is_inside = path
        .components()
        .all(|component| matches!(component, Component::Normal(_)));
    if !is_inside || identifier.is_empty() {
        return Err(broken(format!(
            "the file '{identifier}' is not in the folder of files"
        )));
    }
    Ok(path)
}

fn broken(what: impl Into<String>) -> Error {
    Error::user(
        ErrorCode::RepoError,
        format!("the existing database is damaged: {}", what.into()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_inside_their_folder() {
        assert_eq!(
            file_inside("01/a2/x.png").expect("inside"),
            Path::new("01/a2/x.png")
        );
        for outside in ["", "/etc/passwd", "../x", "a/../../x"] {
            file_inside(outside).expect_err(outside);
        }
    }

    #[test]
    fn a_folder_without_a_database_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let opened = Existing::open_folder(folder.path(), folder.path());
        let error = opened.expect_err("nothing there");
        assert_eq!(error.code(), ErrorCode::ConfigInvalid);
        assert!(
            error
                .to_string()
                .contains("holds no sled or fjall database"),
            "{error}"
        );
    }
}
