//! Tone mapping of HDR pictures (ITU-R BT.2100) for SDR screens: PQ and HLG to sRGB.
//!
//! Light up to a knee is unchanged, so that faces and skies look as in a picture that was never
//! HDR; reference white (203 cd/m², ITU-R BT.2408) becomes 91 % of sRGB's white, and brighter light
//! shares the rest, by the curve of ITU-R BT.2390. The brightest of the three channels is measured
//! and all three are scaled alike, so hues are preserved; the more light is removed, the more white
//! is mixed in, as on film, otherwise flames would look like neon. Colours outside sRGB lose
//! saturation, not lightness. The reasons are in `docs/decisions/0011-hdr-to-sdr.md`.

use std::sync::LazyLock;

use pulp::Arch;

use super::code::{Code, Transfer};
use crate::rows::Layout;

/// Reference white in cd/m², which is represented by 1 here.
const WHITE: f32 = 203.0;
/// The peak luminance for HLG's system gamma, in cd/m².
const HLG_PEAK: f32 = 1000.0;
/// HLG's system gamma is 1.2.
const HLG_EXPONENT: f32 = 0.2;
/// How fast highlights turn white; as in the neutral tone mapper of Khronos.
const DESATURATION: f32 = 0.15;
/// From this saturation on, colours are compressed to make room for those outside sRGB.
const SATURATED: f32 = 0.98;
/// The approximate saturation of the most saturated colour of BT.2020.
const MOST_SATURATED: f32 = 1.55;

/// Number of values of a 16-bit sample.
const LEVELS: usize = 1 << 16;
/// The light of each PQ value.
static PQ: LazyLock<Box<[f32; LEVELS]>> = LazyLock::new(|| samples(|v| pq_to_nits(v) / WHITE));
/// The scene light of each HLG value.
static HLG: LazyLock<Box<[f32; LEVELS]>> = LazyLock::new(|| samples(hlg_to_scene));

fn samples(light: impl Fn(f32) -> f32) -> Box<[f32; LEVELS]> {
    let mut table = Box::new([0.0; LEVELS]);
    for (v, to) in table.iter_mut().enumerate() {
        *to = light(v as f32 / (LEVELS - 1) as f32);
    }
    table
}

/// Pixels that are converted at a time.
const BLOCK: usize = 64;
/// Red, green and blue.
type Block = [[f32; BLOCK]; 3];
/// Negligible light, to avoid division by zero.
const TINY: f32 = 1e-9;

/// The conversion of one picture.
pub(super) struct Hdr {
    arch: Arch,
    transfer: Transfer,
    to_srgb: [[f32; 3]; 3],
    /// The luminance of the picture's primaries.
    luminance: [f32; 3],
    /// The factor for light, and how much white is mixed in.
    tone: ByLight<2>,
    /// The factor of HLG's system gamma.
    system: ByLight<1>,
}

impl Hdr {
    pub(super) fn new(code: Code, transfer: Transfer) -> Option<Self> {
        let matrix = code.to_srgb()?;
        let to_srgb = matrix.map(|row| row.map(|v| v as f32));
        let [r, g, b] = to_srgb;
        let peak = match transfer {
            Transfer::Pq => code.peak,
            Transfer::Hlg => HLG_PEAK,
        };
        Some(Self {
            arch: Arch::new(),
            transfer,
            to_srgb,
            luminance: [0, 1, 2].map(|at| SRGB_LUMINANCE.dot([r[at], g[at], b[at]])),
            tone: ByLight::new(|light| {
                let shown = shown(light, peak);
                let white = 1.0 - 1.0 / (DESATURATION * (light - shown) + 1.0);
                [shown / light, white]
            }),
            system: ByLight::new(|light| [light.powf(HLG_EXPONENT) * HLG_PEAK / WHITE]),
        })
    }

    /// Converts rows of 8 bits; any layout but CMYK.
    pub(super) fn row_8(&self, layout: Layout, from: &[u8], to: &mut [u8]) {
        // 257 * 255 is 65535. Encoded samples are at most 1, so results are at most 255.
        self.row(
            layout,
            from,
            to,
            |v| usize::from(v) * 257,
            |v| (v * 255.0 + 0.5) as u8,
        );
    }

    /// Converts rows of 16 bits.
    pub(super) fn row_16(&self, layout: Layout, from: &[u16], to: &mut [u16]) {
        self.row(layout, from, to, usize::from, |v| {
            (v * 65535.0 + 0.5) as u16
        });
    }

