//! Sends files to the bucket: small ones at once, larger ones in parts.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path as Key;
use object_store::{
    Attribute, Attributes, ObjectStore as _, PutMultipartOptions, PutOptions, PutPayload,
};
use tokio::sync::OwnedSemaphorePermit;

use super::fault::{self, Fault};
use super::{Bucket, SENDING, key};
use crate::scratch::ScratchFile;
use crate::store::Source;
use crate::task::blocking;
use crate::{ContentKey, Digest, Error, ErrorCode, ObjectKey, Result};

/// Files that are larger are sent in parts of this many bytes.
const PART: u64 = 8 * 1024 * 1024;
/// Parts of one file at a time.
const PARTS_AT_ONCE: usize = 2;

impl Bucket {
    pub(super) async fn store(
        &self,
        object: &ObjectKey,
        content: ContentKey,
        source: Source,
    ) -> Result<()> {
        let mime = match object.upload_id() {
            // The format is not known yet.
            Some(_) => "application/octet-stream",
            None => content.format().mime(),
        };
        let file = match source {
            Source::Scratch(file) => file,
            Source::Object { key, digest, size } => self.download(&key, digest, size).await?,
        };
        let place = key(object)?;
        if file.size() > PART {
            self.send_parts(&place, mime, file).await?;
        } else {
            let cache = self.cache_for(file.size());
            let bytes = self.send_whole(&place, mime, file).await?;
            // What is made is asked for at once; a waiting upload is read once.
            if let (Some(cache), None) = (cache, object.upload_id()) {
                cache.keep(object, bytes).await;
            }
        }
        self.note_write(true);
        Ok(())
    }

    /// Returns the bytes.
    async fn send_whole(
        &self,
        place: &Key,
        mime: &'static str,
        file: ScratchFile,
    ) -> Result<Bytes> {
        let (bytes, _permit) = self.part(&Arc::new(file), None).await?;
        let options = PutOptions {
            attributes: attributes(mime),
            ..PutOptions::default()
        };
        let payload = PutPayload::from(bytes.clone());
        let sent = self.s3.put_opts(place, payload, options).await;
        sent.map_err(|error| self.unsent(error))?;
        Ok(bytes)
    }

    /// The server removes nothing of an upload that was neither completed nor aborted, so it is
    /// aborted whatever happens, unless this process dies.
    async fn send_parts(&self, place: &Key, mime: &'static str, file: ScratchFile) -> Result<()> {
        let options = PutMultipartOptions {
            attributes: attributes(mime),
            ..PutMultipartOptions::default()
        };
        let begun = self.s3.create_multipart_opts(place, options).await;
        let id = begun.map_err(|error| self.unsent(error))?;
        let file = Arc::new(file);
        let sent = async {
            let parts = (0..file.size()).step_by(PART as usize).enumerate();
            let parts: Vec<PartId> = stream::iter(parts)
                .map(|(number, start)| {
                    let range = start..file.size().min(start + PART);
                    let (id, file) = (&id, &file);
                    async move {
                        let (bytes, _permit) = self.part(file, Some(range)).await?;
                        let sent = self.s3.put_part(place, id, number, bytes.into()).await;
                        sent.map_err(|error| self.unsent(error))
                    }
                })
                .buffered(PARTS_AT_ONCE)
                .try_collect()
                .await?;
            let completed = self.s3.complete_multipart(place, &id, parts).await;
            completed.map_err(|error| self.unsent(error))
        };
        let Err(error) = sent.await else {
            return Ok(());
        };
        if let Err(error) = self.s3.abort_multipart(place, &id).await {
            let error = self.is_away("an upload cannot be aborted", error);
            tracing::warn!(%error, cause = fault::cause(&error), "parts stay in the bucket");
        }
        Err(error)
    }

    /// Bytes of a file, and the right to hold them in memory.
    async fn part(
        &self,
        file: &Arc<ScratchFile>,
        range: Option<Range<u64>>,
    ) -> Result<(Bytes, OwnedSemaphorePermit)> {
        let range = range.unwrap_or(0..file.size());
        let kib = (range.end - range.start).div_ceil(1024).max(1);
        let kib = u32::try_from(kib).unwrap_or(u32::MAX).min(SENDING as u32);
        let permit = self.sending.clone().acquire_many_owned(kib).await;
        let permit = permit.map_err(|closed| {
            Error::internal(ErrorCode::UnknownError, "nothing is sent any more", closed)
        })?;
        let file = file.clone();
        let bytes = blocking(move || file.read_part(range)).await?;
        Ok((bytes.into(), permit))
    }

    /// A local copy of an object. A copy made by the server would keep the old type.
    async fn download(&self, object: &ObjectKey, digest: Digest, size: u64) -> Result<ScratchFile> {
        let found = self.get(object, None).await;
        let mut found = found
            .map_err(|fault| self.failed(fault, object))?
            .into_stream();
        let scratch = self.scratch.clone();
        let mut writer = blocking(move || scratch.create()).await?;
        while let Some(bytes) = found.next().await {
            let bytes = bytes.map_err(|error| self.failed(Fault::of(error), object))?;
            writer = blocking(move || {
                writer.write(&bytes)?;
                Ok(writer)
            })
            .await?;
        }
        let file = writer.finish();
        if (file.size(), file.digest()) != (size, digest) {
            return Err(super::damaged(object, Some(file.size()), size));
        }
        Ok(file)
    }

    fn unsent(&self, error: object_store::Error) -> Error {
        self.note_write(false);
        self.is_away("an object cannot be stored", error)
    }
}

fn attributes(mime: &'static str) -> Attributes {
    Attributes::from_iter([(Attribute::ContentType, mime)])
}
