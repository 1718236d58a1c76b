//! The systemd unit that runs the server, and the owner of its data.

use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt as _, lchown};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Where systemd looks for units, in order of precedence.
const FOLDERS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
/// The name in our packages.
const NAME: &str = "pict-rs.service";
/// State directories are relative to this folder.
const STATE: &str = "/var/lib";

/// The settings of a unit that concern the data of its server.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Unit {
    pub file: PathBuf,
    pub state: Option<PathBuf>,
    pub user: Option<String>,
    /// The configuration file that it passes as a credential or on the command line.
    pub config: Option<PathBuf>,
}

impl Unit {
    /// The installed unit.
    pub fn find() -> Option<Self> {
        let files = FOLDERS.map(|folder| Path::new(folder).join(NAME));
        files.iter().find_map(|file| Self::read(file).ok())
    }

    /// # Errors
    /// When it cannot be read.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(file)
            .with_context(|| format!("cannot read the unit {}", file.display()))?;
        Ok(Self::parse(file, &text))
    }

    fn parse(file: &Path, text: &str) -> Self {
        let mut unit = Self {
            file: file.to_owned(),
            ..Self::default()
        };
        for line in text.lines() {
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            let value = value.trim();
            match key.trim() {
                "User" if !value.is_empty() => unit.user = Some(value.to_owned()),
                "StateDirectory" => {
                    let first = value.split_whitespace().next();
                    // The part after a colon is the name of a link to the first.
                    let first = first.and_then(|first| first.split(':').next());
                    unit.state = first.map(|first| Path::new(STATE).join(first));
                }
                "LoadCredential" => {
                    let path = value.split_once(':').map(|(_, path)| path);
                    let is_config = |path: &&str| {
                        let extension = Path::new(path).extension();
                        extension.is_some_and(|extension| extension == "toml")
                    };
                    unit.config = unit.config.or(path.filter(is_config).map(PathBuf::from));
                }
                _ => {}
            }
        }
        unit
    }
}

/// The owner of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    uid: u32,
    gid: u32,
}

impl Owner {
    /// The owner of a folder, or of its nearest existing ancestor. `None` if ownership need not
    /// change: for root, or for a user who is not root.
    pub fn of(folder: &Path) -> Option<Self> {
        let folder = std::path::absolute(folder).ok()?;
        let found = folder
            .ancestors()
            .find_map(|path| fs::metadata(path).ok())?;
        let owner = Self::from(&found);
        (owner.uid != 0 && is_root()).then_some(owner)
    }

    /// The user of a unit, when run as root; without a name, the owner of the state directory.
    ///
    /// # Errors
    /// When the user does not exist, or we are neither that user nor root.
    pub fn for_user(name: Option<&str>, state: &Path) -> anyhow::Result<Option<Self>> {
        let Some(name) = name else {
            return Ok(Self::of(state));
        };
        let users = fs::read_to_string("/etc/passwd").context("cannot look for users")?;
        let owner = Self::named(&users, name)
            .with_context(|| format!("the unit runs as {name}, and there is no such user"))?;
        if is_root() {
            return Ok(Some(owner));
        }
        if owner.uid == uid() {
            return Ok(None);
        }
        anyhow::bail!(
            "the server here runs as {name}: run this as root or as {name}. Nothing was changed"
        )
    }

    fn named(users: &str, name: &str) -> Option<Self> {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let found = fields.next()? == name;
            let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
            found.then_some(Self { uid, gid })
        })
    }

    /// Changes the owner of everything that root has created in these folders, and of their parent.
    ///
    /// # Errors
    /// When that fails.
    pub fn take(self, data: &Path, folders: &[PathBuf]) -> anyhow::Result<()> {
        let failed = |path: &Path| format!("cannot give {} to its user", path.display());
        if data.is_dir() {
            self.take_one(data).with_context(|| failed(data))?;
        }
        let mut left: Vec<_> = folders
            .iter()
            .filter(|path| path.is_dir())
            .cloned()
            .collect();
        while let Some(folder) = left.pop() {
            self.take_one(&folder).with_context(|| failed(&folder))?;
            for entry in fs::read_dir(&folder).with_context(|| failed(&folder))? {
                let path = entry?.path();
                let is_folder = path.symlink_metadata()?.is_dir();
                if is_folder {
                    left.push(path);
                } else {
                    self.take_one(&path).with_context(|| failed(&path))?;
                }
            }
        }
        Ok(())
    }

    fn take_one(self, path: &Path) -> std::io::Result<()> {
        let found = path.symlink_metadata()?;
        let is_ours = found.uid() == 0 && (found.is_dir() || found.is_file());
        if is_ours {
            lchown(path, Some(self.uid), Some(self.gid))?;
        }
        Ok(())
    }
}

impl From<&Metadata> for Owner {
    fn from(found: &Metadata) -> Self {
        Self {
            uid: found.uid(),
            gid: found.gid(),
        }
    }
}

fn is_root() -> bool {
    uid() == 0
}

/// Our user id, which a new file would have.
fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_unit_is_understood() {
        let file = Path::new("/lib/systemd/system/pict-rs.service");
        let text = include_str!("../../../../contrib/systemd/pict-rs.service");
        let expected = Unit {
            file: file.to_owned(),
            state: Some("/var/lib/pict-rs".into()),
            user: Some("pict-rs".to_owned()),
            config: Some("/etc/pict-rs/pict-rs.toml".into()),
        };
        assert_eq!(Unit::parse(file, text), expected);
    }

    #[test]
    fn other_units_are_as_well() {
        let unit = Unit::parse(
            Path::new("x"),
            "# User=no\n[Service]\nUser = www\nStateDirectory=a/b:c d\nLoadCredential=key:/etc/key\n",
        );
        assert_eq!(unit.user.as_deref(), Some("www"));
        assert_eq!(unit.state, Some("/var/lib/a/b".into()));
        assert_eq!(unit.config, None);
        assert_eq!(Unit::parse(Path::new(""), ""), Unit::default());
    }

    #[test]
    fn users_are_found_by_their_whole_names() {
        let users =
            "root:x:0:0::/root:/bin/sh\npict-rs2:x:7:8::/:\nbroken\npict-rs:x:991:992::/:\n";
        let expected = Owner { uid: 991, gid: 992 };
        assert_eq!(Owner::named(users, "pict-rs"), Some(expected));
        assert_eq!(Owner::named(users, "pict"), None);
    }
}
