//! Huffman tables fitted to a sample of coefficients.
//!
//! libjpeg's own optimisation counts all symbols in a separate pass, which takes longer than the
//! coding. A sample gives the same tables within a fraction of a percent, as long as every possible
//! symbol has a code.

/// Coefficients of a block, row by row.
type Block = [i16; 64];

/// A table as stored in JPEG: the number of codes of each length (the first entry is unused), and
/// the symbols in order of their codes.
pub(super) struct Table {
    pub(super) bits: [u8; 17],
    pub(super) symbols: [u8; 256],
}

/// How often each symbol was seen.
#[derive(Clone)]
pub(super) struct Statistics {
    dc: [u32; SYMBOLS],
    ac: [u32; SYMBOLS],
}

const SYMBOLS: usize = 256;
/// Maximum sizes of baseline coefficients in bits: of DC differences, and of the others.
const MAX_DC: u8 = 11;
const MAX_AC: u8 = 10;
const END_OF_BLOCK: u8 = 0;
const SIXTEEN_ZEROS: u8 = 0xf0;
/// Weight of a counted symbol, relative to symbols that were not counted.
const WEIGHT: u32 = 16;

/// Positions of the coefficients in coding order within a block.
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

impl Statistics {
    pub(super) fn new() -> Self {
        let mut statistics = Self {
            dc: [0; SYMBOLS],
            ac: [0; SYMBOLS],
        };
        for size in 0..=MAX_DC {
            statistics.dc[usize::from(size)] = 1;
        }
        statistics.ac[usize::from(END_OF_BLOCK)] = 1;
        statistics.ac[usize::from(SIXTEEN_ZEROS)] = 1;
        for run in 0..16 {
            for size in 1..=MAX_AC {
                statistics.ac[usize::from(run << 4 | size)] = 1;
            }
        }
        statistics
    }

    /// Counts a block; `before` is the first coefficient of the previous block.
    pub(super) fn count(&mut self, block: &Block, before: i16) {
        let difference = i32::from(block[0]) - i32::from(before);
        see(&mut self.dc, size(difference.unsigned_abs()).min(MAX_DC));
        let mut zeros = 0_u8;
        for at in &ZIGZAG[1..] {
            let value = block[usize::from(*at)];
            if value == 0 {
                zeros += 1;
                continue;
            }
            while zeros > 15 {
                see(&mut self.ac, SIXTEEN_ZEROS);
                zeros -= 16;
            }
            let size = size(value.unsigned_abs().into()).min(MAX_AC);
            see(&mut self.ac, zeros << 4 | size);
            zeros = 0;
        }
        if zeros > 0 {
            see(&mut self.ac, END_OF_BLOCK);
        }
    }

    pub(super) fn dc(&self) -> Table {
        table(&self.dc)
    }

    pub(super) fn ac(&self) -> Table {
        table(&self.ac)
    }
}

fn see(counts: &mut [u32; SYMBOLS], symbol: u8) {
    let count = &mut counts[usize::from(symbol)];
    *count = count.saturating_add(WEIGHT);
}

/// The number of bits of a value.
fn size(value: u32) -> u8 {
    (u32::BITS - value.leading_zeros()) as u8
}

/// JPEG's longest code.
const MAX_LEN: usize = 16;