    fn row<T: Copy>(
        &self,
        layout: Layout,
        from: &[T],
        to: &mut [T],
        sample: impl Fn(T) -> usize,
        round: impl Fn(f32) -> T,
    ) {
        let channels = layout.channels();
        self.arch.dispatch(
            #[inline(always)]
            || {
                let blocks = to.chunks_mut(BLOCK * channels);
                for (to, from) in blocks.zip(from.chunks(BLOCK * channels)) {
                    self.block(channels, from, to, &sample, &round);
                }
            },
        );
    }

    /// Converts at most [`BLOCK`] pixels, in steps that are either look-ups or arithmetic, so that
    /// the latter is vectorised.
    #[inline(always)]
    fn block<T: Copy>(
        &self,
        channels: usize,
        from: &[T],
        to: &mut [T],
        sample: &impl Fn(T) -> usize,
        round: &impl Fn(f32) -> T,
    ) {
        let curve: &[f32; LEVELS] = match self.transfer {
            Transfer::Pq => &PQ,
            Transfer::Hlg => &HLG,
        };
        let light = |v: T| curve[sample(v) & (LEVELS - 1)];
        let mut block = [[0.0; BLOCK]; 3];
        let [r, g, b] = &mut block;
        if channels == 1 {
            for (n, &from) in from.iter().enumerate().take(BLOCK) {
                let light = light(from);
                (r[n], g[n], b[n]) = (light, light, light);
            }
        } else {
            for (n, from) in from.chunks_exact(channels).enumerate().take(BLOCK) {
                (r[n], g[n], b[n]) = (light(from[0]), light(from[1]), light(from[2]));
            }
        }
        self.convert(&mut block);
        let encode: &ByLight<1> = &ENCODE;
        let [r, g, b] = &block;
        if channels == 1 {
            for (to, &light) in to.iter_mut().zip(g) {
                *to = round(encode.at(light)[0]);
            }
            return;
        }
        let pixels = to.chunks_exact_mut(channels);
        for (n, (to, from)) in pixels
            .zip(from.chunks_exact(channels))
            .enumerate()
            .take(BLOCK)
        {
            to[0] = round(encode.at(r[n])[0]);
            to[1] = round(encode.at(g[n])[0]);
            to[2] = round(encode.at(b[n])[0]);
            if channels == 4 {
                to[3] = from[3];
            }
        }
    }

    /// Converts the picture's linear light to that of sRGB, 0–1.
    #[inline(always)]
    fn convert(&self, [r, g, b]: &mut Block) {
        if self.transfer == Transfer::Hlg {
            let mut system = [0.0; BLOCK];
            for (n, system) in system.iter_mut().enumerate() {
                *system = self.luminance.dot([r[n], g[n], b[n]]);
            }
            for system in &mut system {
                [*system] = self.system.at(*system);
            }
            for (n, system) in system.iter().enumerate() {
                (r[n], g[n], b[n]) = (r[n] * system, g[n] * system, b[n] * system);
            }
        }
        let (mut share, mut mixed) = ([0.0; BLOCK], [0.0; BLOCK]);
        for (n, brightest) in mixed.iter_mut().enumerate() {
            *brightest = max([r[n], g[n], b[n]]);
        }
        for (share, mixed) in share.iter_mut().zip(&mut mixed) {
            let [factor, white] = self.tone.at(*mixed);
            *mixed *= white * factor;
            *share = (1.0 - white) * factor;
        }
        let [to_r, to_g, to_b] = self.to_srgb;
        for n in 0..BLOCK {
            let light = [r[n], g[n], b[n]].map(|v| v * share[n] + mixed[n]);
            [r[n], g[n], b[n]] = fit([to_r.dot(light), to_g.dot(light), to_b.dot(light)]);
        }
    }
}

/// Moves colours into sRGB's range, towards the grey of the same luminance. Without branches, for
/// vectorisation.
#[inline(always)]
fn fit(light: [f32; 3]) -> [f32; 3] {
    let (darkest, brightest) = (min(light), max(light));
    let luminance = larger(SRGB_LUMINANCE.dot(light), 0.0);
    let range = brightest - darkest;
    let saturation = range / larger(brightest, TINY);
    let fitted = compressed(saturation);
    let room = range - fitted * (brightest - luminance);
    let keep = fitted * luminance / larger(room, TINY);
    let keep = if saturation > SATURATED { keep } else { 1.0 };
    // And not brighter than white.
    let above = brightest - luminance;
    let bright = larger(1.0 - luminance, 0.0) / larger(above, TINY);
    let keep = if above * keep + luminance > 1.0 {
        bright
    } else {
        keep
    };
    light.map(|v| luminance + (v - luminance) * keep)
}

