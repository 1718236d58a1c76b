//! Archives that depend on nothing but their contents and a date.

use std::{fs, io::Write, path::Path};

use anyhow::{Context as _, Result};
use flate2::{Compression, GzBuilder, write::GzEncoder};

use super::contents::File;

/// A tar archive that is being written; files have the same date and belong to root unless said
/// otherwise.
pub struct Tar<W: Write> {
    builder: tar::Builder<W>,
    epoch: u64,
}

impl<W: Write> Tar<W> {
    /// `epoch` is the date of all files, in Unix seconds.
    pub fn new(to: W, epoch: u64) -> Self {
        let builder = tar::Builder::new(to);
        Self { builder, epoch }
    }

    /// Adds a folder that belongs to `owner`, both as user and group.
    ///
    /// # Errors
    /// When the archive cannot be written.
    pub fn folder(&mut self, name: &str, mode: u32, owner: u64) -> Result<()> {
        let mut header = self.header(mode, owner, 0)?;
        header.set_entry_type(tar::EntryType::Directory);
        let name = format!("{name}/");
        Ok(self.builder.append_data(&mut header, name, &[][..])?)
    }

    /// Adds a file with these contents.
    ///
    /// # Errors
    /// When the archive cannot be written.
    pub fn file(&mut self, name: &str, mode: u32, contents: &[u8]) -> Result<()> {
        let mut header = self.header(mode, 0, contents.len() as u64)?;
        Ok(self.builder.append_data(&mut header, name, contents)?)
    }

    /// Adds files of the disk, with `prefix` in front of their names.
    ///
    /// # Errors
    /// When one cannot be read, or the archive cannot be written.
    pub fn files(&mut self, prefix: &str, files: &[File]) -> Result<()> {
        for File { name, mode, from } in files {
            let contents =
                fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
            self.file(&format!("{prefix}/{name}"), *mode, &contents)?;
        }
        Ok(())
    }

    /// Ends the archive.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> Result<W> {
        Ok(self.builder.into_inner()?)
    }

    fn header(&self, mode: u32, owner: u64, size: u64) -> Result<tar::Header> {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(mode);
        header.set_mtime(self.epoch);
        header.set_uid(owner);
        header.set_gid(owner);
        header.set_size(size);
        Ok(header)
    }
}

/// A compressor whose output has no date and names no file.
pub fn gzip<W: Write>(to: W) -> GzEncoder<W> {
    GzBuilder::new().write(to, Compression::best())
}

/// Writes a compressed archive of `files`, all in the folder `name`.
///
/// # Errors
/// When a file cannot be read, or the archive cannot be written.
pub fn write(to: &Path, name: &str, files: &[File], epoch: u64) -> Result<()> {
    let create = || format!("cannot write {}", to.display());
    let mut tar = Tar::new(gzip(fs::File::create(to).with_context(create)?), epoch);
    tar.folder(name, 0o755, 0)?;
    tar.files(name, files)?;
    tar.finish()?.finish().with_context(create)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, time::SystemTime};

    use super::*;
    use crate::apt::Scratch;

    #[test]
    fn an_archive_tells_nothing_of_when_and_by_whom_it_was_made() {
        let place = std::env::temp_dir().join(format!("archive-{}", std::process::id()));
        let place = Scratch::new(place).expect("a folder");
        let from = place.path().join("a");
        fs::write(&from, "text").expect("written");
        let files = [File {
            name: "b/a".to_owned(),
            mode: 0o755,
            from: from.clone(),
        }];
        let make = |name: &str| {
            let to = place.path().join(name);
            write(&to, "a-1", &files, 77).expect("written");
            fs::read(to).expect("there")
        };
        let first = make("1.tar.gz");
        let later = fs::File::open(&from).expect("there");
        later.set_modified(SystemTime::UNIX_EPOCH).expect("set");
        fs::set_permissions(&from, fs::Permissions::from_mode(0o600)).expect("set");
        assert_eq!(first, make("2.tar.gz"));

        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&first[..]));
        let found: Vec<_> = archive
            .entries()
            .expect("an archive")
            .map(|entry| {
                let entry = entry.expect("an entry");
                let header = entry.header();
                (
                    entry.path().expect("a name").display().to_string(),
                    header.mode().expect("a mode"),
                    header.mtime().expect("a date"),
                    header.uid().expect("an owner"),
                )
            })
            .collect();
        let expected = [("a-1/", 0o755, 77, 0), ("a-1/b/a", 0o755, 77, 0)];
        assert_eq!(
            found,
            expected.map(|(name, mode, time, owner)| (name.to_owned(), mode, time, owner))
        );
    }
}
