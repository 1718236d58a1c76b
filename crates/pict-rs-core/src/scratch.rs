//! Temporary files: uploads until they are complete, results until they become objects, folders of
//! helper programs. All of them are local, and the next start deletes what is left.
//!
//! A file is hashed while it is written. It has no name, so that nothing is left of it after a
//! crash; it becomes an object when it is given a name, so its bytes are written only once. Where
//! the file system does not support that, it has a name that the next start recognises, and is
//! renamed. Where objects are kept in a bucket, its bytes are sent there.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use uuid::Uuid;

use crate::system::{self, name_file, nameless_file};
use crate::{Digest, Error, Result};

/// Suffix of a file that is still being written.
pub(crate) const PARTIAL: &str = ".partial";
/// Prefix of the folders of helper programs.
const HELPER: &str = "helper-";
/// Prefix of the folders of processes.
const PROCESS: &str = "pict-rs-scratch-";
/// Prefix of such a folder until it is locked.
const UNLOCKED: &str = "pict-rs-new-";

/// The folder of temporary files.
#[derive(Clone, Debug)]
pub struct Scratch {
    folder: Arc<Path>,
    /// For uploads, if they have another folder.
    uploads: Option<Arc<Path>>,
    is_in_memory: bool,
    _lock: Option<Arc<File>>,
}