/// Compresses [`SATURATED`] to [`MOST_SATURATED`] to below 1.
fn compressed(saturation: f32) -> f32 {
    const BEYOND: f32 = MOST_SATURATED - SATURATED;
    const ROOM: f32 = 1.0 - SATURATED;
    const SCALE: f32 = BEYOND * ROOM / (BEYOND - ROOM);
    let beyond = larger(saturation - SATURATED, 0.0);
    let fitted = SATURATED + beyond * SCALE / (SCALE + beyond);
    if fitted < 1.0 { fitted } else { 1.0 }
}

/// The result for `light` in a picture with a peak of `peak` cd/m²: the curve of ITU-R BT.2390,
/// section 5.4.1, for a screen whose white is reference white.
fn shown(light: f32, peak: f32) -> f32 {
    let peak = peak.max(WHITE);
    let source = nits_to_pq(peak);
    let screen = nits_to_pq(WHITE) / source;
    let knee = 1.5 * screen - 0.5;
    let light = (nits_to_pq(light * WHITE) / source).min(1.0);
    let shown = if light < knee || knee >= 1.0 {
        light
    } else {
        let t = (light - knee) / (1.0 - knee);
        let (t2, t3) = (t * t, t * t * t);
        (2.0 * t3 - 3.0 * t2 + 1.0) * knee
            + (t3 - 2.0 * t2 + t) * (1.0 - knee)
            + (3.0 * t2 - 2.0 * t3) * screen
    };
    pq_to_nits(shown * source) / WHITE
}

// SMPTE ST 2084.
const M1: f32 = 2610.0 / 16384.0;
const M2: f32 = 2523.0 / 4096.0 * 128.0;
const C1: f32 = 3424.0 / 4096.0;
const C2: f32 = 2413.0 / 4096.0 * 32.0;
const C3: f32 = 2392.0 / 4096.0 * 32.0;

fn pq_to_nits(v: f32) -> f32 {
    let v = v.powf(1.0 / M2);
    10_000.0 * ((v - C1).max(0.0) / (C2 - C3 * v)).powf(1.0 / M1)
}

fn nits_to_pq(nits: f32) -> f32 {
    let y = (nits.max(0.0) / 10_000.0).powf(M1);
    ((C1 + C2 * y) / (1.0 + C3 * y)).powf(M2)
}

/// The inverse of the curve of ITU-R BT.2100, table 5; 1 is the maximum.
fn hlg_to_scene(v: f32) -> f32 {
    const A: f32 = 0.178_832_77;
    const B: f32 = 1.0 - 4.0 * A;
    const C: f32 = 0.559_910_7;
    if v <= 0.5 {
        v * v / 3.0
    } else {
        (((v - C) / A).exp() + B) / 12.0
    }
}

/// sRGB's curve. Its darkest light is less than half of a 16-bit level.
static ENCODE: LazyLock<ByLight<1>> = LazyLock::new(|| {
    ByLight::new(|light| {
        let light = light.min(1.0);
        [if light <= 0.003_130_8 {
            light * 12.92
        } else {
            1.055 * light.powf(1.0 / 2.4) - 0.055
        }]
    })
});

/// Bits of an `f32` below the steps of [`ByLight`]: 512 steps for each doubling.
const STEP_BITS: u32 = 14;
/// The range of the table is 2^-20 to 2^6; outside, values are constant.
const DARKEST: f32 = 1.0 / (1 << 20) as f32;
const BRIGHTEST: f32 = 64.0;
/// Steps between these; the table is longer, so that look-ups need no bounds check.
const STEPS: usize = 26 * 512;
const TABLE: usize = 1 << 14;

/// A function of light, tabulated at steps that are equal for each doubling, which correspond to
/// the bits of a float. Interpolated linearly.
struct ByLight<const N: usize>(Box<[[f32; N]; TABLE]>);

impl<const N: usize> ByLight<N> {
    fn new(of: impl Fn(f32) -> [f32; N]) -> Self {
        let mut table = Box::new([[0.0; N]; TABLE]);
        let steps = (DARKEST.to_bits() >> STEP_BITS)..;
        for (to, step) in table.iter_mut().zip(steps).take(STEPS + 2) {
            *to = of(f32::from_bits(step << STEP_BITS));
        }
        Self(table)
    }

