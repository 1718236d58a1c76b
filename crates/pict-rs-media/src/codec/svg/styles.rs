//! Estimates the work of an SVG's style sheets before the library applies them.
//!
//! The library matches every element against every rule. A selector of several parts tries all
//! combinations of ancestors, so its cost grows with the depth of the tree to the power of its
//! length. A list of selectors copies the declarations once for each selector. The library cannot
//! be interrupted, so upper bounds of both are computed here.

use resvg::usvg::roxmltree::{Document, Node};
use simplecss::{Rule, StyleSheet};

use super::error::too_much;
use crate::Result;

/// Style sheets of one file. The library sorts all rules again after each.
const MAX_SHEETS: u64 = 256;
/// Declarations of all rules, once for each selector of a list.
const MAX_DECLARATIONS: u64 = 2_000_000;
/// Checks of an element or of some bytes of its attributes. Each takes some nanoseconds.
const MAX_WORK: u64 = 200_000_000;
/// Bytes of an attribute that are compared in the time of one check.
const BYTES_PER_LOOK: u64 = 8;

/// Refuses style sheets that are too much work for `elements` elements, their number after
/// following all references.
pub(super) fn judge(document: &Document<'_>, elements: u64) -> Result<()> {
    let sheets: Vec<&str> = document
        .descendants()
        .filter(|node| node.tag_name().name() == "style")
        .filter_map(|node| node.text())
        .collect();
    if sheets.is_empty() {
        return Ok(());
    }
    at_most("style sheets", sheets.len() as u64, MAX_SHEETS)?;
    let declarations = sheets.iter().map(|sheet| copies(sheet)).sum();
    at_most("declarations of styles", declarations, MAX_DECLARATIONS)?;
    let mut sheet = StyleSheet::new();
    for text in sheets {
        sheet.parse_more(text);
    }
    let tree = Tree::measure(document);
    let per_element = sheet
        .rules
        .iter()
        .fold(0, |sum: u64, rule| sum.saturating_add(tree.looks(rule)));
    let work = per_element.saturating_mul(elements);
    at_most("matches of styles", work, MAX_WORK)
}

fn at_most(what: &str, found: u64, limit: u64) -> Result<()> {
    if found > limit {
        return Err(too_much(what, found, limit));
    }
    Ok(())
}

/// An upper bound of the declarations that the library makes of a sheet. If comments, strings and
/// the like could hide the structure, any selector may have any declaration.
fn copies(sheet: &str) -> u64 {
    let count = |text: &str, of: &[char]| 1 + text.matches(of).count() as u64;
    if sheet.contains(['"', '\'', '@', '\\', '[']) || sheet.contains("/*") {
        return count(sheet, &[',', '{']).saturating_mul(count(sheet, &[';', '}']));
    }
    let rules = sheet.split('}').map(|rule| {
        let (selectors, declarations) = rule.split_once('{').unwrap_or(("", rule));
        count(selectors, &[',']).saturating_mul(count(declarations, &[';']))
    });
    rules.fold(0, u64::saturating_add)
}

/// The cost of checking one element.
struct Tree {
    depth: u64,
    /// Checks for the longest attribute list, including its values.
    attributes: u64,
    /// Texts and comments between two elements.
    gap: u64,
}

impl Tree {
    fn measure(document: &Document<'_>) -> Self {
        let mut tree = Self {
            depth: 0,
            attributes: 0,
            gap: 0,
        };
        let mut depths = vec![(document.root(), 0)];
        while let Some((node, depth)) = depths.pop() {
            tree.depth = tree.depth.max(depth);
            tree.attributes = tree.attributes.max(attributes(&node));
            let mut gap = 0;
            for child in node.children() {
                if child.is_element() {
                    gap = 0;
                    depths.push((child, depth + 1));
                } else {
                    gap += 1;
                    tree.gap = tree.gap.max(gap);
                }
            }
        }
        tree
    }

    /// The number of checks to match an element against a rule.
    fn looks(&self, rule: &Rule<'_>) -> u64 {
        let selector = rule.selector.to_string();
        let count = |of: &str| selector.matches(of).count() as u64;
        let steps = count(" > ") + count(" + ");
        let descents = count(" ") - 2 * steps.min(count(" ") / 2);
        let conditions = count("[") + count(":");
        let each = 1 + conditions.saturating_mul(self.attributes + self.gap);
        let sideways = if count(" + ") > 0 { self.gap } else { 0 };
        ways(self.depth, descents)
            .saturating_mul(1 + steps)
            .saturating_mul(each.saturating_add(sideways))
            .saturating_add(rule.declarations.len() as u64)
    }
}

fn attributes(node: &Node<'_, '_>) -> u64 {
    let looks = node.attributes().map(|attribute| {
        // No selector is as long as a path that it could be compared with.
        let bytes = match attribute.name() {
            "d" | "points" => 0,
            _ => attribute.value().len() as u64,
        };
        1 + bytes / BYTES_PER_LOOK
    });
    looks.sum()
}

/// The number of ways to choose up to `descents` of `depth` ancestors.
fn ways(depth: u64, descents: u64) -> u64 {
    let (mut ways, mut sum): (u64, u64) = (1, 1);
    for chosen in 0..descents.min(depth) {
        ways = ways.saturating_mul(depth - chosen) / (chosen + 1);
        if ways > MAX_WORK {
            return MAX_WORK.saturating_add(1);
        }
        sum = sum.saturating_add(ways);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_up_the_tree_are_counted() {
        assert_eq!(ways(10, 0), 1);
        assert_eq!(ways(10, 1), 11);
        assert_eq!(ways(10, 2), 56);
        assert_eq!(ways(3, 50), 8);
        assert!(ways(80, 49) > MAX_WORK);
        assert!(ways(u64::MAX, u64::MAX) > MAX_WORK);
    }

    #[test]
    fn lists_of_selectors_copy_what_stands_behind_them() {
        assert!(copies("a,b,c{x:y;z:w}") >= 6);
        assert!(copies("a{x:y}b{x:y}") < 8);
        // A comment may join what looks separate.
        let joined = format!("{}/*}}*/{{{}}}", "a,".repeat(100), "b:c;".repeat(100));
        assert!(copies(&joined) >= 10_000);
    }
}
