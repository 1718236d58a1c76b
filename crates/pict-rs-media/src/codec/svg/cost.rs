//! Estimates the work of drawing the shapes of an SVG before drawing: upper bounds of pixels
//! touched and pixels in memory.
//!
//! This traverses the shapes in the same way as the library that draws them, with the same
//! transforms and the same bounds of layers, tiles and masks, and counts instead of drawing. Shared
//! definitions are counted as often as they are drawn.

use resvg::tiny_skia::{IntRect, NonZeroRect, Rect, Transform};
use resvg::usvg::{ClipPath, Group, Mask, Node, Paint, Path, Pattern, Tree, filter};

use super::error::too_much;
use super::{layers, outline};
use crate::Result;

/// Maximum of pixels touched, which takes a few seconds.
const MAX_TOUCHED: u64 = 4_000_000_000;
/// Maximum of shapes and groups drawn, counting repetitions.
const MAX_SHAPES: u64 = 1_000_000;
/// Maximum nesting of layers, masks and patterns.
const MAX_DEPTH: usize = 128;

/// # Errors
/// [`crate::Error::Unsupported`], with limit and estimate.
pub(super) fn check(tree: &Tree, width: u32, height: u32) -> Result<()> {
    let picture = u64::from(width) * u64::from(height);
    let cost = match Place::whole(width, height) {
        Some(place) => Estimate { shapes: 0 }.children(tree.root(), place, 0)?,
        None => Cost::default(),
    };
    let limit = layers::most(picture);
    if cost.held > limit {
        return Err(too_much("pixels of layers", cost.held, limit));
    }
    let touched = cost.touched.saturating_add(picture);
    if touched > MAX_TOUCHED {
        return Err(too_much("pixels to touch", touched, MAX_TOUCHED));
    }
    Ok(())
}

#[derive(Clone, Copy, Default)]
struct Cost {
    /// Total pixels written or read.
    touched: u64,
    /// Maximum pixels of layers at the same time.
    held: u64,
}

impl Cost {
    /// The cost of one after the other.
    fn and(self, other: Self) -> Self {
        Self {
            touched: self.touched.saturating_add(other.touched),
            held: self.held.max(other.held),
        }
    }

    /// The cost within a layer of `pixels` pixels.
    fn within(self, pixels: u64, passes: u64) -> Self {
        Self {
            touched: self.touched.saturating_add(pixels.saturating_mul(passes)),
            held: self.held.saturating_add(pixels),
        }
    }
}

/// The place where something is drawn.
#[derive(Clone, Copy)]
struct Place {
    /// The maximum extent of layers.
    bounds: IntRect,
    transform: Transform,
    width: u32,
    height: u32,
}

impl Place {
    fn whole(width: u32, height: u32) -> Option<Self> {
        let before = |side: u32| i32::try_from(side).ok()?.checked_mul(-2);
        Some(Self {
            bounds: IntRect::from_xywh(
                before(width)?,
                before(height)?,
                width.checked_mul(5)?,
                height.checked_mul(5)?,
            )?,
            transform: Transform::identity(),
            width,
            height,
        })
    }

    fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    fn moved(self, transform: Transform) -> Self {
        Self {
            transform: self.transform.pre_concat(transform),
            ..self
        }
    }

    /// The layer of a group, with its transform. `None` if nothing is drawn.
    fn layer(self, group: &Group) -> Option<Self> {
        let mut turn = Transform::identity();
        let filtered = !group.filters().is_empty();
        if filtered {
            // Filters work without rotation and skew, which are applied to the finished layer.
            let own = self.transform;
            let across = own.sx.hypot(own.ky);
            let down = own.kx.hypot(own.sy);
            turn = Transform::from_row(
                own.sx / across,
                own.ky / across,
                own.kx / down,
                own.sy / down,
                0.0,
                0.0,
            );
        }
        let back = turn.invert()?;
        let bounds = self.bounds.to_rect().transform(back)?.round_out()?;
        let transform = back.pre_concat(self.transform);
        let contents = group.layer_bounding_box().transform(transform)?;
        let layer = fit(layer_box(contents, filtered)?, bounds)?;
        let shift = Transform::from_translate(-(layer.x() as f32), -(layer.y() as f32));
        Some(Self {
            bounds,
            transform: shift.pre_concat(transform),
            width: layer.width(),
            height: layer.height(),
        })
    }

    /// The region of a filter.
    fn region(self, filter: &filter::Filter) -> Option<Self> {
        let layer = IntRect::from_xywh(0, 0, self.width, self.height)?;
        let region = filter.rect().transform(self.transform)?.to_int_rect();
        let region = fit(region, layer)?;
        let (x, y) = (region.x() as f32, region.y() as f32);
        Some(Self {
            bounds: IntRect::from_xywh(0, 0, region.width(), region.height())?,
            transform: self.transform.post_translate(-x, -y),
            width: region.width(),
            height: region.height(),
        })
    }