    #[inline(always)]
    fn at(&self, light: f32) -> [f32; N] {
        let light = larger(light, DARKEST);
        let light = if light < BRIGHTEST { light } else { BRIGHTEST };
        let bits = light.to_bits() - DARKEST.to_bits();
        let step = (bits >> STEP_BITS) as usize;
        let part = (bits & ((1 << STEP_BITS) - 1)) as f32 * (1.0 / (1 << STEP_BITS) as f32);
        let (from, to) = (
            &self.0[step & (TABLE - 1)],
            &self.0[(step + 1) & (TABLE - 1)],
        );
        std::array::from_fn(|n| from[n] + (to[n] - from[n]) * part)
    }
}

/// Luminance of red, green and blue in sRGB.
const SRGB_LUMINANCE: [f32; 3] = [0.2126, 0.7152, 0.0722];

trait Dot {
    fn dot(&self, other: [f32; 3]) -> f32;
}

impl Dot for [f32; 3] {
    #[inline(always)]
    fn dot(&self, other: [f32; 3]) -> f32 {
        self[0] * other[0] + self[1] * other[1] + self[2] * other[2]
    }
}

/// Written so that it compiles to one instruction; NaN is never larger.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

#[inline(always)]
fn max([a, b, c]: [f32; 3]) -> f32 {
    larger(larger(a, b), c)
}

