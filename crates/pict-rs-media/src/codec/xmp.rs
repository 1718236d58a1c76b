//! Author and copyright in XMP: `dc:creator`, a list of names, and `dc:rights`, a text in several
//! languages (ISO 16684-1, sections 7.9 and 8.3). Never fails: damaged parts are missing from the
//! result.

use std::borrow::Cow;

use roxmltree::{Document, Node, ParsingOptions};

use super::exif::{Credits, MAX_CREDIT};

const DC: &str = "http://purl.org/dc/elements/1.1/";
const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// Some programs write the whole history of a picture; longer packets are ignored.
const MAX_PACKET: usize = 1 << 20;
const MAX_NODES: u32 = 50_000;

/// The credits in a packet.
pub(crate) fn credits(packet: &[u8]) -> Credits<'static> {
    read(packet).unwrap_or_default()
}

fn read(packet: &[u8]) -> Option<Credits<'static>> {
    if packet.len() > MAX_PACKET {
        return None;
    }
    let text = std::str::from_utf8(packet).ok()?;
    // Some writers leave zeros at the end.
    let text = text.trim_start_matches('\u{feff}').trim_end_matches('\0');
    let options = ParsingOptions {
        nodes_limit: MAX_NODES,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(text, options).ok()?;
    let find = |name| {
        document
            .descendants()
            .find(|node| node.has_tag_name((DC, name)))
    };
    let creators = find("creator").map(|node| values(node).collect::<Vec<_>>().join("; "));
    let rights = find("rights").and_then(default_language);
    Some(Credits {
        artist: creators.and_then(credit),
        copyright: rights.and_then(|text| credit(text.to_owned())),
    })
}

/// The texts of a property: of the items of its array, or its own.
fn values<'a>(property: Node<'a, 'a>) -> impl Iterator<Item = &'a str> {
    let own = property.text();
    let items = items(property).filter_map(|item| item.text());
    own.into_iter()
        .chain(items)
        .map(str::trim)
        .filter(|text| !text.is_empty())
}

fn items<'a>(property: Node<'a, 'a>) -> impl Iterator<Item = Node<'a, 'a>> {
    property
        .descendants()
        .filter(|node| node.has_tag_name((RDF, "li")))
}

/// The text in the default language, or the first one.
fn default_language<'a>(property: Node<'a, 'a>) -> Option<&'a str> {
    items(property)
        .find(|item| item.attribute((XML, "lang")) == Some("x-default"))
        .and_then(|item| item.text())
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .or_else(|| values(property).next())
}

fn credit(text: String) -> Option<Cow<'static, [u8]>> {
    let is_one = !text.is_empty() && text.len() < MAX_CREDIT && !text.contains('\0');
    is_one.then(|| Cow::Owned(text.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(properties: &str) -> Vec<u8> {
        format!(
            "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\
             <x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF xmlns:rdf=\"{RDF}\">\
             <rdf:Description rdf:about=\"\" xmlns:dc=\"{DC}\" dc:source=\"elsewhere\">\
             {properties}</rdf:Description></rdf:RDF></x:xmpmeta>\n  \n<?xpacket end=\"w\"?>"
        )
        .into_bytes()
    }

    fn expected(artist: Option<&str>, copyright: Option<&str>) -> Credits<'static> {
        let owned = |text: &str| Cow::Owned(text.as_bytes().to_vec());
        Credits {
            artist: artist.map(owned),
            copyright: copyright.map(owned),
        }
    }

    #[test]
    fn names_are_joined_and_the_text_for_everybody_is_taken() {
        let both = packet(
            "<dc:creator><rdf:Seq>\n<rdf:li>Ada</rdf:li><rdf:li> Émile &amp; Co </rdf:li></rdf:Seq></dc:creator>\
             <dc:rights><rdf:Alt><rdf:li xml:lang=\"de\">Ihr</rdf:li>\
             <rdf:li xml:lang=\"x-default\">Hers</rdf:li></rdf:Alt></dc:rights>",
        );
        let said = expected(Some("Ada; Émile & Co"), Some("Hers"));
        assert_eq!(credits(&both), said);
        assert_eq!(credits(&[&both[..], &[0; 7]].concat()), said);
    }

    #[test]
    fn plain_texts_and_other_languages_count_where_there_is_nothing_better() {
        let plain = packet("<dc:creator>Ada</dc:creator><dc:rights> Hers </dc:rights>");
        assert_eq!(credits(&plain), expected(Some("Ada"), Some("Hers")));
        let german = packet(
            "<dc:rights><rdf:Alt><rdf:li xml:lang=\"de\">Ihr</rdf:li></rdf:Alt></dc:rights>",
        );
        assert_eq!(credits(&german), expected(None, Some("Ihr")));
    }

    #[test]
    fn damage_means_less() {
        let whole = packet("<dc:creator>Ada</dc:creator>");
        for length in 0..whole.len() {
            let _ = credits(&whole[..length]);
        }
        assert_eq!(credits(b"<x:xmpmeta>"), Credits::default());
        assert_eq!(credits(&[0xff; 40]), Credits::default());
        let long = packet(&format!(
            "<dc:creator>{}</dc:creator>",
            "a".repeat(MAX_CREDIT)
        ));
        assert_eq!(credits(&long), Credits::default());
        let deep = packet(&"<dc:creator>".repeat(60_000));
        assert_eq!(credits(&deep), Credits::default());
    }
}
