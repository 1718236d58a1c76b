//! Writes `meta` with the items that are needed to show the primary one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::{boxed, handler, properties};
use crate::{
    Control, Result,
    codec::{
        avif::{
            container::{Meta, item_info, item_info_entries},
            corrupt, metadata, obus, picture,
        },
        bmff::{BoxRef, Fields, boxes},
    },
};

/// The items of the new file.
#[derive(Default)]
pub(super) struct Items {
    items: BTreeMap<u32, Needed>,
    primary: u32,
    /// The item that describes the primary one, and its length.
    exif: Option<(u32, usize)>,
    /// The EXIF item of the source, if there is one.
    old_exif: Option<u32>,
}

struct Needed {
    kind: [u8; 4],
    ranges: Vec<Range<usize>>,
}

/// Bytes by which the new file can be longer than the source, with a margin.
const ROOM: usize = 1 << 20;

/// Maps a position in the source to the new file.
type At<'a> = &'a dyn Fn(usize) -> usize;

impl Items {
    /// The primary item of `meta` and all that it is made of.
    pub(super) fn needed(source: &[u8], meta: &Meta<'_>, control: &Control) -> Result<Self> {
        let mut needed = Self::default();
        let Some(primary) = meta.primary else {
            return Ok(needed);
        };
        needed.primary = primary;
        needed.old_exif = metadata::item(meta, b"Exif").map(|(id, _)| id);
        for id in ids(meta, primary) {
            control.check()?;
            let Some(item) = meta.items.get(&id) else {
                continue;
            };
            let ranges = meta.ranges(id)?;
            let is_layered = meta.properties_of(id).any(|p| p.kind == *b"a1lx");
            // The sizes of layers would no longer be correct.
            let ranges = match &ranges[..] {
                [whole] if item.kind == *b"av01" && !is_layered => {
                    let parts = obus::pictures_alone(&source[whole.clone()]);
                    let part =
                        |part: Range<usize>| whole.start + part.start..whole.start + part.end;
                    parts.into_iter().map(part).collect()
                }
                _ => ranges,
            };
            // An item without bytes would make a file that cannot be read.
            if ranges.is_empty() {
                return Err(corrupt(format!("item {id} shows no picture")));
            }
            let item = Needed {
                kind: item.kind,
                ranges,
            };
            needed.items.insert(id, item);
        }
        Ok(needed)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn add_ranges_to(&self, keep: &mut Vec<Range<usize>>) {
        keep.extend(
            self.items
                .values()
                .flat_map(|item| item.ranges.iter().cloned()),
        );
    }

    /// Adds an EXIF item of this length.
    pub(super) fn describe(&mut self, length: usize) -> Option<()> {
        let last = *self.items.last_key_value()?.0;
        let free = || {
            (1..=last.checked_add(1)?)
                .rev()
                .find(|id| !self.items.contains_key(id))
        };
        let id = self.old_exif.filter(|id| !self.items.contains_key(id));
        self.exif = Some((id.or_else(free)?, length));
        Some(())
    }

    /// `end`: the position in the file of the data that are not in the source.
    pub(super) fn write(
        &self,
        source: &[u8],
        meta: &Meta<'_>,
        at: At<'_>,
        end: usize,
    ) -> Result<Vec<u8>> {
        let exif_id = self.exif.map(|(id, _)| id);
        let is_wide = self.items.keys().chain(&exif_id).any(|id| *id > 0xffff);
        let writer = Writer {
            is_wide,
            is_long: u32::try_from(source.len() + ROOM).is_err(),
        };
        let children = |kind: &'static [u8; 4]| {
            boxes(source, meta.place.body_start + 4..meta.place.end())
                .map_while(std::result::Result::ok)
                .find(move |child| child.kind == *kind)
        };
        let hidden = children(b"iinf")
            .map(|iinf| hidden(source, &iinf))
            .unwrap_or_default();
        let properties = match children(b"iprp") {
            Some(iprp) => self.properties(source, meta, &iprp, writer)?,
            None => Vec::new(),
        };
        let groups = children(b"grpl").map(|grpl| self.groups(source, &grpl));
        boxed(
            b"meta",
            &[
                &[0; 4],
                &handler(*b"pict")?,
                &boxed(b"pitm", &[&writer.version(), &writer.id(self.primary)])?,
                &self.locations(writer, at, end)?,
                &self.infos(writer, &hidden)?,
                &self.references(meta, writer)?,
                &properties,
                &groups.transpose()?.unwrap_or_default(),
            ],
        )
    }

