//! The bytes: one suite for whatever is behind `Store`, run once for each kind.

use std::time::{Duration, SystemTime};

use futures_util::TryStreamExt as _;
use pict_rs_core::scratch::Scratch;
use pict_rs_core::store::{
    BucketSettings, Content, Credentials, Look, Prefix, Redirects, Source, Store, StoredObject,
};
use pict_rs_core::{Digest, ErrorCode, ObjectKey};
use pict_rs_media::Format;
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::disk;
use crate::support::s3::{self, Bucket, S3};

/// What objects are kept in.
#[derive(Clone, Copy, Debug)]
enum Backend {
    Folder,
    Bucket(s3::Kind),
}

/// An empty store.
struct Empty {
    store: Store,
    folder: TempDir,
    bucket: Option<Bucket>,
}

/// Makes one test of each function for each backend, so that the name of a failed one tells both.
macro_rules! on_each_backend {
    ($($test:ident),* $(,)?) => {
        on_each_backend!(@ folder (super::Backend::Folder) $($test),*);
        on_each_backend!(@ moto (super::Backend::Bucket(crate::support::s3::Kind::Moto)) $($test),*);
        on_each_backend!(@ s3s_fs (super::Backend::Bucket(crate::support::s3::Kind::S3sFs)) $($test),*);
        on_each_backend!(@ garage (super::Backend::Bucket(crate::support::s3::Kind::Garage)) $($test),*);
    };
    (@ $module:ident ($backend:expr) $($test:ident),*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    if let Some(empty) = $backend.empty(stringify!($test)) {
                        super::$test(empty).await;
                    }
                }
            )*
        }
    };
}

on_each_backend!(
    an_object_is_its_pieces_and_its_key_their_digest,
    the_place_of_an_object_is_random_and_sharded,
    an_open_object_can_be_read_to_its_end_while_it_is_removed,
    a_small_object_is_read_at_once_or_in_part,
    a_large_object_is_sent_in_parts_and_read_in_ranges,
    an_object_of_another_size_is_lost,
    an_object_becomes_another,
    what_is_dropped_or_given_up_goes_and_what_may_be_named_stays,
    writers_and_removers_at_once_do_not_disturb_each_other,
    a_listing_has_every_object_once_and_nothing_else,
    an_id_is_kept,
    a_store_that_works_says_so,
);

impl Backend {
    /// `None`, and a line, where there is no such server.
    fn empty(self, test: &str) -> Option<Empty> {
        let folder = tempfile::tempdir().expect("a folder");
        let Self::Bucket(kind) = self else {
            return Some(Empty {
                store: Store::open(folder.path()).expect("opened"),
                folder,
                bucket: None,
            });
        };
        let bucket = S3::shared(kind, test)?.bucket();
        let scratch = Scratch::of_process(folder.path()).expect("a folder");
        let settings = settings(&bucket);
        Some(Empty {
            store: Store::open_bucket(settings, scratch).expect("opened"),
            folder,
            bucket: Some(bucket),
        })
    }
}

fn settings(bucket: &Bucket) -> BucketSettings {
    BucketSettings {
        endpoint: bucket.endpoint().parse().expect("a URL"),
        name: bucket.name().to_owned(),
        region: bucket.region().to_owned(),
        credentials: Credentials::Key {
            id: s3::KEY.to_owned(),
            secret: s3::SECRET.to_owned(),
            session: None,
        },
        path_style: true,
        timeout: Duration::from_secs(30),
        certificates: None,
        redirects: Redirects::Never,
        cache_size: 0,
        cache_folder: None,
    }
}

impl Empty {
    /// The names of all objects, as they lie there.
    fn objects(&self) -> Vec<String> {
        match &self.bucket {
            None => disk::objects(self.folder.path()).into_keys().collect(),
            Some(bucket) => bucket.objects(),
        }
    }

    /// Waits until an object that nothing waits for has gone.
    fn wait_until_gone(&self, object: &ObjectKey) {
        crate::support::eventually("an object goes", || {
            let is_there = self.objects().iter().any(|name| name == object.as_str());
            (!is_there).then_some(())
        });
    }
}