    /// The tile of a pattern. The library does not limit its size.
    fn tile(self, pattern: &Pattern) -> Self {
        let (across, down) = self.transform.pre_concat(pattern.transform()).get_scale();
        // Conversions from floats saturate.
        let side = |length: f32, scale: f32| (length * scale).round() as u32;
        Self {
            bounds: self.bounds,
            transform: Transform::from_scale(across, down),
            width: side(pattern.rect().width(), across),
            height: side(pattern.rect().height(), down),
        }
    }

    /// The visible pixels of a box.
    fn seen(self, rect: Rect) -> u64 {
        let Some(rect) = rect.transform(self.transform) else {
            return self.pixels();
        };
        let side = |from: f32, to: f32, length: u32| {
            let length = f64::from(length);
            let from = (f64::from(from) - 2.0).clamp(0.0, length);
            (f64::from(to) + 2.0).clamp(from, length) - from
        };
        let width = side(rect.left(), rect.right(), self.width);
        let height = side(rect.top(), rect.bottom(), self.height);
        (width * height) as u64
    }
}

fn layer_box(contents: NonZeroRect, filtered: bool) -> Option<IntRect> {
    let (x, y) = (contents.x().floor() as i32, contents.y().floor() as i32);
    let width = contents.width().ceil() as u32;
    let height = contents.height().ceil() as u32;
    if filtered {
        return IntRect::from_xywh(x, y, width.max(1), height.max(1));
    }
    IntRect::from_xywh(
        x.checked_sub(2)?,
        y.checked_sub(2)?,
        width.checked_add(4)?,
        height.checked_add(4)?,
    )
}

fn fit(rect: IntRect, bounds: IntRect) -> Option<IntRect> {
    IntRect::from_ltrb(
        rect.left().max(bounds.left()),
        rect.top().max(bounds.top()),
        rect.right().min(bounds.right()),
        rect.bottom().min(bounds.bottom()),
    )
}

struct Estimate {
    /// Shapes and groups so far.
    shapes: u64,
}

impl Estimate {
    fn children(&mut self, group: &Group, place: Place, depth: usize) -> Result<Cost> {
        let mut cost = Cost::default();
        for child in group.children() {
            self.count()?;
            cost = cost.and(match child {
                Node::Group(group) => self.group(group, place, deeper(depth)?)?,
                Node::Path(path) => self.path(path, place, deeper(depth)?)?,
                // Without pictures and fonts these do not occur.
                Node::Image(_) | Node::Text(_) => Cost::default(),
            });
        }
        Ok(cost)
    }

    fn count(&mut self) -> Result<()> {
        self.shapes += 1;
        if self.shapes > MAX_SHAPES {
            return Err(too_much("shapes to draw", self.shapes, MAX_SHAPES));
        }
        Ok(())
    }

    fn group(&mut self, group: &Group, place: Place, depth: usize) -> Result<Cost> {
        let place = place.moved(group.transform());
        if !group.should_isolate() {
            return self.children(group, place, depth);
        }
        let Some(layer) = place.layer(group) else {
            return Ok(Cost::default());
        };
        let mut cost = self.children(group, layer, depth)?;
        for filter in group.filters() {
            cost = cost.and(self.filter(filter, layer, depth)?);
        }
        if let Some(clip) = group.clip_path() {
            cost = cost.and(self.clip(clip, layer, deeper(depth)?)?);
        }
        if let Some(mask) = group.mask() {
            cost = cost.and(self.mask(mask, layer, deeper(depth)?)?);
        }
        Ok(cost.within(layer.pixels(), 3))
    }

    /// Each clip of a chain keeps its canvas until the rest of the chain is done.
    fn clip(&mut self, clip: &ClipPath, place: Place, depth: usize) -> Result<Cost> {
        let drawn = self.clip_shapes(clip.root(), place.moved(clip.transform()), depth)?;
        let rest = match clip.clip_path() {
            Some(clip) => self.clip(clip, place, deeper(depth)?)?,
            None => Cost::default(),
        };
        Ok(drawn.and(rest).and(alpha(place)).within(place.pixels(), 3))
    }

    /// Only fills and further clips matter there.
    fn clip_shapes(&mut self, group: &Group, place: Place, depth: usize) -> Result<Cost> {
        let mut cost = Cost::default();
        for child in group.children() {
            self.count()?;
            cost = cost.and(match child {
                Node::Group(group) => {
                    let place = place.moved(group.transform());
                    let shapes = self.clip_shapes(group, place, deeper(depth)?)?;
                    match group.clip_path() {
                        Some(clip) => shapes
                            .and(self.clip(clip, place, deeper(depth)?)?)
                            .within(place.pixels(), 3),
                        None => shapes,
                    }
                }
                Node::Path(path) => self.path(path, place, deeper(depth)?)?,
                Node::Image(_) | Node::Text(_) => Cost::default(),
            });
        }
        Ok(cost)
    }

