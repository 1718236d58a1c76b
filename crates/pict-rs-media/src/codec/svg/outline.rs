//! Estimates the work of drawing the outline of a path: its edges, times the rows that they cross.
//!
//! A fill processes the rows and checks every edge that crosses one, several times a row for smooth
//! edges. A stroke is a fill of both its sides, with caps and joins as high as its width; a dashed
//! one is as many strokes as it has dashes.

use resvg::tiny_skia::{Path as Data, PathSegment, Point, Transform};
use resvg::usvg::Stroke;

/// Checks of an edge for each row of pixels that it crosses.
const LOOKS_PER_ROW: f64 = 4.0;
/// The cost of the start and the end of a dash, in addition to the rows that they cross.
const DASH: f64 = 4000.0;
/// Maximum number of dashes; the library does not draw a path with more.
const MAX_DASHES: f64 = 1_000_000.0;

/// The work of a fill in a picture of this height.
pub(super) fn fill(path: &Data, transform: Transform, height: u32) -> u64 {
    let walked = Walked::along(path, transform, height);
    (walked.rows * LOOKS_PER_ROW) as u64
}

/// The work of a stroke in a picture of this height.
pub(super) fn stroke(path: &Data, stroke: &Stroke, transform: Transform, height: u32) -> u64 {
    let walked = Walked::along(path, transform, height);
    let (across, down) = transform.get_scale();
    let thick = f64::from(stroke.width().get()) * f64::from(across.max(down));
    let thick = thick.clamp(1.0, f64::from(height).max(1.0));
    let dashes = stroke.dasharray().map_or(0.0, |lengths| {
        let period: f64 = lengths.iter().map(|length| f64::from(*length)).sum();
        let pairs = (lengths.len() as f64 / 2.0).ceil();
        let dashes = walked.length / period.max(f64::MIN_POSITIVE) * pairs;
        dashes.clamp(0.0, MAX_DASHES)
    });
    // Two sides of everything, and the ends of each part.
    let rows = walked.rows * 2.0 + (walked.parts + dashes) * 4.0 * thick;
    (rows * LOOKS_PER_ROW + dashes * DASH) as u64
}

/// Measures of a path.
#[derive(Default)]
struct Walked {
    /// Rows crossed.
    rows: f64,
    /// In units of the path. Curves are not longer than their control polygons.
    length: f64,
    parts: f64,
}

impl Walked {
    fn along(path: &Data, transform: Transform, height: u32) -> Self {
        let mut walked = Self::default();
        let (mut start, mut at) = (Point::zero(), Point::zero());
        for segment in path.segments() {
            let points: &[Point] = match &segment {
                PathSegment::MoveTo(to) => {
                    (start, at) = (*to, *to);
                    continue;
                }
                PathSegment::LineTo(to) => &[*to],
                PathSegment::QuadTo(bend, to) => &[*bend, *to],
                PathSegment::CubicTo(first, second, to) => &[*first, *second, *to],
                PathSegment::Close => &[start],
            };
            for to in points {
                walked.line(at, *to, transform, height);
                at = *to;
            }
        }
        walked
    }

    fn line(&mut self, from: Point, to: Point, transform: Transform, height: u32) {
        let row = |mut point: Point| {
            transform.map_point(&mut point);
            f64::from(point.y).clamp(0.0, f64::from(height))
        };
        self.rows += (row(from) - row(to)).abs() + 1.0;
        self.length += f64::from(from.distance(to));
        self.parts += 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use resvg::tiny_skia::PathBuilder;

    fn zigzag(corners: u32) -> Data {
        let mut path = PathBuilder::new();
        path.move_to(0.0, 0.0);
        for corner in 0..corners {
            path.line_to(corner as f32, if corner % 2 == 0 { 1000.0 } else { 0.0 });
        }
        path.finish().expect("is a path")
    }

    #[test]
    fn tall_edges_cost_more_than_short_ones() {
        let tall = fill(&zigzag(100), Transform::identity(), 1000);
        let short = fill(&zigzag(100), Transform::from_scale(1.0, 0.01), 1000);
        assert!(tall > short * 50, "{tall} {short}");
        // What is outside the picture is not counted.
        let outside = fill(&zigzag(100), Transform::from_translate(0.0, -2000.0), 1000);
        assert!(outside < tall / 50, "{outside}");
    }
}
