//! Colour conversion: from the declared colours of a file to sRGB, and from CMYK to RGB.
//!
//! A file declares colours with an ICC profile, code points of H.273, or measured primaries
//! ([`Colours`]). Invalid declarations, and those that do not fit the samples, are ignored: a
//! picture in slightly wrong colours is better than none. Start at [`Conversion::of`].

mod code;
mod hdr;

use std::{borrow::Cow, sync::Arc};

use moxcms::{ColorProfile, DataColorSpace, TransformExecutor, TransformOptions};

pub(crate) use code::{Code, Measured};

use hdr::Hdr;

use crate::{
    ColourModel, Error, Result,
    rows::{Layout, Row, RowSink, Shape},
};

type Executor<T> = Arc<dyn TransformExecutor<T> + Send + Sync>;

/// The declared colours of a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Colours<'a> {
    /// None, or sRGB.
    Srgb,
    /// An ICC profile.
    Profile(Cow<'a, [u8]>),
    /// Code points of H.273.
    Code(Code),
    /// Primaries and an exponent.
    Measured(Measured),
}

impl<'a> Colours<'a> {
    /// From a profile, if there is one for this kind of samples.
    pub(crate) fn of_profile(icc: Option<Cow<'a, [u8]>>, samples: ColourModel) -> Self {
        Self::told(icc.filter(|icc| profile_fits(icc, samples)), None)
    }

    /// From a container with both. A profile is more exact, but for HDR it describes a screen that
    /// can show it.
    pub(crate) fn told(icc: Option<Cow<'a, [u8]>>, code: Option<Code>) -> Self {
        match (icc, code) {
            (_, Some(code)) if code.hdr().is_some() => Self::Code(code),
            (Some(icc), _) => Self::Profile(icc),
            (None, Some(code)) => Self::Code(code),
            (None, None) => Self::Srgb,
        }
    }
}

/// Whether a profile is for this kind of samples. A gray picture may have an RGB profile, as a
/// picture whose channels are equal, and browsers apply it; any other mismatch is a mistake that
/// they ignore.
pub(crate) fn profile_fits(icc: &[u8], samples: ColourModel) -> bool {
    match icc.get(16..20) {
        Some(b"GRAY") => samples == ColourModel::Gray,
        Some(b"RGB ") => samples != ColourModel::Cmyk,
        Some(b"CMYK") => samples == ColourModel::Cmyk,
        _ => false,
    }
}

/// The conversion of a file's samples to sRGB.
pub(crate) struct Conversion {
    profile: ColorProfile,
    srgb: ColorProfile,
    hdr: Option<Arc<Hdr>>,
    /// Whether the samples are so unlike sRGB's that resizing them directly would be visible.
    first: bool,
}

impl Conversion {
    /// `None` if no conversion is needed.
    pub(crate) fn of(colours: &Colours<'_>) -> Option<Self> {
        match colours {
            Colours::Srgb => None,
            Colours::Profile(icc) => Self::new(Some(icc)),
            Colours::Code(code) => Self::from_code(*code),
            Colours::Measured(measured) => Self::from_profile(measured.profile()?),
        }
    }

    /// `None` if no conversion is needed: without a profile, with a broken one, or for sRGB itself.
    pub(crate) fn new(icc: Option<&[u8]>) -> Option<Self> {
        let profile = ColorProfile::new_from_slice(icc?).ok()?;
        // The tables of an HDR profile are for a screen that can show it.
        if profile.color_space == DataColorSpace::Rgb
            && let Some(code) = Code::of_profile(&profile)
            && code.hdr().is_some()
            && let Some(conversion) = Self::from_code(code)
        {
            return Some(conversion);
        }
        Self::from_profile(profile)
    }

    /// `None` if the code points are sRGB, or unknown.
    pub(crate) fn from_code(code: Code) -> Option<Self> {
        let Some(transfer) = code.hdr() else {
            return Self::from_profile(code.profile()?);
        };
        Some(Self {
            profile: ColorProfile::new_srgb(),
            srgb: ColorProfile::new_srgb(),
            hdr: Some(Arc::new(Hdr::new(code, transfer)?)),
            first: true,
        })
    }

    fn from_profile(profile: ColorProfile) -> Option<Self> {
        let mut conversion = Self {
            profile,
            srgb: ColorProfile::new_srgb(),
            hdr: None,
            first: false,
        };
        conversion.first = conversion.is_unlike_srgb();
        match conversion.profile.color_space {
            DataColorSpace::Rgb => (!conversion.is_nearly_srgb()?).then_some(conversion),
            DataColorSpace::Gray | DataColorSpace::Cmyk => Some(conversion),
            _ => None,
        }
    }

