//! Limits as data, and a pure check of facts against them. Checked before any pixel is decoded.

use serde::{Deserialize, Serialize};

use crate::{Facts, Kind};

/// Upper limits for one kind of media. All are inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Pixels across, orientation applied.
    pub max_width: u32,
    /// Pixels down, orientation applied.
    pub max_height: u32,
    /// Width times height, in pixels.
    pub max_area: u64,
    /// Frames of an animation or clip; ignored for stills.
    pub max_frame_count: u32,
    /// Bytes of the file as uploaded.
    pub max_file_size: u64,
}

impl Limits {
    /// No limits.
    pub const NONE: Self = Self {
        max_width: u32::MAX,
        max_height: u32::MAX,
        max_area: u64::MAX,
        max_frame_count: u32::MAX,
        max_file_size: u64::MAX,
    };
}

/// The bounds of [`Job::Inspect`](crate::Job::Inspect).
///
/// The kind of some formats is known only after all frames were counted, so the limits of every
/// kind are included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Of still pictures.
    pub image: Limits,
    /// Of animations.
    pub animation: Limits,
    /// Of clips.
    pub video: Limits,
    /// Bytes of memory that inspection may use. A file that needs more is refused with
    /// [`LimitKind::Memory`] and the bytes that it needs.
    pub memory: u64,
}

impl Bounds {
    /// No limits. For files that were accepted before.
    pub const NONE: Self = Self {
        image: Limits::NONE,
        animation: Limits::NONE,
        video: Limits::NONE,
        memory: u64::MAX,
    };

    /// The limits of a kind.
    pub fn of(&self, kind: Kind) -> &Limits {
        match kind {
            Kind::Image => &self.image,
            Kind::Animation => &self.animation,
            Kind::Video => &self.video,
        }
    }

    /// Checks the size claimed by headers, before frames are processed. A file that may be either a
    /// still or an animation is refused only if it exceeds the limits of both.
    ///
    /// # Errors
    /// The first [`Violation`] found.
    pub(crate) fn check_size(
        &self,
        (width, height): (u32, u32),
        may_move: bool,
    ) -> Result<(), Violation> {
        let (still, moving) = (&self.image, &self.animation);
        let most = |still: u64, moving: u64| if may_move { still.max(moving) } else { still };
        let (width, height) = (u64::from(width), u64::from(height));
        let max_width = most(u64::from(still.max_width), moving.max_width.into());
        let max_height = most(u64::from(still.max_height), moving.max_height.into());
        at_most(LimitKind::Width, max_width, width)?;
        at_most(LimitKind::Height, max_height, height)?;
        let max_area = most(still.max_area, moving.max_area);
        at_most(LimitKind::Area, max_area, width * height)
    }
}

/// Which limit was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LimitKind {
    /// Pixels across.
    Width,
    /// Pixels down.
    Height,
    /// Width times height.
    Area,
    /// Frames.
    Frames,
    /// Bytes, for any kind of file.
    FileSize,
    /// Bytes of a file of this kind of media.
    MediaFileSize,
    /// Bytes of memory the work would need.
    Memory,
}

/// A limit, its value and what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{}: {}", self.title(), self.detail())]
pub struct Violation {
    /// The limit.
    pub limit: LimitKind,
    /// Its value.
    pub allowed: u64,
    /// What the file has.
    pub found: u64,
}

impl Violation {
    /// The message of the existing pict-rs, which clients know.
    pub fn title(&self) -> &'static str {
        match self.limit {
            LimitKind::Width => "Too wide",
            LimitKind::Height => "Too tall",
            LimitKind::Area => "Too many pixels",
            LimitKind::Frames => "Too many frames",
            LimitKind::FileSize => "File too large",
            LimitKind::MediaFileSize => "Filesize is too large",
            LimitKind::Memory => "Too much memory needed",
        }
    }

    /// A sentence with the value found and the limit.
    pub fn detail(&self) -> String {
        let Self { allowed, found, .. } = self;
        let found = match self.limit {
            LimitKind::Width => format!("The picture is {found} pixels wide"),
            LimitKind::Height => format!("The picture is {found} pixels tall"),
            LimitKind::Area => format!("The picture has {found} pixels"),
            LimitKind::Frames => format!("The file has {found} frames"),
            // Reading stops at the first bytes over the limit.
            LimitKind::FileSize => format!("The file has {found} bytes or more"),
            LimitKind::MediaFileSize => format!("The file has {found} bytes"),
            LimitKind::Memory => format!("The work needs {found} bytes of memory"),
        };
        format!("{found}, the limit is {allowed}")
    }
}

