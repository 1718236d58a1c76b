//! The database: one suite for whatever is behind `Repo`.

use std::sync::atomic::{AtomicU8, Ordering};

use pict_rs_core::repo::{NewUpload, Original, Removed, Repo, Representation};
use pict_rs_core::{Alias, ContentKey, DeleteToken, ErrorCode, ObjectKey, VariantKey};
use pict_rs_media::{Format, OutputFormat, operation::Operation};
use tempfile::TempDir;

/// An empty database.
async fn empty() -> (Repo, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let repo = Repo::open(folder.path()).await.expect("opened");
    (repo, folder)
}

/// Bytes that nobody else has, somewhere in the store.
fn representation(format: Format) -> Representation {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    Representation {
        object: ObjectKey::generate(format),
        key: ContentKey::new([NEXT.fetch_add(1, Ordering::Relaxed); 32], 77, format),
        width: 40,
        height: 30,
        frames: 1,
        duration_ms: None,
        created_at: 1_700_000_000_123,
    }
}

fn upload() -> NewUpload {
    NewUpload {
        alias: Alias::generate(Format::Png),
        token: DeleteToken::generate(),
        original: Original {
            representation: representation(Format::Png),
            blurhash: "LGF5?xYk^6".to_owned(),
        },
    }
}

/// The same bytes once more: another name, another object, another time.
fn duplicate(of: &NewUpload) -> NewUpload {
    let mut again = NewUpload {
        alias: Alias::generate(Format::Png),
        token: DeleteToken::generate(),
        original: of.original.clone(),
    };
    again.original.representation.object = ObjectKey::generate(Format::Png);
    again.original.representation.created_at += 5000;
    again
}

fn thumbnail(size: u32) -> VariantKey {
    VariantKey::new(&[Operation::Thumbnail(size)], OutputFormat::Webp).expect("short")
}

async fn add_variant(repo: &Repo, of: &NewUpload, key: &VariantKey) -> Representation {
    let made = representation(Format::Webp);
    let kept = repo.add_variant(of.original.hash(), key, &made).await;
    assert_eq!(kept.expect("added"), Some(made.clone()));
    made
}

#[tokio::test]
async fn an_upload_is_found_by_its_alias_with_all_its_facts() {
    let (repo, _folder) = empty().await;
    let mut upload = upload();
    upload.original.representation.frames = 44;
    upload.original.representation.duration_ms = Some(3520);
    let added = repo.add_upload(&upload).await.expect("added");
    assert!(added.is_new);
    assert_eq!(added.original, upload.original);
    let found = repo.original(&upload.alias).await.expect("asked");
    assert_eq!(found, Some(upload.original.clone()));
    let token = repo.delete_token(&upload.alias).await.expect("asked");
    assert!(token.expect("known").matches(&upload.token));
    let object = &upload.original.representation.object;
    assert!(repo.knows_object(object).await.expect("asked"));
}

#[tokio::test]
async fn what_is_unknown_is_nothing_and_no_error() {
    let (repo, _folder) = empty().await;
    let absent = Alias::parse("absent.png").expect("valid");
    let nowhere = ObjectKey::generate(Format::Png);
    let hash = representation(Format::Png).key;
    assert_eq!(repo.original(&absent).await.expect("asked"), None);
    assert!(repo.delete_token(&absent).await.expect("asked").is_none());
    assert_eq!(repo.aliases(&hash).await.expect("asked"), []);
    assert_eq!(
        repo.variant(&hash, &thumbnail(9)).await.expect("asked"),
        None
    );
    assert!(!repo.knows_object(&nowhere).await.expect("asked"));
    assert_eq!(
        repo.remove_alias(&absent).await.expect("asked"),
        Removed::default()
    );
    let purged = repo.purge(&hash).await.expect("asked");
    assert!(purged.aliases.is_empty() && purged.objects.is_empty());
    repo.forget_variant(&nowhere).await.expect("asked");
    repo.collected(std::slice::from_ref(&nowhere))
        .await
        .expect("asked");
    let replaced = repo.replace_object(&hash, &nowhere, &nowhere).await;
    assert!(!replaced.expect("asked"));
    repo.ping().await.expect("alive");
}

#[tokio::test]
async fn the_first_object_of_a_content_stays_and_later_ones_are_told_so() {
    let (repo, _folder) = empty().await;
    let first = upload();
    let second = duplicate(&first);
    repo.add_upload(&first).await.expect("added");
    let added = repo.add_upload(&second).await.expect("added");
    assert!(!added.is_new);
    assert_eq!(added.original, first.original);
    assert_eq!(
        repo.original(&second.alias).await.expect("asked"),
        Some(first.original.clone())
    );
    let unused = &second.original.representation.object;
    assert!(!repo.knows_object(unused).await.expect("asked"));
    let mut aliases = vec![first.alias, second.alias];
    aliases.sort();
    let listed = repo.aliases(first.original.hash()).await.expect("asked");
    assert_eq!(listed, aliases);
}

