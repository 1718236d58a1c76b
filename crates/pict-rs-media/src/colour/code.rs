//! Colours declared by a container without a profile: code points of ITU-T H.273, or measured
//! primaries.

use moxcms::{
    Chromaticity, CicpColorPrimaries, CicpProfile, ColorPrimaries, ColorProfile,
    MatrixCoefficients, ToneReprCurve, TransferCharacteristics, XyY,
};

/// The assumed maximum luminance of a picture that does not declare it, in cd/m²: nearly all HDR
/// pictures are mastered for it.
const USUAL_PEAK: f32 = 1000.0;

/// Code points of H.273, and the maximum luminance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Code {
    /// Table 2.
    pub(crate) primaries: u8,
    /// Table 3.
    pub(crate) transfer: u8,
    /// The maximum luminance of HDR pictures, in cd/m².
    pub(crate) peak: f32,
}

/// The HDR transfers (ITU-R BT.2100).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transfer {
    /// Perceptual quantiser, SMPTE ST 2084.
    Pq,
    /// Hybrid log-gamma.
    Hlg,
}

impl From<(u8, u8)> for Code {
    fn from((primaries, transfer): (u8, u8)) -> Self {
        Self {
            primaries,
            transfer,
            peak: USUAL_PEAK,
        }
    }
}

impl Code {
    /// The same with a declared peak; invalid values are ignored.
    pub(crate) fn with_peak(self, peak: Option<f32>) -> Self {
        let peak = peak.filter(|peak| (1.0..=10_000.0).contains(peak));
        Self {
            peak: peak.unwrap_or(self.peak),
            ..self
        }
    }

    /// From the tag of a profile, which some HDR pictures have.
    pub(super) fn of_profile(profile: &ColorProfile) -> Option<Self> {
        let cicp = profile.cicp.as_ref()?;
        // Both are numbered as in H.273.
        let code = (
            cicp.color_primaries as u8,
            cicp.transfer_characteristics as u8,
        );
        Some(code.into())
    }

    /// Whether it declares known primaries and a known transfer.
    pub(crate) fn says_all(self) -> bool {
        const UNSPECIFIED: u8 = 2;
        self.primaries != UNSPECIFIED
            && self.transfer != UNSPECIFIED
            && self.to_srgb().is_some()
            && (self.hdr().is_some() || self.profile().is_some())
    }

    pub(super) fn hdr(self) -> Option<Transfer> {
        match self.transfer {
            16 => Some(Transfer::Pq),
            18 => Some(Transfer::Hlg),
            _ => None,
        }
    }

    /// The equivalent profile; `None` if unknown. The transfer must not be HDR.
    ///
    /// The video curves (BT.709, 601, 2020) describe cameras; the viewer decides what they mean on
    /// a screen. Browsers show them as sRGB, and encoders write them by default.
    pub(super) fn profile(self) -> Option<ColorProfile> {
        let transfer = match self.transfer {
            1 | 2 | 6 | 7 | 11 | 12 | 14 | 15 => TransferCharacteristics::Srgb,
            other => TransferCharacteristics::try_from(other).ok()?,
        };
        self.profile_with(transfer)
    }

    /// The matrix from its linear light to that of sRGB.
    pub(super) fn to_srgb(self) -> Option<[[f64; 3]; 3]> {
        let linear = self.profile_with(TransferCharacteristics::Linear)?;
        Some(linear.transform_matrix(&ColorProfile::new_srgb()).v)
    }

    fn profile_with(self, transfer: TransferCharacteristics) -> Option<ColorProfile> {
        let primaries = match self.primaries {
            2 => CicpColorPrimaries::Bt709,
            other => CicpColorPrimaries::try_from(other).ok()?,
        };
        ToneReprCurve::try_from(transfer).ok()?;
        let mut profile = ColorProfile::new_srgb();
        profile.cicp = None;
        // The return value is always false, but this is only left unset on failure.
        profile.update_rgb_colorimetry_from_cicp(CicpProfile {
            color_primaries: primaries,
            transfer_characteristics: transfer,
            matrix_coefficients: MatrixCoefficients::Identity,
            full_range: true,
        });
        profile.cicp.is_some().then_some(profile)
    }
}

/// Exponents outside this range are mistakes.
const GAMMAS: std::ops::RangeInclusive<f64> = 0.01..=100.0;

/// White, red, green and blue as x and y of CIE 1931, and the exponent that decodes samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measured {
    pub(crate) points: [(f64, f64); 4],
    pub(crate) gamma: f64,
}

impl Measured {
    /// `None` for impossible values: no light, or no colours.
    pub(super) fn profile(self) -> Option<ColorProfile> {
        let sound = |(x, y): (f64, f64)| (0.0..=1.0).contains(&x) && (0.001..=1.0).contains(&y);
        if !self.points.iter().all(|&point| sound(point)) || !GAMMAS.contains(&self.gamma) {
            return None;
        }
        let [white, red, green, blue] = self.points;
        let double_area =
            (green.0 - red.0) * (blue.1 - red.1) - (blue.0 - red.0) * (green.1 - red.1);
        if double_area.abs() < 0.01 {
            return None;
        }
        let point = |(x, y): (f64, f64)| Chromaticity {
            x: x as f32,
            y: y as f32,
        };
        let mut profile = ColorProfile::new_srgb();
        profile.update_rgb_colorimetry(
            XyY {
                x: white.0,
                y: white.1,
                yb: 1.0,
            },
            ColorPrimaries {
                red: point(red),
                green: point(green),
                blue: point(blue),
            },
        );
        // 1/0.45455 too is used literally, as in browsers, although it is not sRGB's curve.
        let curve = ToneReprCurve::Parametric(vec![self.gamma as f32]);
        profile.red_trc = Some(curve.clone());
        profile.green_trc = Some(curve.clone());
        profile.blue_trc = Some(curve);
        Some(profile)
    }
}
