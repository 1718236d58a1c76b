//! Detects SVG. Included in every build, so that a file that cannot be drawn is refused by name.

use super::MAX_BYTES;

pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether the root element of an XML file is `svg`. Skips what may precede it; HTML and other XML
/// have a different root.
pub(crate) fn is_one(source: &[u8]) -> bool {
    let mut rest = source.strip_prefix(BYTE_ORDER_MARK).unwrap_or(source);
    rest = &rest[..rest.len().min(MAX_BYTES)];
    loop {
        rest = rest.trim_ascii_start();
        let end: &[u8] = if rest.starts_with(b"<?") {
            b"?>"
        } else if rest.starts_with(b"<!--") {
            b"-->"
        } else if rest.starts_with(b"<!DOCTYPE") {
            // Limited, because many of these would otherwise be scanned repeatedly.
            match memchr::memchr(b'>', rest) {
                Some(end) if memchr::memchr(b'[', &rest[..end]).is_some() => b"]",
                _ => b">",
            }
        } else {
            break;
        };
        let Some(at) = memchr::memmem::find(rest, end) else {
            return false;
        };
        rest = &rest[at + end.len()..];
        if end == b"]" {
            let Some(after) = rest.trim_ascii_start().strip_prefix(b">") else {
                return false;
            };
            rest = after;
        }
    }
    // Possibly with a prefix, which then denotes the namespace.
    let name = rest.strip_prefix(b"<svg:").map(|_| b' ');
    let name = name.or_else(|| rest.strip_prefix(b"<svg")?.first().copied());
    name.is_some_and(|next| next.is_ascii_whitespace() || matches!(next, b'>' | b'/'))
}
