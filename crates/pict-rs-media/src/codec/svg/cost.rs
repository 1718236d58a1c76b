//! How much work the shapes of an SVG are: pixels touched and pixels held, both estimated from
//! above, before one is drawn.

use std::collections::HashMap;

use resvg::tiny_skia::Rect;
use resvg::usvg::{ClipPath, Group, Mask, Node, Paint, Path, Tree, filter};

use super::too_much;
use crate::Result;

/// Pixels touched, which is some seconds at most.
const MAX_TOUCHED: u64 = 4_000_000_000;
/// Layers of the picture's size that may be held at a time, small pictures aside. The engine's
/// estimate of memory counts on it.
pub(crate) const MAX_LAYERS: u64 = 16;
/// What small pictures may hold in any case.
const SMALL: u64 = 1_000_000;
/// Levels of layers, masks and patterns within each other.
const MAX_DEPTH: usize = 128;

/// # Errors
/// [`crate::Error::Unsupported`], with limit and estimate.
pub(super) fn check(tree: &Tree, width: u32, height: u32) -> Result<()> {
    let picture = u64::from(width) * u64::from(height);
    let mut estimate = Estimate {
        // A layer reaches as far as its own contents, but never beyond this.
        largest_layer: picture.saturating_mul(25),
        picture,
        known: HashMap::new(),
        within_shared: false,
    };
    let cost = estimate.group(tree.root(), 0)?;
    let touched = cost.touched.saturating_add(picture);
    if touched > MAX_TOUCHED {
        return Err(too_much("pixels to touch", touched, MAX_TOUCHED));
    }
    let limit = picture.saturating_mul(MAX_LAYERS).max(SMALL);
    if cost.held > limit {
        return Err(too_much("pixels of layers", cost.held, limit));
    }
    Ok(())
}

#[derive(Clone, Copy, Default)]
struct Cost {
    /// Pixels written or read, in all.
    touched: u64,
    /// Pixels of layers at a time, at most.
    held: u64,
}

impl Cost {
    fn and(self, other: Self) -> Self {
        Self {
            touched: self.touched.saturating_add(other.touched),
            held: self.held.max(other.held),
        }
    }

    /// A layer around what was counted so far.
    fn in_layer(self, area: u64, passes: u64, copies: u64) -> Self {
        Self {
            touched: self.touched.saturating_add(area.saturating_mul(passes)),
            held: self.held.saturating_add(area.saturating_mul(copies)),
        }
    }
}

struct Estimate {
    largest_layer: u64,
    picture: u64,
    /// Of groups that several things refer to, by where they are.
    known: HashMap<usize, Cost>,
    /// Whether boxes are in the units of something that is drawn elsewhere, maybe enlarged.
    within_shared: bool,
}

impl Estimate {
    fn group(&mut self, group: &Group, depth: usize) -> Result<Cost> {
        if depth > MAX_DEPTH {
            return Err(too_much("nested layers", depth as u64, MAX_DEPTH as u64));
        }
        let mut cost = Cost::default();
        for child in group.children() {
            cost = cost.and(match child {
                Node::Group(group) => self.group(group, depth + 1)?,
                Node::Path(path) => self.path(path, depth + 1)?,
                // Without pictures and fonts there are none.
                Node::Image(_) | Node::Text(_) => Cost::default(),
            });
        }
        if !group.should_isolate() {
            return Ok(cost);
        }
        let area = self.area(group.abs_layer_bounding_box().to_rect());
        cost = cost.in_layer(area, 3, 1);
        if let Some(clip) = group.clip_path() {
            cost = cost.and(self.clip(clip, area, depth + 1)?);
        }
        if let Some(mask) = group.mask() {
            cost = cost.and(self.mask(mask, area, depth + 1)?);
        }
        for filter in group.filters() {
            let primitives = filter.primitives();
            let mut passes = 2u64;
            for primitive in primitives {
                passes = passes.saturating_add(self.primitive(primitive.kind(), area, depth)?);
            }
            // Every result is held until the end.
            cost = cost.in_layer(area, passes, primitives.len() as u64 + 2);
        }
        Ok(cost)
    }

