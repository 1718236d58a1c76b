//! Optional helper programs: found once at start, so that missing ones are reported before a
//! request fails.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use pict_rs_core::config::MediaConfig;
use pict_rs_core::helper::{Helper, Helpers};
use pict_rs_core::system::OWN_PROGRAM;

/// Logs which optional programs were found.
pub fn announce(helpers: &Helpers) {
    let (found, missing) = look(helpers);
    let list = |names: Vec<&str>| {
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    };
    tracing::info!(
        found = list(found),
        missing = list(missing),
        "optional programs; stills and animations need none"
    );
    if !pict_rs_media::JPEG_SIMD {
        tracing::warn!(
            "built without SIMD for JPEG (on x86-64: install nasm and build again); decoding is slower"
        );
    }
}

/// The optional programs that were found, and those that were not.
pub fn look(helpers: &Helpers) -> (Vec<&'static str>, Vec<&'static str>) {
    Helper::ALL
        .map(|helper| (helper.name(), helpers.path(helper).is_some()))
        .into_iter()
        .fold(
            (Vec::new(), Vec::new()),
            |(mut found, mut missing), (name, is_there)| {
                if is_there { &mut found } else { &mut missing }.push(name);
                (found, missing)
            },
        )
}

/// A note for users who run the command in a shell although a package runs the server as a service,
/// which has its own folders.
pub fn of_the_service(path: Option<&OsStr>) -> Option<String> {
    const ADMIN: &str = "pict-rs-admin";
    let is_service = std::env::var_os("STATE_DIRECTORY").is_some();
    (!is_service && find(path, ADMIN).is_some()).then(|| {
        format!(
            "these are the folders of this shell; '{ADMIN} doctor' looks at those of the service"
        )
    })
}

/// Finds exiftool by PATH. No server needs it, so `media.helpers` does not name it.
pub fn exiftool() -> Option<PathBuf> {
    let path = std::env::var_os("PATH");
    let mut files = Helper::Exiftool.files().iter();
    files.find_map(|name| find(path.as_deref(), name))
}

/// Finds the programs by PATH, and this one.
pub fn find_all(config: &MediaConfig, path: Option<&OsStr>) -> Helpers {
    Helpers::find(config, |name| find(path, name)).with_own(OWN_PROGRAM)
}

fn find(path: Option<&OsStr>, name: &str) -> Option<PathBuf> {
    std::env::split_paths(path?)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|file| {
            file.metadata().is_ok_and(|metadata| {
                metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_executable_files_in_absolute_folders_count() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("magick"), "").expect("written");
        let path = folder.path().as_os_str();
        assert_eq!(find(Some(path), "magick"), None);
        std::fs::set_permissions(
            folder.path().join("magick"),
            std::fs::Permissions::from_mode(0o755),
        )
        .expect("set");
        assert_eq!(
            find(Some(path), "magick"),
            Some(folder.path().join("magick"))
        );
        assert_eq!(find(Some(path), "ffmpeg"), None);
        assert_eq!(find(None, "magick"), None);
        assert_eq!(find(Some(OsStr::new("relative")), "magick"), None);
    }
}
