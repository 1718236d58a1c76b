//! Small variants of large photographs are made from a reduced copy. Clients see no difference.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::thread;

use image::ImageFormat;

use crate::support::client::process_path;
use crate::support::{Launch, Server, database, disk, pictures, pixels};

const KEY: &str = "reduced/1024/jpg";

/// The files of an alias's variants, by key.
fn variants(server: &Server) -> BTreeMap<String, PathBuf> {
    server.settle();
    let select = |column: &str| {
        let query = format!("SELECT {column} FROM variants ORDER BY variant");
        database::texts(&server.data(), &query)
    };
    let objects = disk::objects(&server.files());
    let file = |object: &String| {
        let name = objects.keys().find(|name| name.ends_with(object));
        server.files().join(name.expect("its file"))
    };
    let files = select("object").iter().map(file).collect::<Vec<_>>();
    select("variant").into_iter().zip(files).collect()
}

fn photograph() -> Vec<u8> {
    pictures::jpeg(&pictures::photo(2400, 1801))
}

/// The file of the only upload of a server without variants.
fn only_file(server: &Server) -> PathBuf {
    let objects = disk::objects(&server.files());
    assert_eq!(objects.len(), 1);
    let name = objects.keys().next().expect("a file");
    server.files().join(name)
}

#[test]
fn it_is_made_with_the_second_variant_and_then_nothing_else_is_read() {
    let server = Server::start();
    let alias = server.upload(&photograph()).alias;
    let original = only_file(&server);
    let size = |operations: &str| {
        let picture = pixels::decode(&server.process("webp", &alias, operations));
        (picture.width(), picture.height())
    };
    assert_eq!(size("thumbnail=300"), (300, 225));
    assert_eq!(
        variants(&server).len(),
        1,
        "most originals have one variant"
    );
    assert_eq!(size("thumbnail=200"), (200, 150));
    let made = variants(&server);
    assert_eq!(made.len(), 3);
    let copy = pixels::decode(&fs::read(&made[KEY]).expect("readable"));
    assert_eq!((copy.width(), copy.height()), (1024, 768));

    fs::remove_file(original).expect("removed");
    assert_eq!(size("resize=640"), (640, 480));
    let path = process_path("webp", &alias, "resize=641");
    server.get(&path).refused(500, "lost-file");
}

#[test]
fn variants_look_like_those_made_from_the_original() {
    let photograph = photograph();
    let launch = Launch::new().setting("media.reduced_copies", "false");
    let without = launch.start();
    let with = Server::start();
    let alias = with.upload(&photograph).alias;
    let other = without.upload(&photograph).alias;
    with.process("webp", &alias, "thumbnail=20");
    without.process("webp", &other, "thumbnail=20");
    let decoded = |server: &Server, bytes: Vec<u8>| {
        // An AVIF is decoded by the server, from an upload that is not large.
        let bytes = match pixels::format(&bytes) {
            Some(ImageFormat::Avif) => server.process("png", &server.upload(&bytes).alias, ""),
            _ => bytes,
        };
        pixels::decode(&bytes)
    };
    for extension in ["webp", "jpg", "avif"] {
        for operations in ["thumbnail=256", "resize=Lanczos.640", "resize=.a65536"] {
            let got = decoded(&with, with.process(extension, &alias, operations));
            let expected = decoded(&without, without.process(extension, &other, operations));
            pixels::assert_similar(&got, &expected, 1.5);
        }
    }
    assert!(variants(&with).contains_key(KEY));
    assert!(!variants(&without).contains_key(KEY));
}

#[test]
fn one_that_is_lost_or_damaged_is_made_again() {
    let server = Server::start();
    let alias = server.upload(&photograph()).alias;
    server.process("webp", &alias, "thumbnail=300");
    server.process("webp", &alias, "thumbnail=200");
    let copy = variants(&server)[KEY].clone();
    fs::remove_file(&copy).expect("removed");
    server.process("webp", &alias, "thumbnail=100");
    server.wait_for_output("a reduced copy is lost or damaged");
    server.process("webp", &alias, "thumbnail=90");
    let again = variants(&server)[KEY].clone();
    assert_ne!(copy, again);

    let size = fs::metadata(&again).expect("there").len();
    fs::write(&again, vec![0; usize::try_from(size).expect("small")]).expect("written");
    server.process("webp", &alias, "thumbnail=80");
    server.process("webp", &alias, "thumbnail=70");
    assert_ne!(again, variants(&server)[KEY]);
}

#[test]
fn many_at_once_share_one() {
    let server = Server::start();
    let alias = server.upload(&photograph()).alias;
    thread::scope(|scope| {
        for size in 100..106 {
            let (server, alias) = (&server, &alias);
            scope.spawn(move || server.process("webp", alias, &format!("thumbnail={size}")));
        }
    });
    let made = variants(&server);
    assert_eq!(made.len(), 7);
    assert!(made.contains_key(KEY));
}

#[test]
fn it_goes_with_the_variants_and_does_not_count_as_one() {
    let settings = [
        ("server.api_key", "key"),
        ("media.variants_per_original", "1"),
    ];
    let server = Server::with(settings);
    let alias = server.upload(&photograph()).alias;
    for size in [300, 200, 100] {
        server.process("webp", &alias, &format!("thumbnail={size}"));
        server.settle();
    }
    let keys: Vec<_> = variants(&server).into_keys().collect();
    assert_eq!(keys, [KEY, "thumbnail/100/webp"]);
    let key = [("x-api-token", "key")];
    let answer = server.send("DELETE", "/internal/variants", &key, None);
    answer.status(204);
    crate::support::eventually("all variants are gone", || {
        variants(&server).is_empty().then_some(())
    });
}

#[test]
fn lossless_and_transparent_pictures_have_none() {
    let server = Server::start();
    for bytes in [
        pictures::webp(&pictures::quarters(2100, 40)),
        pictures::webp(&pictures::fading(2100, 40)),
    ] {
        let alias = server.upload(&bytes).alias;
        for size in [300, 200, 100] {
            let made =
                pixels::decode(&server.process("webp", &alias, &format!("thumbnail={size}")));
            assert_eq!(made.width(), size);
        }
    }
    let keys: Vec<_> = variants(&server).into_keys().collect();
    assert_eq!(
        keys,
        [
            "thumbnail/100/webp",
            "thumbnail/200/webp",
            "thumbnail/300/webp"
        ]
    );
}
