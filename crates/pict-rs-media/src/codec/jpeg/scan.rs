//! Finds the real end of a scan's entropy-coded data.
//!
//! A decoder stops at the last block and searches for the next marker. Bytes in between do not
//! affect any pixel, so they could be anything. To find where they begin, the codes are followed
//! block by block, without computing coefficients. Arithmetic coding is refused earlier, so all
//! codes are Huffman codes.

use std::ops::Range;

use crate::Control;

/// The state at the start of a scan.
#[derive(Default)]
pub(super) struct Scans {
    dc: [Option<Box<Table>>; 4],
    ac: [Option<Box<Table>>; 4],
    /// Units between two restart markers; 0 if there are none.
    restart: u32,
    progressive: bool,
    components: Vec<Component>,
    /// Number of units in interleaved scans, across and down.
    units: (u32, u32),
}

struct Component {
    id: u8,
    sampling: (u32, u32),
    /// Blocks that the picture needs, across and down.
    blocks: (u32, u32),
    /// Blocks per row, including those that fill the last unit.
    stride: usize,
    /// Which coefficients of each block are nonzero; only needed for progressive pictures.
    seen: Vec<u64>,
    /// Whether this scan contains it.
    taken: bool,
}

/// The parsed header of a scan.
struct Header {
    /// Component, and the indices of its tables.
    parts: Vec<(usize, usize, usize)>,
    first: u32,
    last: u32,
    is_refinement: bool,
}

impl Scans {
    /// Parses a frame header, without repeating earlier checks.
    pub(super) fn frame(&mut self, progressive: bool, payload: &[u8]) -> Option<()> {
        let [_, h1, h0, w1, w0, _, components @ ..] = payload else {
            return None;
        };
        let width = u32::from(u16::from_be_bytes([*w1, *w0]));
        let height = u32::from(u16::from_be_bytes([*h1, *h0]));
        let components = components.chunks_exact(3);
        let sampling = |c: &[u8]| (u32::from(c[1] >> 4), u32::from(c[1] & 15));
        let most = components.clone().map(sampling);
        let (most_h, most_v) = most.fold((1, 1), |most, s| (most.0.max(s.0), most.1.max(s.1)));
        self.progressive = progressive;
        self.units = (width.div_ceil(8 * most_h), height.div_ceil(8 * most_v));
        self.components = Vec::new();
        for component in components {
            let (h, v) = sampling(component);
            let blocks = |side: u32, own: u32, most: u32| (side * own).div_ceil(most).div_ceil(8);
            let stride = (self.units.0 * h) as usize;
            let all = stride * (self.units.1 * v) as usize;
            self.components.push(Component {
                id: component[0],
                sampling: (h, v),
                blocks: (blocks(width, h, most_h), blocks(height, v, most_v)),
                stride,
                seen: if progressive {
                    vec![0; all]
                } else {
                    Vec::new()
                },
                taken: false,
            });
        }
        Some(())
    }

