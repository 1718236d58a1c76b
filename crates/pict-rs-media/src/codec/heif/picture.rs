//! The primary picture of a container: its parts, and how they are shown.

use heic::heif::Transform;
use heic::heif::{self, CleanAperture, FourCC, HeifContainer, Item, ItemProperty, ItemType};
use heic::{Stop, StopReason};

use super::error::{corrupt, failed};
use super::size::{SMALL, area};
use super::tiles::Tiles;
use crate::codec::aperture::cut;
use crate::codec::panics::guard;
use crate::operation::Rect;
use crate::{Control, Error, Format, Orientation, Result};

/// A picture that can be decoded.
pub(super) struct Picture<'a> {
    container: HeifContainer<'a>,
    primary: Item,
    pub(super) content: Content<'a>,
    /// The tiles of its transparency.
    pub(super) alpha: Option<Tiles<'a>>,
    /// The visible part of the content, in stored pixels.
    pub(super) window: Rect,
    /// The orientation of the window.
    pub(super) orientation: Orientation,
}

pub(super) enum Content<'a> {
    /// HEVC pictures side by side; usually one, or those of a grid.
    Tiles(Tiles<'a>),
    /// A picture derived from others in another way, which is only available as a whole.
    Derived { width: u32, height: u32, bits: u32 },
}

impl<'a> Picture<'a> {
    pub(super) fn open(source: &'a [u8], control: &Control) -> Result<Self> {
        let stop = Watch(control);
        let container = guard(Format::Heif, || {
            heif::parse(source, &stop).map_err(|error| failed(error.error()))
        });
        control.check()?;
        let container = container?;
        let primary = container.primary_item();
        let primary = match primary {
            Some(primary)
                if container
                    .item_locations
                    .iter()
                    .any(|at| at.item_id == primary.id) =>
            {
                primary
            }
            _ => {
                return Err(Error::Unsupported(
                    "a HEIF file without a still picture cannot be read".into(),
                ));
            }
        };
        // The parser treats a film's first frame as a picture, but such a file is an animation.
        if !super::is_still(source) {
            return Err(Error::Unsupported(
                "an HEVC sequence without a still picture cannot be read".into(),
            ));
        }
        match primary.item_type {
            ItemType::Hvc1 | ItemType::Grid => Self::of_tiles(container, primary, source.len()),
            ItemType::Unknown(FourCC(kind)) if &kind == b"hev1" => {
                Self::of_tiles(container, primary, source.len())
            }
            ItemType::Iden | ItemType::Iovl | ItemType::Tmap => Self::derived(container, primary),
            other => Err(Error::Unsupported(format!(
                "HEIF files whose picture is of the type {} cannot be read",
                name(other)
            ))),
        }
    }

    fn of_tiles(container: HeifContainer<'a>, primary: Item, source_len: usize) -> Result<Self> {
        let tiles = Tiles::open(&container, &primary, source_len)?;
        let alpha = alpha(&container, &primary)?
            .map(|item| Tiles::open(&container, &item, source_len))
            .transpose()?;
        let (window, orientation) = view(tiles.size, &primary.transforms);
        Ok(Self {
            container,
            primary,
            content: Content::Tiles(tiles),
            alpha,
            window,
            orientation,
        })
    }

    /// The decoder rotates and crops such a picture by itself.
    fn derived(container: HeifContainer<'a>, primary: Item) -> Result<Self> {
        let parts = container.get_item_references(primary.id, FourCC(*b"dimg"));
        if primary.item_type == ItemType::Iovl {
            let few = &parts[..parts.len().min(MAX_PARTS)];
            let mut has_alpha = false;
            for item in few.iter().filter_map(|part| container.get_item(*part)) {
                has_alpha |= alpha(&container, &item)?.is_some();
            }
            if few.len() < parts.len() || has_alpha {
                return Err(Error::Unsupported(
                    "HEIF files with transparent pictures over others cannot be read".into(),
                ));
            }
        }
        let (width, height) = primary
            .dimensions
            .filter(|(width, height)| *width > 0 && *height > 0)
            .ok_or_else(|| corrupt("its size is missing"))?;
        // Its parts may be larger than the whole, but not by much.
        let area = area((width, height));
        let mut bits = 8;
        for property in &container.properties {
            if let ItemProperty::HevcConfig(config) = property {
                let sps = super::tiles::parameters(config)?;
                if self::area(sps.coded) > area.max(SMALL).saturating_mul(4) {
                    return Err(corrupt("a part of it is larger than the whole"));
                }
                bits = bits.max(sps.bits);
            }
        }
        let (window, orientation) = view((width, height), &primary.transforms);
        let (width, height) = orientation.swap_size((window.width, window.height));
        Ok(Self {
            container,
            primary,
            content: Content::Derived {
                width,
                height,
                bits,
            },
            alpha: None,
            window: Rect {
                x: 0,
                y: 0,
                width,
                height,
            },
            orientation: Orientation::Normal,
        })
    }

