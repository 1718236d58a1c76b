//! The items that describe the primary picture: EXIF and XMP (ISO/IEC 23008-12, annex A).

use std::ops::Range;

use super::container::{self, Meta};
use crate::Control;
use crate::codec::exif::behind_offset;

/// The EXIF structure, if it is stored in one piece.
pub(crate) fn exif<'a>(source: &'a [u8], control: &Control) -> Option<&'a [u8]> {
    behind_offset(described(source, b"Exif", control)?)
}

/// The XMP packet, or another text that describes the picture, if it is stored in one piece.
pub(crate) fn xmp<'a>(source: &'a [u8], control: &Control) -> Option<&'a [u8]> {
    described(source, b"mime", control)
}

fn described<'a>(source: &'a [u8], kind: &[u8; 4], control: &Control) -> Option<&'a [u8]> {
    let file = container::read(source, control).ok()?;
    let (_, place) = item(&file.meta?, kind)?;
    source.get(place)
}

/// The first item of this kind that describes the primary one, and its range in the file, if it has
/// a single one.
pub(super) fn item(meta: &Meta<'_>, kind: &[u8; 4]) -> Option<(u32, Range<usize>)> {
    let primary = meta.primary?;
    let id = (meta.references.iter())
        .filter(|reference| reference.kind == *b"cdsc" && reference.to.contains(&primary))
        .map(|reference| reference.from)
        .find(|id| meta.items.get(id).is_some_and(|item| item.kind == *kind))?;
    let [place] = <[_; 1]>::try_from(meta.ranges(id).ok()?).ok()?;
    Some((id, place))
}
