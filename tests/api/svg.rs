//! Drawings: refused unless they are wanted, stored as what is seen.

use crate::support::{Server, pixels};

const FLAG: &str = r##"<?xml version="1.0"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns="http://www.w3.org/2000/svg" width="60" height="40">
  <script>alert(1)</script>
  <rect width="60" height="20" fill="#c00"/>
  <image href="file:///etc/hostname" width="60" height="40"/>
</svg>"##;

#[test]
fn an_svg_is_refused_with_the_name_of_the_setting_unless_it_is_enabled() {
    let server = Server::start();
    let told = server.upload_refused("", FLAG.as_bytes(), 400, "svg-disabled");
    assert!(told.contains("media.svg.enable"), "{told}");
    assert!(!types(&server).contains("image/svg+xml"));
}

/// What clients are told that they may send.
fn types(server: &Server) -> String {
    server.get("/image/limits").ok().json()["image"]["content_types"].to_string()
}

#[test]
fn an_enabled_svg_is_stored_as_what_is_seen() {
    let server = Server::with([("media.svg.enable", "true")]);
    assert!(types(&server).contains("image/svg+xml"));
    let uploaded = server.upload(FLAG.as_bytes());
    let details = &uploaded.details;
    assert_eq!(details["content_type"], "image/webp");
    assert_eq!(
        (&details["width"], &details["height"]),
        (&60.into(), &40.into())
    );
    let original = server.original(&uploaded.alias);
    let picture = pixels::decode(&original).to_rgba8();
    assert_eq!(picture.get_pixel(30, 10).0, [204, 0, 0, 255]);
    assert_eq!(picture.get_pixel(30, 30).0[3], 0);
    server.process("png", &uploaded.alias, "resize=30");
}

#[test]
fn limits_are_for_the_drawn_size() {
    let server = Server::with([
        ("media.svg.enable", "true"),
        ("media.image.max_width", "50"),
    ]);
    server.upload_refused("", FLAG.as_bytes(), 400, "validate-width");
}

#[test]
fn what_would_take_long_or_much_is_refused_and_the_server_goes_on() {
    let server = Server::with([("media.svg.enable", "true")]);
    let head = r#"<svg xmlns="http://www.w3.org/2000/svg" width="4000" height="4000">"#;
    let nested = format!(
        "{head}{}{}</svg>",
        "<g>".repeat(50_000),
        "</g>".repeat(50_000)
    );
    let noise = format!(
        r#"{head}<filter id="f"><feTurbulence numOctaves="99999" baseFrequency="0.1"/></filter>
        <rect width="4000" height="4000" filter="url(#f)"/></svg>"#
    );
    for text in [nested, noise] {
        let answer = server.upload_form("", &[crate::support::client::File::new(text.as_bytes())]);
        assert_eq!(answer.status, 400);
    }
    server.upload_refused("", b"<svg><", 400, "media-damaged");
    server.upload_refused(
        "",
        b"<!DOCTYPE html><html><svg/></html>",
        400,
        "discover-error",
    );
    server.upload(FLAG.as_bytes());
}
