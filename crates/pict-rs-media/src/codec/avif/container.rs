//! The boxes of an AVIF file: items and their properties (`meta`), and the position of `moov`.
//!
//! Damage is an error only if something needed cannot be read; unneeded boxes are not parsed.

use std::{borrow::Cow, collections::BTreeMap, ops::Range};

use super::corrupt;
use crate::{
    Control, Result,
    codec::bmff::{BoxRef, Fields, boxes, boxes_in},
};

/// More items than in any real file. A grid has one for each cell.
const MOST_ITEMS: usize = 20_000;

/// More extents than in any real file.
const MOST_EXTENTS: usize = 60_000;

/// More properties than in any real item.
const MOST_PROPERTIES: usize = 256;

/// More references than in any real file, each with its targets.
const MOST_REFERENCES: usize = 100_000;

/// The file as it stands.
pub(super) struct File<'a> {
    pub(super) brand: [u8; 4],
    pub(super) meta: Option<Meta<'a>>,
    pub(super) moov: Option<BoxRef<'a>>,
}

/// The items of a file.
pub(super) struct Meta<'a> {
    source: &'a [u8],
    pub(super) place: BoxRef<'a>,
    pub(super) primary: Option<u32>,
    pub(super) items: BTreeMap<u32, Item>,
    pub(super) properties: Vec<BoxRef<'a>>,
    pub(super) references: Vec<Reference>,
    /// For each item, the reference that lists its parts.
    made_of: BTreeMap<u32, usize>,
    pub(super) idat: Option<Range<usize>>,
}

/// One item.
#[derive(Default)]
pub(super) struct Item {
    pub(super) kind: [u8; 4],
    pub(super) in_idat: bool,
    /// Whether its bytes are in another file or item, which is not supported.
    elsewhere: bool,
    pub(super) extents: Vec<Extent>,
    /// Numbers of its properties; the first property is 1.
    properties: Vec<u16>,
}

/// An extent of an item: offset in the file or in `idat`, and length, 0 = to the end.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    offset: u64,
    length: u64,
}

/// A reference from `from` to each of `to`, in order.
pub(super) struct Reference {
    pub(super) kind: [u8; 4],
    pub(super) from: u32,
    pub(super) to: Vec<u32>,
}

/// The major brand.
fn brand(source: &[u8]) -> Option<[u8; 4]> {
    let ftyp = boxes_in(source).next()?.ok()?;
    (ftyp.kind == *b"ftyp").then_some(*ftyp.body.first_chunk()?)
}

/// Reads the top of the file and the items.
pub(super) fn read<'a>(source: &'a [u8], control: &Control) -> Result<File<'a>> {
    let brand = brand(source).ok_or_else(|| corrupt("it does not begin with its brand"))?;
    let mut file = File {
        brand,
        meta: None,
        moov: None,
    };
    for each in boxes_in(source) {
        control.check()?;
        // The file may be truncated after the boxes that are needed; missing data are noticed when
        // they are read.
        let Ok(each) = each else { break };
        match &each.kind {
            b"meta" if file.meta.is_none() => file.meta = Some(meta(source, each)?),
            b"moov" if file.moov.is_none() => file.moov = Some(each),
            _ => {}
        }
    }
    if file.meta.is_none() && file.moov.is_none() {
        return Err(corrupt("it has neither items nor tracks"));
    }
    Ok(file)
}

fn meta<'a>(source: &'a [u8], place: BoxRef<'a>) -> Result<Meta<'a>> {
    let mut meta = Meta {
        source,
        place,
        primary: None,
        items: BTreeMap::new(),
        properties: Vec::new(),
        references: Vec::new(),
        made_of: BTreeMap::new(),
        idat: None,
    };
    let children = |kind: &'static [u8; 4]| {
        boxes(source, place.body_start + 4..place.end())
            .map_while(Result::ok)
            .filter(move |child| child.kind == *kind)
    };
    for child in boxes(source, place.body_start + 4..place.end()) {
        child.map_err(corrupt)?;
    }
    if let Some(iinf) = children(b"iinf").next() {
        item_infos(&mut meta, iinf)?;
    }
    if let Some(iloc) = children(b"iloc").next() {
        item_locations(&mut meta, iloc).ok_or_else(|| corrupt("its item locations end early"))?;
    }
    if let Some(iprp) = children(b"iprp").next() {
        item_properties(&mut meta, iprp)?;
    }
    if let Some(iref) = children(b"iref").next() {
        item_references(&mut meta, iref)?;
    }
    meta.idat = children(b"idat").next().map(|idat| idat.inside());
    meta.primary = children(b"pitm").next().and_then(|pitm| {
        let (version, _, mut fields) = pitm.full()?;
        fields.id(version > 0)
    });
    Ok(meta)
}