    fn locations(&self, writer: Writer, at: At<'_>, end: usize) -> Result<Vec<u8>> {
        let mut entries = Vec::new();
        let mut entry = |id: u32, extents: &[(usize, usize)]| -> Result<()> {
            entries.extend(writer.id(id));
            if writer.is_wide {
                // Offsets are relative to the beginning of the file.
                entries.extend([0; 2]);
            }
            // In this file.
            entries.extend([0; 2]);
            entries.extend(u16::try_from(extents.len()).map_err(corrupt)?.to_be_bytes());
            for (offset, length) in extents {
                entries.extend(writer.place(*offset)?);
                entries.extend(writer.place(*length)?);
            }
            Ok(())
        };
        for (id, item) in &self.items {
            let mut extents: Vec<(usize, usize)> = Vec::new();
            for range in &item.ranges {
                let start = at(range.start);
                match extents.last_mut() {
                    Some((last, length)) if *last + *length == start => *length += range.len(),
                    _ => extents.push((start, range.len())),
                }
            }
            entry(*id, &extents)?;
        }
        if let Some((id, length)) = self.exif {
            entry(id, &[(end, length)])?;
        }
        let version = if writer.is_wide { 2 } else { 0 };
        let sizes = if writer.is_long { 0x88 } else { 0x44 };
        let count = self.items.len() + usize::from(self.exif.is_some());
        let count = writer.id(u32::try_from(count).map_err(corrupt)?);
        boxed(b"iloc", &[&[version, 0, 0, 0, sizes, 0], &count, &entries])
    }

    fn infos(&self, writer: Writer, hidden: &BTreeSet<u32>) -> Result<Vec<u8>> {
        let items = self.items.iter().map(|(id, item)| (*id, item.kind));
        let items: Vec<_> = items
            .chain(self.exif.map(|(id, _)| (id, *b"Exif")))
            .collect();
        let mut infos = Vec::new();
        for (id, kind) in &items {
            let version = if writer.is_wide { 3 } else { 2 };
            let flags = u8::from(hidden.contains(id));
            // Not protected, without a name.
            let parts: [&[u8]; 5] = [
                &[version, 0, 0, flags],
                &writer.id(*id),
                &[0; 2],
                kind,
                &[0],
            ];
            infos.extend(boxed(b"infe", &parts)?);
        }
        let count = writer.id(u32::try_from(items.len()).map_err(corrupt)?);
        boxed(b"iinf", &[&writer.version(), &count, &infos])
    }

    fn references(&self, meta: &Meta<'_>, writer: Writer) -> Result<Vec<u8>> {
        let mut entries = Vec::new();
        let mut entry = |kind: &[u8; 4], from: u32, to: &[u32]| -> Result<()> {
            let count = u16::try_from(to.len()).map_err(corrupt)?.to_be_bytes();
            let to: Vec<u8> = to.iter().flat_map(|to| writer.id(*to)).collect();
            entries.extend(boxed(kind, &[&writer.id(from), &count, &to])?);
            Ok(())
        };
        for reference in &meta.references {
            // A needed item is made only of needed ones; its other references are dropped.
            let to = reference.to.iter().filter(|to| self.items.contains_key(to));
            let to: Vec<u32> = to.copied().collect();
            let says_something = KNOWN_REFERENCES.contains(&&reference.kind);
            if says_something && !to.is_empty() && self.items.contains_key(&reference.from) {
                entry(&reference.kind, reference.from, &to)?;
            }
        }
        if let Some((id, _)) = self.exif {
            entry(b"cdsc", id, &[self.primary])?;
        }
        if entries.is_empty() {
            return Ok(entries);
        }
        boxed(b"iref", &[&writer.version(), &entries])
    }

    /// The properties of needed items, renumbered.
    fn properties(
        &self,
        source: &[u8],
        meta: &Meta<'_>,
        iprp: &BoxRef<'_>,
        writer: Writer,
    ) -> Result<Vec<u8>> {
        let mut associations: BTreeMap<u32, Vec<(bool, u16)>> = BTreeMap::new();
        for child in boxes(source, iprp.inside()).map_while(std::result::Result::ok) {
            if child.kind == *b"ipma" {
                let early = || corrupt("its item properties end early");
                self.associate(&child, &mut associations)
                    .ok_or_else(early)?;
            }
        }
        let mut numbers: BTreeMap<u16, u16> = BTreeMap::new();
        let mut content = Vec::new();
        let used: BTreeSet<u16> = associations
            .values()
            .flatten()
            .map(|(_, number)| *number)
            .collect();
        for old in used {
            let index = usize::from(old).checked_sub(1);
            let property = index.and_then(|index| meta.properties.get(index));
            if let Some(property) = property
                && let Some(cleaned) = properties::clean(property)
            {
                let new = u16::try_from(numbers.len() + 1).map_err(corrupt)?;
                numbers.insert(old, new);
                content.extend(boxed(&property.kind, &[&cleaned])?);
            }
        }
        let is_long = numbers.len() > 0x7f;
        let mut entries = Vec::new();
        for (id, properties) in &associations {
            let known = properties
                .iter()
                .filter_map(|(is_essential, old)| Some((*is_essential, *numbers.get(old)?)));
            let known: Vec<_> = known.collect();
            entries.extend(writer.id(*id));
            entries.push(u8::try_from(known.len()).map_err(corrupt)?);
            for (is_essential, number) in known {
                if is_long {
                    entries.extend((u16::from(is_essential) << 15 | number).to_be_bytes());
                } else {
                    entries.push(u8::from(is_essential) << 7 | number as u8);
                }
            }
        }
        let count = u32::try_from(associations.len())
            .map_err(corrupt)?
            .to_be_bytes();
        let head = [u8::from(writer.is_wide), 0, 0, u8::from(is_long)];
        let ipma = boxed(b"ipma", &[&head, &count, &entries])?;
        boxed(b"iprp", &[&boxed(b"ipco", &[&content])?, &ipma])
    }

