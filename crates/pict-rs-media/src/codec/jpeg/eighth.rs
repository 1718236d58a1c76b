//! A picture at an eighth of its size, made of the first coefficient of each block: that is its mean.
//!
//! Cleaning follows the codes of a file anyway, and turning reads its coefficients, so that its data
//! need not be read a second time. The result is that of libjpeg, except that libjpeg makes subsampled
//! chroma as large as luma, by a larger inverse DCT.

use super::scan::Means;
use super::{container, sys};
use crate::codec::interface;
use crate::rows::{Layout, Row, RowSink, Shape};
use crate::{ColourModel, Control, Result};

/// The picture of a file, from the first coefficients of its blocks; `None` if its components are inks,
/// which the caller of libjpeg inverts.
pub(super) fn of<'a>(
    source: &'a [u8],
    means: Vec<Means>,
) -> Option<Box<dyn interface::Eighth + 'a>> {
    (means.len() < 4).then(|| Box::new(Eighth { source, means }) as _)
}

struct Eighth<'a> {
    source: &'a [u8],
    means: Vec<Means>,
}

impl interface::Eighth for Eighth<'_> {
    fn push(&self, control: &Control, sink: &mut dyn RowSink) -> Result<()> {
        let header = container::read(self.source, control)?;
        let is_ycc = sys::Decompress::new(&self.source[..header.end], control)?.is_ycc();
        let layout = match header.colour() {
            ColourModel::Gray => Layout::Gray8,
            _ => Layout::Rgb8,
        };
        let shape = Shape {
            width: u32::from(header.width).div_ceil(8),
            height: u32::from(header.height).div_ceil(8),
            layout,
        };
        sink.begin(shape)?;
        let most = |factor: fn(&Means) -> u32| self.means.iter().map(factor).max().unwrap_or(1);
        let (most_h, most_v) = (
            most(|means| means.sampling.0),
            most(|means| means.sampling.1),
        );
        let mut row = vec![0; shape.row_len()];
        for y in 0..shape.height {
            control.check()?;
            for (channel, means) in self.means.iter().enumerate() {
                let line = (y * means.sampling.1 / most_v) as usize * means.stride;
                let line = means.values.get(line..).unwrap_or_default();
                let samples = row.iter_mut().skip(channel).step_by(layout.channels());
                for (x, sample) in (0..shape.width).zip(samples) {
                    let at = (x * means.sampling.0 / most_h) as usize;
                    *sample = level(line.get(at).copied().unwrap_or_default(), means.step);
                }
            }
            if is_ycc {
                row.as_chunks_mut().0.iter_mut().for_each(to_rgb);
            }
            sink.row(Row::U8(&row))?;
        }
        sink.end()
    }
}

/// The sample that a block has if its first coefficient is the only one.
fn level(mean: i16, step: u16) -> u8 {
    let level = (i32::from(mean) * i32::from(step) + 4) >> 3;
    // Ten bits are used, as libjpeg does; more occur in invalid files only.
    let level = level << 22 >> 22;
    (level + 128).clamp(0, 255) as u8
}

/// JFIF's conversion, with libjpeg's rounding.
fn to_rgb(pixel: &mut [u8; 3]) {
    const fn fixed(factor: f64) -> i32 {
        (factor * 65536.0 + 0.5) as i32
    }
    let [y, cb, cr] = pixel.map(i32::from);
    let (cb, cr) = (cb - 128, cr - 128);
    let round = |value: i32| (value + (1 << 15)) >> 16;
    let red = y + round(fixed(1.402) * cr);
    let green = y + round(-fixed(0.344_14) * cb - fixed(0.714_14) * cr);
    let blue = y + round(fixed(1.772) * cb);
    *pixel = [red, green, blue].map(|value| value.clamp(0, 255) as u8);
}

#[cfg(test)]
mod tests {
    use zenjpeg::encoder::{ChromaSubsampling, EncoderConfig, PixelLayout, Unstoppable};

    use super::super::{Encoder, clean, decode, inspect, turn};
    use super::*;
    use crate::codec::interface::Kept;
    use crate::codec::testing::{Collect, Picture, picture};
    use crate::orient::tests as turns;