/// The position of the entries of `iinf`.
pub(super) fn item_info_entries(iinf: &BoxRef<'_>) -> Option<usize> {
    let (version, ..) = iinf.full()?;
    Some(iinf.body_start + if version == 0 { 6 } else { 8 })
}

/// The item and type of an `infe`.
pub(super) fn item_info(infe: &BoxRef<'_>) -> Option<(u32, [u8; 4])> {
    let (version, _, mut fields) = infe.full()?;
    if infe.kind != *b"infe" || !(2..=3).contains(&version) {
        return None;
    }
    let id = fields.id(version == 3)?;
    fields.u16()?;
    Some((id, fields.array()?))
}

fn item_infos(meta: &mut Meta<'_>, iinf: BoxRef<'_>) -> Result<()> {
    let start = item_info_entries(&iinf).ok_or_else(|| corrupt("its list of items is empty"))?;
    for infe in boxes(meta.source, start..iinf.end()) {
        let Some((id, kind)) = item_info(&infe.map_err(corrupt)?) else {
            continue;
        };
        if meta.items.len() >= MOST_ITEMS {
            return Err(corrupt(format!("it has more than {MOST_ITEMS} items")));
        }
        meta.items.entry(id).or_insert_with(|| Item {
            kind,
            ..Item::default()
        });
    }
    Ok(())
}

/// The sizes of the fields of `iloc`.
pub(super) struct LocationSizes {
    version: u8,
    offset: usize,
    length: usize,
    base: usize,
    index: usize,
    /// The number of entries that follow.
    pub(super) count: u32,
}

impl LocationSizes {
    pub(super) fn read<'a>(iloc: &BoxRef<'a>) -> Option<(Self, Fields<'a>)> {
        let (version, _, mut fields) = iloc.full()?;
        let nibbles = fields.u16()?;
        let nibble = |shift: u16| usize::from((nibbles >> shift) & 15);
        let sizes = Self {
            version,
            offset: nibble(12),
            length: nibble(8),
            base: nibble(4),
            index: if version == 0 { 0 } else { nibble(0) },
            count: fields.id(version == 2)?,
        };
        let known = [sizes.offset, sizes.length, sizes.base, sizes.index];
        let are_known = known.iter().all(|size| *size <= 8);
        are_known.then_some((sizes, fields))
    }

    /// Reads one entry: the item's id and its place.
    pub(super) fn entry(&self, fields: &mut Fields<'_>) -> Option<(u32, Item)> {
        let id = fields.id(self.version == 2)?;
        let method = if self.version == 0 {
            0
        } else {
            fields.u16()? & 15
        };
        let other_file = fields.u16()? != 0;
        let base = fields.number(self.base)?;
        let count = fields.u16()?;
        let bytes = self.offset + self.length + self.index;
        // Entries without bytes could be numerous at no cost.
        if fields.bytes.len() < bytes * usize::from(count) || (bytes == 0 && count > 1) {
            return None;
        }
        let mut item = Item {
            in_idat: method == 1,
            elsewhere: other_file || method > 1,
            ..Item::default()
        };
        for _ in 0..count {
            fields.number(self.index)?;
            let offset = base.checked_add(fields.number(self.offset)?)?;
            let length = fields.number(self.length)?;
            item.extents.push(Extent { offset, length });
        }
        Some((id, item))
    }
}

fn item_locations(meta: &mut Meta<'_>, iloc: BoxRef<'_>) -> Option<()> {
    let (sizes, mut fields) = LocationSizes::read(&iloc)?;
    let mut extents = 0;
    for _ in 0..sizes.count {
        let (id, place) = sizes.entry(&mut fields)?;
        extents += place.extents.len();
        if extents > MOST_EXTENTS {
            return None;
        }
        if let Some(item) = meta.items.get_mut(&id) {
            (item.in_idat, item.elsewhere) = (place.in_idat, place.elsewhere);
            item.extents = place.extents;
        }
    }
    Some(())
}

