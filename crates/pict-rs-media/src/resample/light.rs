//! Converts stored samples to linear light and back. Tables are computed once per process.

use std::sync::LazyLock;

/// Linear light, 0–1, of each 8-bit sRGB sample.
pub(super) static DECODE_8: LazyLock<Box<[f32; 256]>> = LazyLock::new(|| decode_table(255.0));
/// Linear light, 0–1, of each 16-bit sRGB sample.
pub(super) static DECODE_16: LazyLock<Box<[f32; 65536]>> = LazyLock::new(|| decode_table(65535.0));

const STEPS: usize = 1 << 14;
/// 8-bit sRGB sample of each of 2^14 steps of linear light; the darkest 8-bit samples are
/// five steps apart, so the table's own rounding is at most a tenth of a level.
pub(super) static ENCODE_8: LazyLock<Box<[u8; STEPS]>> = LazyLock::new(|| {
    let mut table = Box::new([0; STEPS]);
    for (step, sample) in table.iter_mut().enumerate() {
        *sample = (encode(step as f32 / (STEPS - 1) as f32) * 255.0).round() as u8;
    }
    table
});

fn decode_table<const N: usize>(max: f64) -> Box<[f32; N]> {
    let mut table = vec![0.0; N];
    for (sample, light) in table.iter_mut().enumerate() {
        let v = sample as f64 / max;
        *light = if v <= 0.040_45 {
            v / 12.92
        } else {
            ((v + 0.055) / 1.055).powf(2.4)
        } as f32;
    }
    table
        .try_into()
        .expect("the table was made with this length")
}

/// The sRGB curve, 0–1 to 0–1; other values are clamped.
fn encode(light: f32) -> f32 {
    let light = unit(light);
    if light <= 0.003_130_8 {
        light * 12.92
    } else {
        1.055 * light.powf(1.0 / 2.4) - 0.055
    }
}

/// Clamps to 0–1; NaN becomes 0. Written so that it compiles to two instructions.
#[inline(always)]
fn unit(v: f32) -> f32 {
    let v = if v > 0.0 { v } else { 0.0 };
    if v < 1.0 { v } else { 1.0 }
}

/// A sample type and its conversion to and from light.
pub(super) trait Sample: Copy + Default + 'static {
    /// Writes the light of `samples`; `channels` 4 means that the last is alpha, which is
    /// multiplied into the others.
    fn decode<const FUSED: bool>(samples: &[Self], channels: usize, light: &mut [f32]);
    /// The reverse of `decode`, rounded to nearest.
    fn encode(light: &[f32], channels: usize, samples: &mut [Self]);
}

impl Sample for u8 {
    #[inline(always)]
    fn decode<const FUSED: bool>(samples: &[Self], channels: usize, light: &mut [f32]) {
        if !FUSED {
            decode_with(&DECODE_8, 1.0 / 255.0, samples, channels, light);
            return;
        }
        for (to, &from) in light.iter_mut().zip(samples) {
            *to = curve(from.into());
        }
        if channels == 4 {
            for (to, from) in light.chunks_exact_mut(4).zip(samples.chunks_exact(4)) {
                let alpha = f32::from(from[3]) * (1.0 / 255.0);
                for to in &mut to[..3] {
                    *to *= alpha;
                }
                to[3] = alpha;
            }
        }
    }

    #[inline(always)]
    fn encode(light: &[f32], channels: usize, samples: &mut [Self]) {
        let table: &[u8; STEPS] = &ENCODE_8;
        if channels == 4 {
            for (to, from) in samples.chunks_exact_mut(4).zip(light.chunks_exact(4)) {
                let alpha = unit(from[3]);
                let inverse = if alpha > 0.0 { 1.0 / alpha } else { 0.0 };
                for (to, from) in to[..3].iter_mut().zip(from) {
                    *to = table[step(from * inverse)];
                }
                to[3] = (alpha * 255.0 + 0.5) as u8;
            }
            return;
        }
        // The steps are computed separately from the look-ups, so that they are vectorised.
        let mut steps = [0; 64];
        for (to, from) in samples.chunks_mut(64).zip(light.chunks(64)) {
            for (index, &from) in steps.iter_mut().zip(from) {
                *index = step(from) as u16;
            }
            for (to, &index) in to.iter_mut().zip(&steps) {
                *to = table[usize::from(index) & (STEPS - 1)];
            }
        }
    }
}

impl Sample for u16 {
    #[inline(always)]
    fn decode<const FUSED: bool>(samples: &[Self], channels: usize, light: &mut [f32]) {
        decode_with(&DECODE_16, 1.0 / 65535.0, samples, channels, light);
    }

