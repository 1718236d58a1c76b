//! Which codec the picture in a HEIF container uses: distinguishes AVIF and HEIC, which share the
//! container and, with general brands, even the first bytes.

use crate::codec::bmff::{Fields, boxes_in};

/// The coding of the pictures in a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// AV1: an AVIF, whatever its brand.
    Av1,
    /// HEVC, or another coding that only HEIF uses.
    Hevc,
}

/// The coding of the primary picture; `None` for a container without pictures (a film).
///
/// The brand decides if it names a codec. If it does not (`mif1`), the type of the primary item
/// does; if that is derived (a grid), the first coded item decides.
pub(crate) fn coding(source: &[u8]) -> Option<Coding> {
    let brand = first(source, b"ftyp")?;
    let brands = || brand.chunks_exact(4).enumerate();
    let compatible = |wanted: &[&[u8; 4]]| {
        // The second word is a version.
        brands().any(|(index, brand)| index != 1 && wanted.iter().any(|w| brand == *w))
    };
    match brand.first_chunk::<4>()? {
        b"avif" | b"avis" => return Some(Coding::Av1),
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"hevm" | b"hevs" => {
            return Some(Coding::Hevc);
        }
        b"mif1" | b"mif2" | b"mif3" | b"msf1" | b"miaf" => {}
        _ if compatible(&[b"avif", b"avis"]) => return Some(Coding::Av1),
        _ if compatible(&[b"heic", b"heix", b"mif1"]) => {}
        _ => return None,
    }
    let by_brand = || {
        if compatible(&[b"avif", b"avis"]) {
            Coding::Av1
        } else {
            Coding::Hevc
        }
    };
    Some(by_item(source).unwrap_or_else(by_brand))
}

/// Whether there are pictures besides a film.
pub(super) fn has_items(source: &[u8]) -> bool {
    first(source, b"meta").is_some()
}

fn by_item(source: &[u8]) -> Option<Coding> {
    let meta = first(source, b"meta")?.get(4..)?;
    let mut primary = Fields::new(first(meta, b"pitm")?);
    let (version, _) = primary.full()?;
    let primary = primary.id(version > 0)?;
    let mut items = Fields::new(first(meta, b"iinf")?);
    let (version, _) = items.full()?;
    items.id(version > 0)?;
    let coded = |(_, kind): &(u32, [u8; 4])| match kind {
        b"av01" => Some(Coding::Av1),
        b"hvc1" | b"hev1" => Some(Coding::Hevc),
        _ => None,
    };
    let items = || {
        let entries = boxes_in(items.bytes).map_while(Result::ok);
        entries.filter_map(|entry| item(entry.body))
    };
    items()
        .find(|(id, _)| *id == primary)
        .and_then(|item| coded(&item))
        .or_else(|| items().find_map(|item| coded(&item)))
}

/// Number and type in an `infe` box.
fn item(entry: &[u8]) -> Option<(u32, [u8; 4])> {
    let mut fields = Fields::new(entry);
    let (version, _) = fields.full()?;
    let id = fields.id(version >= 3)?;
    fields.u16()?;
    Some((id, fields.array()?))
}

/// The body of the first box of this kind, as far as boxes can be parsed.
fn first<'a>(within: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    let mut found = boxes_in(within).map_while(Result::ok);
    Some(found.find(|found| found.kind == *kind)?.body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let size = (data.len() as u32 + 8).to_be_bytes();
        [&size, &name[..], data].concat()
    }

    fn file(brands: &[u8], primary: u8, items: &[(u8, &[u8; 4])]) -> Vec<u8> {
        let entries: Vec<u8> = items
            .iter()
            .flat_map(|(id, kind)| {
                boxed(
                    b"infe",
                    &[&[2, 0, 0, 0, 0, *id, 0, 0], &kind[..], b"\0"].concat(),
                )
            })
            .collect();
        let count = [0, 0, 0, 0, 0, items.len() as u8];
        let meta = [
            vec![0; 4],
            boxed(b"pitm", &[0, 0, 0, 0, 0, primary]),
            boxed(b"iinf", &[&count[..], &entries].concat()),
        ];
        [boxed(b"ftyp", brands), boxed(b"meta", &meta.concat())].concat()
    }

    #[test]
    fn the_brand_decides_and_where_it_cannot_the_primary_item() {
        let check = |brands: &[u8], items: &[(u8, &[u8; 4])], expected| {
            let file = file(brands, 2, items);
            assert_eq!(coding(&file), expected, "{brands:?}");
            for end in 0..file.len() {
                coding(&file[..end]);
            }
        };
        let (av1, hevc) = (Some(Coding::Av1), Some(Coding::Hevc));
        check(b"avif\0\0\0\0", &[], av1);
        check(b"heic\0\0\0\0mif1avif", &[(2, b"av01")], hevc);
        check(b"mif1\0\0\0\0miaf", &[(1, b"hvc1"), (2, b"av01")], av1);
        check(b"mif1\0\0\0\0avif", &[(1, b"av01"), (2, b"hvc1")], hevc);
        check(b"mif1\0\0\0\0", &[(2, b"grid"), (3, b"av01")], av1);
        check(b"mif1\0\0\0\0", &[(2, b"grid"), (3, b"hvc1")], hevc);
        check(b"mif1\0\0\0\0avif", &[], av1);
        check(b"msf1\0\0\0\0", &[], hevc);
        check(b"iso8\0\0\0\0avis", &[], av1);
        check(b"isom\0\0\0\0mp41", &[], None);
        assert_eq!(coding(b""), None);
    }
}
