//! Writes the boxes around AV1 pictures: ISO/IEC 14496-12, 23008-12 (HEIF), 23000-22 (MIAF) and
//! the AVIF specification.
//!
//! Colours are always sRGB in BT.601 YCbCr, of full range in stills and of limited range in
//! animations; alpha is not premultiplied, and of full range. Start reading at [`still`] and
//! [`animation`].

use super::obu::SequenceHeader;
use crate::{Error, Result};

/// Ticks per second of an animation: delays are in milliseconds.
const TIMESCALE: u32 = 1000;

/// The name of an alpha plane in both specifications.
const ALPHA_URN: &[u8] = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0";

const COLOUR_ITEM: u16 = 1;
const ALPHA_ITEM: u16 = 2;

/// The width and height of everything in a file, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Size {
    pub(super) fn pixels(self) -> usize {
        self.width as usize * self.height as usize
    }
}

/// One coded picture: a temporal unit without its delimiter.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) data: Vec<u8>,
    pub(super) header: SequenceHeader,
}

/// The coded pictures of one track, one after another.
#[derive(Debug)]
pub(super) struct Track {
    header: SequenceHeader,
    data: Vec<u8>,
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    size: u32,
    is_key: bool,
}

impl Track {
    pub(super) fn new(header: SequenceHeader) -> Self {
        Self {
            header,
            data: Vec::new(),
            samples: Vec::new(),
        }
    }

    /// Appends a temporal unit without its delimiter.
    pub(super) fn push(&mut self, unit: &[u8], is_key: bool) -> Result<()> {
        let size = u32::try_from(unit.len()).map_err(|_| too_large())?;
        self.samples.push(Sample { size, is_key });
        self.data.extend_from_slice(unit);
        Ok(())
    }

    /// How many pictures there are.
    pub(super) fn len(&self) -> usize {
        self.samples.len()
    }

    fn first_size(&self) -> u32 {
        self.samples.first().map_or(0, |sample| sample.size)
    }
}

/// A still picture.
pub(super) fn still(size: Size, colour: &Picture, alpha: Option<&Picture>) -> Result<Vec<u8>> {
    let payload = colour.data.len() + alpha.map_or(0, |alpha| alpha.data.len());
    let mut file = Boxes::new(payload + 1024);
    let headers = (&colour.header, alpha.map(|alpha| &alpha.header));
    file.brands(b"avif", &[b"avif", b"mif1", b"miaf"], headers);
    let places = file.meta(
        size,
        Item::new(colour.data.len(), &colour.header)?,
        alpha
            .map(|alpha| Item::new(alpha.data.len(), &alpha.header))
            .transpose()?,
        true,
    )?;
    file.start(b"mdat");
    // What is shown first comes last: a reader that has the colours has everything.
    if let (Some(alpha), Some(place)) = (alpha, places.alpha) {
        file.fill_in(place)?;
        file.bytes.extend_from_slice(&alpha.data);
    }
    file.fill_in(places.colour)?;
    file.bytes.extend_from_slice(&colour.data);
    file.end()?;
    Ok(file.bytes)
}

/// An animation. `durations` are milliseconds, one for each picture of each track; `loop_count` is
/// the number of plays, 0 = for ever.
pub(super) fn animation(
    size: Size,
    loop_count: u32,
    durations: &[u32],
    colour: &Track,
    alpha: Option<&Track>,
) -> Result<Vec<u8>> {
    let payload = colour.data.len() + alpha.map_or(0, |alpha| alpha.data.len());
    let mut file = Boxes::new(payload + 2048 + durations.len() * 16);
    let headers = (&colour.header, alpha.map(|alpha| &alpha.header));
    file.brands(
        b"avis",
        &[b"avis", b"avif", b"mif1", b"miaf", b"msf1", b"iso8"],
        headers,
    );
    // The first picture is also included as a still, for readers without support for animations.
    let items = file.meta(
        size,
        Item::new(colour.first_size() as usize, &colour.header)?,
        alpha
            .map(|alpha| Item::new(alpha.first_size() as usize, &alpha.header))
            .transpose()?,
        false,
    )?;
    let play = Play::new(loop_count, durations);
    file.start(b"moov");
    file.movie_header(&play, if alpha.is_some() { 3 } else { 2 });
    let colour_place = file.track(size, &play, durations, colour, None)?;
    let alpha_place = match alpha {
        Some(alpha) => Some(file.track(size, &play, durations, alpha, Some(1))?),
        None => None,
    };
    file.end()?;
    file.start(b"mdat");
    file.fill_in(items.colour)?;
    file.fill_in(colour_place)?;
    file.bytes.extend_from_slice(&colour.data);
    if let (Some(alpha), Some(place)) = (alpha, alpha_place) {
        if let Some(item) = items.alpha {
            file.fill_in(item)?;
        }
        file.fill_in(place)?;
        file.bytes.extend_from_slice(&alpha.data);
    }
    file.end()?;
    Ok(file.bytes)
}

