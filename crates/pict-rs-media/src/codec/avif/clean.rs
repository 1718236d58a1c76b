//! The same file without metadata, byte for byte as long up to the end of what is kept, so that
//! every offset in it stays true.
//!
//! Kept is what a viewer needs to show the picture: the primary item with everything that it is
//! made of, its alpha, its gain map; the track of pictures and that of its alpha. How the
//! picture is turned and mirrored is part of how it is shown, and stays. Whatever is not known
//! to be needed is written as zeros: other items, thumbnails among them, their names, the times
//! of creation, the names of programs, and any byte of `mdat` that nothing kept points to.

use std::{borrow::Cow, collections::BTreeSet, ops::Range};

use super::{
    container::{LocationSizes, Meta, association, item_info, item_info_entries, reference},
    corrupt, metadata, picture,
    track::{Sequence, Track},
};
use crate::{
    Result,
    codec::{
        bmff::{BoxRef, boxes, boxes_in},
        pieces::Pieces,
    },
};

/// The file as pieces; most borrow from the source.
pub(crate) fn clean(source: &[u8]) -> Result<Vec<Cow<'_, [u8]>>> {
    cleaned(source, None)
}

/// The cleaned file with an item of EXIF that is all zeros, if the source has one with room for
/// `tiff`; where in the file that item begins; and what has to be there instead.
pub(crate) fn with_exif<'a>(source: &'a [u8], tiff: &[u8]) -> Option<WithExif<'a>> {
    let meta = super::container::read(source).ok()?.meta?;
    let (id, place) = metadata::item(&meta, b"Exif")?;
    // Before the structure stands how far away it is.
    let item = [&[0; 4], tiff].concat();
    if item.len() > place.len() {
        return None;
    }
    let in_mdat = |each: BoxRef<'_>| {
        let inside = each.inside();
        each.kind == *b"mdat" && inside.start <= place.start && place.end <= inside.end
    };
    if !boxes_in(source).map_while(Result::ok).any(in_mdat) {
        return None;
    }
    let pieces = cleaned(source, Some((id, &place))).ok()?;
    Some((pieces, place.start, item))
}

/// Pieces, place, item.
type WithExif<'a> = (Vec<Cow<'a, [u8]>>, usize, Vec<u8>);

/// `also`: an item of no picture that stays, as zeros, and its place.
fn cleaned<'a>(source: &'a [u8], also: Option<(u32, &Range<usize>)>) -> Result<Vec<Cow<'a, [u8]>>> {
    let file = super::container::read(source)?;
    let (mut keep, mut wanted) = (Vec::new(), BTreeSet::new());
    let mut moov = None;
    if let Some(meta) = &file.meta {
        wanted = needed(meta);
        for id in &wanted {
            if meta.items.get(id).is_some_and(|item| !item.in_idat) {
                keep.extend(meta.ranges(*id)?);
            }
        }
    }
    if let Some(place) = file.moov {
        moov = clean_moov(source, place, &mut keep)?;
    }
    let keep = joined(keep);
    if let Some((id, place)) = also {
        if overlaps(&keep, place) {
            return Err(corrupt("an item lies over the picture"));
        }
        wanted.insert(id);
    }
    // Its bytes move when what stands around them goes.
    let holds_data = |place: &BoxRef<'_>| overlaps(&keep, &(place.start..place.end()));
    if (file.meta.iter().map(|meta| &meta.place))
        .chain(&file.moov)
        .any(holds_data)
    {
        return Err(corrupt("data of the picture lie among its boxes"));
    }
    let meta = match &file.meta {
        Some(meta) => clean_meta(source, meta, &wanted)?,
        None => None,
    };
    let mut out = Writer {
        pieces: Pieces::new(source),
        blank: 0,
        at: 0,
    };
    for each in boxes_in(source) {
        let Ok(each) = each else {
            // A box that goes on after the end of the file, or no box at all. Kept is as much
            // of it as is pointed to.
            let last = keep.last().map_or(0, |range| range.end);
            if last > out.at {
                let start = out.at;
                let head = (start + 8).min(last);
                out.keep(start..head);
                out.only(head..last, &keep);
            }
            break;
        };
        match &each.kind {
            b"ftyp" if each.start == 0 => out.keep(each.start..each.end()),
            b"meta" | b"moov" => {
                let new = if each.kind == *b"meta" {
                    file.meta
                        .as_ref()
                        .filter(|m| m.place.start == each.start)
                        .and(meta.as_ref())
                } else {
                    file.moov
                        .filter(|m| m.start == each.start)
                        .and(moov.as_ref())
                };
                match new {
                    Some(new) => out.replace(each.start..each.end(), new),
                    None => out.drop(each.start..each.end()),
                }
            }
            b"mdat" | b"imda" => {
                out.keep(each.start..each.body_start);
                out.only(each.inside(), &keep);
            }
            _ if overlaps(&keep, &(each.start..each.end())) => {
                // Data of a picture in a box of any name.
                out.keep(each.start..each.body_start);
                out.only(each.inside(), &keep);
            }
            _ => out.drop(each.start..each.end()),
        }
    }
    Ok(out.pieces.finish())
}

