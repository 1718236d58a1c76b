//! The colours declared by the chunks of a PNG, with the precedence of the standard (PNG, third
//! edition, section 4.3): `cICP` before `iCCP`, before `sRGB`, before `gAMA` and `cHRM`.

use std::borrow::Cow;

use super::container::{Chunks, icc, is_gray};
use crate::ColourModel;
use crate::colour::{Code, Colours, Measured, profile_fits};

/// Files contain luminances in cd/m² times the first number, other values times the second.
const LUMINANCE_UNIT: f32 = 10_000.0;
const UNIT: f64 = 100_000.0;
/// The name of a profile that only represents BT.2100 PQ.
const PQ_PROFILE: &[u8] = b"ITUR_2100_PQ_FULL\0";

/// The colours that the file declares.
pub(crate) fn colours(source: &[u8]) -> Colours<'_> {
    let said = Said::read(source);
    let code = said.code.map(|code| code.with_peak(said.peak));
    if let Some(code) = code.filter(|code| code.says_all()) {
        return Colours::Code(code);
    }
    let samples = if is_gray(source) {
        ColourModel::Gray
    } else {
        ColourModel::Rgb
    };
    if said.has_profile
        && let Some(profile) = icc(source)
        && profile_fits(&profile, samples)
    {
        return Colours::Profile(Cow::Owned(profile));
    }
    match (said.is_srgb, said.measured(), code) {
        (false, Some(measured), _) => Colours::Measured(measured),
        (false, None, Some(code)) => Colours::Code(code),
        _ => Colours::Srgb,
    }
}

/// White, red, green and blue of sRGB.
const SRGB_POINTS: [(f64, f64); 4] = [(0.3127, 0.329), (0.64, 0.33), (0.3, 0.6), (0.15, 0.06)];

/// A lone exponent this close to that of sRGB means the curve of sRGB, as in libpng: many files say
/// 0.45455 and mean sRGB.
const SRGB_GAMMA: std::ops::RangeInclusive<f64> = 2.095..=2.315;

#[derive(Default)]
struct Said {
    code: Option<Code>,
    peak: Option<f32>,
    has_profile: bool,
    is_srgb: bool,
    gamma: Option<f64>,
    points: Option<[(f64, f64); 4]>,
}

impl Said {
    /// `gAMA`, with the primaries of `cHRM` or, without that chunk, those of sRGB. Primaries alone
    /// are not enough.
    fn measured(&self) -> Option<Measured> {
        let gamma = self.gamma?;
        if self.points.is_none() && SRGB_GAMMA.contains(&gamma) {
            return None;
        }
        let points = self.points.unwrap_or(SRGB_POINTS);
        Some(Measured { points, gamma })
    }

    fn read(source: &[u8]) -> Self {
        let mut said = Self::default();
        let Ok(chunks) = Chunks::new(source) else {
            return said;
        };
        let before_data = chunks
            .map_while(Result::ok)
            .take_while(|chunk| &chunk.kind != b"IDAT")
            .filter(|chunk| chunk.counts(source));
        for chunk in before_data {
            match (&chunk.kind, chunk.data) {
                // PNG only has RGB matrices; samples of narrow range are so rare that only their
                // primaries and curve are used.
                (b"cICP", &[primaries, transfer, 0, _]) => {
                    let code = Code::from((primaries, transfer));
                    // A profile that represents PQ may have come first.
                    if said.code.is_none() || code.says_all() {
                        said.code = Some(code);
                    }
                }
                (b"iCCP", data)
                    if data.starts_with(PQ_PROFILE) && !said.code.is_some_and(Code::says_all) =>
                {
                    said.code = Some((9, 16).into());
                }
                (b"iCCP", _) => said.has_profile = true,
                (b"sRGB", [_]) => said.is_srgb = true,
                (b"gAMA", data) => {
                    let encoding = numbers::<1>(data).map(|[v]| f64::from(v) / UNIT);
                    said.gamma = encoding.filter(|v| *v > 0.0).map(|v| 1.0 / v);
                }
                (b"cHRM", data) => {
                    said.points = numbers::<8>(data).map(|numbers| {
                        let at = |n: usize| f64::from(numbers[n]) / UNIT;
                        [0, 2, 4, 6].map(|n| (at(n), at(n + 1)))
                    });
                }
                // The luminance of the brightest pixel takes precedence over that of the screen.
                (b"cLLI", data) => {
                    if let Some([brightest, _]) = numbers::<2>(data)
                        && brightest > 0
                    {
                        said.peak = Some(brightest as f32 / LUMINANCE_UNIT);
                    }
                }
                (b"mDCV", data) => {
                    let screen = data.get(16..).and_then(numbers::<2>);
                    let screen = screen.map(|[brightest, _]| brightest as f32 / LUMINANCE_UNIT);
                    said.peak = said.peak.or(screen);
                }
                _ => {}
            }
        }
        said
    }
}

