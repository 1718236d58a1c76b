//! The bytes of an object, as read from the store.

use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, Stream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::task::JoinHandle;

use super::outgoing::{Answering, Room};
use crate::sandbox::InputFile;
use crate::system;
use crate::task::blocking;
use crate::{Error, ErrorCode, Result};

/// Objects of at most this many bytes are read in one piece.
pub const SMALL: u64 = 256 * 1024;
/// Bytes of larger objects that are read at a time.
const PIECE: u64 = 256 * 1024;

/// The requested part of an object.
#[derive(Debug)]
pub enum Content {
    /// All of it.
    Bytes(Bytes),
    /// Bytes that are read on demand.
    Stream(Pieces),
}

/// Bytes of an object, piece by piece.
#[derive(Debug)]
pub struct Pieces(Origin);

enum Origin {
    File(File, Range<u64>),
    Network(BoxStream<'static, Result<Bytes>>, u64),
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(_, range) => write!(f, "File({range:?})"),
            Self::Network(_, length) => write!(f, "Network({length})"),
        }
    }
}

impl Content {
    pub(super) fn file(file: File, range: Range<u64>) -> Self {
        Self::Stream(Pieces(Origin::File(file, range)))
    }

    /// `length` bytes that come over the network.
    pub(super) fn pieces(
        pieces: impl Stream<Item = Result<Bytes>> + Send + 'static,
        length: u64,
    ) -> Self {
        Self::Stream(Pieces(Origin::Network(pieces.boxed(), length)))
    }

    /// All bytes in memory.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`], [`ErrorCode::StoreUnavailable`].
    pub async fn into_vec(self) -> Result<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.into()),
            Self::Stream(Pieces(Origin::File(file, range))) => {
                blocking(move || read(&file, range)).await
            }
            Self::Stream(Pieces(Origin::Network(mut pieces, length))) => {
                let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
                while let Some(piece) = pieces.try_next().await? {
                    bytes.extend_from_slice(&piece);
                }
                if bytes.len() as u64 != length {
                    return Err(cut(bytes.len() as u64, length));
                }
                Ok(bytes)
            }
        }
    }
}

impl Content {
    /// Its bytes, piece by piece.
    pub(crate) fn into_stream(self) -> BoxStream<'static, Result<Bytes>> {
        match self {
            Self::Bytes(bytes) => stream::once(async move { Ok(bytes) }).boxed(),
            Self::Stream(pieces) => pieces.into_stream(),
        }
    }

    /// All bytes in memory, for the engine; the descriptor of a file goes with them. Only of a whole
    /// object.
    ///
    /// # Errors
    /// As [`Content::into_vec`].
    pub(crate) async fn into_input(self) -> Result<InputFile> {
        match self {
            Self::Stream(Pieces(Origin::File(file, range))) if range.start == 0 => {
                blocking(move || {
                    let bytes = read(&file, range)?;
                    Ok(InputFile::with_file(bytes, Some(file)))
                })
                .await
            }
            content => Ok(content.into_vec().await?.into()),
        }
    }
}

impl Pieces {
    /// Reads the next piece while the current one is used.
    pub fn into_stream(self) -> BoxStream<'static, Result<Bytes>> {
        match self.0 {
            Origin::File(file, range) => of_file(file, range).boxed(),
            // The answer to a client is as long as it says, so a shorter one breaks off.
            Origin::Network(pieces, _) => pieces,
        }
    }

    /// The same for a client: what it has not taken yet stays within the memory for all answers.
    pub fn for_client(self, answer: Answering) -> BoxStream<'static, Result<Bytes>> {
        match self.0 {
            Origin::File(file, range) => paced(file, range, answer).boxed(),
            Origin::Network(pieces, _) => counted(pieces, answer).boxed(),
        }
    }
}

/// A file that is being read for a client.
struct FileForClient {
    answer: Answering,
    /// Where the next piece begins, and where the last one ends.
    left: Range<u64>,
    next: NextPiece,
    /// Of the piece that the client is taking.
    held: Option<Room>,
}

/// The next piece.
enum NextPiece {
    /// Not begun.
    Idle(File),
    /// Read ahead.
    Ahead(JoinHandle<Result<(File, Bytes)>>, Room),
    End,
}

