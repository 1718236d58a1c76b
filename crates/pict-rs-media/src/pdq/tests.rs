//! Published hashes, and pictures of all shapes.

use super::*;
use crate::codec::testing::inspect;
use crate::preview::preview;
use crate::rows::{Row, RowSink};
use crate::transform::pipeline::decode;
use crate::{Control, Result};

const BRIDGE: &[u8] = include_bytes!("../codec/testdata/bridge.jpeg");

/// The published hash of that file, and those of the files that show it turned and mirrored.
const PUBLISHED: [&str; 8] = [
    "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22",
    "30a10efd71cc3d429013d48d0ffffc52e34e0e17ada952a9d29685211ea9e5af",
    "adad5a64b5a142e75b62a09857da895ae63b847fc23794b766b319361bc93188",
    "a5f0a457a48995e8c9065c275aaa5498b61ba4bdf8fcf80387c32f8b1bfc4f05",
    "f8f80f31e0f417b20e37f5cd028f980fb36ed02a9662c1e233e64c634e9c64dd",
    "0dad2599b1a1bd1a5362576742da32a5e63b7380c2374b4866b366c91bc9ce77",
    "f0a5e102f1ccc0bd945308720fff038de34ef1e8ada9a956d2967ade5ea91a50",
    "a5f05aa8a4896a17c906a2d85aaaab07b61b5b42f8fc07fc87c3d0741bfcb0fa",
];

fn published(index: usize) -> PdqHash {
    PUBLISHED[index].parse().expect("a hash")
}

/// The luma of all pixels of a file in RGB.
#[derive(Default)]
struct Whole {
    width: usize,
    values: Vec<f32>,
}

impl RowSink for Whole {
    fn begin(&mut self, shape: Shape) -> Result<()> {
        assert_eq!(shape.layout, Layout::Rgb8);
        self.width = shape.width as usize;
        Ok(())
    }

    fn row(&mut self, row: Row<'_>) -> Result<()> {
        let Row::U8(row) = row else {
            panic!("a row of another kind");
        };
        let luma =
            |p: &[u8]| f32::from(p[0]) * 0.299 + f32::from(p[1]) * 0.587 + f32::from(p[2]) * 0.114;
        self.values.extend(row.chunks_exact(3).map(luma));
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        Ok(())
    }
}

fn whole(file: &[u8]) -> Picture {
    let facts = inspect(file).expect("is read");
    let mut whole = Whole::default();
    decode(file, &facts, 1, &Control::new(), &mut whole).expect("is decoded");
    Picture {
        width: whole.width,
        values: whole.values,
    }
}

#[test]
fn the_published_hash_of_a_photograph_is_computed() {
    let pdq = whole(BRIDGE).hash(Orientation::Normal);
    assert_eq!(pdq.hash(), published(0));
    assert_eq!(pdq.quality(), 100);
}

/// Turning a picture and hashing it is not quite the same as turning its hash.
#[test]
fn the_published_hash_of_each_turn_is_among_the_eight() {
    let pdq = whole(BRIDGE).hash(Orientation::Normal);
    for index in 0..8 {
        let distances = pdq.turned().map(|hash| hash.distance(&published(index)));
        let near = distances.iter().filter(|distance| **distance <= 16).count();
        assert_eq!(near, 1, "{index}: {distances:?}");
    }
}

/// All that is known of a stored picture is its hash.
#[test]
fn turning_a_hash_gives_almost_the_hashes_of_the_turned_picture() {
    let pdq = whole(BRIDGE).hash(Orientation::Normal);
    let turned = pdq.hash().turned();
    assert_eq!(turned[0], pdq.hash());
    for (index, (found, expected)) in turned.iter().zip(pdq.turned()).enumerate() {
        let distance = found.distance(expected);
        assert!(distance <= 16, "{index}: {distance}");
    }
    for hash in turned {
        let back = hash
            .turned()
            .iter()
            .filter(|back| **back == pdq.hash())
            .count();
        assert_eq!(back, 1, "{hash}");
    }
}