    fn associate(
        &self,
        ipma: &BoxRef<'_>,
        associations: &mut BTreeMap<u32, Vec<(bool, u16)>>,
    ) -> Option<()> {
        let (version, flags, mut fields) = ipma.full()?;
        for _ in 0..fields.u32()? {
            let id = fields.id(version > 0)?;
            for _ in 0..fields.u8()? {
                let number = if flags & 1 == 1 {
                    fields.u16()?
                } else {
                    let short = u16::from(fields.u8()?);
                    (short & 0x80) << 8 | short & 0x7f
                };
                if self.items.contains_key(&id) {
                    let properties = associations.entry(id).or_default();
                    properties.push((number & 0x8000 != 0, number & 0x7fff));
                }
            }
        }
        Some(())
    }

    /// Groups of alternatives, which tie a gain map to the picture.
    fn groups(&self, source: &[u8], grpl: &BoxRef<'_>) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        for group in boxes(source, grpl.inside()).map_while(std::result::Result::ok) {
            let mut fields = Fields::new(group.body);
            let members = || -> Option<(u32, Vec<u32>)> {
                fields.u32()?;
                let id = fields.u32()?;
                let count = fields.u32()?;
                let members = (0..count).map(|_| fields.u32());
                Some((id, members.collect::<Option<_>>()?))
            };
            let Some((id, members)) = { members }() else {
                continue;
            };
            if group.kind == *b"altr" && members.iter().all(|id| self.items.contains_key(id)) {
                let count = u32::try_from(members.len()).map_err(corrupt)?;
                let members: Vec<u8> = members.iter().flat_map(|id| id.to_be_bytes()).collect();
                let parts: [&[u8]; 4] =
                    [&[0; 4], &id.to_be_bytes(), &count.to_be_bytes(), &members];
                content.extend(boxed(b"altr", &parts)?);
            }
        }
        if content.is_empty() {
            return Ok(content);
        }
        boxed(b"grpl", &[&content])
    }
}

/// References to the parts of an item, to the item whose alpha it is, and to the alpha by which it
/// is multiplied.
const KNOWN_REFERENCES: [&[u8; 4]; 4] = [b"dimg", b"auxl", b"prem", b"prog"];

/// The ids of the items that are needed to show the primary one.
fn ids(meta: &Meta<'_>, primary: u32) -> BTreeSet<u32> {
    let mut needed = BTreeSet::new();
    let mut waiting = vec![primary];
    // A gain map belongs to an item that is made of the picture and the map.
    for reference in &meta.references {
        let is_map = (meta.items.get(&reference.from)).is_some_and(|item| item.kind == *b"tmap");
        if is_map && reference.kind == *b"dimg" && reference.to.first() == Some(&primary) {
            waiting.push(reference.from);
        }
    }
    while let Some(id) = waiting.pop() {
        if !meta.items.contains_key(&id) || !needed.insert(id) {
            continue;
        }
        waiting.extend(meta.parts(id));
        waiting.extend(picture::alpha_of(meta, id));
    }
    needed
}

/// The hidden items, which are not shown by themselves.
fn hidden(source: &[u8], iinf: &BoxRef<'_>) -> BTreeSet<u32> {
    let Some(start) = item_info_entries(iinf) else {
        return BTreeSet::new();
    };
    let infos = boxes(source, start..iinf.end()).map_while(std::result::Result::ok);
    let is_hidden = |infe: &BoxRef<'_>| infe.full().is_some_and(|(_, flags, _)| flags & 1 == 1);
    infos
        .filter(is_hidden)
        .filter_map(|infe| Some(item_info(&infe)?.0))
        .collect()
}

/// The sizes of numbers.
#[derive(Clone, Copy)]
struct Writer {
    /// Whether ids have 32 bits.
    is_wide: bool,
    /// Whether offsets have 64 bits.
    is_long: bool,
}

impl Writer {
    /// Encodes an id, or a count of ids.
    fn id(self, id: u32) -> Vec<u8> {
        let bytes = id.to_be_bytes();
        bytes[if self.is_wide { 0 } else { 2 }..].to_vec()
    }

    /// Version and flags of a box whose version 1 has wide ids.
    fn version(self) -> [u8; 4] {
        [u8::from(self.is_wide), 0, 0, 0]
    }

    fn place(self, place: usize) -> Result<Vec<u8>> {
        if self.is_long {
            return Ok((place as u64).to_be_bytes().to_vec());
        }
        let short = u32::try_from(place).map_err(corrupt)?;
        Ok(short.to_be_bytes().to_vec())
    }
}