    fn pushed(kept: Kept<'_>) -> Option<Result<Picture>> {
        let eighth = kept.eighth?;
        let mut sink = Collect::default();
        let pushed = eighth.push(&Control::new(), &mut sink);
        Some(pushed.map(|()| sink.picture()))
    }

    /// The eighth that comes with a cleaned file.
    fn eighth(file: &[u8]) -> Option<Result<Picture>> {
        pushed(clean(file, &Control::new()).ok()?)
    }

    /// What libjpeg makes of it.
    fn expected(file: &[u8]) -> Result<Picture> {
        let control = Control::new();
        let mut sink = Collect::default();
        let facts = inspect(file, &control)?;
        decode(file, &facts, 8, &control, &mut sink)?;
        Ok(sink.picture())
    }

    /// A picture with coefficients of all sizes, and means beyond black and white.
    fn busy(width: u32, height: u32, layout: Layout) -> Picture {
        let mut busy = picture(width, height, layout);
        for (at, sample) in busy.samples.iter_mut().enumerate() {
            *sample = (*sample + (at * at % 97 * at % 3) as u16 * 60).min(255);
        }
        busy
    }

    fn bytes(picture: &Picture) -> Vec<u8> {
        let samples = picture.samples.iter();
        samples.map(|sample| *sample as u8).collect()
    }

    /// A sequential file with full chroma.
    fn sequential(picture: &Picture) -> Vec<u8> {
        let size = (picture.shape.width, picture.shape.height);
        let colour = match picture.shape.layout {
            Layout::Gray8 => ColourModel::Gray,
            _ => ColourModel::Rgb,
        };
        let mut encoder = sys::Compress::start(size, colour, 90, true).expect("starts");
        for row in bytes(picture).chunks_exact(picture.shape.row_len()) {
            encoder.write(row).expect("encodes");
        }
        encoder.finish().expect("finishes")
    }

    /// A file with a restart marker after each row of units.
    fn restarting(picture: &Picture, chroma: ChromaSubsampling, progressive: bool) -> Vec<u8> {
        let shape = picture.shape;
        let (config, layout) = match shape.layout {
            Layout::Gray8 => (EncoderConfig::grayscale(85.0), PixelLayout::Gray8Srgb),
            _ => (EncoderConfig::ycbcr(85.0, chroma), PixelLayout::Rgb8Srgb),
        };
        let mut encoder = config
            .progressive(progressive)
            .restart_mcu_rows(1)
            .encode_from_bytes(shape.width, shape.height, layout)
            .expect("starts");
        let pushed = encoder.push_packed(&bytes(picture), Unstoppable);
        pushed.expect("encodes");
        encoder.finish().expect("finishes")
    }

    /// The same file, whose components are red, green and blue according to Adobe's marker.
    fn as_rgb(file: &[u8]) -> Vec<u8> {
        assert_eq!(file[2..11], *b"\xff\xe0\0\x10JFIF\0");
        let adobe = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0";
        [&file[..2], adobe, &file[20..]].concat()
    }

    fn pictures(sizes: &[(u32, u32)]) -> impl Iterator<Item = Picture> {
        let layouts = [Layout::Gray8, Layout::Rgb8];
        let sizes = sizes.iter();
        sizes.flat_map(move |&(width, height)| layouts.map(|layout| busy(width, height, layout)))
    }

    /// Files in which components are equally large.
    fn files(sizes: &[(u32, u32)]) -> Vec<Vec<u8>> {
        let kinds = |picture: Picture| {
            let sequential = sequential(&picture);
            let restarting =
                |progressive| restarting(&picture, ChromaSubsampling::None, progressive);
            let again = [restarting(false), restarting(true)];
            [vec![as_rgb(&sequential), sequential], again.to_vec()].concat()
        };
        pictures(sizes).flat_map(kinds).collect()
    }