    #[inline(always)]
    fn encode(light: &[f32], channels: usize, samples: &mut [Self]) {
        let deep = |light: f32| (encode(light) * 65535.0).round() as u16;
        if channels == 4 {
            for (to, from) in samples.chunks_exact_mut(4).zip(light.chunks_exact(4)) {
                let alpha = unit(from[3]);
                let inverse = if alpha > 0.0 { 1.0 / alpha } else { 0.0 };
                for (to, from) in to[..3].iter_mut().zip(from) {
                    *to = deep(from * inverse);
                }
                to[3] = (alpha * 65535.0).round() as u16;
            }
        } else {
            for (to, from) in samples.iter_mut().zip(light) {
                *to = deep(*from);
            }
        }
    }
}

/// The light of an 8-bit sample, without a table: with vectors computing is faster than looking up.
/// Off by at most an 85th of a level; only for processors with fused multiply-add.
#[inline(always)]
fn curve(sample: f32) -> f32 {
    const C: [f32; 6] = [
        9.242_401e-4,
        0.032_571_286,
        0.520_621_7,
        0.663_685_4,
        -0.303_283_42,
        0.085_585_19,
    ];
    let v = sample * (1.0 / 255.0);
    let high = v.mul_add(C[5], C[4]);
    let high = high.mul_add(v, C[3]);
    let high = high.mul_add(v, C[2]);
    let high = high.mul_add(v, C[1]);
    let high = high.mul_add(v, C[0]);
    if sample > 10.0 {
        high
    } else {
        v * (1.0 / 12.92)
    }
}

#[inline(always)]
fn decode_with<S: Copy + Into<usize> + Into<f32>, const N: usize>(
    table: &[f32; N],
    alpha_scale: f32,
    samples: &[S],
    channels: usize,
    light: &mut [f32],
) {
    if channels == 4 {
        for (to, from) in light.chunks_exact_mut(4).zip(samples.chunks_exact(4)) {
            let alpha: f32 = from[3].into();
            let alpha = alpha * alpha_scale;
            for (to, &from) in to[..3].iter_mut().zip(from) {
                let from: usize = from.into();
                *to = table[from] * alpha;
            }
            to[3] = alpha;
        }
    } else {
        for (to, &from) in light.iter_mut().zip(samples) {
            let from: usize = from.into();
            *to = table[from];
        }
    }
}

/// The step of the encode table nearest to `light`. Adding 2^23 leaves the rounded integer in
/// the low bits of the float, which is cheaper than a conversion that saturates.
#[inline(always)]
fn step(light: f32) -> usize {
    let biased = unit(light) * (STEPS - 1) as f32 + 8_388_608.0;
    biased.to_bits() as usize & (STEPS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_survives_the_way_to_light_and_back() {
        let samples: Vec<u8> = (0..=255).collect();
        let mut light = vec![0.0; 256];
        for decode in [u8::decode::<false>, u8::decode::<true>] {
            decode(&samples, 1, &mut light);
            let mut back = vec![0; 256];
            u8::encode(&light, 1, &mut back);
            assert_eq!(samples, back);
        }

        let samples: Vec<u16> = (0..=65535).collect();
        let mut light = vec![0.0; 65536];
        u16::decode::<false>(&samples, 1, &mut light);
        let mut back = vec![0; 65536];
        u16::encode(&light, 1, &mut back);
        assert_eq!(samples, back);
    }

    #[test]
    fn the_curve_is_the_table() {
        for sample in 0..=255u8 {
            let exact = |sample: u8| DECODE_8[usize::from(sample)];
            let step = exact(sample.max(1)) - exact(sample.max(1) - 1);
            let error = (curve(sample.into()) - exact(sample)).abs();
            assert!(error < step / 60.0, "{sample}: {}", error / step);
        }
        let mut light = [[0.0; 4]; 2];
        let pixel = [255, 128, 0, 51];
        u8::decode::<true>(&pixel, 4, &mut light[0]);
        u8::decode::<false>(&pixel, 4, &mut light[1]);
        for (a, b) in light[0].iter().zip(light[1]) {
            assert!((a - b).abs() < 1e-4, "{light:?}");
        }
    }

    #[test]
    fn what_no_sample_can_hold_is_clamped() {
        let light = [-1.0, 2.0, f32::NAN, f32::INFINITY];
        let mut samples = [7; 4];
        u8::encode(&light, 1, &mut samples);
        assert_eq!(samples, [0, 255, 0, 255]);
        let mut pixel = [9; 4];
        u8::encode(&[0.5, 0.5, 0.5, 0.0], 4, &mut pixel);
        assert_eq!(pixel, [0, 0, 0, 0]);
    }
}