#[inline(always)]
fn min([a, b, c]: [f32; 3]) -> f32 {
    let least = if a < b { a } else { b };
    if least < c { least } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pq(code: (u8, u8), nits: [f32; 3]) -> [u16; 3] {
        let hdr = Hdr::new(code.into(), Transfer::Pq).expect("is known");
        let from = nits.map(|v| (nits_to_pq(v) * 65535.0).round() as u16);
        let mut to = [0; 3];
        hdr.row_16(Layout::Rgb16, &from, &mut to);
        to
    }

    fn pixel(hdr: &Hdr, light: [f32; 3]) -> [f32; 3] {
        let mut block = light.map(|v| [v; BLOCK]);
        hdr.convert(&mut block);
        block.map(|channel| channel[BLOCK - 1])
    }

    fn encode(light: f32) -> f32 {
        ENCODE.at(light)[0]
    }

    fn gray(nits: f32) -> u8 {
        (pq((9, 16), [nits; 3])[1] / 257) as u8
    }

    #[test]
    fn the_curves_are_those_of_the_standards() {
        let near = |a: f32, b: f32| assert!((a - b).abs() < 1e-3 * b.max(1.0), "{a} {b}");
        // BT.2408, tables 1 and 2; BT.2100.
        for (v, nits) in [
            (0.0, 0.0),
            (0.5081, 100.0),
            (0.5807, 203.0),
            (0.7518, 1000.0),
        ] {
            assert!((pq_to_nits(v) - nits).abs() < 0.003 * nits.max(0.01), "{v}");
            near(nits_to_pq(nits), v);
        }
        near(pq_to_nits(1.0), 10_000.0);
        near(hlg_to_scene(0.0), 0.0);
        near(hlg_to_scene(0.5), 1.0 / 12.0);
        near(hlg_to_scene(1.0), 1.0);
        near(hlg_to_scene(0.75), 0.265);
        for (light, sample) in [(0.0, 0.0), (0.001, 0.01292), (0.2140, 0.5), (1.0, 1.0)] {
            assert!((encode(light) - sample).abs() < 1e-4, "{light}");
        }
    }

    #[test]
    fn what_is_no_brighter_than_a_screen_stays_as_it_is() {
        // sRGB's level for the light, relative to reference white.
        for (nits, level) in [(0.0, 0), (1.0, 15), (10.0, 63), (50.0, 136), (90.0, 177)] {
            assert!(gray(nits).abs_diff(level) <= 1, "{nits} {}", gray(nits));
        }
    }

    #[test]
    fn reference_white_is_nearly_white_and_highlights_differ_above_it() {
        assert!((225..=235).contains(&gray(203.0)), "{}", gray(203.0));
        let levels = [203.0, 300.0, 450.0, 700.0, 1000.0].map(gray);
        assert!(levels.is_sorted_by(|a, b| a < b), "{levels:?}");
        assert_eq!(levels[4], 255);
        assert_eq!(gray(10_000.0), 255);
        let bright = Code::from((9, 16)).with_peak(Some(4000.0));
        let hdr = Hdr::new(bright, Transfer::Pq).expect("is known");
        let at = |nits: f32| pixel(&hdr, [nits / WHITE; 3])[1];
        assert!(at(203.0) > 0.6 && at(1000.0) < at(2000.0) && at(2000.0) < at(4000.0));
        assert!((at(4000.0) - 1.0).abs() < 1e-3);
    }

    #[test]
    fn grey_stays_grey() {
        for code in [(9, 16), (12, 16), (1, 16)] {
            for nits in [0.5, 20.0, 203.0, 600.0, 5000.0] {
                let [r, g, b] = pq(code, [nits; 3]);
                assert!(
                    r.abs_diff(g) < 130 && g.abs_diff(b) < 130,
                    "{code:?} {nits}"
                );
            }
        }
    }

    #[test]
    fn colours_that_srgb_has_stay_what_they_are() {
        // 80 cd/m² of sRGB's own red, half-bright orange, written with BT.709 primaries.
        let [r, g, b] = pq((1, 16), [80.0, 40.0, 4.0]).map(|v| (v / 257) as u8);
        let level = |nits: f32| (encode(nits / WHITE) * 255.0).round() as u8;
        assert!(r.abs_diff(level(80.0)) <= 1, "{r}");
        assert!(g.abs_diff(level(40.0)) <= 1, "{g}");
        assert!(b.abs_diff(level(4.0)) <= 1, "{b}");
    }

    #[test]
    fn colours_beyond_srgb_keep_hue_and_luminance_and_are_never_cut_off() {
        let hdr = Hdr::new((9, 16).into(), Transfer::Pq).expect("is known");
        for (rgb, strongest) in [
            ([1.0, 0.0, 0.0], 0),
            ([0.0, 1.0, 0.0], 1),
            ([0.0, 0.0, 1.0], 2),
        ] {
            let mut last = 0.0;
            for nits in [5.0, 20.0, 60.0, 90.0] {
                let light = rgb.map(|v: f32| v * nits / WHITE);
                let made = pixel(&hdr, light);
                assert!(
                    made.iter().all(|v| (-1e-4..=1.0001).contains(v)),
                    "{made:?}"
                );
                let luminance = SRGB_LUMINANCE.dot(made);
                assert!(
                    (luminance - hdr.luminance.dot(light)).abs() < 2e-3,
                    "{made:?}"
                );
                assert!(luminance > last);
                last = luminance;
                let best = max(made);
                assert!((made[strongest] - best).abs() < 1e-6, "{made:?}");
            }
        }
    }

    #[test]
    fn bright_colours_turn_to_white_and_not_to_neon() {
        let hdr = Hdr::new((9, 16).into(), Transfer::Pq).expect("is known");
        let saturation = |nits: f32| {
            let made = pixel(&hdr, [nits / WHITE, 0.4 * nits / WHITE, 0.1 * nits / WHITE]);
            (max(made) - min(made)) / max(made)
        };
        let flame = [60.0, 203.0, 500.0, 1000.0].map(saturation);
        assert!(flame.is_sorted_by(|a, b| a > b), "{flame:?}");
        assert!(flame[3] > 0.3, "a flame has a colour: {flame:?}");
    }

    #[test]
    fn hlg_has_its_white_where_pq_has_it() {
        let hdr = Hdr::new((9, 18).into(), Transfer::Hlg).expect("is known");
        let level = |v: f32| {
            let from = [(v * 65535.0).round() as u16; 3];
            let mut to = [0; 3];
            hdr.row_16(Layout::Rgb16, &from, &mut to);
            (to[1] / 257) as u8
        };
        // BT.2408: reference white is 75 % of the signal.
        assert!(level(0.75).abs_diff(gray(203.0)) <= 1, "{}", level(0.75));
        assert_eq!((level(0.0), level(1.0)), (0, 255));
        // 38 % is a grey card, 26 cd/m².
        assert!(level(0.38).abs_diff(gray(26.0)) <= 2, "{}", level(0.38));
    }

    #[test]
    fn eight_bits_and_alpha_pass_as_well() {
        let hdr = Hdr::new((9, 16).into(), Transfer::Pq).expect("is known");
        let mut to = [0; 4];
        hdr.row_8(Layout::Rgba8, &[148, 148, 148, 7], &mut to);
        assert!(to[0].abs_diff(gray(203.0)) <= 2 && to[3] == 7, "{to:?}");
        let mut to = [0; 2];
        hdr.row_8(Layout::Gray8, &[0, 148], &mut to);
        assert!(to[0] == 0 && to[1].abs_diff(gray(203.0)) <= 2, "{to:?}");
    }
}
