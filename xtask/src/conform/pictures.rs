//! The files to upload: what the pictures show does not matter here.

use anyhow::{Result, bail};
use testkit::pictures::{film, gif, jpeg, photo, png, webp};
use testkit::upstream::{Asked, Reply, Upstream};

/// The bytes of the file with this name.
///
/// # Errors
/// When there is no such file.
pub fn bytes(name: &str) -> Result<Vec<u8>> {
    Ok(match name {
        "photo.jpg" => jpeg(&photo(240, 160)),
        "photo.png" => png(&photo(240, 160)),
        "photo.webp" => webp(&photo(120, 90)),
        "alone.webp" => webp(&photo(100, 70)),
        "moving.gif" => gif(&film(64, 48, 3)),
        "cut.png" => {
            let mut whole = png(&photo(240, 160));
            whole.truncate(whole.len() / 2);
            whole
        }
        "text.txt" => b"this is no picture".to_vec(),
        "empty" => Vec::new(),
        // Larger than the default of `media.max_file_size`.
        "huge" => vec![0; 41 * 1024 * 1024],
        _ => bail!("there is no file {name}"),
    })
}

/// The server that both fetch from: `/NAME` is a file, `/to/NAME` redirects to it, and other paths
/// do not exist.
pub fn upstream() -> Upstream {
    Upstream::start(|asked: &Asked| {
        let path = asked.path.split('?').next().unwrap_or_default();
        if let Some(name) = path.strip_prefix("/to/") {
            return Reply::redirect("302 Found", &format!("/{name}"));
        }
        match bytes(path.trim_start_matches('/')) {
            Ok(bytes) => Reply::ok(&bytes),
            Err(_) => Reply::status("404 Not Found", "", b""),
        }
    })
}