    /// Whether it must precede the resize: for HDR and linear samples.
    pub(crate) fn goes_first(&self) -> bool {
        self.first
    }

    /// Whether the curve of grey is really different, not just a slightly different gamma.
    fn is_unlike_srgb(&self) -> bool {
        const LEVELS: [u8; 3] = [64, 128, 192];
        const UNLIKE: u8 = 24;
        let table = match self.profile.color_space {
            DataColorSpace::Rgb | DataColorSpace::Gray => self.gray_table_8(),
            _ => None,
        };
        table.is_some_and(|table| {
            let level = |v: u8| table.get(usize::from(v)).copied().unwrap_or(v);
            LEVELS.iter().any(|&v| level(v).abs_diff(v) > UNLIKE)
        })
    }

    /// Whether a coarse grid of colours is unchanged. Most photographs have an sRGB profile, and
    /// converting them would waste time. `None` if the profile cannot be used at all.
    fn is_nearly_srgb(&self) -> Option<bool> {
        const LEVELS: [u8; 5] = [0, 48, 112, 184, 255];
        let mut grid = Vec::with_capacity(LEVELS.len().pow(3) * 3);
        for r in LEVELS {
            for g in LEVELS {
                for b in LEVELS {
                    grid.extend([r, g, b]);
                }
            }
        }
        let mut converted = vec![0; grid.len()];
        self.executor_8(moxcms::Layout::Rgb, moxcms::Layout::Rgb)?
            .transform(&grid, &mut converted)
            .ok()?;
        Some(
            grid.iter()
                .zip(&converted)
                .all(|(a, b)| a.abs_diff(*b) <= 2),
        )
    }

    fn executor_8(&self, from: moxcms::Layout, to: moxcms::Layout) -> Option<Executor<u8>> {
        let options = TransformOptions::default();
        self.profile
            .create_transform_8bit(from, &self.srgb, to, options)
            .ok()
    }

    fn executor_16(&self, from: moxcms::Layout, to: moxcms::Layout) -> Option<Executor<u16>> {
        let options = TransformOptions::default();
        self.profile
            .create_transform_16bit(from, &self.srgb, to, options)
            .ok()
    }

    /// How to convert rows of `layout`; `None` if the profile does not fit them.
    fn way(&self, layout: Layout) -> Option<Way> {
        if let Some(hdr) = &self.hdr {
            return (layout != Layout::Cmyk8).then(|| Way::Hdr(hdr.clone()));
        }
        let rgb = match layout {
            Layout::Rgba8 | Layout::Rgba16 => moxcms::Layout::Rgba,
            _ => moxcms::Layout::Rgb,
        };
        match (self.profile.color_space, layout) {
            (DataColorSpace::Rgb, Layout::Rgb8 | Layout::Rgba8) => {
                self.executor_8(rgb, rgb).map(Way::Rows8)
            }
            (DataColorSpace::Rgb, Layout::Rgb16 | Layout::Rgba16) => {
                self.executor_16(rgb, rgb).map(Way::Rows16)
            }
            (DataColorSpace::Rgb | DataColorSpace::Gray, Layout::Gray8)
            | (DataColorSpace::Gray, Layout::Rgb8 | Layout::Rgba8) => {
                self.gray_table_8().map(Way::Table8)
            }
            (DataColorSpace::Gray, Layout::Rgb16 | Layout::Rgba16) => {
                self.gray_table_16().map(Way::Table16)
            }
            _ => None,
        }
    }

    /// The result for each gray level. For an RGB profile, gray means equal channels.
    fn gray_table_8(&self) -> Option<Vec<u8>> {
        let gray = self.profile.color_space == DataColorSpace::Gray;
        let (layout, times) = gray_layout(gray);
        let ramp: Vec<u8> = (0..=255)
            .flat_map(|v| [v; 3].into_iter().take(times))
            .collect();
        let mut converted = vec![0; 256 * 3];
        self.executor_8(layout, moxcms::Layout::Rgb)?
            .transform(&ramp, &mut converted)
            .ok()?;
        Some(converted.chunks_exact(3).map(|rgb| rgb[1]).collect())
    }