/// Collects the pieces. What is dropped becomes one box of zeros if anything follows it.
struct Writer<'a> {
    pieces: Pieces<'a>,
    /// Bytes that were dropped and not yet written.
    blank: usize,
    at: usize,
}

impl<'a> Writer<'a> {
    fn fill(&mut self) {
        let length = std::mem::take(&mut self.blank);
        if length > 0 {
            let head = length.min(16);
            let mut header = vec![0; head];
            free(&mut header, length);
            self.pieces.own(header);
            self.zeros(length - head);
        }
    }

    fn zeros(&mut self, mut length: usize) {
        while length > 0 {
            let some = length.min(ZEROS.len());
            self.pieces.borrow(&ZEROS[..some]);
            length -= some;
        }
    }

    fn keep(&mut self, range: Range<usize>) {
        self.fill();
        self.at = range.end;
        self.pieces.keep(range);
    }

    fn replace(&mut self, range: Range<usize>, bytes: &[u8]) {
        self.fill();
        self.at = range.end;
        self.pieces.own(bytes.to_vec());
    }

    fn drop(&mut self, range: Range<usize>) {
        self.blank += range.len();
        self.at = range.end;
    }

    /// Keeps of `range` what lies in `kept`, which is sorted; the rest becomes zeros.
    fn only(&mut self, range: Range<usize>, kept: &[Range<usize>]) {
        self.fill();
        let mut at = range.start;
        let first = kept.partition_point(|each| each.end <= range.start);
        for each in &kept[first..] {
            let each = each.start.max(at)..each.end.min(range.end);
            if each.start >= range.end {
                break;
            }
            if each.start > at {
                self.zeros(each.start - at);
            }
            at = each.end;
            self.pieces.keep(each);
        }
        if range.end > at {
            self.zeros(range.end - at);
        }
        self.at = range.end;
    }
}

/// Borrowed as often as needed, so that dropping much costs no memory.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// Writes the header of a box without content that is `length` bytes long, at least 8.
fn free(zeros: &mut [u8], length: usize) {
    match u32::try_from(length) {
        Ok(short) if length >= 8 => {
            zeros[..4].copy_from_slice(&short.to_be_bytes());
            zeros[4..8].copy_from_slice(b"free");
        }
        Err(_) => {
            zeros[3] = 1;
            zeros[4..8].copy_from_slice(b"free");
            zeros[8..16].copy_from_slice(&(length as u64).to_be_bytes());
        }
        Ok(_) => {}
    }
}