/// Checks a file of `file_size` bytes, in the order width, height, area, frames, file size.
///
/// # Errors
/// The first [`Violation`] found.
pub fn check(facts: &Facts, file_size: u64, limits: &Limits) -> Result<(), Violation> {
    let (width, height) = (u64::from(facts.width()), u64::from(facts.height()));
    at_most(LimitKind::Width, limits.max_width.into(), width)?;
    at_most(LimitKind::Height, limits.max_height.into(), height)?;
    at_most(LimitKind::Area, limits.max_area, width * height)?;
    if facts.kind() != Kind::Image {
        at_most(
            LimitKind::Frames,
            limits.max_frame_count.into(),
            facts.frames.into(),
        )?;
    }
    at_most(LimitKind::MediaFileSize, limits.max_file_size, file_size)
}

/// `Ok` if `found` does not exceed `allowed`.
///
/// # Errors
/// The [`Violation`] of this limit.
pub fn at_most(limit: LimitKind, allowed: u64, found: u64) -> Result<(), Violation> {
    if found <= allowed {
        return Ok(());
    }
    Err(Violation {
        limit,
        allowed,
        found,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ColourModel, Format, Orientation};

    const LIMITS: Limits = Limits {
        max_width: 100,
        max_height: 50,
        max_area: 4000,
        max_frame_count: 2,
        max_file_size: 1000,
    };

    fn facts(format: Format, width: u32, height: u32, frames: u32) -> Facts {
        Facts {
            format,
            stored_width: width,
            stored_height: height,
            orientation: Orientation::Normal,
            frames,
            duration_ms: None,
            has_alpha: false,
            bits: 8,
            colour: ColourModel::Rgb,
            buffered: false,
            lossless: true,
            decoder_tables: 0,
        }
    }

    #[test]
    fn the_first_limit_exceeded_is_named_with_both_values() {
        let check = |facts: &Facts, size| {
            check(facts, size, &LIMITS).map_err(|v| (v.limit, v.allowed, v.found))
        };
        assert_eq!(check(&facts(Format::Png, 80, 50, 9), 1000), Ok(()));
        assert_eq!(
            check(&facts(Format::Png, 101, 51, 1), 1),
            Err((LimitKind::Width, 100, 101))
        );
        assert_eq!(
            check(&facts(Format::Png, 100, 51, 1), 1),
            Err((LimitKind::Height, 50, 51))
        );
        assert_eq!(
            check(&facts(Format::Png, 100, 50, 1), 1),
            Err((LimitKind::Area, 4000, 5000))
        );
        assert_eq!(
            check(&facts(Format::Gif, 10, 10, 3), 1),
            Err((LimitKind::Frames, 2, 3))
        );
        assert_eq!(
            check(&facts(Format::Jxl, 10, 10, 3), 1),
            Err((LimitKind::Frames, 2, 3))
        );
        assert_eq!(
            check(&facts(Format::Gif, 10, 10, 2), 1001),
            Err((LimitKind::MediaFileSize, 1000, 1001))
        );
    }

    #[test]
    fn limits_look_at_the_turned_picture() {
        let mut turned = facts(Format::Jpeg, 40, 90, 1);
        turned.orientation = Orientation::Rotate90;
        assert_eq!(check(&turned, 1, &LIMITS), Ok(()));
    }

    #[test]
    fn an_area_beyond_32_bits_does_not_wrap() {
        let huge = facts(Format::Png, u32::MAX, u32::MAX, 1);
        let limits = Limits {
            max_width: u32::MAX,
            max_height: u32::MAX,
            ..LIMITS
        };
        assert_eq!(
            super::check(&huge, 1, &limits).map_err(|v| v.limit),
            Err(LimitKind::Area)
        );
    }
}