/// Reads the next piece only once the current one was taken, or if there is plenty of memory.
fn paced(
    file: File,
    range: Range<u64>,
    answer: Answering,
) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    let state = FileForClient {
        answer,
        next: if range.is_empty() {
            NextPiece::End
        } else {
            NextPiece::Idle(file)
        },
        left: range,
        held: None,
    };
    stream::try_unfold(state, |mut state| async move {
        state.held = None;
        let (reading, room) = match std::mem::replace(&mut state.next, NextPiece::End) {
            NextPiece::End => return Ok(None),
            NextPiece::Ahead(reading, room) => (reading, room),
            NextPiece::Idle(file) => {
                let range = state.next_range();
                let room = state.answer.room(range.end - range.start).await;
                (ahead(file, range), room)
            }
        };
        let (file, bytes) = reading.await.map_err(panicked)??;
        state.held = Some(room);
        state.left.start += bytes.len() as u64;
        if !state.left.is_empty() {
            let range = state.next_range();
            state.next = match state.answer.room_ahead(range.end - range.start) {
                Some(room) => NextPiece::Ahead(ahead(file, range), room),
                None => NextPiece::Idle(file),
            };
        }
        Ok(Some((bytes, state)))
    })
}

impl FileForClient {
    fn next_range(&self) -> Range<u64> {
        let Range { start, end } = self.left;
        start..end.min(start + self.answer.piece())
    }
}

/// What comes over the network is in memory already; it counts until the client has taken it.
fn counted(
    pieces: BoxStream<'static, Result<Bytes>>,
    answer: Answering,
) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    let state = (pieces, answer, None);
    stream::try_unfold(state, |(mut pieces, answer, held)| async move {
        drop::<Option<Room>>(held);
        let Some(piece) = pieces.try_next().await? else {
            return Ok(None);
        };
        let room = answer.room(piece.len() as u64).await;
        Ok(Some((piece, (pieces, answer, Some(room)))))
    })
}

fn panicked(panic: tokio::task::JoinError) -> Error {
    Error::internal(ErrorCode::FileIoError, "cannot read a stored file", panic)
}

fn of_file(file: File, range: Range<u64>) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    let Range { start, end } = range;
    let piece = move |at: u64| at..end.min(at + PIECE);
    let first = (start < end).then(|| (ahead(file, piece(start)), start));
    stream::try_unfold(first, move |state| async move {
        let Some((reading, at)) = state else {
            return Ok(None);
        };
        let (file, bytes) = reading.await.map_err(panicked)??;
        let next = at + bytes.len() as u64;
        let state = (next < end).then(|| (ahead(file, piece(next)), next));
        Ok(Some((bytes, state)))
    })
}

fn cut(found: u64, length: u64) -> Error {
    Error::Internal {
        code: ErrorCode::StoreUnavailable,
        message: format!("an object broke off: {found} of {length} bytes came"),
        source: None,
    }
}

fn ahead(file: File, range: Range<u64>) -> JoinHandle<Result<(File, Bytes)>> {
    tokio::task::spawn_blocking(move || {
        let bytes = read(&file, range)?;
        Ok((file, bytes.into()))
    })
}

/// All bytes of a small file if the system has them cached. Fast enough to be called where blocking
/// is not allowed.
pub(super) fn read_cached(file: &File, size: u64) -> Option<Vec<u8>> {
    // One byte more, because a file that is too long is as wrong as a truncated one.
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let mut bytes = vec![0; size + 1];
    match system::read_cached(file, &mut bytes) {
        Some(read) if read == size => {
            bytes.truncate(size);
            Some(bytes)
        }
        // Not cached, of another size, or no support for the call.
        _ => None,
    }
}

/// A range of a small object.
pub(super) fn part(bytes: impl Into<Bytes>, range: Range<u64>) -> Bytes {
    let bytes = bytes.into();
    let at = |place: u64| usize::try_from(place).map_or(bytes.len(), |at| at.min(bytes.len()));
    bytes.slice(at(range.start)..at(range.end))
}

/// Blocks.
pub(super) fn read(file: &File, range: Range<u64>) -> Result<Vec<u8>> {
    let length = range.end.saturating_sub(range.start);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, range.start)
        .map_err(|e| Error::internal(ErrorCode::FileIoError, "cannot read a stored file", e))?;
    Ok(bytes)
}