    /// Parses Huffman tables.
    pub(super) fn tables(&mut self, mut payload: &[u8]) -> Option<()> {
        while let Some((kind, rest)) = payload.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let all = counts.iter().map(|count| usize::from(*count)).sum();
            let (symbols, rest) = rest.split_at_checked(all)?;
            let class = if kind >> 4 == 0 {
                &mut self.dc
            } else {
                &mut self.ac
            };
            *class.get_mut(usize::from(kind & 15))? = Some(Box::new(Table::new(counts, symbols)?));
            payload = rest;
        }
        Some(())
    }

    /// Parses a restart interval.
    pub(super) fn restarts(&mut self, payload: &[u8]) -> Option<()> {
        self.restart = u16::from_be_bytes(*payload.first_chunk()?).into();
        Some(())
    }

    /// The ranges of `data` with codes and restart markers. `None` if they cannot be parsed,
    /// because of damage or because the work is cancelled.
    pub(super) fn ranges(
        &mut self,
        header: &[u8],
        data: &[u8],
        control: &Control,
    ) -> Option<Vec<Range<usize>>> {
        let header = self.header(header)?;
        let mut walk = Walk {
            bits: Bits::new(data),
            end_of_band: 0,
        };
        let (across, down) = match header.parts[..] {
            [(only, ..)] => self.components[only].blocks,
            _ => self.units,
        };
        let mut ranges = Vec::new();
        let (mut start, mut restarts) = (0, 0_u8);
        let units = u64::from(across) * u64::from(down);
        for unit in 0..units {
            if self.restart > 0 && unit > 0 && unit.is_multiple_of(self.restart.into()) {
                let end = walk.bits.end()?;
                let marker = next_marker(data, end)?;
                if data[marker + 1] != 0xd0 + restarts {
                    return None;
                }
                restarts = (restarts + 1) % 8;
                ranges.push(start..end);
                start = marker;
                walk.bits = Bits::at(data, marker + 2);
                walk.end_of_band = 0;
            }
            let at = (
                (unit % u64::from(across)) as u32,
                (unit / u64::from(across)) as u32,
            );
            if at.0 == 0 {
                control.check().ok()?;
            }
            self.unit(&header, at, &mut walk)?;
        }
        ranges.push(start..walk.bits.end()?);
        Some(ranges)
    }

    fn header(&mut self, header: &[u8]) -> Option<Header> {
        let (count, rest) = header.split_first()?;
        let (parts, rest) = rest.split_at_checked(usize::from(*count) * 2)?;
        self.components
            .iter_mut()
            .for_each(|component| component.taken = false);
        let mut found = Vec::new();
        for part in parts.chunks_exact(2) {
            // Duplicate ids exist; they are used in order.
            let mut same = self
                .components
                .iter()
                .enumerate()
                .filter(|(_, c)| c.id == part[0]);
            let (at, _) = same
                .clone()
                .find(|(_, c)| !c.taken)
                .or_else(|| same.next())?;
            self.components[at].taken = true;
            found.push((at, usize::from(part[1] >> 4), usize::from(part[1] & 15)));
        }
        let &[first, last, approximation, ..] = rest else {
            return None;
        };
        let (first, last) = if self.progressive {
            (first.into(), last.into())
        } else {
            (0, 63)
        };
        let is_sound = !found.is_empty() && first <= last && last < 64;
        is_sound.then_some(Header {
            parts: found,
            first,
            last,
            is_refinement: self.progressive && approximation >> 4 != 0,
        })
    }

    /// Follows the blocks of a unit, which is a single block in a scan of one component.
    fn unit(&mut self, header: &Header, (x, y): (u32, u32), walk: &mut Walk<'_>) -> Option<()> {
        let is_alone = header.parts.len() == 1;
        for &(component, dc, ac) in &header.parts {
            let component = self.components.get_mut(component)?;
            let (h, v) = if is_alone { (1, 1) } else { component.sampling };
            for block in 0..h * v {
                let (dc, ac) = (self.dc.get(dc)?.as_deref(), self.ac.get(ac)?.as_deref());
                if !self.progressive {
                    walk.block(dc?, ac?)?;
                    continue;
                }
                let (x, y) = (x * h + block % h, y * v + block / h);
                let at = y as usize * component.stride + x as usize;
                let seen = component.seen.get_mut(at)?;
                match (header.first, header.is_refinement) {
                    (0, false) => walk.value(dc?)?,
                    (0, true) => walk.bits.skip(1),
                    (_, false) => walk.band(header, ac?, seen)?,
                    (_, true) => walk.refine(header, ac?, seen)?,
                }
            }
        }
        Some(())
    }
}

/// Follows the codes of a scan.
struct Walk<'a> {
    bits: Bits<'a>,
    /// Blocks whose band has ended, before their first code.
    end_of_band: u32,
}