#[test]
fn a_reduced_picture_has_almost_the_hash_of_the_whole_one() {
    let facts = inspect(BRIDGE).expect("is read");
    let pdq = preview(BRIDGE, &facts, &Control::new())
        .expect("is decoded")
        .pdq;
    let pdq = pdq.expect("is large enough");
    let distance = pdq.hash().distance(&published(0));
    assert!(distance <= 8, "{distance}");
    assert_eq!(pdq.quality(), 100);
}

fn hash_of(shape: Shape, pixels: &[u8], orientation: Orientation) -> Option<Pdq> {
    let mut luma = Luma::new(shape)?;
    pixels
        .chunks_exact(shape.row_len())
        .for_each(|row| luma.row(row));
    luma.finish(orientation)
}

fn gray(width: u32, height: u32) -> Shape {
    Shape {
        width,
        height,
        layout: Layout::Gray8,
    }
}

/// Shapes at random, the same each time.
fn pixels(width: u32, height: u32) -> Vec<u8> {
    let wave = |x: u32, y: u32| {
        let (x, y) = (x as f32 / width as f32, y as f32 / height as f32);
        (x * 17.0 + (y * 5.0).sin() * 4.0).sin() * 60.0 + (y * 23.0 + x * 9.0).cos() * 50.0
    };
    let row = |y| (0..width).map(move |x| (128.0 + wave(x, y)) as u8);
    (0..height).flat_map(row).collect()
}

#[test]
fn a_stored_orientation_gives_the_hash_of_what_is_shown() {
    use crate::orient::{tests::ALL, tests::inverse, turn};
    let Picture { width, values } = whole(BRIDGE);
    let (width, height) = (width as u32, (values.len() / width) as u32);
    let shape = gray(width, height);
    let upright: Vec<_> = values.iter().map(|value| value.round() as u8).collect();
    let expected = hash_of(shape, &upright, Orientation::Normal).expect("is hashed");
    for orientation in ALL {
        let mut stored = Vec::new();
        turn(&upright, shape, inverse(orientation), |row| {
            stored.extend_from_slice(row);
            Ok(())
        })
        .expect("the sizes fit");
        let (width, height) = orientation.swap_size((width, height));
        let found = hash_of(gray(width, height), &stored, orientation).expect("is hashed");
        let distance = found.hash().distance(&expected.hash());
        // Half a pixel is lost where a window is even.
        assert!(distance <= 16, "{orientation:?}: {distance}");
    }
}

#[test]
fn pictures_of_any_size_are_hashed_and_tiny_ones_are_not() {
    for (width, height) in [
        (5, 5),
        (5, 3000),
        (511, 513),
        (513, 511),
        (1025, 7),
        (64, 64),
    ] {
        let pdq = hash_of(
            gray(width, height),
            &pixels(width, height),
            Orientation::Normal,
        );
        assert!(pdq.is_some(), "{width} × {height}");
    }
    assert!(hash_of(gray(4, 300), &pixels(4, 300), Orientation::Normal).is_none());
    assert!(hash_of(gray(300, 4), &pixels(300, 4), Orientation::Normal).is_none());
    // A picture that ends too early has none.
    assert!(hash_of(gray(30, 40), &pixels(30, 39), Orientation::Normal).is_none());
}

#[test]
fn a_uniform_area_has_no_quality() {
    let pdq = hash_of(gray(80, 80), &[200; 6400], Orientation::Normal).expect("is hashed");
    assert_eq!(pdq.quality(), 0);
}

#[test]
fn layouts_agree_about_gray() {
    let values = pixels(120, 90);
    let shape = |layout| Shape {
        width: 120,
        height: 90,
        layout,
    };
    let gray = hash_of(shape(Layout::Gray8), &values, Orientation::Normal);
    let rgb: Vec<u8> = values.iter().flat_map(|&v| [v, v, v]).collect();
    let rgba: Vec<u8> = values.iter().flat_map(|&v| [v, v, v, 7]).collect();
    assert_eq!(
        hash_of(shape(Layout::Rgb8), &rgb, Orientation::Normal),
        gray
    );
    assert_eq!(
        hash_of(shape(Layout::Rgba8), &rgba, Orientation::Normal),
        gray
    );
}

