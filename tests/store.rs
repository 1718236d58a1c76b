//! The bytes: one suite for whatever is behind `Store`.

use futures_util::TryStreamExt as _;
use pict_rs_core::store::{Content, Source, Store, StoredObject};
use pict_rs_core::{ErrorCode, ObjectKey};
use pict_rs_media::Format;
use tempfile::TempDir;

use crate::support::disk;

fn empty() -> (Store, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("opened");
    (store, folder)
}

async fn write(store: &Store, pieces: &[&[u8]]) -> StoredObject {
    let mut writer = store.scratch().create().expect("created");
    for piece in pieces {
        writer.write(piece).expect("written");
    }
    let object = ObjectKey::generate(Format::Png);
    let source = Source::Scratch(writer.finish());
    let stored = store.put(object, Format::Png, source).await;
    stored.expect("stored")
}

async fn read(store: &Store, object: &ObjectKey, size: u64) -> Vec<u8> {
    let content = store.read(object, size, 0..size).await.expect("there");
    content.into_vec().await.expect("read")
}

#[tokio::test]
async fn an_object_is_its_pieces_and_its_key_their_digest() {
    let (store, folder) = empty();
    let large = vec![7; 300_000];
    let stored = write(&store, &[b"ab", b"", b"c", &large]).await;
    let object = stored.object().clone();
    let whole = [&b"abc"[..], &large].concat();
    assert_eq!(stored.key().size(), whole.len() as u64);
    assert_eq!(stored.key().format(), Format::Png);
    // The same bytes in other pieces have the same key and another place.
    let again = write(&store, &[&whole]).await;
    assert_eq!(again.key(), stored.key());
    assert_ne!(*again.object(), object);
    stored.keep().await;
    drop(again);
    assert_eq!(read(&store, &object, whole.len() as u64).await, whole);
    assert_eq!(disk::objects(folder.path()).len(), 1);
}

#[tokio::test]
async fn the_place_of_an_object_is_random_and_sharded() {
    let (store, _folder) = empty();
    let object = write(&store, &[b"x"]).await.object().to_string();
    let parts: Vec<_> = object.split('/').collect();
    assert_eq!(parts.len(), 3, "{object}");
    assert!(parts[2].starts_with(&[parts[0], parts[1]].concat()));
    assert!(parts[2].ends_with(".png"));
}

#[tokio::test]
async fn an_open_object_can_be_read_to_its_end_while_it_is_removed() {
    let (store, folder) = empty();
    let stored = write(&store, &[&[1; 700_000]]).await;
    let object = stored.object().clone();
    stored.keep().await;
    let content = store.read(&object, 700_000, 5..700_000).await;
    let gone = store.remove(vec![object.clone()]).await;
    assert_eq!(gone.expect("removed"), std::slice::from_ref(&object));
    let Content::Stream(pieces) = content.expect("there") else {
        panic!("a large object is not read at once");
    };
    let pieces: Vec<_> = pieces.into_stream().try_collect().await.expect("read");
    assert!(pieces.len() > 1);
    assert_eq!(pieces.concat(), [1; 699_995]);
    let error = store.read(&object, 700_000, 0..9).await.expect_err("gone");
    assert_eq!(error.code(), ErrorCode::LostFile);
    assert_eq!(disk::folders(folder.path()), [".incoming"]);
}

#[tokio::test]
async fn a_small_object_is_read_at_once_or_in_part() {
    let (store, _folder) = empty();
    let stored = write(&store, &[&[5; 10_000]]).await;
    for range in [0..10_000, 0..1, 9_999..10_000, 0..0] {
        let length = usize::try_from(range.end - range.start).expect("small");
        let content = store.read(stored.object(), 10_000, range).await;
        match content.expect("there") {
            Content::Bytes(bytes) => assert_eq!(bytes, vec![5; length]),
            Content::Stream(_) => assert_eq!(length, 0),
        }
    }
    let gone = ObjectKey::generate(Format::Png);
    let error = store.read(&gone, 5, 0..5).await.expect_err("not there");
    assert_eq!(error.code(), ErrorCode::LostFile);
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_and_removers_at_once_do_not_disturb_each_other() {
    let (store, folder) = empty();
    let tasks: Vec<_> = (0..8u8)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..40 {
                    let stored = write(&store, &[&[number; 100]]).await;
                    let object = stored.object().clone();
                    stored.keep().await;
                    let size = store.size(&object).await.expect("asked");
                    assert_eq!(size, Some(100));
                    assert_eq!(read(&store, &object, 100).await, [number; 100]);
                    store.remove(vec![object]).await.expect("removed");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
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