async fn put(store: &Store, object: ObjectKey, pieces: &[&[u8]]) -> StoredObject {
    let mut writer = store.scratch().create().expect("created");
    for piece in pieces {
        writer.write(piece).expect("written");
    }
    let source = Source::Scratch(writer.finish());
    let stored = store.put(object, Format::Png, source).await;
    stored.expect("stored")
}

async fn write(store: &Store, pieces: &[&[u8]]) -> StoredObject {
    put(store, store.new_key(Prefix::Original, Format::Png), pieces).await
}

/// An object that a row names.
async fn keep(store: &Store, bytes: &[u8]) -> ObjectKey {
    let stored = write(store, &[bytes]).await;
    let object = stored.object().clone();
    stored.keep().await;
    object
}

async fn read(store: &Store, object: &ObjectKey, size: u64) -> Vec<u8> {
    let content = store.read(object, size, 0..size).await.expect("there");
    content.into_vec().await.expect("read")
}

async fn an_object_is_its_pieces_and_its_key_their_digest(empty: Empty) {
    let store = &empty.store;
    let large = vec![7; 300_000];
    let stored = write(store, &[b"ab", b"", b"c", &large]).await;
    let object = stored.object().clone();
    let whole = [&b"abc"[..], &large].concat();
    assert_eq!(stored.key().size(), whole.len() as u64);
    assert_eq!(stored.key().format(), Format::Png);
    // The same bytes in other pieces have the same key and another place.
    let again = write(store, &[&whole]).await;
    assert_eq!(again.key(), stored.key());
    assert_ne!(*again.object(), object);
    stored.keep().await;
    let dropped = again.object().clone();
    drop(again);
    assert_eq!(read(store, &object, whole.len() as u64).await, whole);
    empty.wait_until_gone(&dropped);
    assert_eq!(empty.objects(), [object.as_str()]);
}

async fn the_place_of_an_object_is_random_and_sharded(empty: Empty) {
    let object = write(&empty.store, &[b"x"]).await.object().to_string();
    let parts: Vec<_> = object.split('/').collect();
    let (prefix, parts) = parts.split_at(parts.len() - 3);
    assert_eq!(
        prefix,
        match empty.bucket {
            None => &[][..],
            Some(_) => &["original"],
        }
    );
    assert!(parts[2].starts_with(&[parts[0], parts[1]].concat()));
    assert!(parts[2].ends_with(".png"));
    for prefix in [Prefix::Original, Prefix::Proxied, Prefix::Variant] {
        let key = empty.store.new_key(prefix, Format::Webp);
        assert!(Store::is_ours(&key), "{key}");
        let is_told = key.as_str().starts_with(prefix.name());
        assert_eq!(is_told, empty.bucket.is_some(), "{key}");
    }
}

async fn an_open_object_can_be_read_to_its_end_while_it_is_removed(empty: Empty) {
    let store = &empty.store;
    let object = keep(store, &[1; 700_000]).await;
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
    let error = store.read(&object, 700_000, 0..0).await.expect_err("gone");
    assert_eq!(error.code(), ErrorCode::LostFile);
    assert_eq!(store.size(&object).await.expect("asked"), None);
    assert!(empty.objects().is_empty());
    if empty.bucket.is_none() {
        assert_eq!(disk::folders(empty.folder.path()), [".incoming"]);
    }
}

