//! A sequence: the track of pictures in `moov`, its track of alpha, and the position of each
//! sample.
//!
//! Tables are iterated, never copied, so that memory does not depend on the number of frames.

use std::ops::Range;

use super::{
    corrupt,
    properties::{Coding, Properties},
};
use crate::{
    Control, Result,
    codec::bmff::{BoxRef, Fields, boxes, endless},
};

/// The track of pictures, and that of their alpha.
pub(super) struct Sequence<'a> {
    pub(super) colour: Track<'a>,
    pub(super) alpha: Option<Track<'a>>,
    /// Whether the colours are multiplied by alpha.
    pub(super) premultiplied: bool,
    /// The number of plays; 0 = for ever.
    pub(super) loop_count: u32,
    /// Number of frames.
    pub(super) frames: u32,
    pub(super) duration_ms: u64,
}

/// A track of AV1 pictures.
pub(super) struct Track<'a> {
    pub(super) place: BoxRef<'a>,
    id: u32,
    pub(super) size: (u32, u32),
    pub(super) coding: Coding,
    pub(super) properties: Properties<'a>,
    timescale: u32,
    /// Ticks of the movie for which it is shown; all ones if it never ends.
    shown: u64,
    indefinite: bool,
    edit: Option<Edit>,
    alpha_of: Option<u32>,
    premultiplied_by: Option<u32>,
    tables: Tables<'a>,
}

struct Edit {
    repeats: bool,
    duration: u64,
}

/// The bodies of the sample tables, after version and flags.
#[derive(Clone, Copy)]
struct Tables<'a> {
    durations: Fields<'a>,
    runs: Fields<'a>,
    chunks: Fields<'a>,
    wide_chunks: bool,
    sizes: Fields<'a>,
    /// Bits of each size in `sizes`; 0 if all samples have `one_size`.
    size_bits: u8,
    one_size: u32,
    count: u32,
}

impl<'a> Sequence<'a> {
    pub(super) fn read(source: &'a [u8], moov: BoxRef<'a>, control: &Control) -> Result<Self> {
        let mut colour = None;
        let mut alpha = Vec::new();
        for child in boxes(source, moov.inside()) {
            let child = child.map_err(corrupt)?;
            if child.kind != *b"trak" {
                continue;
            }
            match Track::read(source, child) {
                Some(track) if track.alpha_of.is_some() && alpha.len() < 8 => alpha.push(track),
                Some(track) if track.alpha_of.is_none() && colour.is_none() => colour = Some(track),
                _ => {}
            }
        }
        let colour: Track<'_> = colour.ok_or_else(|| corrupt("it has no track of pictures"))?;
        let alpha = alpha
            .into_iter()
            .find(|alpha| alpha.alpha_of == Some(colour.id));
        if alpha
            .as_ref()
            .is_some_and(|alpha| alpha.size != colour.size)
        {
            return Err(corrupt("its alpha has another size"));
        }
        let premultiplied = alpha
            .as_ref()
            .is_some_and(|alpha| colour.premultiplied_by == Some(alpha.id));
        let frames = colour.tables.count;
        let mut seen = 0;
        for sample in colour.samples(source) {
            control.check()?;
            sample?;
            seen += 1;
        }
        if seen != frames || frames == 0 {
            return Err(corrupt("its tables of frames do not fit each other"));
        }
        Ok(Self {
            loop_count: colour.loop_count(),
            frames,
            duration_ms: colour.milliseconds(colour.ticks(frames)),
            premultiplied,
            colour,
            alpha,
        })
    }
}