#[tokio::test]
async fn an_alias_cannot_be_taken_twice() {
    let (repo, _folder) = empty().await;
    let first = upload();
    repo.add_upload(&first).await.expect("added");
    let mut thief = upload();
    thief.alias = first.alias.clone();
    assert!(repo.add_upload(&thief).await.is_err());
    // Nothing of the failed attempt stays.
    let object = &thief.original.representation.object;
    assert!(!repo.knows_object(object).await.expect("asked"));
    assert_eq!(
        repo.original(&first.alias).await.expect("asked"),
        Some(first.original)
    );
}

#[tokio::test]
async fn the_last_alias_takes_content_and_variants_with_it() {
    let (repo, _folder) = empty().await;
    let first = upload();
    let second = duplicate(&first);
    repo.add_upload(&first).await.expect("added");
    repo.add_upload(&second).await.expect("added");
    let variants = [
        add_variant(&repo, &first, &thumbnail(1)).await,
        add_variant(&repo, &first, &thumbnail(2)).await,
    ];

    let removed = repo.remove_alias(&first.alias).await.expect("removed");
    assert!(removed.existed && removed.objects.is_empty());
    assert_eq!(repo.original(&first.alias).await.expect("asked"), None);
    assert!(repo.original(&second.alias).await.expect("asked").is_some());
    assert!(repo.garbage().await.expect("asked").is_empty());

    let removed = repo.remove_alias(&second.alias).await.expect("removed");
    let mut expected: Vec<_> = variants
        .iter()
        .chain([&first.original.representation])
        .map(|representation| representation.object.to_string())
        .collect();
    expected.sort();
    let names = |objects: &[ObjectKey]| {
        let mut names: Vec<_> = objects.iter().map(ObjectKey::to_string).collect();
        names.sort();
        names
    };
    assert!(removed.existed);
    assert_eq!(names(&removed.objects), expected);
    // Until the store has removed them, they are not forgotten.
    assert_eq!(names(&repo.garbage().await.expect("asked")), expected);
    repo.collected(&removed.objects[..1]).await.expect("done");
    assert_eq!(repo.garbage().await.expect("asked").len(), 2);
    repo.collected(&removed.objects).await.expect("done");
    assert!(repo.garbage().await.expect("asked").is_empty());
    let variant = repo.variant(first.original.hash(), &thumbnail(1)).await;
    assert_eq!(variant.expect("asked"), None);
}

#[tokio::test]
async fn a_purge_takes_all_aliases_and_nothing_of_others() {
    let (repo, _folder) = empty().await;
    let (first, other) = (upload(), upload());
    let second = duplicate(&first);
    for upload in [&first, &second, &other] {
        repo.add_upload(upload).await.expect("added");
    }
    add_variant(&repo, &first, &thumbnail(1)).await;
    add_variant(&repo, &other, &thumbnail(1)).await;
    let purged = repo.purge(first.original.hash()).await.expect("purged");
    let mut aliases = vec![first.alias.clone(), second.alias.clone()];
    aliases.sort();
    assert_eq!(purged.aliases, aliases);
    assert_eq!(purged.objects.len(), 2);
    for alias in &aliases {
        assert_eq!(repo.original(alias).await.expect("asked"), None);
    }
    assert!(repo.original(&other.alias).await.expect("asked").is_some());
    let variant = repo.variant(other.original.hash(), &thumbnail(1)).await;
    assert!(variant.expect("asked").is_some());
}

#[tokio::test]
async fn the_first_of_two_equal_variants_is_kept() {
    let (repo, _folder) = empty().await;
    let upload = upload();
    repo.add_upload(&upload).await.expect("added");
    let hash = upload.original.hash();
    let first = add_variant(&repo, &upload, &thumbnail(9)).await;
    let late = representation(Format::Webp);
    let kept = repo.add_variant(hash, &thumbnail(9), &late).await;
    assert_eq!(kept.expect("added"), Some(first.clone()));
    assert!(!repo.knows_object(&late.object).await.expect("asked"));
    assert!(repo.knows_object(&first.object).await.expect("asked"));
    // Another meaning is another variant.
    add_variant(&repo, &upload, &thumbnail(10)).await;
}

#[tokio::test]
async fn a_variant_of_a_content_that_is_gone_is_not_kept() {
    let (repo, _folder) = empty().await;
    let upload = upload();
    repo.add_upload(&upload).await.expect("added");
    repo.remove_alias(&upload.alias).await.expect("removed");
    let late = representation(Format::Webp);
    let kept = repo
        .add_variant(upload.original.hash(), &thumbnail(9), &late)
        .await;
    assert_eq!(kept.expect("asked"), None);
    assert!(!repo.knows_object(&late.object).await.expect("asked"));
}

