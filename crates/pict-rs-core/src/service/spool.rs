//! Where an upload waits until it is complete. In the foreground that is a file without a name,
//! so that nothing is left of it whatever happens; one that is to be worked on later has a name
//! and is flushed to disk.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use bytes::Bytes;
use pict_rs_media::limits::{LimitKind, at_most};

use crate::query::UploadQuery;
use crate::store::WaitingFile;
use crate::task::blocking;
use crate::{Context, Error, ErrorCode, Result, UploadId};

/// Bytes gathered before they are handed to a thread that may wait for the disk.
const BATCH: usize = 256 * 1024;

/// An upload on its way in, to a file without a name or to a [`WaitingFile`].
#[derive(Debug)]
pub struct Spool<Name = ()> {
    name: Name,
    file: Option<File>,
    batch: Vec<u8>,
    size: u64,
    limit: u64,
}

/// A complete upload.
#[derive(Debug)]
pub struct Spooled {
    file: File,
    size: u64,
}

impl Spool {
    /// Starts an empty one that takes as many bytes as the server and the query allow.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`], [`ErrorCode::ReadOnly`].
    pub async fn start(ctx: &Context, query: &UploadQuery) -> Result<Self> {
        super::remove::writable(ctx)?;
        ctx.repo.admit().await?;
        let folder = ctx.spool_folder.clone();
        let file = blocking(move || tempfile::tempfile_in(folder).map_err(io_error)).await?;
        Ok(Self::new(ctx, query, file, ()))
    }

    /// All bytes are in.
    ///
    /// # Errors
    /// [`ErrorCode::ValidateFileEmpty`], [`ErrorCode::FileIoError`].
    pub async fn finish(mut self) -> Result<Spooled> {
        let file = self.complete().await?;
        Ok(Spooled {
            file,
            size: self.size,
        })
    }
}

impl Spool<WaitingFile> {
    /// As [`Spool::start`], for an upload that is worked on later.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`], [`ErrorCode::ReadOnly`].
    pub async fn start_waiting(ctx: &Context, query: &UploadQuery) -> Result<Self> {
        super::remove::writable(ctx)?;
        ctx.repo.admit().await?;
        let store = ctx.store.clone();
        let (file, name) = blocking(move || store.create_waiting(UploadId::generate())).await?;
        Ok(Self::new(ctx, query, file, name))
    }

    /// All bytes are in, and on disk when this returns.
    ///
    /// # Errors
    /// [`ErrorCode::ValidateFileEmpty`], [`ErrorCode::FileIoError`].
    pub async fn finish(mut self) -> Result<WaitingFile> {
        let file = self.complete().await?;
        let name = self.name;
        blocking(move || {
            name.sync(&file)?;
            Ok(name)
        })
        .await
    }
}

impl<Name> Spool<Name> {
    fn new(ctx: &Context, query: &UploadQuery, file: File, name: Name) -> Self {
        Self {
            name,
            file: Some(file),
            batch: Vec::new(),
            size: 0,
            limit: limit(ctx, query),
        }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`ErrorCode::ValidateFileSize`] with the first byte over the limit,
    /// [`ErrorCode::FileIoError`].
    pub async fn write(&mut self, bytes: &Bytes) -> Result<()> {
        self.size += bytes.len() as u64;
        at_most(LimitKind::FileSize, self.limit, self.size)?;
        self.batch.extend_from_slice(bytes);
        if self.batch.len() >= BATCH {
            self.flush().await?;
        }
        Ok(())
    }

    async fn complete(&mut self) -> Result<File> {
        if self.size == 0 {
            return Err(Error::user(
                ErrorCode::ValidateFileEmpty,
                "Uploaded file is empty",
            ));
        }
        self.flush().await?;
        self.file.take().ok_or_else(given_up)
    }

    async fn flush(&mut self) -> Result<()> {
        // Taken while a thread writes to it; missing afterwards only if that failed.
        let mut file = self.file.take().ok_or_else(given_up)?;
        let mut batch = std::mem::take(&mut self.batch);
        (self.file, self.batch) = blocking(move || {
            file.write_all(&batch).map_err(io_error)?;
            batch.clear();
            Ok((Some(file), batch))
        })
        .await?;
        Ok(())
    }
}

impl Spooled {
    /// Number of bytes, at least 1.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The bytes, read into memory once. Blocks.
    pub(crate) fn read(mut self) -> Result<Vec<u8>> {
        self.file.seek(SeekFrom::Start(0)).map_err(io_error)?;
        read(self.file)
    }
}

/// Bytes that a file may have before its kind is known.
pub(crate) fn limit(ctx: &Context, query: &UploadQuery) -> u64 {
    query.tighten_size(ctx.config.media.max_file_size.saturating_mul(1024 * 1024))
}

/// The rest of a file. Blocks.
pub(crate) fn read(mut file: File) -> Result<Vec<u8>> {
    // Makes room for all of it at once, as the file knows its length.
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(io_error)?;
    Ok(bytes)
}

fn io_error(error: std::io::Error) -> Error {
    Error::io("cannot spool an upload", error)
}

fn given_up() -> Error {
    Error::Internal {
        code: ErrorCode::FileIoError,
        message: "an upload was written to after its spool had failed".to_owned(),
        source: None,
    }
}