    fn gray_table_16(&self) -> Option<Vec<u16>> {
        let ramp: Vec<u16> = (0..=65535).collect();
        let mut converted = vec![0; 65536 * 3];
        self.executor_16(moxcms::Layout::Gray, moxcms::Layout::Rgb)?
            .transform(&ramp, &mut converted)
            .ok()?;
        Some(converted.chunks_exact(3).map(|rgb| rgb[1]).collect())
    }
}

fn gray_layout(gray: bool) -> (moxcms::Layout, usize) {
    if gray {
        (moxcms::Layout::Gray, 1)
    } else {
        (moxcms::Layout::Rgb, 3)
    }
}

enum Way {
    Rows8(Executor<u8>),
    Rows16(Executor<u16>),
    Table8(Vec<u8>),
    Table16(Vec<u16>),
    Hdr(Arc<Hdr>),
}

/// The stage that converts rows from the file's colours to sRGB, in the same layout. It comes after
/// the resize, where fewer pixels are left: resizing device values with sRGB's curve instead of
/// their own makes no visible difference, but converting 12 megapixels instead of one costs time.
/// Only conversions for which [`Conversion::goes_first`] is true precede the resize.
pub(crate) struct ToSrgb<'a, N> {
    conversion: Option<&'a Conversion>,
    next: N,
    layout: Layout,
    way: Option<Way>,
    row_8: Vec<u8>,
    row_16: Vec<u16>,
}

impl<'a, N: RowSink> ToSrgb<'a, N> {
    pub(crate) fn new(conversion: Option<&'a Conversion>, next: N) -> Self {
        Self {
            conversion,
            next,
            layout: Layout::Rgb8,
            way: None,
            row_8: Vec::new(),
            row_16: Vec::new(),
        }
    }
}

impl<N: RowSink> RowSink for ToSrgb<'_, N> {
    fn begin(&mut self, shape: Shape) -> Result<()> {
        if self.way.is_none() || self.layout != shape.layout {
            self.way = self
                .conversion
                .and_then(|conversion| conversion.way(shape.layout));
        }
        self.layout = shape.layout;
        let (bytes, words) = match self.way {
            None => (0, 0),
            Some(Way::Rows8(_) | Way::Table8(_)) => (shape.row_len(), 0),
            Some(Way::Rows16(_) | Way::Table16(_)) => (0, shape.row_len()),
            Some(Way::Hdr(_)) if shape.layout.is_16_bit() => (0, shape.row_len()),
            Some(Way::Hdr(_)) => (shape.row_len(), 0),
        };
        self.row_8.resize(bytes, 0);
        self.row_16.resize(words, 0);
        self.next.begin(shape)
    }

    fn row(&mut self, row: Row<'_>) -> Result<()> {
        let failed = |e| Error::Internal(format!("colour conversion: {e:?}"));
        match (&self.way, row) {
            (Some(Way::Rows8(executor)), Row::U8(row)) => {
                executor.transform(row, &mut self.row_8).map_err(failed)?;
                self.next.row(Row::U8(&self.row_8))
            }
            (Some(Way::Rows16(executor)), Row::U16(row)) => {
                executor.transform(row, &mut self.row_16).map_err(failed)?;
                self.next.row(Row::U16(&self.row_16))
            }
            (Some(Way::Table8(table)), Row::U8(row)) => {
                look_up(table, row, self.layout, &mut self.row_8);
                self.next.row(Row::U8(&self.row_8))
            }
            (Some(Way::Table16(table)), Row::U16(row)) => {
                look_up(table, row, self.layout, &mut self.row_16);
                self.next.row(Row::U16(&self.row_16))
            }
            (Some(Way::Hdr(hdr)), Row::U8(row)) => {
                hdr.row_8(self.layout, row, &mut self.row_8);
                self.next.row(Row::U8(&self.row_8))
            }
            (Some(Way::Hdr(hdr)), Row::U16(row)) => {
                hdr.row_16(self.layout, row, &mut self.row_16);
                self.next.row(Row::U16(&self.row_16))
            }
            (_, row) => self.next.row(row),
        }
    }

    fn end(&mut self) -> Result<()> {
        self.next.end()
    }
}

fn look_up<T: Copy + Into<usize>>(table: &[T], from: &[T], layout: Layout, to: &mut [T]) {
    let channels = layout.channels();
    let colours = if layout.has_alpha() { 3 } else { channels };
    for (to, from) in to
        .chunks_exact_mut(channels)
        .zip(from.chunks_exact(channels))
    {
        to.copy_from_slice(from);
        for sample in &mut to[..colours] {
            // The table has an entry for each value of its type.
            *sample = table.get((*sample).into()).copied().unwrap_or(*sample);
        }
    }
}