/// Rows are added up before their luma is computed; that must not change any sum.
#[test]
fn a_reduced_pixel_is_the_mean_of_its_pixels() {
    // The last one has more rows in a reduced row than a sum of 16 bits takes.
    for (width, height) in [(64, 64), (1025, 513), (1537, 7), (6, 512 * 300 - 1)] {
        for layout in [Layout::Gray8, Layout::Rgb8, Layout::Rgba8] {
            let shape = Shape {
                width,
                height,
                layout,
            };
            let channels = layout.channels();
            let length = shape.row_len() * height as usize;
            // Bright, so that sums are as large as they can be.
            let samples: Vec<_> = (0..length)
                .map(|at| 255 - (at % 7 * at % 5) as u8)
                .collect();
            let mut luma = Luma::new(shape).expect("is large enough");
            samples
                .chunks_exact(shape.row_len())
                .for_each(|row| luma.row(row));
            let (across, down) = luma.factors;
            let mut expected = Vec::new();
            for y in (0..height as usize).step_by(down) {
                for x in (0..width as usize).step_by(across) {
                    let (mut sum, mut pixels) = (0, 0);
                    for y in y..(y + down).min(height as usize) {
                        for x in x..(x + across).min(width as usize) {
                            let pixel = &samples[(y * width as usize + x) * channels..][..channels];
                            let of = |at: usize| u64::from(pixel[at % channels]);
                            sum += 299 * of(0) + 587 * of(1) + 114 * of(2);
                            pixels += 1;
                        }
                    }
                    expected.push((sum as f64 / f64::from(1000 * pixels)) as f32);
                }
            }
            assert!(
                luma.reduced.values == expected,
                "{width} × {height} {layout:?}"
            );
        }
    }
}

#[test]
fn near_hashes_are_found_whichever_way_they_are_turned() {
    let hashes: Vec<_> = (0..8).map(published).collect();
    let changed = |bits: u32| {
        let mut bytes = *hashes[3].as_bytes();
        (0..bits as usize).for_each(|bit| bytes[31 - bit / 8] ^= 1 << (bit % 8));
        PdqHash(bytes)
    };
    assert_eq!(near(&hashes, &[changed(31); 8], 31), [(3, 31)]);
    assert_eq!(near(&hashes, &[changed(32); 8], 31), []);
    let mut several = [changed(9); 8];
    (several[3], several[7]) = (hashes[6], hashes[3]);
    assert_eq!(near(&hashes, &several, 31), [(3, 0), (6, 0)]);
    let every = near(&hashes, &[hashes[0]; 8], 256);
    let expected: Vec<_> = hashes
        .iter()
        .map(|hash| hash.distance(&hashes[0]))
        .enumerate()
        .collect();
    assert_eq!(every, expected);
}

#[test]
fn hashes_are_read_as_they_are_written() {
    let hash = published(0);
    assert_eq!(hash.to_string(), PUBLISHED[0]);
    assert_eq!(PUBLISHED[0].to_uppercase().parse(), Ok(hash));
    assert_eq!(PdqHash::from_bytes(hash.as_bytes()), Some(hash));
    for wrong in [
        "",
        "f8",
        &PUBLISHED[0][1..],
        &PUBLISHED[0].replace('f', "g"),
    ] {
        assert_eq!(wrong.parse::<PdqHash>(), Err(NotPdq), "{wrong}");
    }
    assert_eq!(PdqHash::from_bytes(&[0; 31]), None);
    assert_eq!(hash.distance(&hash), 0);
    assert_eq!(PdqHash([0; 32]).distance(&PdqHash([255; 32])), 256);
}