impl Scratch {
    /// Uses this folder, which must exist.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.into(),
            uploads: None,
            is_in_memory: false,
            _lock: None,
        }
    }

    /// Makes a folder in `parent`, for this process only, and deletes those that processes left
    /// there which no longer run. Blocks.
    ///
    /// # Errors
    /// [`crate::ErrorCode::FileIoError`].
    pub fn of_process(parent: &Path) -> Result<Self> {
        let make = || -> io::Result<Self> {
            fs::create_dir_all(parent)?;
            for entry in fs::read_dir(parent)? {
                let path = entry?.path();
                let name = path.file_name().and_then(|name| name.to_str());
                if name.is_some_and(|name| name.starts_with(PROCESS)) && lock(&path)?.is_some() {
                    fs::remove_dir_all(&path)?;
                }
            }
            let id = Uuid::new_v4().simple();
            let unlocked = parent.join(format!("{UNLOCKED}{id}"));
            let folder = parent.join(format!("{PROCESS}{id}"));
            fs::create_dir(&unlocked)?;
            // Under the name that others look for it is locked from the beginning.
            let lock = lock(&unlocked)?;
            fs::rename(&unlocked, &folder)?;
            Ok(Self {
                folder: folder.into(),
                uploads: None,
                is_in_memory: false,
                _lock: lock.map(Arc::new),
            })
        };
        make().map_err(|e| {
            let parent = parent.display();
            Error::io(format!("cannot make temporary files in {parent}"), e)
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The same, but new files are in memory, because the disk is full. They cannot become objects.
    pub(crate) fn in_memory(&self) -> Self {
        Self {
            is_in_memory: true,
            ..self.clone()
        }
    }

    /// Puts uploads into another folder, which is created if needed. It may be in memory.
    ///
    /// # Errors
    /// [`crate::ErrorCode::FileIoError`].
    pub(crate) fn with_uploads_in(mut self, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|e| {
            let folder = folder.display();
            Error::io(
                format!("cannot make server.temporary_directory {folder}"),
                e,
            )
        })?;
        self.uploads = Some(folder.into());
        Ok(self)
    }

    /// Creates a file that is to become an object. Blocks.
    ///
    /// # Errors
    /// [`crate::ErrorCode::FileIoError`].
    pub fn create(&self) -> Result<ScratchWriter> {
        self.create_file()
            .map_err(|e| Error::io("cannot create a scratch file", e))
    }

    fn create_file(&self) -> io::Result<ScratchWriter> {
        if self.is_in_memory {
            return Ok(ScratchWriter::new(system::memory_file()?, FileName::Never));
        }
        if let Some(file) = nameless_file(&self.folder) {
            return Ok(ScratchWriter::new(file, FileName::Later));
        }
        self.create_named()
    }

    fn create_named(&self) -> io::Result<ScratchWriter> {
        let name = format!("{}{PARTIAL}", Uuid::new_v4().simple());
        let path = self.folder.join(name);
        let file = File::create_new(&path)?;
        Ok(ScratchWriter::new(file, FileName::Now(path)))
    }

    /// Creates the file of an upload. Blocks.
    ///
    /// # Errors
    /// [`crate::ErrorCode::FileIoError`].
    pub fn create_upload(&self) -> Result<ScratchWriter> {
        let Some(folder) = &self.uploads else {
            return self.create();
        };
        if let Some(file) = nameless_file(folder) {
            return Ok(ScratchWriter::new(file, FileName::Later));
        }
        // Others may use that folder too, so nothing is deleted there at start.
        let file =
            tempfile::tempfile_in(folder).map_err(|e| Error::io("cannot spool an upload", e))?;
        Ok(ScratchWriter::new(file, FileName::Never))
    }

    /// Creates a folder for a helper program, which is deleted when this is dropped. Blocks.
    ///
    /// # Errors
    /// [`crate::ErrorCode::FileIoError`].
    pub(crate) fn helper_folder(&self) -> Result<TempDir> {
        tempfile::Builder::new()
            .prefix(HELPER)
            .tempdir_in(&self.folder)
            .map_err(|e| Error::io("cannot make a helper's folder", e))
    }

    /// Deletes what the last run left. Must be called before anything is created here. What is young
    /// stays unless this server `is_alone` here. Returns the number of files and folders. Blocks.
    ///
    /// # Errors
    /// [`crate::ErrorCode::FileIoError`].
    pub(crate) fn tidy(&self, is_alone: bool) -> Result<u64> {
        let tidy = || -> io::Result<u64> {
            let mut removed = 0;
            for entry in fs::read_dir(&self.folder)? {
                let path = entry?.path();
                if !is_alone && is_young(&path) {
                    continue;
                }
                let name = path.file_name().and_then(|name| name.to_str());
                if path.is_dir() && name.is_some_and(|name| name.starts_with(HELPER)) {
                    fs::remove_dir_all(&path)?;
                } else if name.is_some_and(|name| name.ends_with(PARTIAL)) {
                    fs::remove_file(&path)?;
                } else {
                    continue;
                }
                removed += 1;
            }
            Ok(removed)
        };
        tidy().map_err(|e| Error::io("cannot remove a leftover", e))
    }
}

/// Whether something unfinished may still be in use: work takes less than an hour, and clocks of
/// servers that share a folder differ by less.
pub(crate) fn is_young(path: &Path) -> bool {
    const LONGEST_WORK: Duration = Duration::from_secs(60 * 60);
    let changed = fs::metadata(path).and_then(|found| found.modified());
    changed.is_ok_and(|time| time.elapsed().map_or(true, |age| age < LONGEST_WORK))
}

/// Locks a folder; `None` when it is locked already, or gone.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    let open = match File::open(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        open => open?,
    };
    Ok(flock(&open, FlockOperation::NonBlockingLockExclusive)
        .is_ok()
        .then_some(open))
}

/// A file that is being written and hashed. Dropping it deletes it.
#[derive(Debug)]
pub struct ScratchWriter {
    file: ScratchFile,
    hasher: Sha256,
}

impl ScratchWriter {
    fn new(file: File, name: FileName) -> Self {
        Self {
            file: ScratchFile {
                file,
                name,
                size: 0,
                digest: Digest::computed([0; Digest::BYTES]),
            },
            hasher: Sha256::new(),
        }
    }

