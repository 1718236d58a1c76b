//! Finds the real end of a scan's entropy-coded data.
//!
//! A decoder stops at the last block and searches for the next marker. Bytes in between do not
//! affect any pixel, so they could be anything. To find where they begin, the codes are followed
//! block by block. Of coefficients, only the first of each block is computed, its mean. Arithmetic
//! coding is refused earlier, so all codes are Huffman codes.

use std::ops::Range;

use crate::Control;

/// The state at the start of a scan.
#[derive(Default)]
pub(super) struct Scans {
    dc: [Option<Box<Table>>; 4],
    ac: [Option<Box<Table>>; 4],
    /// Quantisation steps of first coefficients, by table.
    steps: [Option<u16>; 4],
    /// Units between two restart markers; 0 if there are none.
    restart: u32,
    progressive: bool,
    components: Vec<Component>,
    /// Number of units in interleaved scans, across and down.
    units: (u32, u32),
    /// Whether something was found that a decoder refuses, or that was not understood.
    is_doubtful: bool,
}

struct Component {
    id: u8,
    sampling: (u32, u32),
    /// Its quantisation table.
    table: u8,
    /// The quantisation step of first coefficients, as it was at its first scan.
    step: Option<u16>,
    /// Blocks that the picture needs, across and down.
    blocks: (u32, u32),
    /// Blocks per row, including those that fill the last unit.
    stride: usize,
    /// Which coefficients of each block are nonzero; only needed for progressive pictures.
    seen: Vec<u64>,
    /// The first coefficient of each block, before dequantisation.
    means: Vec<i16>,
    /// Whether this scan contains it.
    taken: bool,
}

/// The first coefficient of each block of a component, before dequantisation.
pub(super) struct Means {
    /// Sampling factors, across and down.
    pub(super) sampling: (u32, u32),
    /// The quantisation step.
    pub(super) step: u16,
    /// Blocks per row, including those that fill the last unit.
    pub(super) stride: usize,
    pub(super) values: Vec<i16>,
}

