//! HDR pictures (ITU-R BT.2100) on a screen that is none: PQ and HLG to sRGB.
//!
//! Light up to a knee stays as it is, so that faces and skies look as they do in a picture that
//! was never HDR; reference white (203 cd/m², ITU-R BT.2408) becomes 91 % of sRGB's white, and what
//! is brighter shares the rest, by the curve of ITU-R BT.2390. The brightest of the three channels
//! is measured and all three change alike, so hues stay; the more was taken, the more white is
//! mixed in, as film does, or flames would turn to neon. Colours that sRGB does not have lose
//! saturation, not lightness. The reasons are in `docs/decisions/0011-hdr-to-sdr.md`.

use std::sync::LazyLock;

use super::code::{Code, Transfer};
use crate::rows::Layout;

/// Reference white in cd/m², which is 1 here.
const WHITE: f32 = 203.0;
/// What the system gamma of HLG is made for, in cd/m².
const HLG_PEAK: f32 = 1000.0;
/// Its system gamma is 1.2.
const HLG_EXPONENT: f32 = 0.2;
/// How fast highlights turn white; as in the neutral tone mapper of Khronos.
const DESATURATION: f32 = 0.15;
/// From this saturation on, colours make room for those that sRGB does not have.
const SATURATED: f32 = 0.98;
/// The saturation of the most saturated colour of BT.2020, about.
const MOST_SATURATED: f32 = 1.55;

/// The light of each 16-bit sample.
static PQ: LazyLock<Box<[f32]>> = LazyLock::new(|| samples(|v| pq_to_nits(v) / WHITE));
/// Of the scene, not of the screen.
static HLG: LazyLock<Box<[f32]>> = LazyLock::new(|| samples(hlg_to_scene));

fn samples(light: impl Fn(f32) -> f32) -> Box<[f32]> {
    (0..=65535).map(|v| light(v as f32 / 65535.0)).collect()
}

/// The way of one picture.
pub(super) struct Hdr {
    transfer: Transfer,
    to_srgb: [[f32; 3]; 3],
    /// The luminance of the picture's primaries.
    luminance: [f32; 3],
    /// By how much light is multiplied, and how much white is mixed in.
    tone: ByLight<2>,
    /// What HLG's system gamma multiplies with.
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

    /// Rows of 8 bits; any layout but inks.
    pub(super) fn row_8(&self, layout: Layout, from: &[u8], to: &mut [u8]) {
        // 257 * 255 is 65535. Encoded samples are at most 1, and end up at most 255.
        self.row(
            layout,
            from,
            to,
            |v| usize::from(v) * 257,
            |v| (v * 255.0 + 0.5) as u8,
        );
    }

    /// Rows of 16 bits.
    pub(super) fn row_16(&self, layout: Layout, from: &[u16], to: &mut [u16]) {
        self.row(layout, from, to, usize::from, |v| {
            (v * 65535.0 + 0.5) as u16
        });
    }

    #[inline(always)]
    fn row<T: Copy>(
        &self,
        layout: Layout,
        from: &[T],
        to: &mut [T],
        sample: impl Fn(T) -> usize,
        round: impl Fn(f32) -> T,
    ) {
        let light: &[f32] = match self.transfer {
            Transfer::Pq => &PQ,
            Transfer::Hlg => &HLG,
        };
        let light = |v: T| light.get(sample(v)).copied().unwrap_or(1.0);
        let encode: &[f32] = &ENCODE;
        let channels = layout.channels();
        if channels == 1 {
            for (to, &from) in to.iter_mut().zip(from) {
                *to = round(encoded(encode, self.pixel([light(from); 3])[1]));
            }
            return;
        }
        let rows = to.chunks_exact_mut(channels);
        for (to, from) in rows.zip(from.chunks_exact(channels)) {
            let rgb = self.pixel([light(from[0]), light(from[1]), light(from[2])]);
            for (to, light) in to.iter_mut().zip(rgb) {
                *to = round(encoded(encode, light));
            }
            if let (Some(to), Some(from)) = (to.get_mut(3), from.get(3)) {
                *to = *from;
            }
        }
    }

    /// From the picture's linear light to that of sRGB, 0–1.
    #[inline(always)]
    fn pixel(&self, mut light: [f32; 3]) -> [f32; 3] {
        if self.transfer == Transfer::Hlg {
            let [system] = self.system.at(self.luminance.dot(light));
            light = light.map(|v| v * system);
        }
        let brightest = max(light);
        let [factor, white] = self.tone.at(brightest);
        let share = (1.0 - white) * factor;
        let mixed = white * factor * brightest;
        let [r, g, b] = self.to_srgb;
        let light = light.map(|v| v * share + mixed);
        fit([r.dot(light), g.dot(light), b.dot(light)])
    }
}

