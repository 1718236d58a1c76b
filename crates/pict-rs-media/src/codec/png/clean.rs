//! Removes everything from a PNG that is not needed to show its pixels.
//!
//! Kept are known chunks, with their standard length, the first of each kind. Of compressed data
//! only the rows of the picture are kept: further rows are removed by compressing again, and bytes
//! after the end of the stream are dropped.

use std::borrow::Cow;
use std::ops::Range;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use simd_adler32::Adler32;

use super::container::{
    Chunk, Chunks, Header, SIGNATURE, corrupt, icc, profile_chunk, push_chunk, read_first,
};
use crate::codec::pieces::Pieces;
use crate::{Control, Error, Format, Result};

/// The name of a profile that only represents BT.2100 PQ. Viewers check it.
const PQ_PROFILE: &[u8] = b"ITUR_2100_PQ_FULL\0";
/// Chunks that define the meaning of the pixels, and their lengths.
const MEANING: [(&[u8; 4], usize); 6] = [
    (b"sRGB", 1),
    (b"gAMA", 4),
    (b"cHRM", 32),
    (b"cICP", 4),
    (b"mDCV", 24),
    (b"cLLI", 8),
];

/// The pieces of a cleaned file.
pub(super) fn clean<'a>(
    source: &'a [u8],
    animated: bool,
    control: &Control,
) -> Result<Vec<Cow<'a, [u8]>>> {
    let mut writer = Writer {
        source,
        header: read_first(source)?,
        control,
        pieces: Pieces::new(source),
        seen: Vec::new(),
        palette: 0,
        frame: None,
        stream: Stream::default(),
        has_data: false,
        sequence: 0,
    };
    writer.pieces.keep(0..SIGNATURE.len());
    for chunk in Chunks::new(source)? {
        control.check()?;
        writer.chunk(&chunk?, animated)?;
    }
    Ok(writer.pieces.finish())
}

/// The cleaned chunks before the data that define the colours, whatever kind of pixels they will be
/// used with.
pub(super) fn colour_chunks(source: &[u8]) -> Vec<Cow<'_, [u8]>> {
    let Ok(chunks) = Chunks::new(source) else {
        return Vec::new();
    };
    let mut seen: Vec<[u8; 4]> = Vec::new();
    chunks
        .map_while(Result::ok)
        .take_while(|chunk| &chunk.kind != b"IDAT")
        .filter(|chunk| chunk.counts(source))
        .filter_map(|chunk| {
            let is_new = !seen.contains(&chunk.kind);
            seen.push(chunk.kind);
            match &chunk.kind {
                b"iCCP" if is_new => profile(source, &chunk).map(Cow::Owned),
                _ if is_new && says_meaning(&chunk) => Some(Cow::Borrowed(&source[chunk.range])),
                _ => None,
            }
        })
        .collect()
}

fn says_meaning(chunk: &Chunk<'_>) -> bool {
    MEANING.contains(&(&chunk.kind, chunk.data.len()))
}

/// The cleaned profile, under a neutral name. `None` if it is invalid.
fn profile(source: &[u8], chunk: &Chunk<'_>) -> Option<Vec<u8>> {
    let profile = crate::codec::icc::clean(&icc(source)?)?;
    let name = if chunk.data.starts_with(PQ_PROFILE) {
        PQ_PROFILE
    } else {
        b"icc\0"
    };
    profile_chunk(name, &profile).ok()
}

struct Writer<'a, 'c> {
    source: &'a [u8],
    header: Header,
    control: &'c Control,
    pieces: Pieces<'a>,
    /// Chunks that were kept, of those that may occur once.
    seen: Vec<[u8; 4]>,
    /// Number of colours in the palette.
    palette: usize,
    /// The size of the frame whose data come next.
    frame: Option<(u32, u32)>,
    stream: Stream<'a>,
    has_data: bool,
    /// The number of the next chunk of an animation.
    sequence: u32,
}

/// The chunks of one compressed picture.
#[derive(Default)]
struct Stream<'a> {
    chunks: Vec<(Range<usize>, &'a [u8])>,
    is_frame: bool,
}

impl Stream<'_> {
    /// Whether its first `length` bytes exist and end with `sum`.
    fn ends_with(&self, length: usize, sum: [u8; ZLIB.1]) -> bool {
        let bytes = self.chunks.iter().flat_map(|(_, data)| data.iter());
        bytes.skip(length - ZLIB.1).take(ZLIB.1).eq(&sum)
    }
}