    /// Appends bytes. Blocks.
    ///
    /// # Errors
    /// [`crate::ErrorCode::FileIoError`], [`crate::ErrorCode::InsufficientStorage`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.file.size += bytes.len() as u64;
        let written = self.file.file.write_all(bytes);
        written.map_err(|e| Error::io("cannot write a scratch file", e))
    }

    /// Completes the file.
    pub fn finish(mut self) -> ScratchFile {
        self.file.digest = Digest::computed(self.hasher.finalize().into());
        self.file
    }
}

/// A complete file that is not yet flushed to disk. Dropping it deletes it.
#[derive(Debug)]
pub struct ScratchFile {
    file: File,
    name: FileName,
    size: u64,
    digest: Digest,
}

/// The name of a file.
#[derive(Debug)]
enum FileName {
    /// It has one; dropping the file deletes it.
    Now(PathBuf),
    /// It can be given one.
    Later,
    /// It cannot be given one, or already has its final name.
    Never,
}

impl ScratchFile {
    /// Number of bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The digest of its bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Reads the bytes into memory. Blocks.
    ///
    /// # Errors
    /// [`crate::ErrorCode::FileIoError`].
    pub fn read(&self) -> Result<Vec<u8>> {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = &self.file;
            file.seek(SeekFrom::Start(0))?;
            // Reserves memory for all of it at once, because the size is known.
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().map_err(|e| Error::io("cannot read a scratch file", e))
    }

    /// The same file, for others of this process. Must be read at explicit positions, because they
    /// share one offset.
    pub(crate) fn shared(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// The same file, for another process that only reads it.
    pub(crate) fn readable(&self) -> Option<File> {
        system::readable_copy(&self.file)
    }

    /// Reads some of the bytes. Blocks.
    ///
    /// # Errors
    /// [`crate::ErrorCode::FileIoError`].
    pub(crate) fn read_part(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let length = range.end.saturating_sub(range.start);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        self.file
            .read_exact_at(&mut bytes, range.start)
            .map_err(|e| Error::io("cannot read a scratch file", e))?;
        Ok(bytes)
    }

    #[cfg(test)]
    pub(crate) fn inode(&self) -> u64 {
        use std::os::unix::fs::MetadataExt as _;
        self.file.metadata().expect("open").ino()
    }

    /// Flushes the bytes to disk. Blocks.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Gives the file its final name. Fails with [`io::ErrorKind::CrossesDevices`] if it must be
    /// copied: because it is on another disk, or cannot be given a name. Blocks.
    pub(crate) fn place(&mut self, to: &Path) -> io::Result<()> {
        match &self.name {
            FileName::Now(path) => fs::rename(path, to)?,
            FileName::Later => {
                name_file(&self.file, to).map_err(|error| match error.kind() {
                    io::ErrorKind::AlreadyExists
                    | io::ErrorKind::NotFound
                    | io::ErrorKind::QuotaExceeded
                    | io::ErrorKind::ReadOnlyFilesystem
                    | io::ErrorKind::StorageFull => error,
                    _ => io::ErrorKind::CrossesDevices.into(),
                })?;
            }
            FileName::Never => return Err(io::ErrorKind::CrossesDevices.into()),
        }
        self.name = FileName::Never;
        Ok(())
    }

    /// Copies it to a file next to the objects, which can be placed instead. Blocks.
    pub(crate) fn copy_to(&self, scratch: &Scratch) -> io::Result<Self> {
        // Renaming works on every file system.
        let mut copy = scratch.create_named()?.file;
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0))?;
        io::copy(&mut file, &mut copy.file)?;
        copy.size = self.size;
        copy.digest = self.digest;
        Ok(copy)
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        if let FileName::Now(path) = &self.name {
            // Nothing else can be done here; the next start deletes it.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(mut writer: ScratchWriter, pieces: &[&[u8]]) -> ScratchFile {
        for piece in pieces {
            writer.write(piece).expect("written");
        }
        writer.finish()
    }