/// The parsed header of a scan.
struct Header {
    /// Component, and the indices of its tables.
    parts: Vec<(usize, usize, usize)>,
    first: u32,
    last: u32,
    is_refinement: bool,
    /// The lowest bit of the coefficients in this scan.
    low: u8,
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
                table: component[2],
                step: None,
                blocks: (blocks(width, h, most_h), blocks(height, v, most_v)),
                stride,
                seen: vec![0; if progressive { all } else { 0 }],
                means: vec![0; all],
                taken: false,
            });
        }
        Some(())
    }

    /// Parses Huffman tables.
    pub(super) fn tables(&mut self, mut payload: &[u8]) -> Option<()> {
        while let Some((kind, rest)) = payload.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let all: usize = counts.iter().map(|count| usize::from(*count)).sum();
            if all > 256 {
                return None;
            }
            let (symbols, rest) = rest.split_at_checked(all)?;
            let table = Table::new(counts, symbols)?;
            let (class, table) = match kind >> 4 {
                0 => (&mut self.dc, table),
                1 => (&mut self.ac, table.with_steps()),
                _ => return None,
            };
            *class.get_mut(usize::from(kind & 15))? = Some(Box::new(table));
            payload = rest;
        }
        Some(())
    }

    /// Parses quantisation tables.
    pub(super) fn steps(&mut self, mut payload: &[u8]) -> Option<()> {
        while let Some((kind, rest)) = payload.split_first() {
            let size = if kind >> 4 == 0 { 1 } else { 2 };
            let (values, rest) = rest.split_at_checked(64 * size)?;
            let step = match values {
                [step, ..] if size == 1 => u16::from(*step),
                _ => u16::from_be_bytes(*values.first_chunk()?),
            };
            *self.steps.get_mut(usize::from(kind & 15))? = Some(step);
            payload = rest;
        }
        Some(())
    }

    /// Parses a restart interval.
    pub(super) fn restarts(&mut self, payload: &[u8]) -> Option<()> {
        self.restart = u16::from_be_bytes(payload.try_into().ok()?).into();
        Some(())
    }

    /// Records that a decoder may refuse the file.
    pub(super) fn doubt(&mut self) {
        self.is_doubtful = true;
    }

    /// The ranges of `data` with codes and restart markers. `None` if they cannot be parsed,
    /// because of damage or because the work is cancelled.
    pub(super) fn ranges(
        &mut self,
        header: &[u8],
        data: &[u8],
        control: &Control,
    ) -> Option<Vec<Range<usize>>> {
        let ranges = self.follow(header, data, control);
        self.is_doubtful |= ranges.is_none();
        ranges
    }

    fn follow(
        &mut self,
        header: &[u8],
        data: &[u8],
        control: &Control,
    ) -> Option<Vec<Range<usize>>> {
        let header = self.header(header)?;
        let mut walk = Walk::new(Bits::new(data));
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
                walk = Walk::new(Bits::at(data, marker + 2));
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

    /// The first coefficients of all blocks, by component. `None` if libjpeg may refuse the file.
    pub(super) fn into_means(self) -> Option<Vec<Means>> {
        if self.is_doubtful {
            return None;
        }
        let means = self.components.into_iter().map(|component| {
            Some(Means {
                sampling: component.sampling,
                step: component.step?,
                stride: component.stride,
                values: component.means,
            })
        });
        means.collect()
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
            // A component cannot be twice in a scan.
            self.is_doubtful |= self.components[at].taken;
            self.components[at].taken = true;
            found.push((at, usize::from(part[1] >> 4), usize::from(part[1] & 15)));
        }
        let &[first, last, approximation, ref rest @ ..] = rest else {
            return None;
        };
        let (first, last, approximation) = if self.progressive {
            (first.into(), last.into(), approximation)
        } else {
            (0, 63, 0)
        };
        if found.is_empty() || first > last || last > 63 {
            return None;
        }
        let header = Header {
            parts: found,
            first,
            last,
            is_refinement: approximation >> 4 != 0,
            low: approximation & 15,
        };
        let is_sound = self.is_sound(&header, approximation >> 4);
        self.is_doubtful |= !is_sound || !rest.is_empty();
        for (component, ..) in &header.parts {
            let component = &mut self.components[*component];
            let step = self.steps.get(usize::from(component.table)).copied();
            component.step = component.step.or(step.flatten());
        }
        Some(header)
    }

    /// Whether libjpeg accepts the header of a scan (`start_pass_phuff_decoder`, `per_scan_setup` and
    /// `jpeg_make_d_derived_tbl`). `high` is the lowest bit of the scan before, which this one refines.
    fn is_sound(&self, header: &Header, high: u8) -> bool {
        let blocks = |&(component, ..): &(usize, usize, usize)| {
            let (h, v) = self.components[component].sampling;
            h * v
        };
        let is_unit = match &header.parts[..] {
            [_] => true,
            parts => parts.len() <= MAX_COMPONENTS && parts.iter().map(blocks).sum::<u32>() <= 10,
        };
        let is_of_means = header.first == 0;
        let is_progression = !self.progressive
            || (is_of_means == (header.last == 0)
                && (is_of_means || header.parts.len() == 1)
                && (high == 0 || high == header.low + 1)
                && header.low <= 13);
        let has_tables = header.parts.iter().all(|(_, dc, _)| {
            let table = self.dc.get(*dc).and_then(Option::as_deref);
            let sizes_fit = |table: &Table| table.symbols.iter().all(|size| *size < 16);
            !is_of_means || header.is_refinement || table.is_some_and(sizes_fit)
        });
        is_unit && is_progression && has_tables
    }

    /// Follows the blocks of a unit, which is a single block in a scan of one component.
    fn unit(&mut self, header: &Header, (x, y): (u32, u32), walk: &mut Walk<'_>) -> Option<()> {
        let is_alone = header.parts.len() == 1;
        for &(index, dc, ac) in &header.parts {
            let component = self.components.get_mut(index)?;
            let (h, v) = if is_alone { (1, 1) } else { component.sampling };
            let (dc, ac) = (self.dc.get(dc)?.as_deref(), self.ac.get(ac)?.as_deref());
            for y in y * v..(y + 1) * v {
                for x in x * h..(x + 1) * h {
                    let at = y as usize * component.stride + x as usize;
                    if header.first > 0 {
                        let seen = component.seen.get_mut(at)?;
                        if header.is_refinement {
                            walk.refine(header, ac?, seen)?;
                        } else {
                            walk.band(header, ac?, seen)?;
                        }
                        continue;
                    }
                    let mean = component.means.get_mut(at)?;
                    if header.is_refinement {
                        *mean |= (walk.bits.take(1) << header.low) as i16;
                    } else {
                        // libjpeg drops bits beyond 16 too, which only invalid files have.
                        *mean = (walk.mean(index, dc?)? << header.low) as i16;
                    }
                    if !self.progressive {
                        walk.rest(ac?)?;
                    }
                }
            }
        }
        Some(())
    }
}

/// The most components of a frame that can be decoded.
const MAX_COMPONENTS: usize = 4;

