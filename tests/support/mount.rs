//! Small file systems of their own, to be filled to the last byte.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::programs;

/// The file that takes all the room.
const FILLER: &str = ".filler";

/// What a disk is made of.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Memory.
    Tmpfs,
    /// A file that the system treats as a disk.
    Ext4,
}

/// A small file system that is mounted over a folder until this is dropped.
pub struct Disk {
    folder: PathBuf,
    _image: Option<TempDir>,
}

impl Disk {
    /// Mounts one of `mib` MiB over `folder`, which is made. Only root can do that; where it cannot
    /// be done, this says which test is skipped.
    pub fn mount(kind: Kind, mib: u64, folder: &Path, test: &str) -> Option<Self> {
        match Self::try_mount(kind, mib, folder) {
            Ok(disk) => Some(disk),
            Err(reason) => {
                programs::skip(
                    "mounts",
                    test,
                    &format!("no {kind:?} can be mounted: {reason}"),
                );
                None
            }
        }
    }

    fn try_mount(kind: Kind, mib: u64, folder: &Path) -> Result<Self, String> {
        std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        let mut command = Command::new(find("mount")?);
        let image = match kind {
            Kind::Tmpfs => {
                let size = format!("size={mib}M");
                command.args(["-t", "tmpfs", "-o", &size, "none"]);
                None
            }
            Kind::Ext4 => {
                let place = tempfile::tempdir().map_err(|error| error.to_string())?;
                let image = place.path().join("image");
                File::create(&image)
                    .and_then(|file| file.set_len(mib * 1024 * 1024))
                    .map_err(|error| error.to_string())?;
                let mut make = Command::new(find("mkfs.ext4")?);
                // Nothing is kept back for root, who runs these tests.
                run(make.args(["-q", "-m", "0"]).arg(&image))?;
                command.args(["-o", "loop"]).arg(&image);
                Some(place)
            }
        };
        run(command.arg(folder))?;
        Ok(Self {
            folder: folder.to_owned(),
            _image: image,
        })
    }

    /// Fills it to the last byte.
    pub fn fill(&self) {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join(FILLER))
            .expect("a file can be made");
        for size in [1 << 20, 4096, 1] {
            let piece = vec![0xa5; size];
            while file.write_all(&piece).is_ok() {}
        }
        let _ = file.sync_all();
    }

    /// Gives back what [`Disk::fill`] has taken.
    pub fn free(&self) {
        std::fs::remove_file(self.folder.join(FILLER)).expect("it was filled");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Ok(umount) = find("umount") {
            // At once from this folder, and wholly when the last file is closed.
            let _ = run(Command::new(umount).arg("-l").arg(&self.folder));
        }
    }
}

/// Programs of root are not on everybody's PATH.
fn find(name: &str) -> Result<PathBuf, String> {
    let system =
        ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(|folder| Path::new(folder).join(name));
    programs::find(name)
        .or_else(|| system.into_iter().find(|file| file.is_file()))
        .ok_or_else(|| format!("there is no {name}"))
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}
