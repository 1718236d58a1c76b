//! Unit tests of the store. `tests/store.rs` tests its public interface.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pict_rs_media::Format;
use uuid::Uuid;

use super::*;
use crate::UploadId;
use crate::scratch::ScratchWriter;

/// The file that ties the folder to its database.
const ID: &str = ".pict-rs-store";

fn open() -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("folder");
    let store = Store::open(folder.path()).expect("opened");
    (store, folder)
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

fn scratch(store: &Store, bytes: &[u8]) -> Source {
    let mut writer = store.scratch().create().expect("created");
    writer.write(bytes).expect("written");
    Source::Scratch(writer.finish())
}

async fn write(store: &Store, bytes: &[u8]) -> StoredObject {
    let object = ObjectKey::generate(Format::Png);
    let stored = store.put(object, Format::Png, scratch(store, bytes)).await;
    stored.expect("stored")
}

/// Stores the file of a waiting upload.
async fn wait(store: &Store, bytes: &[u8]) -> (UploadId, StoredObject) {
    let id = UploadId::generate();
    let object = ObjectKey::of_upload(&id);
    let stored = store.put(object, Format::Png, scratch(store, bytes)).await;
    (id, stored.expect("stored"))
}

async fn read(store: &Store, object: &ObjectKey, size: u64, range: Range<u64>) -> Vec<u8> {
    let content = store.read(object, size, range).await.expect("there");
    content.into_vec().await.expect("read")
}

async fn size(store: &Store, object: &ObjectKey) -> Option<u64> {
    store.size(object).await.expect("asked")
}

#[tokio::test]
async fn what_is_written_can_be_read_and_leaves_nothing_else() {
    let (store, folder) = open();
    let stored = write(&store, b"hello").await;
    assert_eq!(
        *stored.key(),
        ContentKey::of(Digest::of(b"hello"), 5, Format::Png)
    );
    let object = stored.object().clone();
    stored.keep().await;
    assert_eq!(read(&store, &object, 5, 0..5).await, b"hello");
    assert_eq!(read(&store, &object, 5, 1..3).await, b"el");
    assert_eq!(read(&store, &object, 5, 0..0).await, b"");
    assert_eq!(size(&store, &object).await, Some(5));
    for wrong in [4, 6] {
        for range in [0..wrong, 0..0] {
            let error = store
                .read(&object, wrong, range)
                .await
                .expect_err("damaged");
            assert_eq!(error.code(), ErrorCode::LostFile);
        }
    }
    assert_eq!(files_below(folder.path()).len(), 1);
    for _ in 0..2 {
        // Removing twice is fine.
        let gone = store.remove(vec![object.clone()]).await;
        assert_eq!(gone.expect("removed"), std::slice::from_ref(&object));
    }
    let left: Vec<_> = fs::read_dir(folder.path()).expect("readable").collect();
    assert_eq!(left.len(), 1, "only the incoming folder: {left:?}");
    assert_eq!(size(&store, &object).await, None);
    let error = store.read(&object, 5, 0..5).await.expect_err("gone");
    assert_eq!(error.code(), ErrorCode::LostFile);
}

#[tokio::test]
async fn the_bytes_of_a_scratch_file_are_written_once() {
    use std::os::unix::fs::MetadataExt as _;
    let (store, folder) = open();
    let inode = |path: &Path| path.metadata().expect("there").ino();
    let mut writer = store.scratch().create().expect("created");
    writer.write(b"hello").expect("written");
    let file = writer.finish();
    let before = file.inode();
    let source = Source::Scratch(file);
    let object = ObjectKey::generate(Format::Png);
    let stored = store.put(object.clone(), Format::Png, source).await;
    stored.expect("stored").keep().await;
    assert_eq!(inode(&folder.path().join(object.as_str())), before);
    // So are those of another object, which stays.
    let copy = ObjectKey::generate(Format::Png);
    let source = Source::Object {
        key: object.clone(),
        digest: Digest::of(b"hello"),
        size: 5,
    };
    let stored = store.put(copy.clone(), Format::Png, source).await;
    stored.expect("stored").keep().await;
    assert_eq!(inode(&folder.path().join(copy.as_str())), before);
    store.remove(vec![object.clone()]).await.expect("removed");
    assert_eq!(read(&store, &copy, 5, 0..5).await, b"hello");
    let lost = Source::Object {
        key: object,
        digest: Digest::of(b"hello"),
        size: 5,
    };
    let again = ObjectKey::generate(Format::Png);
    let error = store.put(again, Format::Png, lost).await.expect_err("gone");
    assert_eq!(error.code(), ErrorCode::LostFile);
    assert_eq!(files_below(folder.path()).len(), 1);
}

