//! Checks the XML of an SVG before it is converted.
//!
//! Elements are counted after following all references: `use`, patterns, markers, masks, clip paths
//! and filters multiply and nest what they refer to.

use std::collections::HashMap;

use resvg::usvg::roxmltree::{Document, Node, NodeId, ParsingOptions};

use super::MAX_BYTES;
use super::error::{corrupt, too_much};
use super::styles;
use crate::Result;

/// Elements, texts and comments in the file.
const MAX_NODES: u32 = 200_000;
/// Elements after following all references.
const MAX_ELEMENTS: u64 = 200_000;
/// Bytes of paths after following all references. Each use of a path is converted to points again.
const MAX_PATH_BYTES: u64 = 8 << 20;
/// Nesting of elements after following all references. The library recurses as deep on a thread's
/// stack.
const MAX_DEPTH: usize = 96;
/// Characters of paths on which markers may be drawn, times elements of a marker.
const MAX_MARKED: u64 = 500_000;
/// Definitions of filters, masks and so on, which are compared with each other.
const MAX_DEFINITIONS: u64 = 2_000;

/// Parses and checks.
pub(super) fn parse(text: &str) -> Result<Document<'_>> {
    at_most("bytes", text.len() as u64, MAX_BYTES as u64)?;
    let options = ParsingOptions {
        // Many programs write one. Its entities are expanded, and the parser limits the expansion.
        allow_dtd: true,
        nodes_limit: MAX_NODES,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(text, options).map_err(corrupt)?;
    if document.root_element().tag_name().name() != "svg" {
        return Err(corrupt("it does not start with an svg element"));
    }
    judge(&document)?;
    Ok(document)
}

fn at_most(what: &str, found: u64, limit: u64) -> Result<()> {
    if found > limit {
        return Err(too_much(what, found, limit));
    }
    Ok(())
}

fn judge(document: &Document<'_>) -> Result<()> {
    let mut by_id = HashMap::new();
    let (mut definitions, mut path_bytes) = (0, 0);
    let mut styled = String::new();
    for node in document.descendants().filter(Node::is_element) {
        if let Some(id) = node.attribute("id") {
            by_id.entry(id).or_insert(node);
        }
        match node.tag_name().name() {
            "clipPath" | "filter" | "marker" | "mask" | "pattern" => definitions += 1,
            "style" => {
                node.children()
                    .filter_map(|child| child.text())
                    .for_each(|text| styled.push_str(text));
            }
            _ => {}
        }
        path_bytes += bytes_of_paths(&node);
    }
    at_most("definitions", definitions, MAX_DEFINITIONS)?;
    let style = Style::read(&styled);
    let mut walk = Walk {
        by_id: &by_id,
        by_class: &style.by_class,
        measured: HashMap::new(),
    };
    let mut whole = walk.measure(document.root_element(), 0)?;
    // A rule with another selector than a class can add its references to any element, so each of
    // them counts as if it enclosed everything.
    for node in style.by_other.iter().filter_map(|id| by_id.get(id)) {
        let lent = walk.measure(*node, 0)?;
        whole.depth += lent.depth;
        let times = 1 + lent.elements;
        whole.elements = whole.elements.saturating_mul(times);
        let lent_bytes = lent.path_bytes.saturating_mul(whole.elements);
        whole.path_bytes = whole.path_bytes.saturating_mul(times);
        whole.path_bytes = whole.path_bytes.saturating_add(lent_bytes);
    }
    at_most("nested elements", whole.depth as u64, MAX_DEPTH as u64)?;
    at_most("elements", whole.elements, MAX_ELEMENTS)?;
    at_most("bytes of paths", whole.path_bytes, MAX_PATH_BYTES)?;
    styles::judge(document, whole.elements)?;
    judge_markers(document, &mut walk, &styled, path_bytes, whole.elements)
}

/// Markers are drawn at every corner of a path.
fn judge_markers<'a, 'input>(
    document: &'a Document<'input>,
    walk: &mut Walk<'_, 'a, 'input>,
    styled: &str,
    path_bytes: u64,
    elements: u64,
) -> Result<()> {
    let mut largest = 0;
    for marker in document
        .descendants()
        .filter(|node| node.has_tag_name_of("marker"))
    {
        largest = walk.measure(marker, 0)?.elements.max(largest);
        let is_marked = |node: Node<'_, '_>| {
            node.attributes().any(|attribute| {
                attribute.name().starts_with("marker") && attribute.value().contains("url")
                    || attribute.name() == "style" && attribute.value().contains("marker")
            })
        };
        if marker.descendants().any(is_marked) {
            return Err(corrupt("markers stand on markers"));
        }
    }
    if largest > 0 && styled.contains("marker") && styled.contains("url") {
        // Markers can have markers.
        largest = largest.saturating_mul(largest);
    }
    // References may draw a path more than once.
    let paths = path_bytes.saturating_mul((elements / 1000).max(1));
    at_most("marked corners", paths.saturating_mul(largest), MAX_MARKED)
}

/// References in style sheets.
struct Style<'a> {
    by_class: HashMap<&'a str, Vec<&'a str>>,
    /// Those of rules with another selector than a class.
    by_other: Vec<&'a str>,
}