/// The stage that converts CMYK to sRGB; it comes first, because other stages do not support CMYK.
/// Other layouts pass through.
pub(crate) struct InksToRgb<'a, N> {
    conversion: Option<&'a Conversion>,
    next: N,
    inks: bool,
    executor: Option<Executor<u8>>,
    rgb: Vec<u8>,
}

impl<'a, N: RowSink> InksToRgb<'a, N> {
    pub(crate) fn new(conversion: Option<&'a Conversion>, next: N) -> Self {
        Self {
            conversion,
            next,
            inks: false,
            executor: None,
            rgb: Vec::new(),
        }
    }
}

impl<N: RowSink> RowSink for InksToRgb<'_, N> {
    fn begin(&mut self, mut shape: Shape) -> Result<()> {
        self.inks = shape.layout == Layout::Cmyk8;
        if self.inks {
            shape.layout = Layout::Rgb8;
            self.rgb.resize(shape.row_len(), 0);
            self.executor = self
                .conversion
                .filter(|conversion| conversion.profile.color_space == DataColorSpace::Cmyk)
                .and_then(|conversion| {
                    conversion.executor_8(moxcms::Layout::Rgba, moxcms::Layout::Rgb)
                });
        }
        self.next.begin(shape)
    }

    fn row(&mut self, row: Row<'_>) -> Result<()> {
        match row {
            Row::U8(inks) if self.inks => {
                match &self.executor {
                    Some(executor) => executor
                        .transform(inks, &mut self.rgb)
                        .map_err(|e| Error::Internal(format!("colour conversion: {e:?}")))?,
                    None => plain_inks(inks, &mut self.rgb),
                }
                self.next.row(Row::U8(&self.rgb))
            }
            other => self.next.row(other),
        }
    }

    fn end(&mut self) -> Result<()> {
        self.next.end()
    }
}

/// CMYK without a profile: each ink absorbs its share of the light.
fn plain_inks(inks: &[u8], rgb: &mut [u8]) {
    for (rgb, inks) in rgb.chunks_exact_mut(3).zip(inks.chunks_exact(4)) {
        let paper = 255 - u32::from(inks[3]);
        for (light, &ink) in rgb.iter_mut().zip(inks) {
            // At most 255.
            *light = (((255 - u32::from(ink)) * paper + 127) / 255) as u8;
        }
    }
}

/// The stage that blends a transparent picture over white, for formats without alpha.
pub(crate) struct Flatten<N> {
    next: N,
    alpha: bool,
    row_8: Vec<u8>,
    row_16: Vec<u16>,
}

impl<N: RowSink> Flatten<N> {
    pub(crate) fn new(next: N) -> Self {
        Self {
            next,
            alpha: false,
            row_8: Vec::new(),
            row_16: Vec::new(),
        }
    }
}

impl<N: RowSink> RowSink for Flatten<N> {
    fn begin(&mut self, mut shape: Shape) -> Result<()> {
        self.alpha = shape.layout.has_alpha();
        match shape.layout {
            Layout::Rgba8 => {
                shape.layout = Layout::Rgb8;
                self.row_8.resize(shape.row_len(), 0);
            }
            Layout::Rgba16 => {
                shape.layout = Layout::Rgb16;
                self.row_16.resize(shape.row_len(), 0);
            }
            _ => {}
        }
        self.next.begin(shape)
    }

    fn row(&mut self, row: Row<'_>) -> Result<()> {
        if !self.alpha {
            return self.next.row(row);
        }
        match row {
            Row::U8(row) => {
                for (to, from) in self.row_8.chunks_exact_mut(3).zip(row.chunks_exact(4)) {
                    for (to, &from4) in to.iter_mut().zip(from) {
                        // At most 255: a weighted mean of two samples.
                        *to = onto_white(from4.into(), from[3].into(), 255) as u8;
                    }
                }
                self.next.row(Row::U8(&self.row_8))
            }
            Row::U16(row) => {
                for (to, from) in self.row_16.chunks_exact_mut(3).zip(row.chunks_exact(4)) {
                    for (to, &from4) in to.iter_mut().zip(from) {
                        *to = onto_white(from4.into(), from[3].into(), 65535) as u16;
                    }
                }
                self.next.row(Row::U16(&self.row_16))
            }
        }
    }

    fn end(&mut self) -> Result<()> {
        self.next.end()
    }
}

fn onto_white(sample: u64, alpha: u64, max: u64) -> u64 {
    (sample * alpha + max * (max - alpha) + max / 2) / max
}