/// Follows the codes of a scan.
struct Walk<'a> {
    bits: Bits<'a>,
    /// Blocks whose band has ended, before their first code.
    end_of_band: u32,
    /// The first coefficient of the previous block of each component.
    before: [i32; MAX_COMPONENTS],
}

impl<'a> Walk<'a> {
    /// At the start of a scan, or behind a restart marker.
    fn new(bits: Bits<'a>) -> Self {
        Self {
            bits,
            end_of_band: 0,
            before: [0; MAX_COMPONENTS],
        }
    }

    /// The first coefficient of the next block of a component, without its low bits.
    fn mean(&mut self, component: usize, dc: &Table) -> Option<i32> {
        let size = self.bits.symbol(dc)? & 15;
        let difference = self.bits.signed(size.into());
        let before = self.before.get_mut(component)?;
        *before = before.checked_add(difference)?;
        Some(*before)
    }

    /// The other coefficients of a block.
    fn rest(&mut self, ac: &Table) -> Option<()> {
        let mut at = 1;
        while at < 64 {
            let step = self.bits.step(ac, 63 - at);
            at += step.coefficients();
            if step.ends() {
                break;
            }
            if step != Step::NONE {
                continue;
            }
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
                    note(seen, at);
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
            if size > 1 {
                return None;
            } else if size > 0 {
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
            if size > 0 {
                note(seen, at);
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

/// Notes a nonzero coefficient. Runs of damaged files end behind their band or block. libjpeg takes
/// what lies behind a block for its last coefficient.
fn note(seen: &mut u64, at: u32) {
    *seen |= 1 << at.min(63);
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

    /// Reads a coefficient of at most 15 bits (ITU-T T.81, figure F.12).
    fn signed(&mut self, size: u32) -> i32 {
        let bits = self.take(size) as i32;
        let is_negative = size > 0 && bits >> (size - 1) == 0;
        if is_negative {
            bits + 1 - (1 << size)
        } else {
            bits
        }
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

    /// Takes the next codes and their values at once, if they are short and are about at most `most`
    /// coefficients.
    fn step(&mut self, table: &Table, most: u32) -> Step {
        if self.count < 32 {
            self.fill();
        }
        let step = table.steps[(self.held >> (64 - FAST)) as usize];
        if step.coefficients() > most {
            return Step::NONE;
        }
        self.held <<= step.bits();
        self.count -= step.bits();
        step
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

/// What a prefix of bits says about coefficients behind the first: the number of bits of its whole
/// codes and their values, how many coefficients they are about, and whether the block ends.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Step(u16);

impl Step {
    /// Not even one code with its value.
    const NONE: Self = Self(0);

    fn new(bits: u32, coefficients: u32, ends: bool) -> Self {
        Self((bits | coefficients << 4 | u32::from(ends) << 15) as u16)
    }

    fn bits(self) -> u32 {
        u32::from(self.0 & 15)
    }

    fn coefficients(self) -> u32 {
        u32::from(self.0 >> 4 & 0x7ff)
    }

    fn ends(self) -> bool {
        self.0 >> 15 != 0
    }
}

/// A Huffman table.
struct Table {
    /// For each prefix, if the table is of coefficients behind the first.
    steps: Vec<Step>,
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
            steps: Vec::new(),
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
            // A code must not be all ones.
            if code >> length != 0 {
                return None;
            }
            index += usize::from(*count);
            table.longer[length as usize] = (code << (16 - length), offset);
            code <<= 1;
        }
        Some(table)
    }

    /// As a table of coefficients behind the first.
    fn with_steps(mut self) -> Self {
        self.steps = (0..1 << FAST).map(|prefix| self.steps_of(prefix)).collect();
        self
    }

    /// All codes of a prefix that are whole in it, with their values.
    fn steps_of(&self, prefix: u32) -> Step {
        let mut step = Step::NONE;
        loop {
            let rest = prefix << step.bits() & ((1 << FAST) - 1);
            let entry = self.fast[rest as usize];
            let (symbol, length) = (u32::from(entry & 0xff), u32::from(entry >> 8));
            let (run, size) = (symbol >> 4, symbol & 15);
            let bits = step.bits() + length + size;
            if entry == 0 || bits > FAST {
                return step;
            }
            let (coefficients, ends) = match (run, size) {
                (15, 0) => (16, false),
                (_, 0) => (0, true),
                _ => (run + 1, false),
            };
            step = Step::new(bits, step.coefficients() + coefficients, ends);
            if ends {
                return step;
            }
        }
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