/// The duration of one run, and the total time shown.
struct Play {
    once: u64,
    total: u64,
    repeats: bool,
}

impl Play {
    fn new(loop_count: u32, durations: &[u32]) -> Self {
        let once: u64 = durations.iter().map(|ms| u64::from(*ms)).sum();
        let total = match loop_count {
            0 => u64::MAX,
            count => once.saturating_mul(count.into()),
        };
        Self {
            once,
            total,
            repeats: loop_count != 1,
        }
    }
}

/// The position of an offset that is filled in later.
#[derive(Clone, Copy)]
struct Place(usize);

struct Item<'a> {
    length: u32,
    header: &'a SequenceHeader,
}

impl<'a> Item<'a> {
    fn new(length: usize, header: &'a SequenceHeader) -> Result<Self> {
        let length = u32::try_from(length).map_err(|_| too_large())?;
        Ok(Self { length, header })
    }
}

struct Places {
    colour: Place,
    alpha: Option<Place>,
}

struct Boxes {
    bytes: Vec<u8>,
    /// The starts of boxes that are not ended yet.
    open: Vec<usize>,
}

impl Boxes {
    fn new(capacity: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(capacity),
            open: Vec::new(),
        }
    }

    fn start(&mut self, name: &[u8; 4]) {
        self.open.push(self.bytes.len());
        self.u32(0);
        self.put(name);
    }

    fn start_full(&mut self, name: &[u8; 4], version: u8, flags: u32) {
        self.start(name);
        self.u32(u32::from(version) << 24 | flags);
    }

    /// Ends the innermost open box.
    fn end(&mut self) -> Result<()> {
        let start = self.open.pop().unwrap_or(0);
        let size = u32::try_from(self.bytes.len() - start).map_err(|_| too_large())?;
        self.bytes[start..start + 4].copy_from_slice(&size.to_be_bytes());
        Ok(())
    }

    fn leaf(&mut self, name: &[u8; 4], data: &[u8]) -> Result<()> {
        self.start(name);
        self.put(data);
        self.end()
    }

    fn full_leaf(&mut self, name: &[u8; 4], flags: u32, data: &[u8]) -> Result<()> {
        self.start_full(name, 0, flags);
        self.put(data);
        self.end()
    }

    fn put(&mut self, data: &[u8]) {
        self.bytes.extend_from_slice(data);
    }

    fn u16(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.put(&value.to_be_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.put(&value.to_be_bytes());
    }

    fn zeros(&mut self, count: usize) {
        self.bytes.resize(self.bytes.len() + count, 0);
    }

    fn place(&mut self) -> Place {
        let place = Place(self.bytes.len());
        self.u32(0);
        place
    }

    /// Writes the current offset to `place`.
    fn fill_in(&mut self, place: Place) -> Result<()> {
        let offset = u32::try_from(self.bytes.len()).map_err(|_| too_large())?;
        self.bytes[place.0..place.0 + 4].copy_from_slice(&offset.to_be_bytes());
        Ok(())
    }

    fn brands(
        &mut self,
        major: &[u8; 4],
        compatible: &[&[u8; 4]],
        headers: (&SequenceHeader, Option<&SequenceHeader>),
    ) {
        self.start(b"ftyp");
        self.put(major);
        self.u32(0);
        for brand in compatible {
            self.put(*brand);
        }
        let is_baseline = |header: &SequenceHeader| header.is_baseline();
        if is_baseline(headers.0) && headers.1.is_none_or(is_baseline) {
            self.put(b"MA1B");
        }
        // A few bytes cannot be too large.
        let _ = self.end();
    }

    fn handler(&mut self, kind: &[u8; 4]) -> Result<()> {
        self.start_full(b"hdlr", 0, 0);
        self.u32(0);
        self.put(kind);
        // Reserved, and an empty name.
        self.zeros(12 + 1);
        self.end()
    }

    fn meta(
        &mut self,
        size: Size,
        colour: Item<'_>,
        alpha: Option<Item<'_>>,
        full_range: bool,
    ) -> Result<Places> {
        self.start_full(b"meta", 0, 0);
        self.handler(b"pict")?;
        self.full_leaf(b"pitm", 0, &COLOUR_ITEM.to_be_bytes())?;
        let places = self.item_places(&colour, alpha.as_ref())?;
        self.start_full(b"iinf", 0, 0);
        self.u16(if alpha.is_some() { 2 } else { 1 });
        self.item_info(COLOUR_ITEM)?;
        if alpha.is_some() {
            self.item_info(ALPHA_ITEM)?;
        }
        self.end()?;
        if alpha.is_some() {
            self.start_full(b"iref", 0, 0);
            self.start(b"auxl");
            self.u16(ALPHA_ITEM);
            self.u16(1);
            self.u16(COLOUR_ITEM);
            self.end()?;
            self.end()?;
        }
        self.item_properties(size, &colour, alpha.as_ref(), full_range)?;
        self.end()?;
        Ok(places)
    }

    fn item_places(&mut self, colour: &Item<'_>, alpha: Option<&Item<'_>>) -> Result<Places> {
        self.start_full(b"iloc", 0, 0);
        // Offsets and lengths of four bytes, no base offset.
        self.u16(0x4400);
        self.u16(if alpha.is_some() { 2 } else { 1 });
        let colour = self.item_place(COLOUR_ITEM, colour.length);
        let alpha = alpha.map(|alpha| self.item_place(ALPHA_ITEM, alpha.length));
        self.end()?;
        Ok(Places { colour, alpha })
    }

    fn item_place(&mut self, item: u16, length: u32) -> Place {
        self.u16(item);
        // In this file, as one extent.
        self.u16(0);
        self.u16(1);
        let place = self.place();
        self.u32(length);
        place
    }

    fn item_info(&mut self, item: u16) -> Result<()> {
        self.start_full(b"infe", 2, 0);
        self.u16(item);
        self.u16(0);
        self.put(b"av01\0");
        self.end()
    }

    fn item_properties(
        &mut self,
        size: Size,
        colour: &Item<'_>,
        alpha: Option<&Item<'_>>,
        full_range: bool,
    ) -> Result<()> {
        self.start(b"iprp");
        self.start(b"ipco");
        self.start_full(b"ispe", 0, 0);
        self.u32(size.width);
        self.u32(size.height);
        self.end()?;
        self.pixel_information(colour.header)?;
        self.codec_configuration(colour.header)?;
        self.colours(full_range)?;
        if let Some(alpha) = alpha {
            self.pixel_information(alpha.header)?;
            self.codec_configuration(alpha.header)?;
            self.full_leaf(b"auxC", 0, ALPHA_URN)?;
        }
        self.end()?;
        // Properties by their index above; 0x80 marks essential ones.
        self.start_full(b"ipma", 0, 0);
        self.u32(if alpha.is_some() { 2 } else { 1 });
        self.u16(COLOUR_ITEM);
        self.put(&[4, 1, 2, 0x83, 4]);
        if alpha.is_some() {
            self.u16(ALPHA_ITEM);
            self.put(&[4, 1, 5, 0x86, 7]);
        }
        self.end()?;
        self.end()
    }

    fn pixel_information(&mut self, header: &SequenceHeader) -> Result<()> {
        let channels = if header.monochrome { 1 } else { 3 };
        let depths = [header.bits; 3];
        self.start_full(b"pixi", 0, 0);
        self.bytes.push(channels);
        self.put(&depths[..usize::from(channels)]);
        self.end()
    }

    fn codec_configuration(&mut self, header: &SequenceHeader) -> Result<()> {
        self.leaf(b"av1C", &header.configuration())
    }

    /// BT.709 primaries, sRGB transfer, BT.601 matrix.
    fn colours(&mut self, full_range: bool) -> Result<()> {
        let range: &[u8; 1] = if full_range { b"\x80" } else { b"\0" };
        self.leaf(
            b"colr",
            &[&b"nclx\x00\x01\x00\x0d\x00\x06"[..], range].concat(),
        )
    }

    fn matrix(&mut self) {
        for value in [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000] {
            self.u32(value);
        }
    }

    fn movie_header(&mut self, play: &Play, next_track: u32) {
        self.start_full(b"mvhd", 1, 0);
        // Creation and modification times are unset.
        self.zeros(16);
        self.u32(TIMESCALE);
        self.u64(play.total);
        self.u32(0x1_0000);
        self.u16(0x100);
        self.zeros(10);
        self.matrix();
        self.zeros(24);
        self.u32(next_track);
        let _ = self.end();
    }

    /// A track; `alpha_of` is the track whose alpha it contains.
    fn track(
        &mut self,
        size: Size,
        play: &Play,
        durations: &[u32],
        track: &Track,
        alpha_of: Option<u32>,
    ) -> Result<Place> {
        let number = alpha_of.map_or(1, |other| other + 1);
        self.start(b"trak");
        // Enabled, and part of the presentation.
        self.start_full(b"tkhd", 1, if alpha_of.is_some() { 1 } else { 3 });
        self.zeros(16);
        self.u32(number);
        self.u32(0);
        self.u64(play.total);
        // Reserved, layer, group, volume.
        self.zeros(16);
        self.matrix();
        self.u32(size.width << 16);
        self.u32(size.height << 16);
        self.end()?;
        if let Some(other) = alpha_of {
            self.start(b"tref");
            self.leaf(b"auxl", &other.to_be_bytes())?;
            self.end()?;
        }
        // Flag 1: this edit is repeated until the end of the track's duration.
        self.start(b"edts");
        self.start_full(b"elst", 1, play.repeats.into());
        self.u32(1);
        self.u64(play.once);
        self.u64(0);
        self.u32(0x1_0000);
        self.end()?;
        self.end()?;
        self.start(b"mdia");
        self.start_full(b"mdhd", 1, 0);
        self.zeros(16);
        self.u32(TIMESCALE);
        self.u64(play.once);
        // Language: undetermined.
        self.u32(0x55c4_0000);
        self.end()?;
        self.handler(if alpha_of.is_some() { b"auxv" } else { b"pict" })?;
        self.start(b"minf");
        self.full_leaf(b"vmhd", 1, &[0; 8])?;
        self.start(b"dinf");
        self.start_full(b"dref", 0, 0);
        self.u32(1);
        self.full_leaf(b"url ", 1, &[])?;
        self.end()?;
        self.end()?;
        let place = self.sample_table(size, durations, track, alpha_of.is_some())?;
        self.end()?;
        self.end()?;
        self.end()?;
        Ok(place)
    }

    fn sample_table(
        &mut self,
        size: Size,
        durations: &[u32],
        track: &Track,
        is_alpha: bool,
    ) -> Result<Place> {
        let count = u32::try_from(track.samples.len()).map_err(|_| too_large())?;
        self.start(b"stbl");
        self.sample_description(size, &track.header, is_alpha)?;
        self.start_full(b"stts", 0, 0);
        let runs: Vec<_> = durations.chunk_by(|a, b| a == b).collect();
        self.u32(runs.len() as u32);
        for run in runs {
            self.u32(run.len() as u32);
            self.u32(run[0]);
        }
        self.end()?;
        // All in one chunk.
        self.start_full(b"stsc", 0, 0);
        for value in [1, 1, count, 1] {
            self.u32(value);
        }
        self.end()?;
        self.start_full(b"stsz", 0, 0);
        self.u32(0);
        self.u32(count);
        for sample in &track.samples {
            self.u32(sample.size);
        }
        self.end()?;
        self.start_full(b"stco", 0, 0);
        self.u32(1);
        let place = self.place();
        self.end()?;
        let keys: Vec<_> = (1..)
            .zip(&track.samples)
            .filter(|(_, sample)| sample.is_key)
            .map(|(number, _): (u32, _)| number)
            .collect();
        // Without this table every sample is a sync sample.
        if keys.len() != track.samples.len() {
            self.start_full(b"stss", 0, 0);
            self.u32(keys.len() as u32);
            for key in keys {
                self.u32(key);
            }
            self.end()?;
        }
        self.end()?;
        Ok(place)
    }

    fn sample_description(
        &mut self,
        size: Size,
        header: &SequenceHeader,
        is_alpha: bool,
    ) -> Result<()> {
        self.start_full(b"stsd", 0, 0);
        self.u32(1);
        self.start(b"av01");
        self.zeros(6);
        self.u16(1);
        self.zeros(16);
        // `check_size` ensures that they fit.
        self.u16(size.width as u16);
        self.u16(size.height as u16);
        // 72 dots per inch, as usual.
        self.u32(0x48_0000);
        self.u32(0x48_0000);
        self.u32(0);
        self.u16(1);
        self.zeros(32);
        self.u16(0x18);
        self.u16(u16::MAX);
        self.codec_configuration(header)?;
        self.colours(is_alpha)?;
        // Pictures may predict from any number of others, and within themselves.
        self.full_leaf(b"ccst", 0, &[0x7c, 0, 0, 0])?;
        if is_alpha {
            self.full_leaf(b"auxi", 0, ALPHA_URN)?;
        }
        self.end()?;
        self.end()
    }
}

fn too_large() -> Error {
    Error::Unsupported("AVIF files have at most 4 GiB".into())
}