    fn count(folder: &Path) -> usize {
        fs::read_dir(folder).expect("readable").count()
    }

    #[test]
    fn a_file_is_its_pieces_and_goes_when_it_is_dropped() {
        let folder = tempfile::tempdir().expect("a folder");
        let scratch = Scratch::new(folder.path());
        let file = write(scratch.create().expect("created"), &[b"ab", b"", b"c"]);
        assert_eq!((file.size(), file.digest()), (3, Digest::of(b"abc")));
        assert_eq!(file.read().expect("read"), b"abc");
        assert_eq!(file.read().expect("read again"), b"abc");
        drop(file);
        drop(scratch.create().expect("created"));
        assert_eq!(count(folder.path()), 0);
    }

    #[test]
    fn a_file_gets_its_name_or_is_copied() {
        let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        let scratch = Scratch::new(folders[0].path());
        let scratch = scratch.with_uploads_in(folders[1].path()).expect("made");
        let place = folders[0].path().join("place");
        let mut upload = write(scratch.create_upload().expect("created"), &[b"abc"]);
        assert_eq!(count(folders[1].path()), 0);
        upload.name = FileName::Never;
        let error = upload.place(&place).expect_err("no name");
        assert_eq!(error.kind(), io::ErrorKind::CrossesDevices);
        let mut copy = upload.copy_to(&scratch).expect("copied");
        assert_eq!((copy.size(), copy.digest()), (3, upload.digest()));
        copy.place(&place).expect("named");
        drop((upload, copy));
        assert_eq!(fs::read(&place).expect("there"), b"abc");
        assert_eq!(count(folders[0].path()), 1);

        // As on a file system without nameless files.
        let path = folders[0].path().join("x.partial");
        let file = File::create_new(&path).expect("created");
        let named = ScratchWriter::new(file, FileName::Now(path.clone()));
        drop(write(named, &[b"abc"]));
        assert!(!path.exists());
        let file = File::create_new(&path).expect("created");
        let named = ScratchWriter::new(file, FileName::Now(path.clone()));
        let absent = folders[0].path().join("absent/place");
        let mut named = write(named, &[b"def"]);
        let error = named.place(&absent).expect_err("no such folder");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        named.place(&place).expect("renamed");
        drop(named);
        assert_eq!(fs::read(&place).expect("there"), b"def");
        assert_eq!(count(folders[0].path()), 1);
    }

    #[test]
    fn a_folder_of_a_process_is_its_own_and_goes_after_it() {
        let parent = tempfile::tempdir().expect("a folder");
        fs::write(parent.path().join("note.txt"), b"x").expect("written");
        let first = Scratch::of_process(parent.path()).expect("made");
        let second = Scratch::of_process(parent.path()).expect("made");
        assert_ne!(first.folder(), second.folder());
        let file = write(first.create().expect("created"), &[b"abcdef"]);
        assert_eq!(file.read_part(2..4).expect("read"), b"cd");
        assert!(file.read_part(4..9).is_err());
        fs::write(second.folder().join("left.partial"), b"x").expect("written");
        let left = second.folder().to_owned();
        drop(second);
        let third = Scratch::of_process(parent.path()).expect("made");
        assert!(!left.exists());
        assert!(first.folder().is_dir() && third.folder().is_dir());
        assert_eq!(count(parent.path()), 3, "two processes and the note");
    }

    #[test]
    fn a_start_removes_what_is_unfinished_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let scratch = Scratch::new(folder.path());
        fs::write(folder.path().join("0a1b.partial"), b"half").expect("written");
        // A crash runs no destructors.
        std::mem::forget(scratch.helper_folder().expect("made"));
        fs::write(folder.path().join("marker.png"), b"").expect("written");
        assert_eq!(scratch.tidy(true).expect("tidied"), 2);
        assert_eq!(scratch.tidy(true).expect("tidied"), 0);
        assert_eq!(count(folder.path()), 1);
    }
}