impl<'a> Track<'a> {
    /// `None` for other kinds of tracks.
    fn read(source: &'a [u8], place: BoxRef<'a>) -> Option<Self> {
        let child = |of: &BoxRef<'a>, kind: &[u8; 4]| {
            boxes(source, of.inside())
                .map_while(Result::ok)
                .find(|each| each.kind == *kind)
        };
        let (id, shown, indefinite) = track_header(&child(&place, b"tkhd")?)?;
        let mdia = child(&place, b"mdia")?;
        let handler: [u8; 4] = child(&mdia, b"hdlr")?.body.get(8..12)?.try_into().ok()?;
        let timescale = timescale(&child(&mdia, b"mdhd")?)?;
        let stbl = child(&child(&mdia, b"minf")?, b"stbl")?;
        let stsd = child(&stbl, b"stsd")?;
        let entry = boxes(source, stsd.body_start + 8..stsd.end())
            .next()?
            .ok()?;
        if entry.kind != *b"av01" || !matches!(&handler, b"pict" | b"auxv" | b"vide") {
            return None;
        }
        let mut size = Fields::new(entry.body.get(24..)?);
        let size = (u32::from(size.u16()?), u32::from(size.u16()?));
        let parts = entry_parts(source, &entry);
        let properties = Properties::read(parts.iter());
        let mut track = Self {
            place,
            id,
            size: (size.0 > 0 && size.1 > 0).then_some(size)?,
            coding: properties.coding?,
            properties,
            timescale: timescale.max(1),
            shown,
            indefinite,
            edit: child(&place, b"edts").and_then(|edts| edit(&child(&edts, b"elst")?)),
            alpha_of: None,
            premultiplied_by: None,
            tables: tables(|kind| child(&stbl, kind))?,
        };
        if let Some(tref) = child(&place, b"tref") {
            for each in boxes(source, tref.inside()).map_while(Result::ok) {
                let id = Fields::new(each.body).u32();
                match &each.kind {
                    b"auxl" => track.alpha_of = id,
                    b"prem" => track.premultiplied_by = id,
                    _ => {}
                }
            }
        }
        Some(track)
    }

    /// The range of each sample in the file, in order.
    pub(super) fn samples(&self, source: &'a [u8]) -> impl Iterator<Item = Result<Range<usize>>> {
        Samples {
            tables: self.tables,
            left: self.tables.count,
            in_chunk: 0,
            chunk: 0,
            run: 0,
            next_run: 1,
            at: 0,
            half: None,
            end: source.len() as u64,
            budget: source.len() as u64,
        }
    }

    /// The duration of each frame in milliseconds. Rounding errors are carried over to later
    /// frames.
    pub(super) fn delays(&self) -> impl Iterator<Item = u32> {
        let (mut ticks, mut before) = (0u64, 0);
        self.durations().map(move |duration| {
            ticks += u64::from(duration);
            let now = self.milliseconds(ticks);
            let delay = now - before;
            before = now;
            u32::try_from(delay).unwrap_or(u32::MAX)
        })
    }

    /// The ticks of each frame. The last entry repeats for ever.
    fn durations(&self) -> impl Iterator<Item = u32> {
        let mut table = self.tables.durations;
        let (mut left, mut duration) = (0, 0);
        std::iter::repeat_with(move || {
            while left == 0 {
                match (table.u32(), table.u32()) {
                    (Some(count), Some(ticks)) => (left, duration) = (count, ticks),
                    _ => left = u32::MAX,
                }
            }
            left -= 1;
            duration
        })
    }

    /// The ticks of the first `frames` frames.
    fn ticks(&self, frames: u32) -> u64 {
        self.durations().take(frames as usize).map(u64::from).sum()
    }

    fn milliseconds(&self, ticks: u64) -> u64 {
        let exact = u128::from(ticks) * 1000 / u128::from(self.timescale);
        u64::try_from(exact).unwrap_or(u64::MAX)
    }

    /// As in libavif: without an edit list a sequence loops for ever.
    fn loop_count(&self) -> u32 {
        match &self.edit {
            None => 0,
            Some(edit) if !edit.repeats => 1,
            Some(_) if self.indefinite => 0,
            Some(edit) if edit.duration == 0 => 0,
            Some(edit) => u32::try_from(self.shown.div_ceil(edit.duration)).unwrap_or(0),
        }
    }
}

/// The boxes in a sample entry of pictures.
pub(super) fn entry_parts<'a>(source: &'a [u8], entry: &BoxRef<'a>) -> Vec<BoxRef<'a>> {
    boxes(source, entry.body_start + 78..entry.end())
        .map_while(Result::ok)
        .take(64)
        .collect()
}

/// Id, duration, and whether it never ends.
fn track_header(tkhd: &BoxRef<'_>) -> Option<(u32, u64, bool)> {
    let (version, _, mut fields) = tkhd.full()?;
    fields.take(if version == 1 { 16 } else { 8 })?;
    let id = fields.u32()?;
    fields.u32()?;
    let duration = fields.long(version)?;
    Some((id, duration, duration == endless(version)))
}