impl<'a> Style<'a> {
    /// Parses only as much CSS as needed to find all references.
    fn read(sheets: &'a str) -> Self {
        let mut style = Self {
            by_class: HashMap::new(),
            by_other: Vec::new(),
        };
        for rule in sheets.split('}') {
            let Some((selectors, body)) = rule.split_once('{') else {
                continue;
            };
            for selector in selectors.split(',') {
                let selector = selector.trim();
                let is_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
                match selector.strip_prefix('.') {
                    Some(class) if class.chars().all(is_name) => {
                        style
                            .by_class
                            .entry(class)
                            .or_default()
                            .extend(targets(body));
                    }
                    _ => style.by_other.extend(targets(body)),
                }
            }
        }
        style
    }
}

/// The size of one element, references included.
#[derive(Clone, Copy, Default)]
struct Measure {
    elements: u64,
    path_bytes: u64,
    /// Levels, including itself.
    depth: usize,
}

struct Walk<'m, 'a, 'input> {
    by_id: &'m HashMap<&'a str, Node<'a, 'input>>,
    by_class: &'m HashMap<&'m str, Vec<&'m str>>,
    /// `None` while an element is being measured.
    measured: HashMap<NodeId, Option<Measure>>,
}

impl<'a, 'input> Walk<'_, 'a, 'input> {
    fn measure(&mut self, node: Node<'a, 'input>, depth: usize) -> Result<Measure> {
        at_most("nested elements", depth as u64, MAX_DEPTH as u64)?;
        match self.measured.get(&node.id()) {
            Some(Some(measure)) => return Ok(*measure),
            Some(None) => return Err(corrupt("an element refers to itself")),
            None => {}
        }
        self.measured.insert(node.id(), None);
        let mut whole = Measure {
            elements: 1,
            path_bytes: bytes_of_paths(&node),
            depth: 0,
        };
        for child in node.children().filter(Node::is_element) {
            self.add(child, depth, &mut whole)?;
        }
        let mut patterns = Measure::default();
        let (by_id, by_class) = (self.by_id, self.by_class);
        // A hyperlink draws nothing.
        let draws_link = node.tag_name().name() != "a";
        for attribute in node.attributes() {
            let link = (draws_link && attribute.name() == "href")
                .then(|| attribute.value().trim().strip_prefix('#'))
                .flatten();
            let found = targets(attribute.value()).chain(link);
            for target in found.filter_map(|id| by_id.get(id)) {
                self.add(*target, depth, &mut whole)?;
                self.add_pattern(*target, &mut patterns);
            }
        }
        let classes = node
            .attribute("class")
            .unwrap_or_default()
            .split_whitespace();
        let lent = classes.filter_map(|class| by_class.get(class)).flatten();
        for target in lent.filter_map(|id| by_id.get(id)) {
            self.add(*target, depth, &mut whole)?;
            self.add_pattern(*target, &mut patterns);
        }
        // A paint applies to everything inside, and a pattern is made again for each shape there.
        let others = (whole.elements - 1).saturating_sub(patterns.elements);
        let again = |part: u64| part.saturating_mul(others);
        whole.elements = whole.elements.saturating_add(again(patterns.elements));
        whole.path_bytes = whole.path_bytes.saturating_add(again(patterns.path_bytes));
        whole.depth += 1;
        at_most("elements", whole.elements, MAX_ELEMENTS)?;
        self.measured.insert(node.id(), Some(whole));
        Ok(whole)
    }

    fn add(&mut self, node: Node<'a, 'input>, depth: usize, whole: &mut Measure) -> Result<()> {
        let part = self.measure(node, depth + 1)?;
        whole.elements = whole.elements.saturating_add(part.elements);
        whole.path_bytes = whole.path_bytes.saturating_add(part.path_bytes);
        whole.depth = whole.depth.max(part.depth);
        Ok(())
    }

    fn add_pattern(&self, target: Node<'a, 'input>, patterns: &mut Measure) {
        if !target.has_tag_name_of("pattern") {
            return;
        }
        if let Some(Some(pattern)) = self.measured.get(&target.id()) {
            patterns.elements = patterns.elements.saturating_add(pattern.elements);
            patterns.path_bytes = patterns.path_bytes.saturating_add(pattern.path_bytes);
        }
    }
}

fn bytes_of_paths(node: &Node<'_, '_>) -> u64 {
    let bytes = |name| {
        node.attribute(name)
            .map_or(0, |path: &str| path.len() as u64)
    };
    bytes("d") + bytes("points")
}

/// The targets of `url(#…)`.
fn targets(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = value;
    std::iter::from_fn(move || {
        let start = rest.find("url(")? + "url(".len();
        let (inside, after) = rest[start..]
            .split_once(')')
            .unwrap_or((&rest[start..], ""));
        rest = after;
        Some(
            inside
                .trim()
                .trim_matches(['"', '\''])
                .trim_start_matches('#'),
        )
    })
}

trait HasTagName {
    fn has_tag_name_of(&self, name: &str) -> bool;
}

impl HasTagName for Node<'_, '_> {
    fn has_tag_name_of(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}