#[tokio::test]
async fn an_upload_that_was_spooled_elsewhere_becomes_an_object() {
    let (store, folder) = open();
    let elsewhere = tempfile::tempdir().expect("folder");
    let scratch = store.scratch().clone();
    let scratch = scratch.with_uploads_in(elsewhere.path()).expect("made");
    let mut writer: ScratchWriter = scratch.create_upload().expect("created");
    writer.write(b"hello").expect("written");
    let object = ObjectKey::generate(Format::Png);
    let source = Source::Scratch(writer.finish());
    let stored = store.put(object.clone(), Format::Png, source).await;
    stored.expect("stored").keep().await;
    assert_eq!(read(&store, &object, 5, 0..5).await, b"hello");
    assert_eq!(files_below(folder.path()).len(), 1);
}

#[tokio::test]
async fn dropped_objects_leave_nothing() {
    let (store, folder) = open();
    drop(write(&store, b"never entered into the database").await);
    let mut writer = store.scratch().create().expect("created");
    writer.write(b"half").expect("written");
    drop(writer);
    assert_eq!(files_below(folder.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn an_object_that_a_row_may_name_stays_until_the_next_start() {
    let (store, folder) = open();
    let mut stored = write(&store, b"maybe").await;
    let object = stored.object().clone();
    stored.name();
    drop(stored);
    assert_eq!(size(&store, &object).await, Some(5));
    assert_eq!(files_below(folder.path()).len(), 2, "object and marker");
    let mut stored = write(&store, b"not after all").await;
    stored.name();
    stored.discard().await;
    assert_eq!(files_below(folder.path()).len(), 2);
}

#[tokio::test]
async fn recovery_removes_what_a_crash_left_and_keeps_what_is_known() {
    let (store, folder) = open();
    let (known, unknown) = (
        write(&store, b"known").await,
        write(&store, b"unknown").await,
    );
    let (known_object, unknown_object) = (known.object().clone(), unknown.object().clone());
    // A crash runs no destructors.
    std::mem::forget((known, unknown));
    let removed = store.recover(|object| {
        let is_known = object == known_object;
        async move { Ok(is_known) }
    });
    assert_eq!(removed.await.expect("recovered"), 2);
    assert_eq!(size(&store, &known_object).await, Some(5));
    assert_eq!(size(&store, &unknown_object).await, None);
    assert_eq!(files_below(folder.path()).len(), 1);
}

#[tokio::test]
async fn a_waiting_upload_goes_unless_a_row_may_name_it() {
    let (store, folder) = open();
    let (_, dropped) = wait(&store, b"dropped").await;
    let object = dropped.object().clone();
    drop(dropped);
    assert_eq!(size(&store, &object).await, None);
    let (id, mut named) = wait(&store, b"named").await;
    let object = named.object().clone();
    named.name();
    drop(named);
    assert_eq!(read(&store, &object, 5, 0..5).await, b"named");
    let file = folder
        .path()
        .join(format!(".incoming/{}.waiting", id.expose()));
    assert_eq!(files_below(folder.path()), [file]);
    // Its name is a secret.
    assert!(!format!("{object} {object:?}").contains(&id.expose()));
    store.remove(vec![object]).await.expect("removed");
    let (_, mut unnamed) = wait(&store, b"not after all").await;
    unnamed.name();
    unnamed.discard().await;
    assert_eq!(files_below(folder.path()), Vec::<PathBuf>::new());
    assert!(folder.path().join(".incoming").is_dir());
}

#[tokio::test]
async fn recovery_keeps_the_files_of_uploads_that_a_row_names() {
    let (store, _folder) = open();
    let ((_, known), (_, unknown)) = (wait(&store, b"known").await, wait(&store, b"unknown").await);
    let (known_object, unknown_object) = (known.object().clone(), unknown.object().clone());
    std::mem::forget((known, unknown));
    let removed = store.recover(|object| {
        let is_known = object == known_object;
        async move { Ok(is_known) }
    });
    assert_eq!(removed.await.expect("recovered"), 1);
    assert_eq!(size(&store, &known_object).await, Some(5));
    assert_eq!(size(&store, &unknown_object).await, None);
}

#[tokio::test]
async fn an_id_is_kept_and_what_is_not_an_id_counts_as_none() {
    let (store, folder) = open();
    assert_eq!(store.id().await.expect("read"), None);
    let id = Uuid::new_v4();
    store.set_id(id).await.expect("written");
    assert_eq!(store.id().await.expect("read"), Some(id));
    for broken in [&b""[..], b"\n", b"0a1b", b"\xff\xfe", b"This file"] {
        fs::write(folder.path().join(ID), broken).expect("written");
        assert_eq!(store.id().await.expect("read"), None, "{broken:?}");
    }
}

#[tokio::test]
async fn the_id_is_neither_an_object_nor_a_stranger() {
    let (store, folder) = open();
    store.set_id(Uuid::new_v4()).await.expect("written");
    let listed = store.list(9).next().await.expect("walked");
    assert_eq!(listed, None);
    fs::write(folder.path().join("notes.txt"), b"x").expect("written");
    assert!(!store.has_objects().await.expect("walked"));
    write(&store, b"x").await.keep().await;
    assert!(store.has_objects().await.expect("walked"));
}

#[tokio::test]
async fn a_walk_sees_every_object_once_and_nothing_unfinished() {
    let (store, folder) = open();
    let mut objects = BTreeSet::new();
    for byte in 0..9 {
        let stored = write(&store, &[byte]).await;
        objects.insert(stored.object().to_string());
        stored.keep().await;
    }
    let waiting = wait(&store, b"waiting").await;
    objects.insert(waiting.1.object().to_string());
    let unfinished = store.scratch().create();
    fs::write(folder.path().join("notes.txt"), b"x").expect("written");
    objects.insert("notes.txt".to_owned());
    let mut seen = Vec::new();
    let mut listing = store.list(4);
    while let Some(batch) = listing.next().await.expect("walked") {
        assert!(batch.len() <= 4);
        seen.extend(batch.iter().map(ToString::to_string));
    }
    assert_eq!(seen.len(), 11);
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), objects);
    drop((unfinished, waiting));
}

#[tokio::test]
async fn an_object_that_may_still_get_its_row_is_left_alone() {
    let (store, _folder) = open();
    let stored = write(&store, b"hello").await;
    let object = stored.object().clone();
    let (later, earlier) = (
        SystemTime::now() + Duration::from_secs(60),
        SystemTime::now() - Duration::from_secs(60),
    );
    let look = async |before| {
        let looks = store.look(vec![object.clone()], before).await;
        looks.expect("looked").remove(0).1
    };
    assert_eq!(look(later).await, Look::Moving);
    stored.keep().await;
    assert_eq!(look(later).await, Look::Lies(5));
    assert_eq!(look(earlier).await, Look::Young);
    store.remove(vec![object.clone()]).await.expect("removed");
    assert_eq!(look(later).await, Look::Moving);
}

#[test]
fn only_names_that_we_give_are_ours() {
    let check = |name: &str, ours| {
        assert_eq!(Store::is_ours(&ObjectKey::new(name)), ours, "{name}");
    };
    check(ObjectKey::generate(Format::Png).as_str(), true);
    check(ObjectKey::generate_for_variant(Format::Webp).as_str(), true);
    check("ab/cd/abcd0000000000000000000000000000.png", true);
    check("original/ab/cd/abcd0000000000000000000000000000.png", true);
    check("variant/ab/abcd0000000000000000000000000000.webp", true);
    check("variant/notes.txt", false);
    check("waiting/ab/abcd0000000000000000000000000000.webp", false);
    check("ab/abcd0000000000000000000000000000.png", true);
    check("ac/abcd0000000000000000000000000000.png", false);
    check("a/abcd0000000000000000000000000000.png", false);
    check("ab//abcd0000000000000000000000000000.png", false);
    check("ab/ce/abcd0000000000000000000000000000.png", false);
    check("ab/cd/abcd000000000000000000000000000g.png", false);
    check("ab/cd/abcd.png", false);
    check("abcd0000000000000000000000000000.png", false);
    check("notes.txt", false);
    check("x/ab/cd/abcd0000000000000000000000000000.png", false);
    check(
        "ab/c\u{e4}/abc\u{e4}000000000000000000000000000000.png",
        false,
    );
}

#[tokio::test]
async fn what_is_kept_in_memory_is_bounded_and_leaves_no_file() {
    let (store, folder) = open();
    let before = folder.path().read_dir().expect("readable").count();
    let (first, key) = store.keep_in_memory(Format::Webp, b"hello").expect("kept");
    assert!(Store::is_in_memory(&first));
    assert_eq!(key.size(), 5);
    assert_eq!(read(&store, &first, 5, 0..5).await, b"hello");
    assert_eq!(folder.path().read_dir().expect("readable").count(), before);

    let large = vec![0; usize::try_from(memory::CAPACITY / 2).expect("small")];
    let too_large = [&large[..], b"x"].concat();
    let error = store.keep_in_memory(Format::Webp, &too_large);
    assert_eq!(
        error.expect_err("refused").code(),
        ErrorCode::InsufficientStorage
    );
    for _ in 0..2 {
        store.keep_in_memory(Format::Webp, &large).expect("kept");
    }
    let error = store.read(&first, 5, 0..5).await.expect_err("gone");
    assert_eq!(error.code(), ErrorCode::LostFile);
}