/// Exactly `N` numbers.
fn numbers<const N: usize>(data: &[u8]) -> Option<[u32; N]> {
    let (numbers, []) = data.as_chunks::<4>() else {
        return None;
    };
    let numbers: &[[u8; 4]; N] = numbers.try_into().ok()?;
    Some(numbers.map(u32::from_be_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::png::container::SIGNATURE;

    fn file(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut file = SIGNATURE.to_vec();
        let end: [(&[u8; 4], &[u8]); 2] = [(b"IDAT", b""), (b"IEND", b"")];
        for (kind, data) in chunks.iter().chain(&end) {
            container_chunk(&mut file, kind, data);
        }
        file
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|v| v.to_be_bytes()).collect()
    }

    /// Those of sRGB, as written by every editor.
    const POINTS: [u32; 8] = [31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000];

    #[test]
    fn code_points_win_over_everything() {
        let gamma = words(&[45455]);
        let points = words(&POINTS);
        let all: [(&[u8; 4], &[u8]); 5] = [
            (b"gAMA", &gamma),
            (b"cHRM", &points),
            (b"sRGB", &[0]),
            (b"iCCP", b"a name\0\0garbage"),
            (b"cICP", &[12, 13, 0, 1]),
        ];
        assert_eq!(colours(&file(&all)), Colours::Code((12, 13).into()));
        // A broken profile is ignored.
        assert_eq!(colours(&file(&all[..4])), Colours::Srgb);
        let measured = Measured {
            points: [(0.3127, 0.329), (0.64, 0.33), (0.3, 0.6), (0.15, 0.06)],
            gamma: 1.0 / 0.45455,
        };
        assert_eq!(colours(&file(&all[..2])), Colours::Measured(measured));
        assert_eq!(colours(&file(&all[..1])), Colours::Srgb);
        assert_eq!(colours(&file(&[])), Colours::Srgb);
        assert_eq!(colours(b"no PNG"), Colours::Srgb);
    }

    #[test]
    fn code_points_that_say_nothing_leave_it_to_other_chunks() {
        let profile = moxcms::ColorProfile::new_display_p3();
        let profile = profile.encode().expect("encodes");
        let mut picture = Vec::new();
        let mut info = png::Info::with_size(1, 1);
        info.icc_profile = Some(Cow::Borrowed(&profile));
        let encoder = png::Encoder::with_info(&mut picture, info).expect("is valid");
        let mut writer = encoder.write_header().expect("writes");
        writer.write_image_data(&[0]).expect("writes");
        writer.finish().expect("writes");
        let start = picture
            .windows(4)
            .position(|w| w == b"iCCP")
            .expect("has it");
        let length = picture[start - 4..start].try_into().expect("four bytes");
        let data = &picture[start + 4..][..u32::from_be_bytes(length) as usize];
        let (gamma, points) = (words(&[45455]), words(&POINTS));
        for code in [[2, 2, 0, 1], [99, 13, 0, 1], [12, 99, 0, 1], [2, 16, 0, 1]] {
            let mut with_profile = SIGNATURE.to_vec();
            container_chunk(&mut with_profile, b"cICP", &code);
            container_chunk(&mut with_profile, b"iCCP", data);
            container_chunk(&mut with_profile, b"IDAT", b"");
            container_chunk(&mut with_profile, b"IEND", b"");
            assert_eq!(
                colours(&with_profile),
                Colours::Profile(Cow::Borrowed(&profile)),
                "{code:?}"
            );
            let measured: [(&[u8; 4], &[u8]); 3] =
                [(b"cICP", &code), (b"gAMA", &gamma), (b"cHRM", &points)];
            let measured_file = file(&measured);
            let found = colours(&measured_file);
            assert!(matches!(found, Colours::Measured(_)), "{code:?}: {found:?}");
            // Better than nothing.
            let vague = file(&measured[..1]);
            let found = colours(&vague);
            assert_eq!(found, Colours::Code((code[0], code[1]).into()));
        }
    }

    fn container_chunk(file: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
        crate::codec::png::container::push_chunk(file, kind, &[data]).expect("is short");
    }

    #[test]
    fn what_is_no_statement_about_rgb_is_none() {
        for data in [&[9, 16, 9, 1][..], &[9, 16, 0], &[]] {
            assert_eq!(colours(&file(&[(b"cICP", data)])), Colours::Srgb);
        }
        let short = words(&POINTS[..7]);
        let zero = words(&[0]);
        let chunks: [(&[u8; 4], &[u8]); 2] = [(b"gAMA", &zero), (b"cHRM", &short)];
        assert_eq!(colours(&file(&chunks)), Colours::Srgb);
        let points = words(&POINTS);
        assert_eq!(colours(&file(&[(b"cHRM", &points)])), Colours::Srgb);
    }

    #[test]
    fn a_gamma_stands_for_itself_unless_it_is_that_of_srgb() {
        let alone = |gamma: u32| {
            let gamma = words(&[gamma]);
            match colours(&file(&[(b"gAMA", &gamma)])) {
                Colours::Measured(measured) => {
                    assert_eq!(measured.points, SRGB_POINTS);
                    Some(measured.gamma)
                }
                Colours::Srgb => None,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(alone(100_000), Some(1.0));
        assert_eq!(alone(50_000), Some(2.0));
        assert_eq!(alone(40_000), Some(2.5));
        for usual in [44_000, 45_000, 45_455, 46_000] {
            assert_eq!(alone(usual), None, "{usual}");
        }
        // Higher-ranking chunks win, except for an unspecified code point.
        let gamma = words(&[100_000]);
        let with = |kind: &'static [u8; 4], data: &'static [u8]| {
            let chunks: [(&[u8; 4], &[u8]); 2] = [(b"gAMA", &gamma), (kind, data)];
            file(&chunks)
        };
        assert_eq!(colours(&with(b"sRGB", &[0])), Colours::Srgb);
        let code = with(b"cICP", &[12, 13, 0, 1]);
        assert_eq!(colours(&code), Colours::Code((12, 13).into()));
        let vague = with(b"cICP", &[2, 2, 0, 1]);
        assert!(matches!(colours(&vague), Colours::Measured(_)));
    }

    #[test]
    fn the_peak_is_that_of_the_picture_before_that_of_the_screen() {
        let screen = [&[0; 16][..], &words(&[40_000_000, 50])].concat();
        let brightest = words(&[14_000_000, 2_000_000]);
        let peak = |chunks: &[(&[u8; 4], &[u8])]| {
            let code: [(&[u8; 4], &[u8]); 1] = [(b"cICP", &[9, 16, 0, 1])];
            match colours(&file(&[&code, chunks].concat())) {
                Colours::Code(code) => code.peak,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(peak(&[]), 1000.0);
        assert_eq!(peak(&[(b"mDCV", &screen)]), 4000.0);
        assert_eq!(peak(&[(b"mDCV", &screen), (b"cLLI", &brightest)]), 1400.0);
        assert_eq!(peak(&[(b"cLLI", &words(&[u32::MAX, 0]))]), 1000.0);
    }

    #[test]
    fn a_profile_can_stand_for_pq() {
        let chunks: [(&[u8; 4], &[u8]); 1] = [(b"iCCP", b"ITUR_2100_PQ_FULL\0\0x")];
        assert_eq!(colours(&file(&chunks)), Colours::Code((9, 16).into()));
    }
}
