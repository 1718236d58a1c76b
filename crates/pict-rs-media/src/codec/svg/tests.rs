//! Harmless drawings, and many that are not.

use super::{decode, is_one};
use crate::codec::testing::{Collect, Picture, inspect};
use crate::{Control, Error, Format, Result};

const NAMESPACES: &str =
    r#"xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink""#;

fn svg(content: &str) -> String {
    format!(r#"<svg {NAMESPACES} width="20" height="10">{content}</svg>"#)
}

fn drawn(text: &str) -> Result<Picture> {
    let facts = inspect(text.as_bytes())?;
    let mut sink = Collect::default();
    decode(text.as_bytes(), &facts, &Control::new(), &mut sink)?;
    Ok(sink.picture())
}

/// The message of the first check that refuses it. The stack has the size of a working thread's.
fn refusal(text: String) -> String {
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    let refused = thread.spawn(move || drawn(&text).expect_err("is refused").to_string());
    refused.expect("starts").join().expect("does not overflow")
}

#[test]
fn shapes_are_drawn_with_straight_alpha() {
    let picture = drawn(&svg(r##"<rect width="10" height="10" fill="#f80"/>
           <rect x="10" width="10" height="5" fill="#00f" opacity="0.5"/>"##))
    .expect("draws");
    assert_eq!((picture.shape.width, picture.shape.height), (20, 10));
    assert_eq!(picture.at(3, 3), [255, 136, 0, 255]);
    let half = picture.at(15, 2);
    assert_eq!(half[..3], [0, 0, 255]);
    assert!(half[3].abs_diff(128) <= 1);
    assert_eq!(picture.at(15, 8), [0, 0, 0, 0]);
}

#[test]
fn the_size_is_what_the_root_says() {
    let check = |attributes: &str, expected: (u32, u32)| {
        let text = format!("<svg {NAMESPACES} {attributes}><path d='M0 0h9v9z'/></svg>");
        let facts = inspect(text.as_bytes()).expect(attributes);
        assert_eq!((facts.width(), facts.height()), expected, "{attributes}");
        assert_eq!((facts.format, facts.has_alpha), (Format::Svg, true));
        drawn(&text).expect("draws");
    };
    check(r#"width="30" height="20""#, (30, 20));
    check(r#"width="1in" height="48pt""#, (96, 64));
    check(r#"viewBox="0 0 40 10""#, (40, 10));
    check(
        r#"width="100%" height="100%" viewBox="5 5 40 10""#,
        (40, 10),
    );
    check(r#"width="80" viewBox="0 0 40 10""#, (80, 20));
    for attributes in [
        "",
        r#"width="100%""#,
        r#"width="0" height="5""#,
        r#"width="-3" height="5""#,
    ] {
        let text = format!("<svg {NAMESPACES} {attributes}/>");
        let error = inspect(text.as_bytes()).expect_err(attributes);
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    }
}

#[test]
fn only_svg_is_taken_for_it() {
    let root = format!("<svg {NAMESPACES}/>");
    for before in [
        "",
        " \n",
        "<?xml version=\"1.0\"?>\n",
        "\u{feff}<?xml version=\"1.0\"?><!-- made by > hand --><!DOCTYPE svg>",
        "<!DOCTYPE svg PUBLIC \"-//W3C//DTD SVG 1.1//EN\" \"http://www.w3.org/svg11.dtd\">",
        "<!DOCTYPE svg [ <!ENTITY a \"b\"> ]>",
        "<?xml-stylesheet href=\"a.css\"?>",
    ] {
        assert!(is_one(format!("{before}{root}").as_bytes()), "{before}");
    }
    for other in [
        "<!DOCTYPE html><html><svg/></html>",
        "<html><svg></svg></html>",
        "<?xml version=\"1.0\"?><rss><svg/></rss>",
        "text <svg>",
        "<svgz>",
        "<svg",
        "<!-- <svg> ",
        "<!DOCTYPE svg [ <!ENTITY a",
        "",
    ] {
        assert!(!is_one(other.as_bytes()), "{other}");
    }
}

#[test]
fn nothing_outside_the_file_and_no_picture_inside_it_is_looked_at() {
    // An existing file, a data URL with a whole picture, and a script.
    let data = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let inner = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='9' height='9'%3E%3Crect width='9' height='9'/%3E%3C/svg%3E";
    for href in [
        "/etc/hostname",
        "file:///etc/hostname",
        "http://127.0.0.1:1/a.png",
        data,
        inner,
    ] {
        let picture = drawn(&svg(&format!(
            r#"<image xlink:href="{href}" width="20" height="10"/><script>alert(1)</script>
               <style>@import url("{href}");</style><use xlink:href="{href}#a"/>
               <text y="9">letters</text>"#,
        )))
        .expect("draws");
        assert!(picture.samples.iter().all(|sample| *sample == 0), "{href}");
    }
    let text = svg("&file;");
    let text = format!("<!DOCTYPE svg [<!ENTITY file SYSTEM \"file:///etc/hostname\">]>{text}");
    assert!(drawn(&text).is_err());
}

#[test]
fn what_multiplies_is_refused_before_it_does() {
    let laughs: String = (1..12)
        .map(|n| {
            let uses = format!(r##"<use xlink:href="#l{}"/>"##, n - 1).repeat(10);
            format!(r#"<g id="l{n}">{uses}</g>"#)
        })
        .collect();
    let told = refusal(svg(&format!(
        r#"<g id="l0"><path d="M0 0h1"/></g>{laughs}"#
    )));
    assert!(
        told.contains("too complex") && told.contains("elements"),
        "{told}"
    );

    let entities: String = (1..12)
        .map(|n| format!("<!ENTITY e{n} \"{}\">", format!("&e{};", n - 1).repeat(10)))
        .collect();
    let text = svg("<g>&e11;</g>");
    refusal(format!(
        "<!DOCTYPE svg [<!ENTITY e0 \"<path d='M0 0h1'/>\">{entities}]>{text}"
    ));

    let corners = "L1 1 ".repeat(100_000);
    let marks = "<path d='M0 0h1v1z'/>".repeat(100);
    let told = refusal(svg(&format!(
        r#"<marker id="m">{marks}</marker><path marker-mid="url(#m)" d="M0 0 {corners}"/>"#
    )));
    assert!(told.contains("marked corners"), "{told}");

    let many = "<g/>".repeat(250_000);
    refusal(svg(&many));
    let rules: String = (0..2000)
        .map(|n| format!(".a{n} b{n}{{fill:red}}"))
        .collect();
    let told = refusal(svg(&format!(
        "<style>{rules}</style>{}",
        "<g/>".repeat(20_000)
    )));
    assert!(told.contains("styles"), "{told}");
}

#[test]
fn what_nests_is_refused_before_the_stack_ends() {
    for (open, close) in [
        ("<g>", "</g>"),
        ("<g opacity='0.9'>", "</g>"),
        ("<svg>", "</svg>"),
    ] {
        let told = refusal(svg(&(open.repeat(5000) + &close.repeat(5000))));
        assert!(told.contains("nested") || told.contains("depth"), "{told}");
    }
    for element in ["mask", "clipPath", "pattern", "filter"] {
        let attribute = match element {
            "clipPath" => "clip-path",
            "pattern" => "fill",
            other => other,
        };
        let chain: String = (0..2000)
            .map(|n| {
                let next = n + 1;
                format!(r##"<{element} id="c{n}"><rect {attribute}="url(#c{next})"/></{element}>"##)
            })
            .collect();
        let told = refusal(svg(&chain));
        assert!(told.contains("nested"), "{element}: {told}");
        let styled = chain
            .replace(&format!("{attribute}=\"url(#c"), "class=\"k")
            .replace(")\"/>", "\"/>");
        let rules: String = (0..2000)
            .map(|n| format!(".k{n}{{{attribute}:url(#c{n})}}"))
            .collect();
        let told = refusal(svg(&format!("<style>{rules}</style>{styled}")));
        assert!(told.contains("nested"), "{element} by class: {told}");
    }
    for circle in [
        r##"<g id="a"><use xlink:href="#b"/></g><g id="b"><g><use xlink:href="#a"/></g></g>"##,
        r##"<mask id="a"><rect mask="url(#a)" width="9" height="9"/></mask>"##,
    ] {
        let told = refusal(svg(circle));
        assert!(told.contains("refers to itself"), "{told}");
    }
}

#[test]
fn the_deepest_that_is_allowed_fits_on_a_threads_stack() {
    for (open, close) in [
        ("<g opacity='0.9' transform='scale(1)'>", "</g>"),
        (
            "<g clip-path='url(#c)' mask='url(#m)' filter='url(#f)'>",
            "</g>",
        ),
        ("<svg viewBox='0 0 9 9' x='1'>", "</svg>"),
        ("<a style='opacity:.5'>", "</a>"),
    ] {
        let text = svg(&format!(
            "<clipPath id='c'><rect width='9' height='9'/></clipPath>
             <mask id='m'><rect width='9' height='9' fill='#fff'/></mask>
             <filter id='f'><feOffset dx='1'/></filter>{}<rect width='9' height='9'/>{}",
            open.repeat(90),
            close.repeat(90)
        ));
        let thread = std::thread::Builder::new().stack_size(2 << 20);
        let made = thread.spawn(move || drawn(&text).map(drop));
        let made = made.expect("starts").join().expect("does not overflow");
        made.unwrap_or_else(|error| panic!("{open}: {error}"));
    }
}

#[test]
fn huge_filters_and_layers_are_refused_before_they_are_drawn() {
    let big =
        |content: &str| format!(r#"<svg {NAMESPACES} width="4000" height="4000">{content}</svg>"#);
    let noise = r#"<filter id="f"><feTurbulence numOctaves="900000" baseFrequency="0.1"/></filter>
        <rect width="4000" height="4000" filter="url(#f)"/>"#;
    let told = refusal(big(noise));
    assert!(told.contains("pixels to touch"), "{told}");
    let grown = r#"<filter id="f"><feMorphology operator="dilate" radius="1000"/></filter>
        <rect width="4000" height="4000" filter="url(#f)"/>"#;
    refusal(big(grown));
    let layers = |n: usize| {
        let (open, close) = (r#"<g opacity="0.9">"#.repeat(n), "</g>".repeat(n));
        big(&format!(
            r#"{open}<rect width="4000" height="4000"/>{close}"#
        ))
    };
    let told = refusal(layers(60));
    assert!(told.contains("pixels of layers"), "{told}");
    let paths = r#"<rect width="4000" height="4000"/>"#.repeat(400);
    refusal(big(&paths));
    let tile = r#"<pattern id="p" width="1" height="1" patternUnits="userSpaceOnUse">
        <rect width="4000" height="4000"/></pattern>"#;
    let tiled = r#"<rect width="4000" height="4000" fill="url(#p)"/>"#.repeat(300);
    refusal(big(&format!("{tile}{tiled}")));
}

#[test]
fn what_is_larger_than_the_picture_is_counted_as_large_as_it_is() {
    let tile = r##"<pattern id="p" width="100000" height="100000" patternUnits="userSpaceOnUse">
        <path d="M0 0h1v1z"/></pattern><rect width="9" height="9" fill="url(#p)"/>"##;
    let told = refusal(svg(tile));
    assert!(told.contains("10000000000 pixels of layers"), "{told}");

    // Each of them alone is small enough.
    let tiles: String = (0..4)
        .map(|n| {
            format!(
                r##"<pattern id="p{n}" width="1200" height="1200" patternUnits="userSpaceOnUse">
                <rect width="9" height="9" fill="url(#p{})"/></pattern>"##,
                n + 1
            )
        })
        .collect();
    let told = refusal(svg(&format!(
        r##"{tiles}<pattern id="p4" width="1" height="1"><path d="M0 0h1v1z"/></pattern>
        <rect width="9" height="9" fill="url(#p0)"/>"##
    )));
    assert!(told.contains("pixels of layers"), "{told}");

    // Undoing the skew makes the bounds of layers large.
    let skewed = r##"<filter id="f"><feFlood/></filter><g transform="matrix(1 1 1 1.0001 0 0)">
        <rect width="40000" height="40000" filter="url(#f)"/></g>"##;
    let told = refusal(svg(skewed));
    assert!(told.contains("pixels of layers"), "{told}");
}

#[test]
fn what_is_held_around_something_else_is_summed() {
    let big =
        |content: &str| format!(r#"<svg {NAMESPACES} width="1000" height="1000">{content}</svg>"#);
    for (element, attribute) in [("mask", "mask"), ("clipPath", "clip-path")] {
        let chain = |n: usize| {
            let links: String = (0..n)
                .map(|n| {
                    let next = n + 1;
                    format!(
                        r##"<{element} id="c{n}" {attribute}="url(#c{next})">
                        <rect width="1000" height="1000" fill="#fff"/></{element}>"##
                    )
                })
                .collect();
            let last =
                format!(r##"<{element} id="c{n}"><rect width="1000" height="1000"/></{element}>"##);
            let shape = format!(r##"<rect width="1000" height="1000" {attribute}="url(#c0)"/>"##);
            big(&format!("{links}{last}{shape}"))
        };
        drawn(&chain(2)).expect("draws");
        let told = refusal(chain(20));
        assert!(told.contains("pixels of layers"), "{element}: {told}");
    }
    let (open, close) = (r#"<g opacity="0.9">"#.repeat(20), "</g>".repeat(20));
    let told = refusal(big(&format!(
        r##"<defs><g id="s">{open}<rect width="1000" height="1000"/>{close}</g></defs>
        <filter id="f"><feImage xlink:href="#s"/></filter>
        <rect width="1000" height="1000" filter="url(#f)"/>"##
    )));
    assert!(told.contains("pixels of layers"), "{told}");
}

#[test]
fn filters_are_counted_in_the_size_in_which_they_work() {
    let big =
        |content: &str| format!(r#"<svg {NAMESPACES} width="2000" height="2000">{content}</svg>"#);
    let grown = r##"<filter id="f"><feMorphology operator="dilate" radius="0.5"/></filter>
        <g transform="scale(1000)"><rect width="2" height="2" filter="url(#f)"/></g>"##;
    let told = refusal(big(grown));
    assert!(told.contains("pixels to touch"), "{told}");
    let merged = "<feMergeNode in='SourceGraphic'/>".repeat(1000);
    let told = refusal(big(&format!(
        r##"<filter id="f"><feMerge>{merged}</feMerge></filter>
        <rect width="2000" height="2000" filter="url(#f)"/>"##
    )));
    assert!(told.contains("pixels to touch"), "{told}");
}

#[test]
fn what_is_made_again_for_each_use_is_counted_each_time() {
    let shapes = "<rect width='9' height='9'/>".repeat(2000);
    let told = refusal(svg(&format!(
        r##"<pattern id="p" width="1" height="1" patternContentUnits="objectBoundingBox">
        {shapes}</pattern><g fill="url(#p)">{shapes}</g>"##
    )));
    assert!(told.contains("elements"), "{told}");
    let long = "h1".repeat(100_000);
    let uses = r##"<use xlink:href="#a"/>"##.repeat(1000);
    let told = refusal(svg(&format!(r#"<path id="a" d="M0 0{long}"/>{uses}"#)));
    assert!(told.contains("bytes of paths"), "{told}");
}

#[test]
fn many_declarations_before_the_root_are_gone_through_once() {
    let many = "<!DOCTYPE>".repeat(1_000_000);
    assert!(!is_one(format!("{many}<svg>").as_bytes()));
    let few = "<!DOCTYPE>".repeat(1000);
    assert!(is_one(format!("{few}<svg>").as_bytes()));
}

#[test]
fn what_drawing_programs_write_is_drawn() {
    // Classes with clips and gradients, as many as there are layers.
    let rules: String = (0..60)
        .map(|n| format!(".cls-{n}{{clip-path:url(#clip-{n});fill:url(#paint-{n})}}\n"))
        .collect();
    let definitions: String = (0..60)
        .map(|n| {
            format!(
                r##"<clipPath id="clip-{n}"><rect width="20" height="10"/></clipPath>
                   <linearGradient id="paint-{n}"><stop stop-color="#0f0"/></linearGradient>"##
            )
        })
        .collect();
    let shapes: String = (0..60)
        .map(|n| {
            format!(r#"<g class="cls-{n}"><rect class="cls-{n}" width="20" height="10"/></g>"#)
        })
        .collect();
    let picture = drawn(&svg(&format!(
        "<defs><style>{rules}</style>{definitions}</defs>{shapes}"
    )))
    .expect("draws");
    assert_eq!(picture.at(9, 5), [0, 255, 0, 255]);
    let shadow = r#"<filter id="s" x="-50%" width="200%"><feGaussianBlur stdDeviation="2"/>
        <feOffset dx="1"/><feMerge><feMergeNode/><feMergeNode in="SourceGraphic"/></feMerge></filter>
        <rect x="5" y="2" width="9" height="6" filter="url(#s)"/>"#;
    assert_eq!(drawn(&svg(shadow)).expect("draws").at(9, 5)[3], 255);
}

#[test]
fn damage_is_refused_and_never_panics() {
    let text = svg(
        r##"<defs><filter id="f"><feGaussianBlur stdDeviation="2"/></filter>
           <pattern id="p" width="4" height="4" patternUnits="userSpaceOnUse"><path d="M0 0h2v2z"/></pattern></defs>
           <rect width="10" height="10" fill="url(#p)" filter="url(#f)"/>"##,
    );
    for end in 0..text.len() {
        assert!(drawn(&text[..end]).is_err(), "cut at {end}");
    }
    for at in 0..text.len() {
        for byte in ['9', '<', '"', '-', 'e'] {
            let mut damaged = text.clone();
            damaged.replace_range(at..=at, &byte.to_string());
            if let Ok(facts) = inspect(damaged.as_bytes())
                && facts.stored_width.max(facts.stored_height) < 1000
                && facts.format == Format::Svg
            {
                let _ = drawn(&damaged);
            }
        }
    }
    assert!(matches!(
        inspect(b"<svg \xff></svg>"),
        Err(Error::Corrupt { .. })
    ));
}