    fn mask(&mut self, mask: &Mask, place: Place, depth: usize) -> Result<Cost> {
        let alpha = alpha(place);
        let mut drawn = self.children(mask.root(), place, depth)?;
        drawn = drawn.within(alpha.held, 1);
        let rest = match mask.mask() {
            Some(mask) => self.mask(mask, place, deeper(depth)?)?,
            None => Cost::default(),
        };
        Ok(drawn.and(rest).and(alpha).within(place.pixels(), 5))
    }

    fn path(&mut self, path: &Path, place: Place, depth: usize) -> Result<Cost> {
        if !path.is_visible() {
            return Ok(Cost::default());
        }
        // Long sides are drawn in parts, each from all corners.
        let parts = (u64::from(place.width) / 8000 + 1) * (u64::from(place.height) / 8000 + 1);
        let corners = (path.data().verbs().len() as u64).saturating_mul(parts);
        let area = place.seen(path.stroke_bounding_box());
        let mut cost = Cost::default();
        if let Some(fill) = path.fill() {
            let corners = corners.saturating_mul(16).saturating_add(outline::fill(
                path.data(),
                place.transform,
                place.height,
            ));
            cost = cost.and(self.paint(fill.paint(), place, area, corners, depth)?);
        }
        if let Some(stroke) = path.stroke() {
            let outline = outline::stroke(path.data(), stroke, place.transform, place.height);
            let corners = corners.saturating_mul(64).saturating_add(outline);
            cost = cost.and(self.paint(stroke.paint(), place, area, corners, depth)?);
        }
        Ok(cost)
    }

    fn paint(
        &mut self,
        paint: &Paint,
        place: Place,
        area: u64,
        corners: u64,
        depth: usize,
    ) -> Result<Cost> {
        let drawn = Cost {
            touched: area.saturating_add(corners),
            held: 0,
        };
        let Paint::Pattern(pattern) = paint else {
            return Ok(drawn);
        };
        // A tile is drawn again for each path.
        let tile = place.tile(pattern);
        let root = self.children(pattern.root(), tile, deeper(depth)?)?;
        Ok(root.and(drawn).within(tile.pixels(), 2))
    }

    /// Every result is kept until the end, in addition to the buffers of one primitive.
    fn filter(&mut self, filter: &filter::Filter, layer: Place, depth: usize) -> Result<Cost> {
        let Some(region) = layer.region(filter) else {
            return Ok(Cost::default());
        };
        let area = layer.pixels();
        let mut cost = Cost {
            touched: area.saturating_mul(2),
            held: 0,
        };
        for primitive in filter.primitives() {
            cost = cost.and(self.primitive(primitive, region, depth)?);
        }
        let results = filter.primitives().len() as u64 + 4;
        cost.held = cost.held.saturating_add(area.saturating_mul(results));
        Ok(cost)
    }

    fn primitive(
        &mut self,
        primitive: &filter::Primitive,
        region: Place,
        depth: usize,
    ) -> Result<Cost> {
        let (across, down) = region.transform.get_scale();
        let mut cost = Cost::default();
        let passes = match primitive.kind() {
            filter::Kind::GaussianBlur(_) | filter::Kind::DropShadow(_) => 24,
            filter::Kind::Turbulence(noise) => u64::from(noise.num_octaves()).saturating_mul(100),
            filter::Kind::ConvolveMatrix(convolve) => {
                let matrix = convolve.matrix();
                4 + u64::from(matrix.columns()) * u64::from(matrix.rows())
            }
            filter::Kind::Morphology(morphology) => {
                let pixels = |radius: f32, scale: f32, side: u32| {
                    let radius = f64::from(radius) * f64::from(scale);
                    (radius * 2.0 + 2.0).min(f64::from(side))
                };
                let window = pixels(morphology.radius_x().get(), across, region.width)
                    * pixels(morphology.radius_y().get(), down, region.height);
                4u64.saturating_add(window as u64)
            }
            filter::Kind::DiffuseLighting(_) | filter::Kind::SpecularLighting(_) => 40,
            filter::Kind::Merge(merge) => (merge.inputs().len() as u64).saturating_mul(8),
            filter::Kind::Image(image) => {
                if let Some(at) = primitive.rect().transform(region.transform) {
                    let at = at.to_int_rect();
                    let (x, y) = (at.x() as f32, at.y() as f32);
                    let place = Place {
                        transform: Transform::from_row(across, 0.0, 0.0, down, x, y),
                        ..region
                    };
                    cost = self.children(image.root(), place, deeper(depth)?)?;
                }
                4
            }
            _ => 8,
        };
        let touched = region.pixels().saturating_mul(passes);
        cost.touched = cost.touched.saturating_add(touched);
        Ok(cost)
    }
}

/// A mask of one byte per pixel.
fn alpha(place: Place) -> Cost {
    Cost {
        touched: 0,
        held: place.pixels().div_ceil(4),
    }
}

fn deeper(depth: usize) -> Result<usize> {
    if depth >= MAX_DEPTH {
        return Err(too_much("nested layers", depth as u64, MAX_DEPTH as u64));
    }
    Ok(depth + 1)
}
