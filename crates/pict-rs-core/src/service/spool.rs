//! Spools uploads until they are complete: in a scratch file, which is deleted with its request
//! unless it becomes an object.

use bytes::Bytes;
use pict_rs_media::Format;
use pict_rs_media::limits::{LimitKind, at_most};

use crate::query::UploadQuery;
use crate::sandbox::InputFile;
use crate::scratch::{Scratch, ScratchFile, ScratchWriter};
use crate::service::{budget, keep};
use crate::store::{Source, Store, StoredObject};
use crate::task::blocking;
use crate::{Context, Digest, Error, ErrorCode, ObjectKey, Result, UploadId};

/// Bytes buffered before they are passed to a blocking thread. Each upload under way has that many
/// in memory.
const BATCH: usize = 64 * 1024;

/// An upload that is being received.
#[derive(Debug)]
pub struct Spool {
    file: Option<ScratchWriter>,
    batch: Vec<u8>,
    size: u64,
    limit: u64,
}

/// A complete upload.
#[derive(Debug)]
pub struct Spooled(ScratchFile);

impl Spool {
    /// Starts an empty file, with the size limit of server and query.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`], [`ErrorCode::ReadOnly`], [`ErrorCode::InsufficientStorage`].
    pub async fn start(ctx: &Context, query: &UploadQuery) -> Result<Self> {
        Self::start_with(ctx, query, Scratch::create_upload).await
    }

    /// As [`Spool::start`], for an upload that is processed later. The file is created next to the
    /// objects, because it becomes one.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`], [`ErrorCode::ReadOnly`].
    pub async fn start_waiting(ctx: &Context, query: &UploadQuery) -> Result<Self> {
        Self::start_with(ctx, query, Scratch::create).await
    }

    /// As [`Spool::start`], for a file that is only looked at. In read-only mode, and when the disk
    /// or its budget is full, it is kept in memory.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`].
    pub async fn start_sample(ctx: &Context, query: &UploadQuery) -> Result<Self> {
        match Self::start(ctx, query).await {
            Err(error)
                if matches!(
                    error.code(),
                    ErrorCode::ReadOnly | ErrorCode::InsufficientStorage
                ) =>
            {
                Self::start_in_memory(ctx, query).await
            }
            started => started,
        }
    }

    /// As [`Spool::start`], in memory, for a file that does not fit on the disk.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`].
    pub(super) async fn start_in_memory(ctx: &Context, query: &UploadQuery) -> Result<Self> {
        let scratch = ctx.scratch.in_memory();
        let file = blocking(move || scratch.create()).await?;
        Ok(Self {
            file: Some(file),
            batch: Vec::new(),
            size: 0,
            limit: limit(ctx, query).min(Store::LARGEST_IN_MEMORY),
        })
    }

    async fn start_with(
        ctx: &Context,
        query: &UploadQuery,
        create: fn(&Scratch) -> Result<ScratchWriter>,
    ) -> Result<Self> {
        super::remove::writable(ctx)?;
        ctx.repo.admit().await?;
        budget::refuse_early(ctx).await?;
        let scratch = ctx.scratch.clone();
        let file = blocking(move || create(&scratch)).await?;
        Ok(Self {
            file: Some(file),
            batch: Vec::new(),
            size: 0,
            limit: limit(ctx, query),
        })
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`ErrorCode::ValidateFileSize`] on the first byte over the limit,
    /// [`ErrorCode::FileIoError`].
    pub async fn write(&mut self, bytes: &Bytes) -> Result<()> {
        self.size += bytes.len() as u64;
        at_most(LimitKind::FileSize, self.limit, self.size)?;
        if self.batch.capacity() == 0 {
            self.batch.reserve_exact(bytes.len().max(BATCH));
        }
        self.batch.extend_from_slice(bytes);
        if self.batch.len() >= BATCH {
            self.flush().await?;
        }
        Ok(())
    }

    /// Writes down what is in memory, and gives that back, because the client has paused.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`].
    pub async fn pause(&mut self) -> Result<()> {
        if !self.batch.is_empty() {
            self.flush().await?;
        }
        self.batch = Vec::new();
        Ok(())
    }

    /// Completes the upload.
    ///
    /// # Errors
    /// [`ErrorCode::ValidateFileEmpty`], [`ErrorCode::FileIoError`].
    pub async fn finish(mut self) -> Result<Spooled> {
        if self.size == 0 {
            return Err(Error::user(
                ErrorCode::ValidateFileEmpty,
                "Uploaded file is empty",
            ));
        }
        self.flush().await?;
        let file = self.file.take().ok_or_else(given_up)?;
        Ok(Spooled(file.finish()))
    }

    async fn flush(&mut self) -> Result<()> {
        // Taken while a thread writes to it; missing afterwards only if that failed.
        let mut file = self.file.take().ok_or_else(given_up)?;
        let mut batch = std::mem::take(&mut self.batch);
        (self.file, self.batch) = blocking(move || {
            file.write(&batch)?;
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
        self.0.size()
    }

    /// The digest of its bytes.
    pub(super) fn digest(&self) -> Digest {
        self.0.digest()
    }

    /// Durably makes it the object of a backgrounded upload.
    pub(super) async fn wait(self, ctx: &Context, id: &UploadId) -> Result<StoredObject> {
        let key = ObjectKey::of_upload(id);
        // The format is not known yet, and no row records it.
        keep::put(ctx, key, Format::Png, Source::Scratch(self.0)).await
    }
}

/// A file to ingest.
pub(super) enum Incoming {
    /// From a request that is waiting.
    Spooled(Spooled),
    /// From a backgrounded upload.
    Waiting(UploadId),
}

impl Incoming {
    /// Reads the bytes into memory, for the engine; also returns the source to store if they stay unchanged.
    pub(super) async fn read(self, ctx: &Context) -> Result<(InputFile, Sent)> {
        match self {
            Self::Spooled(Spooled(file)) => {
                blocking(move || {
                    let input = InputFile::with_file(file.read()?, file.readable());
                    Ok((input, Sent::Scratch(file)))
                })
                .await
            }
            Self::Waiting(id) => {
                let key = ObjectKey::of_upload(&id);
                let size = ctx.store.size(&key).await?.unwrap_or(0);
                let content = ctx.store.read(&key, size, 0..size).await?;
                let bytes = content.into_input().await?;
                blocking(move || {
                    let digest = Digest::of(&bytes);
                    Ok((bytes, Sent::Object(key, digest, size)))
                })
                .await
            }
        }
    }
}

/// A file as it was sent.
pub(super) enum Sent {
    Scratch(ScratchFile),
    Object(ObjectKey, Digest, u64),
}

impl Sent {
    /// The digest of its bytes.
    pub(super) fn digest(&self) -> Digest {
        match self {
            Self::Scratch(file) => file.digest(),
            Self::Object(_, digest, _) => *digest,
        }
    }

    /// The source to store it unchanged, without writing the bytes again.
    pub(super) fn source(self) -> Source {
        match self {
            Self::Scratch(file) => Source::Scratch(file),
            Self::Object(key, digest, size) => Source::Object { key, digest, size },
        }
    }
}

/// The size limit of a file before its kind is known.
pub(crate) fn limit(ctx: &Context, query: &UploadQuery) -> u64 {
    query.tighten_size(ctx.config.media.max_file_size.saturating_mul(1024 * 1024))
}

fn given_up() -> Error {
    Error::Internal {
        code: ErrorCode::FileIoError,
        message: "an upload was written to after its spool had failed".to_owned(),
        source: None,
    }
}