    /// Properties of the primary picture, then those of the first picture that it is made of.
    pub(super) fn properties(&self) -> impl Iterator<Item = &ItemProperty> {
        let parts = self
            .container
            .get_item_references(self.primary.id, FourCC(*b"dimg"));
        let of = |item: u32| {
            let found = self.container.property_associations.iter();
            found
                .filter(move |association| association.item_id == item)
                .flat_map(|association| &association.properties)
                .filter_map(|(number, _)| {
                    let index = usize::from(*number).checked_sub(1)?;
                    self.container.properties.get(index)
                })
        };
        of(self.primary.id).chain(parts.into_iter().take(1).flat_map(of))
    }

    /// Whether most of it must be in memory to deliver the first row.
    pub(super) fn is_buffered(&self) -> bool {
        match &self.content {
            Content::Tiles(tiles) => tiles.rows < 4 || self.alpha.is_some(),
            Content::Derived { .. } => true,
        }
    }
}

/// Maximum pictures in an overlay.
const MAX_PARTS: usize = 64;

/// Maximum auxiliary pictures: depth, transparency, mattes. A phone's photograph has a few.
const MAX_AUXILIARY: usize = 64;

/// The item that contains the transparency of `item`.
fn alpha(container: &HeifContainer<'_>, item: &Item) -> Result<Option<Item>> {
    const NAMES: [&str; 2] = [
        "urn:mpeg:hevc:2015:auxid:1",
        "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha",
    ];
    // Each one is searched in all items and copied with its parameter sets.
    let beside = container.item_references.iter().filter(|reference| {
        reference.reference_type == FourCC(*b"auxl") && reference.to_item_ids.contains(&item.id)
    });
    if beside.count() > MAX_AUXILIARY {
        return Err(corrupt(format!(
            "more than {MAX_AUXILIARY} pictures are beside one"
        )));
    }
    let find = |name| {
        let found = container.find_auxiliary_items(item.id, name);
        found.first().copied()
    };
    let found = NAMES.into_iter().find_map(find);
    Ok(found.and_then(|id| container.get_item(id)))
}

/// The visible part and the orientation after applying `transforms` in order.
fn view((width, height): (u32, u32), transforms: &[Transform]) -> (Rect, Orientation) {
    let mut window = Rect {
        x: 0,
        y: 0,
        width,
        height,
    };
    let mut turn = Turn([[1, 0], [0, 1]]);
    for transform in transforms {
        match transform {
            Transform::CleanAperture(aperture) => {
                let orientation = turn.orientation();
                let upright = orientation.swap_size((window.width, window.height));
                let Some(cut) = aperture_rect(aperture, upright) else {
                    continue;
                };
                let cut = orientation.stored_rect(cut, window.width, window.height);
                window = Rect {
                    x: window.x + cut.x,
                    y: window.y + cut.y,
                    ..cut
                };
            }
            Transform::Rotation(rotation) => {
                for _ in 0..rotation.angle / 90 {
                    turn = turn.then([[0, -1], [1, 0]]);
                }
            }
            Transform::Mirror(mirror) => {
                turn = turn.then(match mirror.axis {
                    0 => [[1, 0], [0, -1]],
                    _ => [[-1, 0], [0, 1]],
                });
            }
        }
    }
    (window, turn.orientation())
}

/// The effect of rotations and mirrors on a point; x to the right, y down.
#[derive(Clone, Copy)]
struct Turn([[i8; 2]; 2]);

impl Turn {
    fn then(self, next: [[i8; 2]; 2]) -> Self {
        let Self(first) = self;
        let cell = |row: usize, column: usize| {
            next[row][0] * first[0][column] + next[row][1] * first[1][column]
        };
        Self([[cell(0, 0), cell(0, 1)], [cell(1, 0), cell(1, 1)]])
    }

    fn orientation(self) -> Orientation {
        match self.0 {
            [[-1, 0], [0, 1]] => Orientation::FlipHorizontal,
            [[-1, 0], [0, -1]] => Orientation::Rotate180,
            [[1, 0], [0, -1]] => Orientation::FlipVertical,
            [[0, 1], [1, 0]] => Orientation::Transpose,
            [[0, -1], [1, 0]] => Orientation::Rotate90,
            [[0, -1], [-1, 0]] => Orientation::Transverse,
            [[0, 1], [-1, 0]] => Orientation::Rotate270,
            _ => Orientation::Normal,
        }
    }
}

/// `None` for an aperture that is ignored.
fn aperture_rect(aperture: &CleanAperture, (width, height): (u32, u32)) -> Option<Rect> {
    // All are signed in the file.
    let signed = |number: u32| i64::from(number as i32);
    let a = aperture;
    let (across, down) = (
        (signed(a.width_n), signed(a.width_d)),
        (signed(a.height_n), signed(a.height_d)),
    );
    let right = (i64::from(a.horiz_off_n), signed(a.horiz_off_d));
    let below = (i64::from(a.vert_off_n), signed(a.vert_off_d));
    let (x, width) = cut(width, across, right)?;
    let (y, height) = cut(height, down, below)?;
    Some(Rect {
        x,
        y,
        width,
        height,
    })
}

fn name(kind: ItemType) -> String {
    match kind {
        ItemType::Unknown(FourCC(name)) => name.escape_ascii().to_string(),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// Cancels the decoder.
pub(super) struct Watch<'a>(pub(super) &'a Control);

impl Stop for Watch<'_> {
    fn check(&self) -> Result<(), StopReason> {
        self.0.check().map_err(|_| StopReason::Cancelled)
    }
}