    /// Files in which chroma is smaller than luma.
    fn subsampled(sizes: &[(u32, u32)]) -> Vec<Vec<u8>> {
        let in_colour = pictures(sizes).filter(|picture| picture.shape.layout == Layout::Rgb8);
        let kinds = |picture: Picture| {
            [false, true]
                .map(|progressive| restarting(&picture, ChromaSubsampling::Quarter, progressive))
        };
        in_colour.flat_map(kinds).collect()
    }

    fn is_subsampled(file: &[u8]) -> bool {
        let header = container::read(file, &Control::new()).expect("is a JPEG");
        header
            .sampling
            .iter()
            .any(|factors| *factors != header.sampling[0])
    }

    #[test]
    fn the_means_of_blocks_are_what_the_decoder_makes() {
        for file in files(&[(1, 1), (7, 9), (64, 48), (131, 77)]) {
            let expected = expected(&file).expect("decodes");
            let found = eighth(&file).expect("could be followed").expect("decodes");
            assert_eq!(found, expected);
            for orientation in turns::ALL {
                let mut facts = inspect(&file, &Control::new()).expect("is a JPEG");
                facts.orientation = orientation;
                let turned = turn(&file, &facts, &Control::new()).expect("turns");
                let Some(turned) = turned else {
                    continue;
                };
                let found = pushed(turned).expect("was read").expect("decodes");
                assert_eq!(found, expected, "{orientation:?}");
            }
        }
    }

    #[test]
    fn subsampled_chroma_is_coarser() {
        let mut encoder = Encoder::new(Some(80), true);
        let picture = picture(631, 477, Layout::Rgb8);
        picture.push(&mut encoder).expect("encodes");
        let file = encoder.into_bytes();
        let found = eighth(&file).expect("could be followed").expect("decodes");
        let off = found.difference(&expected(&file).expect("decodes"));
        assert!((1..8).contains(&off), "{off}");
    }

    /// A picture must not count as whole because of a wrong turn that only we take.
    #[test]
    fn what_the_decoder_refuses_has_no_eighth() {
        let (mut followed, mut refused) = (0, 0);
        let sizes = [(9, 7), (24, 40)];
        for file in files(&sizes).into_iter().chain(subsampled(&sizes)) {
            for at in 2..file.len() {
                for value in [0, 1, file[at] ^ 0x10, 0x7f, 0xff] {
                    let mut broken = file.clone();
                    broken[at] = value;
                    let facts = inspect(&broken, &Control::new());
                    if !facts.is_ok_and(|facts| facts.pixels() < 1 << 20) {
                        continue;
                    }
                    match (eighth(&broken), expected(&broken)) {
                        (Some(Ok(found)), Ok(expected)) => {
                            assert_eq!(found.shape, expected.shape, "{at} {value}");
                            if !is_subsampled(&broken) {
                                assert_eq!(found, expected, "{at} {value}");
                            }
                            followed += 1;
                        }
                        (Some(found), expected) => {
                            let same = found.is_err() && expected.is_err();
                            assert!(same, "{at} {value}: {found:?} {expected:?}");
                        }
                        (None, Err(_)) => refused += 1,
                        // Decoded a second time, which is only slower.
                        (None, Ok(_)) => {}
                    }
                }
            }
        }
        assert!(followed > 1000 && refused > 1000, "{followed} {refused}");
    }

    #[test]
    fn inks_and_files_that_are_cut_have_none() {
        let size = (64, 48);
        let mut inks = sys::Compress::start(size, ColourModel::Cmyk, 90, true).expect("starts");
        for _ in 0..size.1 {
            inks.write(&[99; 64 * 4]).expect("encodes");
        }
        assert!(eighth(&inks.finish().expect("finishes")).is_none());
        let whole = sequential(&busy(64, 48, Layout::Rgb8));
        let end = whole.len() - 2;
        assert!(eighth(&whole[..end - 9]).is_none());
        assert!(eighth(&[&whole[..end - 9], b"\xff\xd9"].concat()).is_none());
        // Bytes that belong to no block are no damage.
        assert!(eighth(&[&whole[..end], &[1; 50], &whole[end..]].concat()).is_some());
    }
}