/// Sorted ranges that do not touch each other.
fn joined(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

fn overlaps(kept: &[Range<usize>], range: &Range<usize>) -> bool {
    let first = kept.partition_point(|each| each.end <= range.start);
    kept.get(first).is_some_and(|each| each.start < range.end)
}

/// The items that are needed to show the primary one.
fn needed(meta: &Meta<'_>) -> BTreeSet<u32> {
    let mut needed = BTreeSet::new();
    let Some(primary) = meta.primary else {
        return needed;
    };
    let mut waiting = vec![primary];
    // A gain map hangs on an item that is made of the picture and the map.
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

/// Writes a box around its content.
fn wrap(kind: &[u8; 4], content: &[u8]) -> Result<Vec<u8>> {
    let length = u32::try_from(content.len() + 8).map_err(corrupt)?;
    Ok([&length.to_be_bytes(), &kind[..], content].concat())
}

/// `meta` without the items that are not needed, as long as it was. `None` when nothing of it
/// is needed.
fn clean_meta(source: &[u8], meta: &Meta<'_>, needed: &BTreeSet<u32>) -> Result<Option<Vec<u8>>> {
    if needed.is_empty() {
        return Ok(None);
    }
    let place = &meta.place;
    let idat_kept = {
        let mut ranges = Vec::new();
        for id in needed {
            if meta.items.get(id).is_some_and(|item| item.in_idat) {
                ranges.extend(meta.ranges(*id)?);
            }
        }
        joined(ranges)
    };
    let mut new = source[place.body_start..][..4].to_vec();
    let mut handler = None;
    let mut seen = BTreeSet::new();
    for child in boxes(source, place.body_start + 4..place.end()) {
        let child = child.map_err(corrupt)?;
        // Only the first of each kind was read.
        if !seen.insert(child.kind) {
            continue;
        }
        let early = || corrupt("its items end early");
        match &child.kind {
            b"pitm" => new.extend(&source[child.start..child.end()]),
            b"hdlr" => {
                let mut content = child.body.to_vec();
                for said in HANDLER_WORDS {
                    let end = said.end.min(content.len());
                    content[said.start.min(end)..end].fill(0);
                }
                let start = new.len();
                new.extend(wrap(b"hdlr", &content)?);
                handler = Some((start..new.len(), content));
            }
            b"iinf" => {
                let content = item_infos(source, &child, needed).ok_or_else(early)?;
                new.extend(wrap(b"iinf", &content)?);
            }
            b"iloc" => {
                let content = item_locations(&child, needed).ok_or_else(early)?;
                new.extend(wrap(b"iloc", &content)?);
            }
            b"iref" => {
                let content = item_references(source, &child, needed).ok_or_else(early)?;
                if content.len() > 4 {
                    new.extend(wrap(b"iref", &content)?);
                }
            }
            b"iprp" => {
                let content = item_properties(source, &child, needed)?;
                new.extend(wrap(b"iprp", &content)?);
            }
            b"grpl" => {
                let content = groups(source, &child, needed);
                if !content.is_empty() {
                    new.extend(wrap(b"grpl", &content)?);
                }
            }
            b"idat" => {
                let mut content = vec![0; child.body.len()];
                for range in &idat_kept {
                    let start = range.start - child.body_start;
                    content[start..start + range.len()].copy_from_slice(&source[range.clone()]);
                }
                new.extend(wrap(b"idat", &content)?);
            }
            _ => {}
        }
    }
    // The header may have been one of 64 bits, or said that the box goes to the end.
    let head = &source[place.start..place.body_start];
    let spare = (place.body.len()).checked_sub(new.len());
    match spare {
        Some(0) => {}
        Some(spare @ 8..) => {
            let mut zeros = vec![0; spare];
            free(&mut zeros, spare);
            new.extend(zeros);
        }
        // Too few bytes for a box. They make the name that is now empty longer.
        Some(spare) => {
            let (range, mut content) = handler.ok_or_else(|| corrupt("its items have no kind"))?;
            content.resize(content.len() + spare, 0);
            new.splice(range, wrap(b"hdlr", &content)?);
        }
        None => return Err(corrupt("its items cannot be cleaned")),
    }
    Ok(Some([head, &new].concat()))
}

fn item_infos(source: &[u8], iinf: &BoxRef<'_>, needed: &BTreeSet<u32>) -> Option<Vec<u8>> {
    let (version, ..) = iinf.full()?;
    let (mut entries, mut count, mut written) = (Vec::new(), 0u32, BTreeSet::new());
    for infe in boxes(source, item_info_entries(iinf)?..iinf.end()) {
        let infe = infe.ok()?;
        let Some((id, _)) = item_info(&infe) else {
            continue;
        };
        if needed.contains(&id) && written.insert(id) {
            count += 1;
            let start = entries.len() + infe.body_start - infe.start;
            entries.extend(&source[infe.start..infe.end()]);
            // Version and flags, id, protection, kind; then a name, which is for people.
            let (version, ..) = infe.full()?;
            let name = start + if version == 3 { 14 } else { 12 };
            if let Some(name) = entries.get_mut(name..) {
                name.fill(0);
            }
        }
    }
    let mut content = iinf.body.get(..4)?.to_vec();
    if version == 0 {
        content.extend(u16::try_from(count).ok()?.to_be_bytes());
    } else {
        content.extend(count.to_be_bytes());
    }
    content.extend(entries);
    Some(content)
}

fn item_locations(iloc: &BoxRef<'_>, needed: &BTreeSet<u32>) -> Option<Vec<u8>> {
    let (sizes, mut fields) = LocationSizes::read(iloc)?;
    let (mut entries, mut count) = (Vec::<u8>::new(), 0u32);
    for _ in 0..sizes.count {
        let before = fields.bytes;
        let (id, _) = sizes.entry(&mut fields)?;
        if needed.contains(&id) {
            count += 1;
            entries.extend(&before[..before.len() - fields.bytes.len()]);
        }
    }
    let mut content = iloc.body.get(..6)?.to_vec();
    if content[0] == 2 {
        content.extend(count.to_be_bytes());
    } else {
        content.extend(u16::try_from(count).ok()?.to_be_bytes());
    }
    content.extend(entries);
    Some(content)
}

fn item_references(source: &[u8], iref: &BoxRef<'_>, needed: &BTreeSet<u32>) -> Option<Vec<u8>> {
    let (version, ..) = iref.full()?;
    let wide = version > 0;
    let mut content = iref.body.get(..4)?.to_vec();
    for each in boxes(source, iref.body_start + 4..iref.end()) {
        let each = each.ok()?;
        let found = reference(&each, wide)?;
        // An item that is needed is made of needed ones only; what else it points to goes.
        let to: Vec<_> = found.to.iter().filter(|to| needed.contains(to)).collect();
        if !needed.contains(&found.from) || to.is_empty() {
            continue;
        }
        let id = |id: u32| {
            let bytes = id.to_be_bytes();
            if wide {
                bytes.to_vec()
            } else {
                bytes[2..].to_vec()
            }
        };
        let mut entry = id(found.from);
        entry.extend(u16::try_from(to.len()).ok()?.to_be_bytes());
        for to in to {
            entry.extend(id(*to));
        }
        content.extend(wrap(&each.kind, &entry).ok()?);
    }
    Some(content)
}

/// Properties keep their numbers; those that describe in words become empty.
fn item_properties(source: &[u8], iprp: &BoxRef<'_>, needed: &BTreeSet<u32>) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    for child in boxes(source, iprp.inside()) {
        let child = child.map_err(corrupt)?;
        match &child.kind {
            b"ipco" => {
                let mut body = child.body.to_vec();
                blank_unknown(source, child.inside(), &mut body, PROPERTIES);
                content.extend(wrap(b"ipco", &body)?);
            }
            b"ipma" => {
                let early = || corrupt("its item properties end early");
                let body = associations(&child, needed).ok_or_else(early)?;
                content.extend(wrap(b"ipma", &body)?);
            }
            _ => {}
        }
    }
    Ok(content)
}

fn associations(ipma: &BoxRef<'_>, needed: &BTreeSet<u32>) -> Option<Vec<u8>> {
    let (version, flags, mut fields) = ipma.full()?;
    let entries = fields.u32()?;
    let (mut kept, mut count) = (Vec::<u8>::new(), 0u32);
    for _ in 0..entries {
        let before = fields.bytes;
        let (id, _) = association(version, flags, &mut fields)?;
        if needed.contains(&id) {
            count += 1;
            kept.extend(&before[..before.len() - fields.bytes.len()]);
        }
    }
    let mut content = ipma.body.get(..4)?.to_vec();
    content.extend(count.to_be_bytes());
    content.extend(kept);
    Some(content)
}

/// Groups of alternatives, which tell that a gain map belongs to the picture.
fn groups(source: &[u8], grpl: &BoxRef<'_>, needed: &BTreeSet<u32>) -> Vec<u8> {
    let mut content = Vec::new();
    for group in boxes(source, grpl.inside()).map_while(std::result::Result::ok) {
        let members = group.body.get(12..).unwrap_or_default().chunks_exact(4);
        let known = |member: &[u8]| {
            let id = <[u8; 4]>::try_from(member).map(u32::from_be_bytes);
            id.is_ok_and(|id| needed.contains(&id))
        };
        if group.kind == *b"altr" && members.clone().all(known) {
            content.extend(&source[group.start..group.end()]);
        }
    }
    content
}

/// Of a `hdlr`: all but version, flags and the kind of handler. QuickTime has types and
/// manufacturers there; last comes a name, which is for people.
const HANDLER_WORDS: [Range<usize>; 2] = [4..8, 12..usize::MAX];

/// Properties that say how a picture is shown.
const PROPERTIES: &[&[u8; 4]] = &[
    b"ispe", b"pixi", b"av1C", b"hvcC", b"avcC", b"colr", b"auxC", b"irot", b"imir", b"clap",
    b"pasp", b"clli", b"mdcv", b"cclv", b"amve", b"reve", b"ndwt", b"a1op", b"a1lx", b"lsel",
    b"rloc", b"jpgC", b"j2kH", b"vvcC",
];

/// What a sample entry of pictures can hold for its decoder.
const ENTRY: &[&[u8; 4]] = &[
    b"av1C", b"colr", b"auxi", b"ccst", b"pasp", b"clap", b"clli", b"mdcv", b"cclv", b"amve",
    b"irot", b"imir", b"btrt", b"pixi", b"taic",
];

/// Turns the boxes in `range` whose kind is not in `known` into `free` ones. `body` holds the
/// bytes of that range.
fn blank_unknown(source: &[u8], range: Range<usize>, body: &mut [u8], known: &[&[u8; 4]]) {
    let base = range.start;
    let mut end = range.start;
    for each in boxes(source, range.clone()).map_while(std::result::Result::ok) {
        end = each.end();
        if !known.contains(&&each.kind) {
            blank(&mut body[each.start - base..each.end() - base]);
        }
    }
    body[end - base..].fill(0);
}

/// Makes a box empty, but leaves it as long as it is.
fn blank(place: &mut [u8]) {
    place.fill(0);
    free(place, place.len());
}

/// `moov` with nothing but the tracks that are shown, in place; adds their samples to `keep`.
/// `None` when there is no such track.
fn clean_moov(
    source: &[u8],
    moov: BoxRef<'_>,
    keep: &mut Vec<Range<usize>>,
) -> Result<Option<Vec<u8>>> {
    let Ok(opened) = Sequence::read(source, moov) else {
        // Not to be shown, so there is an item that is.
        return Ok(None);
    };
    let tracks: Vec<&Track<'_>> = [Some(&opened.colour), opened.alpha.as_ref()]
        .into_iter()
        .flatten()
        .collect();
    for track in &tracks {
        for sample in track.samples(source) {
            let sample = sample?;
            match keep.last_mut() {
                Some(last) if last.end == sample.start => last.end = sample.end,
                _ => keep.push(sample),
            }
        }
    }
    let mut bytes = source[moov.start..moov.end()].to_vec();
    let mut scrub = Scrub {
        source,
        base: moov.start,
        bytes: &mut bytes,
    };
    for child in boxes(source, moov.inside()) {
        let child = child.map_err(corrupt)?;
        match &child.kind {
            b"mvhd" => scrub.times(&child),
            b"trak" if tracks.iter().any(|track| track.place.start == child.start) => {
                scrub.container(&child, 0);
            }
            _ => scrub.blank(&child),
        }
    }
    Ok(Some(bytes))
}

/// Depth of what stands in `dinf`, beside those of the other boxes.
const DATA: u8 = 4;

/// Cleans a copy of `moov`.
struct Scrub<'a> {
    source: &'a [u8],
    base: usize,
    bytes: &'a mut [u8],
}

