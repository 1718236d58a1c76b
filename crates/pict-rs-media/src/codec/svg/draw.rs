//! Renders the XML to rows.

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{ImageHrefResolver, Options, Tree, roxmltree};

use super::error::corrupt;
use super::start::BYTE_ORDER_MARK;
use super::{cost, document};
use crate::codec::panics::guard;
use crate::limits::{Bounds, LimitKind, at_most};
use crate::rows::{Layout, Row, RowSink, Shape};
use crate::{ColourModel, Control, Error, Facts, Format, Orientation, Result};

/// Maximum bytes of memory for each byte of XML.
const DOCUMENT_PER_BYTE: u64 = 16;

/// Facts from the root element, after the document has passed the checks.
pub(crate) fn inspect(source: &[u8], bounds: &Bounds, control: &Control) -> Result<Facts> {
    let text = text(source)?;
    let document = (text.len() as u64).saturating_mul(DOCUMENT_PER_BYTE);
    at_most(LimitKind::Memory, bounds.memory, document)?;
    guard(Format::Svg, || {
        let document = document::parse(text)?;
        control.check()?;
        let (width, height) = size(&document)?;
        Ok(Facts {
            format: Format::Svg,
            stored_width: width,
            stored_height: height,
            orientation: Orientation::Normal,
            frames: 1,
            duration_ms: None,
            has_alpha: true,
            bits: 8,
            colour: ColourModel::Rgb,
            buffered: true,
            lossless: true,
            decoder_tables: 0,
        })
    })
}

/// Pushes the rows of the drawn picture, `Rgba8`.
pub(crate) fn decode(
    source: &[u8],
    facts: &Facts,
    control: &Control,
    sink: &mut dyn RowSink,
) -> Result<()> {
    let (width, height) = (facts.stored_width, facts.stored_height);
    let text = text(source)?;
    let pixmap = guard(Format::Svg, || draw(text, width, height, control))?;
    sink.begin(Shape {
        width,
        height,
        layout: Layout::Rgba8,
    })?;
    let mut straight = Vec::with_capacity(width as usize * 4);
    for row in pixmap.pixels().chunks_exact(width as usize) {
        straight.clear();
        for pixel in row {
            let colour = pixel.demultiply();
            straight.extend([colour.red(), colour.green(), colour.blue(), colour.alpha()]);
        }
        sink.row(Row::U8(&straight))?;
    }
    sink.end()
}

fn draw(text: &str, width: u32, height: u32, control: &Control) -> Result<Pixmap> {
    control.check()?;
    let document = document::parse(text)?;
    control.check()?;
    let tree = Tree::from_xmltree(&document, &options()).map_err(corrupt)?;
    drop(document);
    control.check()?;
    cost::check(&tree, width, height)?;
    let mut pixmap = Pixmap::new(width, height)
        .ok_or_else(|| Error::Internal("the picture does not fit into memory".into()))?;
    resvg::render(&tree, Transform::identity(), &mut pixmap.as_mut());
    control.check()?;
    Ok(pixmap)
}

/// Disables loading: by default the library would open files and decode pictures.
fn options() -> Options<'static> {
    Options {
        resources_dir: None,
        image_href_resolver: ImageHrefResolver {
            resolve_data: Box::new(|_, _, _| None),
            resolve_string: Box::new(|_, _| None),
        },
        ..Options::default()
    }
}

/// The size in pixels given by the root element. The library parses an empty picture with the same
/// root, so that both always agree.
fn size(document: &roxmltree::Document<'_>) -> Result<(u32, u32)> {
    let root = document.root_element();
    let mut empty = String::from("<svg xmlns=\"http://www.w3.org/2000/svg\"");
    let mut has_size = false;
    for name in ["width", "height", "viewBox"] {
        let Some(value) = root.attribute(name) else {
            continue;
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || " .,+-%\t\r\n".contains(c);
        if !value.chars().all(allowed) {
            return Err(corrupt("its size is not valid"));
        }
        has_size |= !value.contains('%');
        empty.push_str(&format!(" {name}=\"{value}\""));
    }
    empty.push_str("/>");
    if !has_size {
        return Err(corrupt("it has no size"));
    }
    let tree = Tree::from_str(&empty, &options()).map_err(corrupt)?;
    let size = tree.size().to_int_size();
    Ok((size.width(), size.height()))
}

fn text(source: &[u8]) -> Result<&str> {
    let source = source.strip_prefix(BYTE_ORDER_MARK).unwrap_or(source);
    std::str::from_utf8(source).map_err(|_| corrupt("it is not UTF-8"))
}