/// The stage that rounds 16-bit samples to 8 bits.
pub(crate) struct Narrow<N> {
    next: N,
    row: Vec<u8>,
}

impl<N: RowSink> Narrow<N> {
    pub(crate) fn new(next: N) -> Self {
        Self {
            next,
            row: Vec::new(),
        }
    }
}

impl<N: RowSink> RowSink for Narrow<N> {
    fn begin(&mut self, mut shape: Shape) -> Result<()> {
        shape.layout = match shape.layout {
            Layout::Rgb16 => Layout::Rgb8,
            Layout::Rgba16 => Layout::Rgba8,
            other => other,
        };
        self.next.begin(shape)
    }

    fn row(&mut self, row: Row<'_>) -> Result<()> {
        match row {
            Row::U16(row) => {
                self.row.clear();
                // At most 255; 257 = 65535 / 255.
                self.row
                    .extend(row.iter().map(|&v| ((u32::from(v) + 128) / 257) as u8));
                self.next.row(Row::U8(&self.row))
            }
            row => self.next.row(row),
        }
    }

    fn end(&mut self) -> Result<()> {
        self.next.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::testing::{Collected, picture_8, picture_16};

    fn converted(icc: Option<&[u8]>, layout: Layout, samples: &[u8]) -> Vec<u8> {
        let conversion = Conversion::new(icc);
        let mut out = Collected::default();
        let stage = ToSrgb::new(conversion.as_ref(), &mut out);
        picture_8(
            InksToRgb::new(conversion.as_ref(), stage),
            (samples.len() / layout.channels()) as u32,
            1,
            layout,
            samples,
        );
        out.bytes
    }

    fn near(found: &[u8], expected: &[u8]) {
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            assert!(a.abs_diff(*b) <= 2, "{found:?} {expected:?}");
        }
    }

    #[test]
    fn display_p3_becomes_srgb() {
        let icc = ColorProfile::new_display_p3().encode().expect("encodes");
        // The P3 value of sRGB's pure red is (234, 51, 35).
        near(
            &converted(Some(&icc), Layout::Rgb8, &[234, 51, 35]),
            &[255, 0, 0],
        );
        near(
            &converted(Some(&icc), Layout::Rgba8, &[234, 51, 35, 77]),
            &[255, 0, 0, 77],
        );
        let gray = converted(Some(&icc), Layout::Gray8, &[0, 99, 255]);
        near(&gray, &[0, 99, 255]);
    }

    fn through(colours: &Colours<'_>, rgb: [u8; 3]) -> [u8; 3] {
        let conversion = Conversion::of(colours);
        let mut out = Collected::default();
        let stage = ToSrgb::new(conversion.as_ref(), &mut out);
        picture_8(stage, 1, 1, Layout::Rgb8, &rgb);
        out.bytes.try_into().expect("one pixel")
    }

    #[test]
    fn code_points_mean_what_profiles_mean() {
        let code = |code: (u8, u8), rgb| through(&Colours::Code(code.into()), rgb);
        // Display P3, P3 with the video curve, BT.2020: sRGB's own red in each of them.
        near(&code((12, 13), [234, 51, 35]), &[255, 0, 0]);
        near(&code((12, 1), [234, 51, 35]), &[255, 0, 0]);
        near(&code((9, 14), [208, 74, 35]), &[255, 0, 0]);
        near(&code((9, 14), [99, 99, 99]), &[99, 99, 99]);
        // Half the light is level 188.
        near(&code((1, 8), [128, 128, 128]), &[188, 188, 188]);
        // Unspecified, sRGB, video, reserved and invalid: nothing to convert.
        for nothing in [
            (2, 2),
            (1, 13),
            (1, 1),
            (1, 6),
            (6, 255),
            (0, 13),
            (255, 16),
        ] {
            let conversion = Conversion::from_code(nothing.into());
            assert!(conversion.is_none(), "{nothing:?}");
        }
    }

    #[test]
    fn only_what_is_unlike_srgb_is_converted_before_the_resize() {
        let first = |conversion: Option<Conversion>| conversion.map(|c| c.goes_first());
        let code = |code: (u8, u8)| first(Conversion::from_code(code.into()));
        assert_eq!(code((12, 13)), Some(false));
        assert_eq!(code((9, 14)), Some(false));
        for unlike in [(1, 8), (9, 8), (9, 16), (9, 18), (1, 16)] {
            assert_eq!(code(unlike), Some(true), "{unlike:?}");
        }
        let adobe = ColorProfile::new_adobe_rgb().encode().expect("encodes");
        assert_eq!(first(Conversion::new(Some(&adobe))), Some(false));
        let linear = ColorProfile::new_gray_with_gamma(1.0).encode();
        let linear = linear.expect("encodes");
        assert_eq!(first(Conversion::new(Some(&linear))), Some(true));
    }