    fn shared(&mut self, group: &Group, depth: usize) -> Result<Cost> {
        let key = std::ptr::from_ref(group) as usize;
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        let outside = std::mem::replace(&mut self.within_shared, true);
        let cost = self.group(group, depth)?;
        self.within_shared = outside;
        self.known.insert(key, cost);
        Ok(cost)
    }

    fn clip(&mut self, clip: &ClipPath, area: u64, depth: usize) -> Result<Cost> {
        let mut cost = self.shared(clip.root(), depth)?.in_layer(area, 3, 1);
        if let Some(clip) = clip.clip_path() {
            cost = cost.and(self.clip(clip, area, deeper(depth)?)?);
        }
        Ok(cost)
    }

    fn mask(&mut self, mask: &Mask, area: u64, depth: usize) -> Result<Cost> {
        let mut cost = self.shared(mask.root(), depth)?.in_layer(area, 5, 2);
        if let Some(mask) = mask.mask() {
            cost = cost.and(self.mask(mask, area, deeper(depth)?)?);
        }
        Ok(cost)
    }

    fn path(&mut self, path: &Path, depth: usize) -> Result<Cost> {
        if !path.is_visible() {
            return Ok(Cost::default());
        }
        let area = self
            .area(path.abs_stroke_bounding_box())
            .min(self.picture.max(1));
        let corners = path.data().verbs().len() as u64;
        let mut cost = Cost::default();
        if let Some(fill) = path.fill() {
            cost = cost.and(self.paint(path, fill.paint(), area, corners * 16, depth)?);
        }
        if let Some(stroke) = path.stroke() {
            // A dash may be cut anywhere, but not more often than the library allows.
            let dashes = if stroke.dasharray().is_some() {
                1_000_000
            } else {
                0
            };
            let corners = corners.saturating_mul(64) + dashes;
            cost = cost.and(self.paint(path, stroke.paint(), area, corners, depth)?);
        }
        Ok(cost)
    }

    fn paint(
        &mut self,
        path: &Path,
        paint: &Paint,
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
        // A tile is drawn again for each path, in the size in which it is seen.
        let seen = path.abs_transform().pre_concat(pattern.transform());
        let rect = pattern.rect().to_rect();
        let tile = self.area(rect.transform(seen).unwrap_or(rect));
        let root = self.shared(pattern.root(), deeper(depth)?)?;
        Ok(root.in_layer(tile, 2, 1).and(drawn))
    }

    /// Passes over the filter's area.
    fn primitive(&mut self, kind: &filter::Kind, area: u64, depth: usize) -> Result<u64> {
        Ok(match kind {
            filter::Kind::GaussianBlur(_) | filter::Kind::DropShadow(_) => 24,
            filter::Kind::Turbulence(noise) => u64::from(noise.num_octaves()).saturating_mul(100),
            filter::Kind::ConvolveMatrix(convolve) => {
                let matrix = convolve.matrix();
                4 + u64::from(matrix.columns()) * u64::from(matrix.rows())
            }
            filter::Kind::Morphology(morphology) => {
                let across = f64::from(morphology.radius_x().get()) * 2.0 + 1.0;
                let down = f64::from(morphology.radius_y().get()) * 2.0 + 1.0;
                // A conversion of floats stops at the ends.
                4u64.saturating_add((across * down) as u64)
            }
            filter::Kind::DiffuseLighting(_) | filter::Kind::SpecularLighting(_) => 40,
            filter::Kind::Image(image) => {
                let cost = self.shared(image.root(), deeper(depth)?)?;
                (cost.touched / area.max(1)).saturating_add(4)
            }
            _ => 8,
        })
    }

    /// Pixels of a box, as far as a layer can reach.
    fn area(&self, rect: Rect) -> u64 {
        if self.within_shared {
            return self.picture.saturating_mul(2);
        }
        let side = |length: f32| f64::from(length).ceil() + 4.0;
        ((side(rect.width()) * side(rect.height())) as u64).min(self.largest_layer)
    }
}

fn deeper(depth: usize) -> Result<usize> {
    if depth >= MAX_DEPTH {
        return Err(too_much("nested layers", depth as u64, MAX_DEPTH as u64));
    }
    Ok(depth + 1)
}