impl Scrub<'_> {
    fn zero(&mut self, range: Range<usize>) {
        if let Some(bytes) = self
            .bytes
            .get_mut(range.start - self.base..range.end - self.base)
        {
            bytes.fill(0);
        }
    }

    fn blank(&mut self, place: &BoxRef<'_>) {
        blank(&mut self.bytes[place.start - self.base..place.end() - self.base]);
    }

    /// When a track was made and changed.
    fn times(&mut self, place: &BoxRef<'_>) {
        let length = if place.body.first() == Some(&1) {
            16
        } else {
            8
        };
        let start = (place.body_start + 4).min(place.end());
        self.zero(start..(start + length).min(place.end()));
    }

    /// The boxes in a track, each of which is known at one depth only.
    fn container(&mut self, place: &BoxRef<'_>, depth: u8) {
        let mut end = place.body_start;
        for child in boxes(self.source, place.inside()).map_while(Result::ok) {
            end = child.end();
            match (&child.kind, depth) {
                (b"mdia" | b"edts" | b"tref", 0) | (b"minf", 1) | (b"stbl", 2) => {
                    self.container(&child, depth + 1);
                }
                (b"tkhd", 0) | (b"mdhd", 1) => self.times(&child),
                (b"hdlr", 1) => {
                    for said in HANDLER_WORDS {
                        let at = |at: usize| child.body_start.saturating_add(at).min(child.end());
                        self.zero(at(said.start)..at(said.end));
                    }
                }
                (b"stsd", 3) => self.entries(&child),
                (b"elst" | b"auxl" | b"prem", 1) | (b"vmhd" | b"nmhd", 2) => {}
                (
                    b"stts" | b"stsc" | b"stsz" | b"stz2" | b"stco" | b"co64" | b"stss" | b"ctts"
                    | b"cslg" | b"sdtp",
                    3,
                ) => {}
                (b"dinf", 2) => self.container(&child, DATA),
                (b"dref", DATA) => self.data(&child),
                _ => self.blank(&child),
            }
        }
        self.zero(end..place.end());
    }

    /// Where data may lie. In the file itself; other places are paths of somebody's machine.
    fn data(&mut self, dref: &BoxRef<'_>) {
        let start = (dref.body_start + 8).min(dref.end());
        let mut end = start;
        for entry in boxes(self.source, start..dref.end()).map_while(Result::ok) {
            end = entry.end();
            self.zero((entry.body_start + 4).min(end)..end);
        }
        self.zero(end..dref.end());
    }

    fn entries(&mut self, stsd: &BoxRef<'_>) {
        let start = (stsd.body_start + 8).min(stsd.end());
        let mut end = start;
        let entries = boxes(self.source, start..stsd.end()).map_while(Result::ok);
        for (index, entry) in entries.enumerate() {
            end = entry.end();
            let parts = entry.body_start + 78;
            if index > 0 || parts > entry.end() {
                // Only the first is read.
                self.blank(&entry);
                continue;
            }
            // The name of the compressor.
            self.zero(entry.body_start + 42..entry.body_start + 74);
            let range = parts - self.base..entry.end() - self.base;
            blank_unknown(
                self.source,
                parts..entry.end(),
                &mut self.bytes[range],
                ENTRY,
            );
        }
        self.zero(end..stsd.end());
    }
}