/// Into sRGB's range, towards the grey of the same luminance.
#[inline(always)]
fn fit(light: [f32; 3]) -> [f32; 3] {
    let (darkest, brightest) = (min(light), max(light));
    if darkest >= (1.0 - SATURATED) * brightest && brightest <= 1.0 {
        return light;
    }
    let luminance = SRGB_LUMINANCE.dot(light);
    if brightest <= 0.0 || luminance <= 0.0 {
        return [0.0; 3];
    }
    let mut keep = 1.0_f32;
    let saturation = (brightest - darkest) / brightest;
    if saturation > SATURATED {
        let fitted = compressed(saturation);
        keep = fitted * luminance / ((brightest - darkest) - fitted * (brightest - luminance));
    }
    let towards = |keep: f32| light.map(|v| luminance + (v - luminance) * keep);
    let left = luminance + (brightest - luminance) * keep;
    if left > 1.0 && brightest > luminance {
        keep = keep.min((1.0 - luminance).max(0.0) / (brightest - luminance));
    }
    towards(keep)
}

/// What lies between [`SATURATED`] and [`MOST_SATURATED`], brought below 1.
fn compressed(saturation: f32) -> f32 {
    const BEYOND: f32 = MOST_SATURATED - SATURATED;
    const ROOM: f32 = 1.0 - SATURATED;
    const SCALE: f32 = BEYOND * ROOM / (BEYOND - ROOM);
    let beyond = saturation - SATURATED;
    (SATURATED + beyond / (1.0 + beyond / SCALE)).min(1.0)
}

/// What becomes of `light` in a picture that gets as bright as `peak` cd/m²: the curve of ITU-R
/// BT.2390, section 5.4.1, to a screen whose white is reference white.
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

/// The inverse of the curve of ITU-R BT.2100, table 5; 1 is the brightest.
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

const STEPS: usize = 1 << 12;
/// sRGB's curve at so many steps of light; one more than these, so that the last has a next.
static ENCODE: LazyLock<Box<[f32]>> = LazyLock::new(|| {
    let encode = |light: f32| {
        if light <= 0.003_130_8 {
            light * 12.92
        } else {
            1.055 * light.powf(1.0 / 2.4) - 0.055
        }
    };
    (0..=STEPS + 1)
        .map(|step| encode((step as f32 / STEPS as f32).powi(2)).min(1.0))
        .collect()
});

/// Steps are those of the square root, for eyes see many in the dark.
#[inline(always)]
fn encoded(table: &[f32], light: f32) -> f32 {
    let at = light.clamp(0.0, 1.0).sqrt() * STEPS as f32;
    let step = at as usize;
    match table.get(step..step + 2) {
        Some(&[from, to]) => from + (to - from) * (at - step as f32),
        _ => 1.0,
    }
}

/// Bits of an `f32` that tell steps of [`ByLight`] apart: 512 for each doubling.
const STEP_BITS: u32 = 14;
/// 2^-20 and 2^6, before and after which values stay the same.
const DARKEST: f32 = 1.0 / (1 << 20) as f32;
const BRIGHTEST: f32 = 64.0;

/// A function of light, known at steps that are as many for each doubling: what the bits of a
/// float count by themselves.
struct ByLight<const N: usize>(Box<[[f32; N]]>);

impl<const N: usize> ByLight<N> {
    fn new(of: impl Fn(f32) -> [f32; N]) -> Self {
        let (first, last) = (DARKEST.to_bits(), BRIGHTEST.to_bits());
        let steps = (first >> STEP_BITS)..=(last >> STEP_BITS) + 1;
        Self(
            steps
                .map(|step| of(f32::from_bits(step << STEP_BITS)))
                .collect(),
        )
    }

    #[inline(always)]
    fn at(&self, light: f32) -> [f32; N] {
        let bits = light.clamp(DARKEST, BRIGHTEST).to_bits() - DARKEST.to_bits();
        let step = (bits >> STEP_BITS) as usize;
        let part = (bits & ((1 << STEP_BITS) - 1)) as f32 / (1 << STEP_BITS) as f32;
        match self.0.get(step..step + 2) {
            Some([from, to]) => std::array::from_fn(|n| from[n] + (to[n] - from[n]) * part),
            _ => [0.0; N],
        }
    }
}

/// Of red, green and blue of sRGB.
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

#[inline(always)]
fn max([a, b, c]: [f32; 3]) -> f32 {
    a.max(b).max(c)
}

#[inline(always)]
fn min([a, b, c]: [f32; 3]) -> f32 {
    a.min(b).min(c)
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
        let encode = |v| encoded(&ENCODE, v);
        for (light, sample) in [(0.0, 0.0), (0.001, 0.01292), (0.2140, 0.5), (1.0, 1.0)] {
            assert!((encode(light) - sample).abs() < 1e-4, "{light}");
        }
    }

    #[test]
    fn what_is_no_brighter_than_a_screen_stays_as_it_is() {
        // sRGB's level is that of the light, as a part of reference white.
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
        let at = |nits: f32| hdr.pixel([nits / WHITE; 3])[1];
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
        let level = |nits: f32| (encoded(&ENCODE, nits / WHITE) * 255.0).round() as u8;
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
                let made = hdr.pixel(light);
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
            let made = hdr.pixel([nits / WHITE, 0.4 * nits / WHITE, 0.1 * nits / WHITE]);
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
