//! What the server and a sandbox say to each other: messages in JSON behind their length. Bytes of
//! files are not part of them.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use pict_rs_media::{Done, Job};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::system::Protection;

/// Bytes of a message. The longest are answers with many pieces.
const MOST: usize = 1 << 20;
/// Bytes that tell the length.
const HEAD: usize = 4;

/// The first message of a sandbox.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) protections: Vec<Protection>,
}

/// What a sandbox is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Do a job on the file whose descriptor comes with this message and which has so many bytes;
    /// without a size on the same file as before.
    Work { job: Job, size: Option<u64> },
    /// Give the last file up.
    Forget,
}

/// What a sandbox says of a job.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reply {
    /// Without the bytes of its files.
    pub(super) outcome: pict_rs_media::Result<Done>,
    /// How many bytes those files have, which stand one after the other in the file for results.
    pub(super) sizes: Vec<u64>,
}

/// A message with its length.
pub(super) fn written(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut text = vec![0; HEAD];
    serde_json::to_writer(&mut text, message)?;
    let length = text.len() - HEAD;
    if length > MOST {
        return Err(io::Error::other("a message is too long"));
    }
    let head = u32::try_from(length).map_err(io::Error::other)?;
    text[..HEAD].copy_from_slice(&head.to_le_bytes());
    Ok(text)
}

/// Sends a message and a descriptor.
pub(super) fn send_with(
    mut socket: impl Write + AsFd,
    text: &[u8],
    file: BorrowedFd<'_>,
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let files = [file];
    if !control.push(SendAncillaryMessage::ScmRights(&files)) {
        return Err(io::Error::other("no space for a descriptor"));
    }
    let slices = [IoSlice::new(text)];
    let sent =
        rustix::io::retry_on_intr(|| sendmsg(&socket, &slices, &mut control, SendFlags::empty()))?;
    socket.write_all(&text[sent..])
}

/// Receives a message, and the descriptor if one came with it. `None` at the end.
pub(super) fn receive_with<T: DeserializeOwned>(
    mut socket: impl Read + AsFd,
) -> io::Result<Option<(T, Option<OwnedFd>)>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut head = [0; HEAD];
    let first = rustix::io::retry_on_intr(|| {
        let mut slices = [IoSliceMut::new(&mut head)];
        recvmsg(&socket, &mut slices, &mut control, RecvFlags::empty())
    })?;
    if first.bytes == 0 {
        return Ok(None);
    }
    let mut files = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    let file = files.next();
    drop(files);
    socket.read_exact(&mut head[first.bytes..])?;
    let message = rest(&head, |bytes| socket.read_exact(bytes))?;
    Ok(Some((message, file)))
}

/// Receives a message by a function that fills a buffer.
pub(super) fn receive<T: DeserializeOwned>(
    mut read: impl FnMut(&mut [u8]) -> io::Result<()>,
) -> io::Result<T> {
    let mut head = [0; HEAD];
    read(&mut head)?;
    rest(&head, read)
}

fn rest<T: DeserializeOwned>(
    head: &[u8; HEAD],
    mut read: impl FnMut(&mut [u8]) -> io::Result<()>,
) -> io::Result<T> {
    let length = u32::from_le_bytes(*head);
    let length = usize::try_from(length).map_err(io::Error::other)?;
    if length > MOST {
        return Err(io::Error::other("a message is too long"));
    }
    let mut text = vec![0; length];
    read(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}