    #[test]
    fn an_hdr_profile_is_known_by_its_tag() {
        let icc = ColorProfile::new_bt2020_pq().encode().expect("encodes");
        let profile = Colours::Profile(Cow::Borrowed(&icc));
        let code = Colours::Code((9, 16).into());
        for rgb in [[0, 0, 0], [120, 120, 120], [148, 60, 90], [190, 190, 190]] {
            assert_eq!(through(&profile, rgb), through(&code, rgb));
        }
    }

    const SRGB: [(f64, f64); 4] = [(0.3127, 0.329), (0.64, 0.33), (0.3, 0.6), (0.15, 0.06)];

    #[test]
    fn measured_primaries_count_where_they_differ() {
        let measured = |points, gamma| Colours::Measured(Measured { points, gamma });
        let same = |colours: &Colours<'_>| Conversion::of(colours).is_none();
        let usual = measured(SRGB, 1.0 / 0.45455);
        near(&through(&usual, [48; 3]), &[44, 44, 44]);
        near(&through(&usual, [18; 3]), &[10, 10, 10]);
        near(&through(&measured(SRGB, 1.0), [128; 3]), &[188, 188, 188]);
        let mut p3 = SRGB;
        (p3[1], p3[2]) = ((0.68, 0.32), (0.265, 0.69));
        near(&through(&measured(p3, 2.2), [234, 51, 35]), &[255, 0, 0]);
        // No light, no colours, no exponent.
        let mut dark = SRGB;
        dark[0].1 = 0.0;
        assert!(same(&measured(dark, 2.2)));
        assert!(same(&measured([(0.3, 0.3); 4], 2.2)));
        assert!(same(&measured(SRGB, 1e9)));
    }

    #[test]
    fn a_gray_profile_converts_its_levels() {
        let icc = ColorProfile::new_gray_with_gamma(1.0)
            .encode()
            .expect("encodes");
        // Half the light is level 188.
        near(
            &converted(Some(&icc), Layout::Gray8, &[0, 128, 255]),
            &[0, 188, 255],
        );
        near(
            &converted(Some(&icc), Layout::Rgba8, &[128, 128, 128, 40]),
            &[188, 188, 188, 40],
        );
    }

    #[test]
    fn srgb_and_broken_profiles_cost_nothing() {
        let srgb = ColorProfile::new_srgb().encode().expect("encodes");
        assert!(Conversion::new(Some(&srgb)).is_none());
        assert!(Conversion::new(None).is_none());
        assert!(Conversion::new(Some(b"")).is_none());
        assert!(Conversion::new(Some(b"not a profile at all")).is_none());
        let p3 = ColorProfile::new_display_p3().encode().expect("encodes");
        for end in (0..p3.len()).step_by(7) {
            // Must not panic; the result depends on where it was truncated.
            let _ = Conversion::new(Some(&p3[..end]));
        }
        let same = [9, 200, 31];
        assert_eq!(converted(Some(&srgb), Layout::Rgb8, &same), same);
    }

    #[test]
    fn inks_without_a_profile_take_light_away() {
        let inks = [0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 255, 0, 128, 0, 128];
        assert_eq!(
            converted(None, Layout::Cmyk8, &inks),
            [255, 255, 255, 0, 255, 255, 0, 0, 0, 127, 63, 127]
        );
    }

    #[test]
    fn transparent_pixels_become_white() {
        let mut out = Collected::default();
        let pixels = [10, 20, 30, 0, 10, 20, 30, 255, 0, 0, 0, 128];
        picture_8(Flatten::new(&mut out), 3, 1, Layout::Rgba8, &pixels);
        assert_eq!(out.bytes, [255, 255, 255, 10, 20, 30, 127, 127, 127]);
        let mut out = Collected::default();
        let pixels = [10, 20, 30, 0, 65535, 0, 65535, 65535];
        picture_16(
            Narrow::new(Flatten::new(&mut out)),
            2,
            1,
            Layout::Rgba16,
            &pixels,
        );
        assert_eq!(out.bytes, [255, 255, 255, 255, 0, 255]);
    }
}