impl<'a> Writer<'a, '_> {
    fn chunk(&mut self, chunk: &Chunk<'a>, animated: bool) -> Result<()> {
        if !chunk.counts(self.source) {
            return Ok(());
        }
        let is_data = match &chunk.kind {
            b"IDAT" => true,
            b"fdAT" => animated,
            _ => false,
        };
        if is_data {
            self.has_data = true;
            let is_frame = &chunk.kind == b"fdAT";
            let data = chunk.data.get(if is_frame { 4 } else { 0 }..);
            self.stream.is_frame = is_frame;
            let data = data.ok_or_else(|| corrupt("data have no number"))?;
            self.stream.chunks.push((chunk.range.clone(), data));
            return Ok(());
        }
        match &chunk.kind {
            b"IHDR" => self.keep(chunk)?,
            b"IEND" => {
                self.end_stream()?;
                self.rewrite(chunk, 0)?;
            }
            b"fcTL" if animated => {
                self.end_stream()?;
                let number =
                    |at: usize| Some(u32::from_be_bytes(*chunk.data.get(at..)?.first_chunk()?));
                self.frame = number(4).zip(number(8));
                self.numbered(chunk)?;
            }
            b"acTL" if animated && self.is_first(chunk) => self.keep(chunk)?,
            _ if self.has_data => {}
            b"PLTE" if self.header.has_palette() && self.is_first(chunk) => {
                let most = 3 << self.header.bits();
                self.palette = chunk.data.len().min(most) / 3;
                self.rewrite(chunk, self.palette * 3)?;
            }
            b"tRNS"
                if self.header.takes_trns(chunk.data.len(), self.palette)
                    && self.is_first(chunk) =>
            {
                self.keep(chunk)?;
            }
            b"sBIT" if chunk.data.len() == self.header.channels_said() && self.is_first(chunk) => {
                self.keep(chunk)?;
            }
            b"iCCP" if self.is_first(chunk) => {
                if let Some(profile) = profile(self.source, chunk) {
                    self.pieces.own(profile);
                }
            }
            _ if says_meaning(chunk) && self.is_first(chunk) => {
                self.keep(chunk)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn is_first(&mut self, chunk: &Chunk<'_>) -> bool {
        let is_first = !self.seen.contains(&chunk.kind);
        if is_first {
            self.seen.push(chunk.kind);
        }
        is_first
    }

    /// Keeps a whole chunk, with a correct checksum.
    fn keep(&mut self, chunk: &Chunk<'a>) -> Result<()> {
        if chunk.is_intact(self.source) {
            self.pieces.keep(chunk.range.clone());
            return Ok(());
        }
        self.own(&chunk.kind, &[chunk.data])
    }

    /// Keeps the first `length` bytes of a chunk.
    fn rewrite(&mut self, chunk: &Chunk<'a>, length: usize) -> Result<()> {
        if length == chunk.data.len() {
            return self.keep(chunk);
        }
        self.own(&chunk.kind, &[&chunk.data[..length]])
    }

    fn own(&mut self, kind: &[u8; 4], data: &[&[u8]]) -> Result<()> {
        let mut owned = Vec::new();
        push_chunk(&mut owned, kind, data)?;
        self.pieces.own(owned);
        Ok(())
    }

    /// Keeps a chunk of an animation, renumbered.
    fn numbered(&mut self, chunk: &Chunk<'a>) -> Result<()> {
        let number = self.sequence.to_be_bytes();
        self.sequence = self.sequence.wrapping_add(1);
        let (old, rest) = (chunk.data.split_first_chunk::<4>())
            .ok_or_else(|| corrupt("a chunk has no number"))?;
        if *old == number {
            return self.keep(chunk);
        }
        self.own(&chunk.kind, &[&number, rest])
    }

    /// Writes the collected data.
    fn end_stream(&mut self) -> Result<()> {
        let stream = std::mem::take(&mut self.stream);
        if stream.chunks.is_empty() {
            return Ok(());
        }
        let size = match self.frame {
            Some(size) if stream.is_frame => size,
            _ => self.header.size(),
        };
        let kind = if stream.is_frame { b"fdAT" } else { b"IDAT" };
        let mut left = match length(&stream, self.header.raw_size(size), self.control)? {
            Length::Known(length, sum) if !stream.ends_with(length, sum) => {
                let mut all = stream
                    .chunks
                    .iter()
                    .map(|(_, data)| *data)
                    .collect::<Vec<_>>()
                    .concat();
                all.truncate(length - ZLIB.1);
                all.extend(sum);
                return self.data(kind, stream.is_frame, &all, None);
            }
            Length::Known(length, _) => length,
            Length::Unknown => usize::MAX,
            Length::TooLong => {
                let again = compress(&stream, self.header.raw_size(size), self.control)?;
                return self.data(kind, stream.is_frame, &again, None);
            }
        };
        for (range, data) in &stream.chunks {
            let some = left.min(data.len());
            left -= some;
            // There may have been an empty chunk before.
            if some == data.len() {
                self.data(kind, stream.is_frame, data, Some(range))?;
            } else if some > 0 {
                self.data(kind, stream.is_frame, &data[..some], None)?;
            }
        }
        Ok(())
    }

    /// Writes data of a picture; `place` is the whole chunk if it can be copied from the file.
    fn data(
        &mut self,
        kind: &[u8; 4],
        is_frame: bool,
        data: &[u8],
        place: Option<&Range<usize>>,
    ) -> Result<()> {
        let number = self.sequence.to_be_bytes();
        if is_frame {
            self.sequence = self.sequence.wrapping_add(1);
        }
        match place {
            Some(range) if !is_frame || self.source[range.start + 8..][..4] == number => {
                self.pieces.keep(range.clone());
                Ok(())
            }
            _ if is_frame => self.own(kind, &[&number, data]),
            _ => self.own(kind, &[data]),
        }
    }
}

/// How many bytes of a stream belong to its picture.
enum Length {
    /// The number, and the checksum that they must end with.
    Known(usize, [u8; ZLIB.1]),
    /// It contains more rows than the picture has.
    TooLong,
    /// Its end was not found, because something is damaged.
    Unknown,
}

/// The header of a zlib stream in bytes, and its checksum.
const ZLIB: (usize, usize) = (2, 4);
/// Bytes that are inflated between two checks of the control.
const STEP: usize = 64 << 10;

/// Inflates a stream to find its end, discarding the output.
fn length(stream: &Stream<'_>, raw: u64, control: &Control) -> Result<Length> {
    let mut out = Vec::with_capacity(STEP);
    let mut inflate = Decompress::new(false);
    let mut sum = Adler32::new();
    let ended = run(stream, &mut inflate, |inflate, data| {
        control.check()?;
        out.clear();
        let status = inflate.decompress_vec(data, &mut out, FlushDecompress::None);
        sum.write(&out);
        Ok(status.ok().filter(|_| inflate.total_out() <= raw))
    })?;
    if inflate.total_out() > raw {
        return Ok(Length::TooLong);
    }
    if !ended || inflate.total_out() < raw {
        return Ok(Length::Unknown);
    }
    let end = usize::try_from(inflate.total_in()).unwrap_or(usize::MAX);
    let end = end.saturating_add(ZLIB.0 + ZLIB.1);
    Ok(Length::Known(end, sum.finish().to_be_bytes()))
}

/// Feeds a stream into `step` until it reports the end, or stops. Returns whether it ended.
fn run(
    stream: &Stream<'_>,
    inflate: &mut Decompress,
    mut step: impl FnMut(&mut Decompress, &[u8]) -> Result<Option<Status>>,
) -> Result<bool> {
    let mut skip = ZLIB.0;
    for (_, data) in &stream.chunks {
        let skipped = skip.min(data.len());
        skip -= skipped;
        let mut data = &data[skipped..];
        loop {
            let before = (inflate.total_in(), inflate.total_out());
            match step(inflate, data)? {
                Some(Status::StreamEnd) => return Ok(true),
                Some(_) => {}
                None => return Ok(false),
            }
            let taken = usize::try_from(inflate.total_in() - before.0).unwrap_or(usize::MAX);
            data = data.get(taken..).unwrap_or_default();
            let is_idle = (inflate.total_in(), inflate.total_out()) == before;
            if is_idle {
                break;
            }
        }
    }
    Ok(false)
}

/// The first `raw` bytes of a stream, compressed again.
fn compress(stream: &Stream<'_>, raw: u64, control: &Control) -> Result<Vec<u8>> {
    let refused = |error| Error::corrupt(Format::Png, error);
    let mut out = Vec::with_capacity(STEP);
    let mut packed = Vec::new();
    let mut deflate = Compress::new(Compression::default(), true);
    let mut inflate = Decompress::new(false);
    run(stream, &mut inflate, |inflate, data| {
        control.check()?;
        out.clear();
        let status = inflate.decompress_vec(data, &mut out, FlushDecompress::None);
        let left = raw - deflate.total_in();
        let some = usize::try_from(left).unwrap_or(usize::MAX).min(out.len());
        pack(&mut deflate, &out[..some], &mut packed, FlushCompress::None)?;
        Ok(status.ok().filter(|_| deflate.total_in() < raw))
    })?;
    if deflate.total_in() < raw {
        return Err(refused("rows are missing"));
    }
    pack(&mut deflate, &[], &mut packed, FlushCompress::Finish)?;
    Ok(packed)
}

fn pack(
    deflate: &mut Compress,
    mut data: &[u8],
    packed: &mut Vec<u8>,
    flush: FlushCompress,
) -> Result<()> {
    let finishes = matches!(flush, FlushCompress::Finish);
    loop {
        packed.reserve(STEP);
        let before = deflate.total_in();
        let status = deflate
            .compress_vec(data, packed, flush)
            .map_err(|error| Error::Internal(error.to_string()))?;
        let taken = usize::try_from(deflate.total_in() - before).unwrap_or(usize::MAX);
        data = data.get(taken..).unwrap_or_default();
        match status {
            Status::StreamEnd => return Ok(()),
            _ if data.is_empty() && !finishes => return Ok(()),
            _ => {}
        }
    }
}