async fn a_small_object_is_read_at_once_or_in_part(empty: Empty) {
    let store = &empty.store;
    let stored = write(store, &[&[5; 10_000]]).await;
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

async fn a_large_object_is_sent_in_parts_and_read_in_ranges(empty: Empty) {
    let store = &empty.store;
    // More than two parts, and the last one is short.
    let bytes: Vec<u8> = (0..17_000_000_u32).map(|at| (at / 251) as u8).collect();
    let object = keep(store, &bytes).await;
    let size = bytes.len() as u64;
    assert_eq!(store.size(&object).await.expect("asked"), Some(size));
    assert!(read(store, &object, size).await == bytes);
    for range in [0..9, 8_388_600..8_388_620, size - 5..size, 1..size] {
        let part = store.read(&object, size, range.clone()).await;
        let part = part.expect("there").into_vec().await.expect("read");
        let place = |at: u64| usize::try_from(at).expect("small");
        assert!(
            part == bytes[place(range.start)..place(range.end)],
            "{range:?}"
        );
    }
    assert_eq!(empty.objects(), [object.as_str()]);
}

async fn an_object_of_another_size_is_lost(empty: Empty) {
    let store = &empty.store;
    for size in [5, 300_000] {
        let object = keep(store, &vec![1; size]).await;
        let size = size as u64;
        for wrong in [size - 1, size + 1, size + 400_000] {
            for range in [0..wrong, 0..0, wrong - 2..wrong] {
                let told = format!("{wrong} instead of {size}, {range:?}");
                let error = match store.read(&object, wrong, range).await {
                    Ok(content) => content.into_vec().await.expect_err(&told),
                    Err(error) => error,
                };
                assert_eq!(error.code(), ErrorCode::LostFile, "{told}");
            }
        }
    }
}

async fn an_object_becomes_another(empty: Empty) {
    let store = &empty.store;
    let first = keep(store, b"hello").await;
    let copy = store.new_key(Prefix::Original, Format::Png);
    let source = || Source::Object {
        key: first.clone(),
        digest: Digest::of(b"hello"),
        size: 5,
    };
    let stored = store.put(copy.clone(), Format::Png, source()).await;
    stored.expect("stored").keep().await;
    store.remove(vec![first.clone()]).await.expect("removed");
    assert_eq!(read(store, &copy, 5).await, b"hello");
    let again = store.new_key(Prefix::Original, Format::Png);
    let error = store.put(again, Format::Png, source()).await;
    assert_eq!(error.expect_err("gone").code(), ErrorCode::LostFile);
    assert_eq!(empty.objects(), [copy.as_str()]);
}

async fn what_is_dropped_or_given_up_goes_and_what_may_be_named_stays(empty: Empty) {
    let store = &empty.store;
    let dropped = write(store, &[b"dropped"]).await;
    let object = dropped.object().clone();
    drop(dropped);
    empty.wait_until_gone(&object);
    let mut given_up = write(store, &[b"not after all"]).await;
    given_up.name();
    given_up.discard().await;
    assert!(empty.objects().is_empty());
    let mut named = write(store, &[b"maybe"]).await;
    let object = named.object().clone();
    named.name();
    drop(named);
    assert_eq!(store.size(&object).await.expect("asked"), Some(5));
}

async fn writers_and_removers_at_once_do_not_disturb_each_other(empty: Empty) {
    let rounds = if empty.bucket.is_some() { 5 } else { 40 };
    let tasks: Vec<_> = (0..8u8)
        .map(|number| {
            let store = empty.store.clone();
            tokio::spawn(async move {
                for _ in 0..rounds {
                    let object = keep(&store, &[number; 100]).await;
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
    assert!(empty.objects().is_empty());
    if empty.bucket.is_none() {
        assert!(disk::snapshot(empty.folder.path()).is_empty());
    }
}

async fn a_listing_has_every_object_once_and_nothing_else(empty: Empty) {
    let store = &empty.store;
    assert!(!store.has_objects().await.expect("listed"));
    store.set_id(Uuid::new_v4()).await.expect("written");
    let mut objects = Vec::new();
    for prefix in [Prefix::Original, Prefix::Proxied, Prefix::Variant] {
        for _ in 0..3 {
            let object = store.new_key(prefix, Format::Png);
            put(store, object.clone(), &[b"hello"]).await.keep().await;
            objects.push(object);
        }
    }
    let mut listing = store.list(2);
    let mut seen = Vec::new();
    while let Some(batch) = listing.next().await.expect("listed") {
        assert!(batch.len() <= 2);
        seen.extend(batch);
    }
    assert!(seen.iter().all(Store::is_ours));
    let sorted = |keys: &[ObjectKey]| {
        let mut names: Vec<_> = keys.iter().map(ToString::to_string).collect();
        names.sort();
        names
    };
    assert_eq!(sorted(&seen), sorted(&objects));
    assert!(store.has_objects().await.expect("listed"));

    let minute = Duration::from_secs(60);
    let looks = async |before| {
        let looks = store.look(objects.clone(), before).await.expect("looked");
        looks.into_iter().map(|(_, look)| look).collect::<Vec<_>>()
    };
    let (past, future) = (SystemTime::now() - minute, SystemTime::now() + minute);
    assert_eq!(looks(past).await, [Look::Young; 9]);
    assert_eq!(looks(future).await, [Look::Lies(5); 9]);
    let gone = store.remove(objects.clone()).await.expect("removed");
    assert_eq!(sorted(&gone), sorted(&objects));
    assert_eq!(looks(future).await, [Look::Moving; 9]);
    // Once more is fine.
    let gone = store.remove(objects.clone()).await.expect("removed");
    assert_eq!(gone.len(), 9);
}

async fn an_id_is_kept(empty: Empty) {
    let store = &empty.store;
    assert_eq!(store.id().await.expect("read"), None);
    for id in [Uuid::new_v4(), Uuid::new_v4()] {
        store.set_id(id).await.expect("written");
        assert_eq!(store.id().await.expect("read"), Some(id));
    }
}

async fn a_store_that_works_says_so(empty: Empty) {
    empty.store.ping_reads().await.expect("read");
    for _ in 0..2 {
        empty.store.ping().await.expect("written");
    }
    assert!(empty.objects().is_empty());
    if let Some(bucket) = &empty.bucket {
        assert!(bucket.keys().is_empty(), "{:?}", bucket.keys());
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "not a folder").expect("written");
    let error = Store::open(&file.join("files")).expect_err("impossible");
    assert_eq!(error.code(), ErrorCode::FileIoError);
}

/// What is wrong with a bucket is told, and never taken for a lost file.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_missing_or_refuses_is_away() {
    let open = |settings| {
        let folder = tempfile::tempdir().expect("a folder");
        let scratch = Scratch::of_process(folder.path()).expect("a folder");
        let store = Store::open_bucket(settings, scratch).expect("opened");
        (store, folder)
    };
    let check = async |(store, _): &(Store, TempDir), expected: &str| {
        let object = store.new_key(Prefix::Original, Format::Png);
        let mut writer = store.scratch().create().expect("created");
        writer.write(b"hello").expect("written");
        let source = Source::Scratch(writer.finish());
        let errors = [
            store
                .read(&object, 5, 0..5)
                .await
                .map(drop)
                .expect_err("away"),
            store
                .read(&object, 5, 0..0)
                .await
                .map(drop)
                .expect_err("away"),
            store.size(&object).await.map(drop).expect_err("away"),
            store.id().await.map(drop).expect_err("away"),
            store.ping().await.expect_err("away"),
            store.ping_reads().await.expect_err("away"),
            store.has_objects().await.map(drop).expect_err("away"),
            store
                .put(object.clone(), Format::Png, source)
                .await
                .map(drop)
                .expect_err("away"),
        ];
        for error in errors {
            assert_eq!(error.code(), ErrorCode::StoreUnavailable, "{error}");
            assert!(error.to_string().contains(expected), "{error}");
        }
        let gone = store.remove(vec![object]).await.expect("tried");
        assert!(gone.is_empty());
    };
    let test = "a_bucket_that_is_missing_or_refuses_is_away";
    // s3s-fs does not tell a missing bucket from a missing object.
    if let Some(server) = S3::shared(s3::Kind::Moto, test) {
        let absent = open(settings(&server.absent_bucket()));
        check(&absent, "there is no such bucket").await;
    }
    let Some(server) = S3::shared(s3::Kind::S3sFs, test) else {
        return;
    };
    let mut wrong = settings(&server.bucket());
    wrong.credentials = Credentials::Key {
        id: s3::KEY.to_owned(),
        secret: "hush".to_owned(),
        session: None,
    };
    check(&open(wrong), "refuses the access key").await;
    let mut nowhere = settings(&server.bucket());
    // A port that nothing listens at.
    nowhere.endpoint = "http://127.0.0.1:1".parse().expect("a URL");
    check(&open(nowhere), "does not answer").await;
}
