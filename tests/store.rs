//! The bytes: one suite for whatever is behind `Store`.

use std::io::Read as _;

use pict_rs_core::store::{Cached, Store, StoredObject};
use pict_rs_core::{ErrorCode, ObjectKey};
use pict_rs_media::Format;
use tempfile::TempDir;

use crate::support::disk;

fn empty() -> (Store, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("opened");
    (store, folder)
}

fn write(store: &Store, pieces: &[&[u8]]) -> StoredObject {
    let mut writer = store.create(Format::Png).expect("created");
    for piece in pieces {
        writer.write(piece).expect("written");
    }
    writer.finish().expect("finished")
}

fn read(store: &Store, object: &ObjectKey, size: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut file = store.open_object(object, size).expect("there");
    file.read_to_end(&mut bytes).expect("read");
    bytes
}

#[test]
fn an_object_is_its_pieces_and_its_key_their_digest() {
    let (store, folder) = empty();
    let large = vec![7; 300_000];
    let stored = write(&store, &[b"ab", b"", b"c", &large]);
    let object = stored.object().clone();
    let whole = [&b"abc"[..], &large].concat();
    assert_eq!(stored.key().size(), whole.len() as u64);
    assert_eq!(stored.key().format(), Format::Png);
    // The same bytes in other pieces have the same key and another place.
    let again = write(&store, &[&whole]);
    assert_eq!(again.key(), stored.key());
    assert_ne!(*again.object(), object);
    stored.keep();
    drop(again);
    assert_eq!(read(&store, &object, whole.len() as u64), whole);
    assert_eq!(disk::objects(folder.path()).len(), 1);
}

#[test]
fn the_place_of_an_object_is_random_and_sharded() {
    let (store, _folder) = empty();
    let object = write(&store, &[b"x"]).object().to_string();
    let parts: Vec<_> = object.split('/').collect();
    assert_eq!(parts.len(), 3, "{object}");
    assert!(parts[2].starts_with(&[parts[0], parts[1]].concat()));
    assert!(parts[2].ends_with(".png"));
}

#[test]
fn an_open_object_can_be_read_to_its_end_while_it_is_removed() {
    let (store, folder) = empty();
    let stored = write(&store, &[&[1; 100_000]]);
    let object = stored.object().clone();
    stored.keep();
    let mut file = store.open_object(&object, 100_000).expect("there");
    store.remove(&object).expect("removed");
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).expect("read");
    assert_eq!(bytes.len(), 100_000);
    let error = store.open_object(&object, 100_000).expect_err("gone");
    assert_eq!(error.code(), ErrorCode::LostFile);
    assert_eq!(disk::folders(folder.path()), [".incoming"]);
}

#[test]
fn a_cached_read_is_whole_or_says_that_it_must_wait() {
    let (store, _folder) = empty();
    let stored = write(&store, &[&[5; 10_000]]);
    match store.read_cached(stored.object(), 10_000).expect("there") {
        Cached::Bytes(bytes) => assert_eq!(bytes, vec![5; 10_000]),
        // Some file systems cannot tell what they have in memory.
        Cached::NotInMemory(mut file) => {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).expect("read");
            assert_eq!(bytes.len(), 10_000);
        }
    }
    let gone = ObjectKey::generate(Format::Png);
    let error = store.read_cached(&gone, 5).expect_err("not there");
    assert_eq!(error.code(), ErrorCode::LostFile);
}

#[test]
fn writers_and_removers_at_once_do_not_disturb_each_other() {
    let (store, folder) = empty();
    std::thread::scope(|scope| {
        for number in 0..8u8 {
            let store = &store;
            scope.spawn(move || {
                for _ in 0..40 {
                    let stored = write(store, &[&[number; 100]]);
                    let object = stored.object().clone();
                    stored.keep();
                    assert!(store.has(&object, 100));
                    assert_eq!(read(store, &object, 100), [number; 100]);
                    store.remove(&object).expect("removed");
                }
            });
        }
    });
    assert!(disk::snapshot(folder.path()).is_empty());
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "not a folder").expect("written");
    let error = Store::open(&file.join("files")).expect_err("impossible");
    assert_eq!(error.code(), ErrorCode::FileIoError);
}