/// The procedure of ITU-T T.81, annex K.2: Huffman's algorithm, then codes longer than 16 bits are
/// shortened.
fn table(counts: &[u32; SYMBOLS]) -> Table {
    // An additional symbol takes the code of all ones, which JPEG forbids.
    let mut lens = [0_u8; SYMBOLS + 1];
    let mut trees: Vec<(u64, Vec<usize>)> = counts
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0)
        .map(|(symbol, count)| (u64::from(*count), vec![symbol]))
        .chain([(0, vec![SYMBOLS])])
        .collect();
    while trees.len() > 1 {
        // Among equally rare trees the later ones go first; the forbidden symbol ends up deepest.
        trees.sort_by_key(|tree| std::cmp::Reverse(tree.0));
        let (Some(rarest), Some(rare)) = (trees.pop(), trees.pop()) else {
            break;
        };
        let symbols = [rarest.1, rare.1].concat();
        for symbol in &symbols {
            lens[*symbol] += 1;
        }
        trees.push((rarest.0 + rare.0, symbols));
    }
    let mut of_len = [0_usize; SYMBOLS + 1];
    for len in lens.iter().filter(|len| **len > 0) {
        of_len[usize::from(*len)] += 1;
    }
    shorten(&mut of_len);
    // The forbidden symbol has one of the longest codes.
    if let Some(longest) = of_len.iter().rposition(|count| *count > 0) {
        of_len[longest] -= 1;
    }
    let mut symbols: Vec<usize> = (0..SYMBOLS).filter(|symbol| lens[*symbol] > 0).collect();
    symbols.sort_by_key(|symbol| lens[*symbol]);
    let mut table = Table {
        bits: [0; 17],
        symbols: [0; 256],
    };
    for (bits, count) in table.bits.iter_mut().zip(of_len) {
        *bits = count as u8;
    }
    for (slot, symbol) in table.symbols.iter_mut().zip(symbols) {
        *slot = symbol as u8;
    }
    table
}

/// Moves pairs of codes that are too long up the tree, where a shorter code can be split.
fn shorten(of_len: &mut [usize]) {
    for len in (MAX_LEN + 1..of_len.len()).rev() {
        while of_len[len] > 0 {
            let Some(room) = of_len[..len - 1].iter().rposition(|count| *count > 0) else {
                return;
            };
            of_len[len] -= 2;
            of_len[len - 1] += 1;
            of_len[room + 1] += 2;
            of_len[room] -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(table: &Table, counts: &[u32; SYMBOLS]) {
        let codes: usize = table.bits.iter().map(|bits| usize::from(*bits)).sum();
        let mut wanted: Vec<u8> = (0..=255).filter(|s| counts[usize::from(*s)] > 0).collect();
        let mut given = table.symbols[..codes].to_vec();
        given.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(given, wanted, "every symbol has one code");
        let used: u32 = (1..=MAX_LEN)
            .map(|len| u32::from(table.bits[len]) << (MAX_LEN - len))
            .sum();
        assert!(used < 1 << MAX_LEN, "the code of all ones stays free");
        assert_eq!(table.bits[0], 0);
    }

    #[test]
    fn every_symbol_has_a_code_of_at_most_16_bits() {
        let mut statistics = Statistics::new();
        check(&statistics.dc(), &statistics.dc);
        check(&statistics.ac(), &statistics.ac);
        // The most skewed counts: Huffman's own lengths would exceed 16.
        let mut count = 1_u32;
        for symbol in 0..40 {
            statistics.ac[symbol] = count;
            count = count.saturating_mul(2);
        }
        check(&statistics.ac(), &statistics.ac);
    }

    #[test]
    fn frequent_symbols_have_short_codes() {
        let mut statistics = Statistics::new();
        let mut block = [0; 64];
        block[0] = 5;
        for _ in 0..1000 {
            statistics.count(&block, 5);
        }
        // The size of no difference, and the end of the block.
        assert_eq!(
            (statistics.dc().symbols[0], statistics.dc().bits[1]),
            (0, 1)
        );
        assert_eq!(
            (statistics.ac().symbols[0], statistics.ac().bits[1]),
            (0, 1)
        );
        block[63] = -3;
        statistics.count(&block, 0);
        assert_eq!(statistics.ac[usize::from(SIXTEEN_ZEROS)], 1 + 3 * WEIGHT);
        assert_eq!(statistics.ac[14 << 4 | 2], 1 + WEIGHT);
        assert_eq!(statistics.dc[3], 1 + WEIGHT);
    }

    #[test]
    fn the_coding_order_visits_everything_once() {
        let mut order = ZIGZAG;
        order.sort_unstable();
        assert!(
            order
                .iter()
                .enumerate()
                .all(|(n, at)| n == usize::from(*at))
        );
    }
}