fn item_properties<'a>(meta: &mut Meta<'a>, iprp: BoxRef<'a>) -> Result<()> {
    let early = || corrupt("its item properties end early");
    for child in boxes(meta.source, iprp.inside()) {
        let child = child.map_err(corrupt)?;
        match &child.kind {
            b"ipco" if meta.properties.is_empty() => {
                for property in boxes(meta.source, child.inside()).take(0x7fff) {
                    meta.properties.push(property.map_err(corrupt)?);
                }
            }
            b"ipma" => {
                let (version, flags, mut fields) = child.full().ok_or_else(early)?;
                let count = fields.u32().ok_or_else(early)?;
                for _ in 0..count {
                    let entry = association(version, flags, &mut fields).ok_or_else(early)?;
                    if let Some(item) = meta.items.get_mut(&entry.0) {
                        item.properties.extend(entry.1);
                        if item.properties.len() > MOST_PROPERTIES {
                            return Err(corrupt(format!(
                                "an item has more than {MOST_PROPERTIES} properties"
                            )));
                        }
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// One entry of `ipma`: an item's id and the numbers of its properties.
pub(super) fn association(
    version: u8,
    flags: u32,
    fields: &mut Fields<'_>,
) -> Option<(u32, Vec<u16>)> {
    let id = fields.id(version > 0)?;
    let count = fields.u8()?;
    let numbers = (0..count).map(|_| {
        Some(if flags & 1 == 1 {
            fields.u16()? & 0x7fff
        } else {
            u16::from(fields.u8()? & 0x7f)
        })
    });
    Some((id, numbers.collect::<Option<_>>()?))
}

fn item_references(meta: &mut Meta<'_>, iref: BoxRef<'_>) -> Result<()> {
    let early = || corrupt("its item references end early");
    let (version, ..) = iref.full().ok_or_else(early)?;
    let mut count = 0;
    for each in boxes(meta.source, iref.body_start + 4..iref.end()) {
        let each = each.map_err(corrupt)?;
        let reference = reference(&each, version > 0).ok_or_else(early)?;
        count += 1 + reference.to.len();
        if count > MOST_REFERENCES {
            return Err(corrupt(format!(
                "it has more than {MOST_REFERENCES} references"
            )));
        }
        if reference.kind == *b"dimg" {
            let index = meta.references.len();
            meta.made_of.entry(reference.from).or_insert(index);
        }
        meta.references.push(reference);
    }
    Ok(())
}

/// Reads one box of `iref`.
pub(super) fn reference(place: &BoxRef<'_>, wide: bool) -> Option<Reference> {
    let mut fields = Fields::new(place.body);
    let from = fields.id(wide)?;
    let count = fields.u16()?;
    let to = (0..count).map(|_| fields.id(wide));
    Some(Reference {
        kind: place.kind,
        from,
        to: to.collect::<Option<_>>()?,
    })
}

impl<'a> Meta<'a> {
    /// The properties of an item, in order.
    pub(super) fn properties_of(&self, id: u32) -> impl Iterator<Item = &BoxRef<'a>> {
        let numbers = self.items.get(&id).map_or(&[][..], |item| &item.properties);
        numbers
            .iter()
            .filter_map(|n| self.properties.get(usize::from(*n).checked_sub(1)?))
    }

    /// The ranges of an item's bytes in the file, in order.
    pub(super) fn ranges(&self, id: u32) -> Result<Vec<Range<usize>>> {
        let item = (self.items.get(&id)).ok_or_else(|| corrupt(format!("item {id} is missing")))?;
        let within = match (item.in_idat, &self.idat) {
            (false, _) => 0..self.source.len(),
            (true, Some(idat)) => idat.clone(),
            (true, None) => return Err(corrupt("the data of an item are missing")),
        };
        if item.elsewhere {
            return Err(corrupt(format!("the data of item {id} are elsewhere")));
        }
        let range = |extent: &Extent| {
            let start = within.start.checked_add(extent.offset.try_into().ok()?)?;
            let end = match extent.length {
                0 => within.end,
                length => start.checked_add(length.try_into().ok()?)?,
            };
            (start <= end && end <= within.end).then_some(start..end)
        };
        let ranges = item.extents.iter().map(range).collect::<Option<Vec<_>>>();
        let ranges = ranges.ok_or_else(|| corrupt(format!("item {id} lies outside of it")))?;
        // Overlapping extents could add up to any size.
        let sum = ranges.iter().try_fold(0, |sum: usize, range| {
            sum.checked_add(range.len())
                .filter(|sum| *sum <= self.source.len())
        });
        match sum {
            Some(1..) => Ok(ranges),
            _ => Err(corrupt(format!("item {id} has an impossible length"))),
        }
    }

    /// An item's bytes.
    pub(super) fn data(&self, id: u32) -> Result<Cow<'a, [u8]>> {
        let ranges = self.ranges(id)?;
        if let [range] = &ranges[..] {
            return Ok(Cow::Borrowed(&self.source[range.clone()]));
        }
        let pieces: Vec<_> = ranges.into_iter().map(|r| &self.source[r]).collect();
        Ok(Cow::Owned(pieces.concat()))
    }

    /// The parts of `id`.
    pub(super) fn parts(&self, id: u32) -> &[u32] {
        let found = self.made_of.get(&id);
        found.map_or(&[], |index| &self.references[*index].to)
    }
}