impl Walk<'_> {
    fn value(&mut self, table: &Table) -> Option<()> {
        self.bits.symbol_and_value(table).map(drop)
    }

    fn block(&mut self, dc: &Table, ac: &Table) -> Option<()> {
        self.value(dc)?;
        let mut at = 1;
        while at < 64 {
            let symbol = self.bits.symbol_and_value(ac)?;
            let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
            match (run, size) {
                (15, 0) => at += 16,
                (_, 0) => break,
                _ => at += run + 1,
            }
        }
        Some(())
    }

    /// The first pass over a band of coefficients.
    fn band(&mut self, header: &Header, ac: &Table, seen: &mut u64) -> Option<()> {
        if self.end_of_band > 0 {
            self.end_of_band -= 1;
            return Some(());
        }
        let mut at = header.first;
        while at <= header.last {
            let symbol = self.bits.symbol(ac)?;
            let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
            match (run, size) {
                (15, 0) => at += 16,
                (_, 0) => {
                    self.end_of_band = (1 << run) - 1 + self.bits.take(run);
                    break;
                }
                _ => {
                    self.bits.skip(size);
                    at += run;
                    *seen |= 1_u64.checked_shl(at)?;
                    at += 1;
                }
            }
        }
        Some(())
    }

    /// The next bit of nonzero coefficients, and newly nonzero ones.
    fn refine(&mut self, header: &Header, ac: &Table, seen: &mut u64) -> Option<()> {
        let mut at = header.first;
        while self.end_of_band == 0 && at <= header.last {
            let symbol = self.bits.symbol(ac)?;
            let (mut run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
            if size > 0 {
                self.bits.skip(1);
            } else if run < 15 {
                self.end_of_band = (1 << run) + self.bits.take(run);
                break;
            }
            while at <= header.last {
                if *seen >> at & 1 == 1 {
                    self.bits.skip(1);
                } else if run == 0 {
                    break;
                } else {
                    run -= 1;
                }
                at += 1;
            }
            if size > 0 && at <= header.last {
                *seen |= 1 << at;
            }
            at += 1;
        }
        if self.end_of_band > 0 {
            if at <= header.last {
                let band = *seen >> at & (u64::MAX >> (63 - (header.last - at)));
                self.bits.skip(band.count_ones());
            }
            self.end_of_band -= 1;
        }
        Some(())
    }
}

/// The next marker at or after `at`, skipping bytes that are not part of one.
fn next_marker(data: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr(0xff, data.get(at..)?)?;
        match data.get(at + 1)? {
            0xff => at += 1,
            0 => at += 2,
            _ => return Some(at),
        }
    }
}

/// Bits of entropy-coded data, most significant bit first, up to the next marker.
struct Bits<'a> {
    data: &'a [u8],
    /// The next byte to read.
    at: usize,
    /// Buffered bits, left-aligned.
    held: u64,
    count: u32,
    /// How many of them are not in the file.
    made_up: u32,
}

impl<'a> Bits<'a> {
    fn new(data: &'a [u8]) -> Self {
        Self::at(data, 0)
    }

    fn at(data: &'a [u8], at: usize) -> Self {
        Self {
            data,
            at,
            held: 0,
            count: 0,
            made_up: 0,
        }
    }

