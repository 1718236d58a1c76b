//! Adds what the tool for RPM packages cannot express: that scripts of the package need another
//! package, as `Requires(pre)` and similar do. Only with that, the package manager has it installed
//! when they run, and keeps it until they have run.

use std::{fs, ops::Range, path::Path};

use anyhow::{Context as _, Result, bail, ensure};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// Bytes before the first of two headers.
const LEAD: usize = 96;
/// Start of a header: magic, number of entries and bytes.
const START: usize = 16;
const MAGIC: [u8; 4] = [0x8e, 0xad, 0xe8, 1];
/// An entry: tag, type, offset, count.
const ENTRY: usize = 16;

const REQUIRE_FLAGS: u32 = 1048;
const REQUIRE_NAME: u32 = 1049;
/// The tag of the main header's digest, in hexadecimal digits.
const HEADER_SHA1: u32 = 269;
const HEADER_SHA256: u32 = 273;

/// The flags for `%pre`, `%post`, `%preun` and `%postun`.
const BY_SCRIPTS: u32 = 0b1111 << 9;

/// Marks the dependency `name` of a package as needed by its scripts.
///
/// # Errors
/// When the file cannot be read or written, or is not a package with that dependency.
pub fn by_scripts(package: &Path, name: &str) -> Result<()> {
    let mut bytes = fs::read(package)?;
    mark(&mut bytes, name).with_context(|| format!("in {}", package.display()))?;
    fs::write(package, bytes)?;
    Ok(())
}

fn mark(package: &mut [u8], name: &str) -> Result<()> {
    let signature = Header::at(package, LEAD)?;
    // The second header is aligned to 8 bytes.
    let header = Header::at(package, signature.end().next_multiple_of(8))?;
    let names = header.entry(package, REQUIRE_NAME)?;
    let at = package[names..]
        .split(|byte| *byte == 0)
        .take(header.count(package, REQUIRE_NAME)?)
        .position(|found| found == name.as_bytes())
        .with_context(|| format!("it does not depend on {name}"))?;
    let place = header.entry(package, REQUIRE_FLAGS)? + 4 * at;
    let flags = number(package, place)? | BY_SCRIPTS;
    package[place..place + 4].copy_from_slice(&flags.to_be_bytes());

    let contents = &package[header.bytes()];
    let digests = [
        (HEADER_SHA1, hex::encode(Sha1::digest(contents))),
        (HEADER_SHA256, hex::encode(Sha256::digest(contents))),
    ];
    for (tag, digest) in digests {
        let place = signature.entry(package, tag)?;
        let old = package.get_mut(place..place + digest.len());
        old.context("a digest is cut off")?
            .copy_from_slice(digest.as_bytes());
    }
    Ok(())
}

/// The position of a header.
struct Header {
    start: usize,
    entries: usize,
    size: usize,
}

impl Header {
    fn at(package: &[u8], start: usize) -> Result<Self> {
        ensure!(
            package.get(start..start + MAGIC.len()) == Some(&MAGIC),
            "no header at byte {start}"
        );
        let header = Self {
            start,
            entries: number(package, start + 8)? as usize,
            size: number(package, start + 12)? as usize,
        };
        ensure!(header.end() <= package.len(), "a header is cut off");
        Ok(header)
    }

    fn end(&self) -> usize {
        self.values() + self.size
    }

    fn values(&self) -> usize {
        self.start + START + ENTRY * self.entries
    }

    fn bytes(&self) -> Range<usize> {
        self.start..self.end()
    }

    /// The position of a tag's value.
    fn entry(&self, package: &[u8], tag: u32) -> Result<usize> {
        Ok(self.values() + number(package, self.find(package, tag)? + 8)? as usize)
    }

    fn count(&self, package: &[u8], tag: u32) -> Result<usize> {
        Ok(number(package, self.find(package, tag)? + 12)? as usize)
    }

    fn find(&self, package: &[u8], tag: u32) -> Result<usize> {
        for index in 0..self.entries {
            let place = self.start + START + ENTRY * index;
            if number(package, place)? == tag {
                return Ok(place);
            }
        }
        bail!("there is no tag {tag}")
    }
}

fn number(package: &[u8], place: usize) -> Result<u32> {
    let bytes = package
        .get(place..place + 4)
        .context("the file is cut off")?;
    Ok(u32::from_be_bytes(bytes.try_into()?))
}