fn timescale(mdhd: &BoxRef<'_>) -> Option<u32> {
    let (version, _, mut fields) = mdhd.full()?;
    fields.take(if version == 1 { 16 } else { 8 })?;
    fields.u32()
}

fn edit(elst: &BoxRef<'_>) -> Option<Edit> {
    let (version, flags, mut fields) = elst.full()?;
    (fields.u32()? == 1).then_some(())?;
    Some(Edit {
        repeats: flags & 1 == 1,
        duration: fields.long(version)?,
    })
}

fn tables<'a>(child: impl Fn(&[u8; 4]) -> Option<BoxRef<'a>>) -> Option<Tables<'a>> {
    // The count of entries is not needed, because a table ends with its box.
    let entries = |kind| {
        let (_, _, mut fields) = child(kind)?.full()?;
        let count = fields.u32()? as usize;
        Some((fields, count))
    };
    let limited = |kind, size: usize| {
        let (mut fields, count): (Fields<'a>, usize) = entries(kind)?;
        fields.bytes = &fields.bytes[..fields.bytes.len().min(count.saturating_mul(size))];
        Some(fields)
    };
    let (chunks, wide_chunks) = match limited(b"stco", 4) {
        Some(chunks) => (chunks, false),
        None => (limited(b"co64", 8)?, true),
    };
    let (mut sizes, size_bits, one_size) = match child(b"stsz") {
        Some(stsz) => {
            let (_, _, mut fields) = stsz.full()?;
            match fields.u32()? {
                0 => (fields, 32, 0),
                one_size => (fields, 0, one_size),
            }
        }
        None => {
            let (_, _, mut fields) = child(b"stz2")?.full()?;
            let bits = (fields.u32()? & 0xff) as u8;
            matches!(bits, 4 | 8 | 16).then_some((fields, bits, 0))?
        }
    };
    let count = sizes.u32()?;
    Some(Tables {
        durations: limited(b"stts", 8)?,
        runs: limited(b"stsc", 12)?,
        chunks,
        wide_chunks,
        sizes,
        size_bits,
        one_size,
        count,
    })
}

struct Samples<'a> {
    tables: Tables<'a>,
    left: u32,
    /// Samples left in this chunk.
    in_chunk: u32,
    /// The number of this chunk; the first is 1.
    chunk: u32,
    /// Samples per chunk, and the chunk at which that changes.
    run: u32,
    next_run: u32,
    at: u64,
    /// The second of two 4-bit sizes.
    half: Option<u32>,
    end: u64,
    /// Bytes that samples may still use: no byte belongs to two of them, otherwise a small file
    /// could have billions.
    budget: u64,
}

impl Samples<'_> {
    fn sample(&mut self) -> Option<Range<usize>> {
        while self.in_chunk == 0 {
            self.at = if self.tables.wide_chunks {
                self.tables.chunks.u64()?
            } else {
                self.tables.chunks.u32()?.into()
            };
            self.chunk = self.chunk.checked_add(1)?;
            while self.chunk >= self.next_run {
                self.tables.runs.u32()?;
                self.run = self.tables.runs.u32()?;
                self.tables.runs.u32()?;
                let mut peek = self.tables.runs;
                self.next_run = peek.u32().unwrap_or(u32::MAX);
            }
            self.in_chunk = self.run;
        }
        self.in_chunk -= 1;
        let size = self.size()?;
        self.budget = self.budget.checked_sub(size.into())?;
        let start = self.at;
        self.at = start.checked_add(size.into())?;
        if size == 0 || self.at > self.end {
            return None;
        }
        Some(start.try_into().ok()?..self.at.try_into().ok()?)
    }

    fn size(&mut self) -> Option<u32> {
        let sizes = &mut self.tables.sizes;
        match self.tables.size_bits {
            0 => Some(self.tables.one_size),
            4 => match self.half.take() {
                Some(half) => Some(half),
                None => {
                    let both = u32::from(sizes.u8()?);
                    self.half = Some(both & 15);
                    Some(both >> 4)
                }
            },
            8 => sizes.u8().map(u32::from),
            16 => sizes.u16().map(u32::from),
            _ => sizes.u32(),
        }
    }
}

impl Iterator for Samples<'_> {
    type Item = Result<Range<usize>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let sample = self.sample();
        if sample.is_none() {
            self.left = 0;
        }
        Some(sample.ok_or_else(|| corrupt("a frame lies outside of it")))
    }
}