    /// Buffers at least 32 bits. Must only be called with fewer.
    fn fill(&mut self) {
        let rest = self.data.get(self.at..).unwrap_or_default();
        if let Some(bytes) = rest.first_chunk().filter(|bytes| !has_ff(bytes)) {
            let whole = (64 - self.count) / 8;
            let kept = u64::MAX << (64 - self.count - 8 * whole);
            self.held |= u64::from_be_bytes(*bytes) >> self.count & kept;
            self.count += 8 * whole;
            self.at += whole as usize;
            return;
        }
        while self.count <= 56 {
            let byte = match self.data.get(self.at..) {
                Some([0xff, 0, ..]) => {
                    self.at += 2;
                    0xff
                }
                Some([0xff, ..]) | Some([]) | None => {
                    self.made_up += 8;
                    0
                }
                Some([byte, ..]) => {
                    self.at += 1;
                    *byte
                }
            };
            self.held |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// At most 64 bits.
    fn skip(&mut self, mut count: u32) {
        while count > 0 {
            if self.count < 32 {
                self.fill();
            }
            let some = count.min(32);
            self.held <<= some;
            self.count -= some;
            count -= some;
        }
    }

    /// Reads a number of at most 16 bits.
    fn take(&mut self, count: u32) -> u32 {
        if count == 0 {
            return 0;
        }
        if self.count < 32 {
            self.fill();
        }
        let value = (self.held >> (64 - count)) as u32;
        self.skip(count);
        value
    }

    fn symbol(&mut self, table: &Table) -> Option<u8> {
        if self.count < 32 {
            self.fill();
        }
        let (symbol, length) = table.look_up((self.held >> 48) as u16)?;
        self.held <<= length;
        self.count -= length;
        Some(symbol)
    }

    /// As [`Bits::symbol`], and skips the value behind it, whose length are the low bits of the symbol.
    fn symbol_and_value(&mut self, table: &Table) -> Option<u8> {
        if self.count < 32 {
            self.fill();
        }
        let (symbol, length) = table.look_up((self.held >> 48) as u16)?;
        // At most 31.
        let both = length + u32::from(symbol & 15);
        self.held <<= both;
        self.count -= both;
        Some(symbol)
    }

    /// The position of the first byte of which no bit was used. `None` if more bits were used than
    /// exist.
    fn end(&self) -> Option<usize> {
        let unused = self.count.checked_sub(self.made_up)? / 8;
        let mut at = self.at;
        for _ in 0..unused {
            let is_stuffed = matches!(self.data.get(..at)?, [.., 0xff, 0]);
            at = at.checked_sub(if is_stuffed { 2 } else { 1 })?;
        }
        Some(at)
    }
}

/// Whether one of the bytes is 0xff, which begins a marker or is followed by a stuffed byte.
fn has_ff(bytes: &[u8; 8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let inverted = !u64::from_ne_bytes(*bytes);
    inverted.wrapping_sub(ONES) & !inverted & (ONES << 7) != 0
}

/// Bits of a code that are looked up at once.
const FAST: u32 = 11;

/// A Huffman table.
struct Table {
    /// For each prefix: the symbol, and above it the length of its code; 0 for longer codes.
    fast: [u16; 1 << FAST],
    /// For each length: the first code that is longer, left-aligned to 16 bits, and the offset from
    /// a code to its symbol.
    longer: [(u32, i32); 17],
    symbols: Vec<u8>,
}

impl Table {
    fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut table = Self {
            fast: [0; 1 << FAST],
            longer: [(0, 0); 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut index) = (0_u32, 0_usize);
        for (length, count) in (1_u32..).zip(counts) {
            let first = code;
            let offset = i32::try_from(index).ok()? - i32::try_from(first).ok()?;
            for symbol in symbols.get(index..index + usize::from(*count))? {
                if code >> length != 0 {
                    return None;
                }
                if length <= FAST {
                    let from = (code << (FAST - length)) as usize;
                    let entry = (length as u16) << 8 | u16::from(*symbol);
                    table.fast[from..from + (1 << (FAST - length))].fill(entry);
                }
                code += 1;
            }
            index += usize::from(*count);
            table.longer[length as usize] = (code << (16 - length), offset);
            code <<= 1;
        }
        Some(table)
    }

    /// The symbol whose code these bits begin with, and its length.
    fn look_up(&self, bits: u16) -> Option<(u8, u32)> {
        let entry = self.fast[usize::from(bits >> (16 - FAST))];
        if entry != 0 {
            return Some((entry as u8, u32::from(entry >> 8)));
        }
        for length in FAST + 1..=16 {
            let (longer, offset) = self.longer[length as usize];
            if u32::from(bits) < longer {
                let code = i32::from(bits >> (16 - length));
                let symbol = self.symbols.get(usize::try_from(code + offset).ok()?)?;
                return Some((*symbol, length));
            }
        }
        None
    }
}