#[tokio::test]
async fn a_lost_variant_can_be_forgotten_and_made_again() {
    let (repo, _folder) = empty().await;
    let upload = upload();
    repo.add_upload(&upload).await.expect("added");
    let lost = add_variant(&repo, &upload, &thumbnail(9)).await;
    repo.forget_variant(&lost.object).await.expect("forgotten");
    assert!(!repo.knows_object(&lost.object).await.expect("asked"));
    add_variant(&repo, &upload, &thumbnail(9)).await;
}

#[tokio::test]
async fn a_lost_object_is_replaced_once() {
    let (repo, _folder) = empty().await;
    let upload = upload();
    repo.add_upload(&upload).await.expect("added");
    let hash = upload.original.hash();
    let lost = &upload.original.representation.object;
    let (found, late) = (
        ObjectKey::generate(Format::Png),
        ObjectKey::generate(Format::Png),
    );
    assert!(repo.replace_object(hash, lost, &found).await.expect("done"));
    // Whoever comes second must not take the place of the first.
    assert!(!repo.replace_object(hash, lost, &late).await.expect("done"));
    let healed = repo.original(&upload.alias).await.expect("asked");
    let healed = healed.expect("known").representation;
    assert_eq!(healed.object, found);
    assert_eq!(healed.created_at, upload.original.representation.created_at);
    assert!(!repo.knows_object(lost).await.expect("asked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_equal_uploads_at_once_exactly_one_is_new() {
    let (repo, _folder) = empty().await;
    let first = upload();
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (repo, upload) = (repo.clone(), duplicate(&first));
            tokio::spawn(async move {
                let added = repo.add_upload(&upload).await.expect("added");
                let object = upload.original.representation.object;
                assert_eq!(added.is_new, added.original.representation.object == object);
                (added.is_new, added.original.representation.object)
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.expect("no panic"));
    }
    assert_eq!(outcomes.iter().filter(|(is_new, _)| *is_new).count(), 1);
    assert!(outcomes.iter().all(|(_, object)| *object == outcomes[0].1));
    let aliases = repo.aliases(first.original.hash()).await.expect("asked");
    assert_eq!(aliases.len(), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_and_removals_at_once_leave_no_row_without_an_alias() {
    let (repo, _folder) = empty().await;
    let first = upload();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (repo, like) = (repo.clone(), first.clone());
            tokio::spawn(async move {
                for _ in 0..10 {
                    let upload = duplicate(&like);
                    let added = repo.add_upload(&upload).await.expect("added");
                    let made = representation(Format::Webp);
                    let variant = thumbnail(1);
                    repo.add_variant(upload.original.hash(), &variant, &made)
                        .await
                        .expect("asked");
                    let found = repo.original(&upload.alias).await.expect("asked");
                    assert_eq!(found, Some(added.original));
                    let removed = repo.remove_alias(&upload.alias).await.expect("removed");
                    assert!(removed.existed);
                    // The last one took the variant too.
                    assert_ne!(removed.objects.len(), 1);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    let hash = first.original.hash();
    assert_eq!(repo.aliases(hash).await.expect("asked"), []);
    assert_eq!(
        repo.variant(hash, &thumbnail(1)).await.expect("asked"),
        None
    );
    for object in repo.garbage().await.expect("asked") {
        assert!(!repo.knows_object(&object).await.expect("asked"));
    }
}

#[tokio::test]
async fn what_was_added_is_there_after_a_reopening() {
    let (repo, folder) = empty().await;
    let upload = upload();
    repo.add_upload(&upload).await.expect("added");
    let variant = add_variant(&repo, &upload, &thumbnail(9)).await;
    repo.close().await;
    drop(repo);
    let repo = Repo::open(folder.path()).await.expect("opened again");
    assert_eq!(
        repo.original(&upload.alias).await.expect("asked"),
        Some(upload.original.clone())
    );
    let found = repo.variant(upload.original.hash(), &thumbnail(9)).await;
    assert_eq!(found.expect("asked"), Some(variant));
}

#[tokio::test]
async fn one_database_has_one_owner() {
    let (repo, folder) = empty().await;
    let error = Repo::open(folder.path()).await.expect_err("in use");
    assert_eq!(error.code(), ErrorCode::ConfigInvalid);
    repo.close().await;
    drop(repo);
    Repo::open(folder.path()).await.expect("free again");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_an_error_and_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pict-rs.sqlite3");
    std::fs::write(&file, "this is somebody's diary, not a database at all").expect("written");
    let error = Repo::open(folder.path()).await.expect_err("no database");
    assert_eq!(error.code(), ErrorCode::RepoError);
    let text = std::fs::read_to_string(&file).expect("there");
    assert!(text.starts_with("this is somebody's diary"));
}
