//! The database: one suite for whatever is behind `Repo`.

/// Proxied URLs.
mod proxy;

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use pict_rs_core::repo::audit::{Actor, Cause};
use pict_rs_core::repo::{
    Dropped, Enqueued, Failure, Job, NewUpload, Original, Outcome, Plan, Progress, Removal, Repo,
    Representation, Task, Work,
};
use pict_rs_core::{
    Alias, ContentKey, DeleteToken, Digest, ErrorCode, ObjectKey, UploadId, UserMessage, VariantKey,
};
use pict_rs_media::{Format, OutputFormat, operation::Operation};
use tempfile::TempDir;

/// Unix time in milliseconds; these tests have a clock of their own.
const NOW: i64 = 1_700_000_000_000;

fn admin() -> Cause {
    Cause::new(Actor::Admin)
}

fn server() -> Cause {
    Cause::new(Actor::Server)
}

/// An empty database.
async fn empty() -> (Repo, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let repo = Repo::open(folder.path()).await.expect("opened");
    (repo, folder)
}

/// The same database once more. A server that another test starts in this moment holds a copy of
/// the lock until it becomes a program of its own.
async fn again(folder: &TempDir) -> Repo {
    for _ in 0..500 {
        match Repo::open(folder.path()).await {
            Err(error) if error.code() == ErrorCode::ConfigInvalid => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            opened => return opened.expect("opened again"),
        }
    }
    panic!("the lock was never given back")
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
        source: None,
    }
}

/// The same bytes once more: another name, another object, another time.
fn duplicate(of: &NewUpload) -> NewUpload {
    let mut again = NewUpload {
        alias: Alias::generate(Format::Png),
        token: DeleteToken::generate(),
        original: of.original.clone(),
        source: None,
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
        repo.remove_alias(&absent, None, NOW).await.expect("asked"),
        Removal::default()
    );
    let purged = repo
        .purge(&hash, false, &admin(), NOW)
        .await
        .expect("asked");
    assert_eq!(purged.removal, Removal::default());
    let forgotten = repo.forget_variant(&nowhere).await;
    assert_eq!(forgotten.expect("asked"), Removal::default());
    repo.collected(std::slice::from_ref(&nowhere))
        .await
        .expect("asked");
    let replaced = repo.replace_object(&hash, &nowhere, &nowhere).await;
    assert_eq!(replaced.expect("asked"), None);
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

    let removed = repo
        .remove_alias(&first.alias, None, NOW)
        .await
        .expect("removed");
    assert!(!removed.aliases.is_empty() && removed.objects.is_empty());
    assert_eq!(repo.original(&first.alias).await.expect("asked"), None);
    assert!(repo.original(&second.alias).await.expect("asked").is_some());
    assert!(repo.garbage().await.expect("asked").is_empty());

    let removed = repo
        .remove_alias(&second.alias, None, NOW)
        .await
        .expect("removed");
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
    assert_eq!(removed.aliases.len(), 1);
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
    let purged = repo
        .purge(first.original.hash(), false, &admin(), NOW)
        .await
        .expect("purged");
    let mut aliases = vec![first.alias.clone(), second.alias.clone()];
    aliases.sort();
    assert_eq!(purged.removal.aliases, aliases);
    assert_eq!(purged.removal.objects.len(), 2);
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
    repo.remove_alias(&upload.alias, None, NOW)
        .await
        .expect("removed");
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
    let replaced = repo.replace_object(hash, lost, &found).await;
    let removal = replaced.expect("done").expect("it was lost");
    assert_eq!(
        (removal.contents, removal.objects),
        (vec![*hash], vec![lost.clone()])
    );
    assert_eq!(repo.garbage().await.expect("asked"), [lost.clone()]);
    // Whoever comes second must not take the place of the first.
    let replaced = repo.replace_object(hash, lost, &late).await;
    assert_eq!(replaced.expect("done"), None);
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
                    let removed = repo
                        .remove_alias(&upload.alias, None, NOW)
                        .await
                        .expect("removed");
                    assert_eq!(removed.aliases.len(), 1);
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
    let repo = again(&folder).await;
    assert_eq!(
        repo.original(&upload.alias).await.expect("asked"),
        Some(upload.original.clone())
    );
    let found = repo.variant(upload.original.hash(), &thumbnail(9)).await;
    assert_eq!(found.expect("asked"), Some(variant));
}

/// Far more jobs than any test adds.
const LIMIT: u64 = 100;

/// Uploads that wait for their work.
async fn waiting<const N: usize>(repo: &Repo) -> [UploadId; N] {
    let ids = std::array::from_fn(|_| UploadId::generate());
    let added = repo.add_waiting(&ids, "resize=9", NOW, LIMIT).await;
    assert!(added.expect("added"));
    ids
}

/// A job that must be due, held for a second.
async fn hold(repo: &Repo, now: i64) -> Job {
    let job = repo.hold_job(now, now + 1000).await.expect("asked");
    job.expect("a job is due")
}

async fn is_idle(repo: &Repo, now: i64) -> bool {
    repo.hold_job(now, now + 1000)
        .await
        .expect("asked")
        .is_none()
}

/// A content that variants can be queued for.
async fn queue(repo: &Repo, of: &NewUpload, variant: &str, limit: u64) -> Enqueued {
    repo.enqueue_variant(of.original.hash(), &of.alias, variant, NOW, limit)
        .await
        .expect("asked")
}

#[tokio::test]
async fn a_job_is_held_by_one_worker_until_its_lease_ends() {
    let (repo, _folder) = empty().await;
    let [id] = waiting(&repo).await;
    assert!(is_idle(&repo, NOW - 1).await, "not due yet");
    let first = hold(&repo, NOW).await;
    assert_eq!((&first.work, first.attempt), (&Work::Ingest(id), 1));
    assert_eq!(repo.next_due().await.expect("asked"), Some(NOW + 1000));
    assert!(is_idle(&repo, NOW + 999).await, "held");
    // A lease that is renewed lasts longer.
    assert!(repo.renew_job(&first, NOW + 5000).await.expect("renewed"));
    assert!(is_idle(&repo, NOW + 4999).await, "still held");
    let second = hold(&repo, NOW + 5000).await;
    assert_eq!((&second.work, second.attempt), (&Work::Ingest(id), 2));
    // Whoever lost it can do nothing with it any more.
    let failure = Failure {
        code: ErrorCode::MediaDamaged,
        message: None,
    };
    assert!(!repo.renew_job(&first, NOW + 9000).await.expect("asked"));
    assert!(!repo.retry_job(&first, NOW).await.expect("asked"));
    assert!(!repo.return_job(&first, NOW).await.expect("asked"));
    assert!(!repo.finish_job(&first).await.expect("asked"));
    let failed = repo.fail_upload(&first, &id, &failure, NOW).await;
    assert!(!failed.expect("asked"));
    let late = upload();
    let completed = repo.complete_upload(&first, &id, &late, NOW).await;
    assert!(completed.expect("asked").is_none());
    assert_eq!(repo.original(&late.alias).await.expect("asked"), None);
    let progress = repo.progress(&id).await.expect("asked");
    assert_eq!(progress, Progress::Waiting);
    assert!(repo.finish_job(&second).await.expect("finished"));
    assert_eq!(repo.jobs().await.expect("asked"), 0);
    assert_eq!(repo.next_due().await.expect("asked"), None);
}

#[tokio::test]
async fn a_job_is_tried_again_when_it_is_told_to_and_attempts_are_counted() {
    let (repo, _folder) = empty().await;
    let [_id] = waiting(&repo).await;
    let job = hold(&repo, NOW).await;
    assert!(repo.retry_job(&job, NOW + 700).await.expect("asked"));
    assert!(is_idle(&repo, NOW + 699).await, "backs off");
    let job = hold(&repo, NOW + 700).await;
    assert_eq!(job.attempt, 2);
    // Given back because the server stops: that is not the job's fault.
    assert!(repo.return_job(&job, NOW + 800).await.expect("asked"));
    assert_eq!(hold(&repo, NOW + 800).await.attempt, 2);
}

#[tokio::test]
async fn jobs_are_handed_out_in_the_order_in_which_they_are_due() {
    let (repo, _folder) = empty().await;
    let mut expected = Vec::new();
    for due in 0..5 {
        let id = UploadId::generate();
        let added = repo.add_waiting(&[id], "", NOW + due, LIMIT).await;
        assert!(added.expect("added"));
        expected.push(Work::Ingest(id));
    }
    for work in expected {
        assert_eq!(hold(&repo, NOW + 10).await.work, work);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_workers_each_job_goes_to_one() {
    let (repo, _folder) = empty().await;
    let ids: [UploadId; 40] = waiting(&repo).await;
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let repo = repo.clone();
            tokio::spawn(async move {
                let mut done = Vec::new();
                while let Some(job) = repo.hold_job(NOW, NOW + 1000).await.expect("asked") {
                    assert!(repo.finish_job(&job).await.expect("finished"));
                    done.push(job.work);
                }
                done
            })
        })
        .collect();
    let mut done = Vec::new();
    for worker in workers {
        done.extend(worker.await.expect("no panic"));
    }
    assert_eq!(done.len(), ids.len());
    assert!(ids.iter().all(|id| done.contains(&Work::Ingest(*id))));
}

#[tokio::test]
async fn the_same_variant_is_queued_once_and_again_when_it_is_done() {
    let (repo, _folder) = empty().await;
    let upload = upload();
    let other_name = duplicate(&upload);
    assert_eq!(
        queue(&repo, &upload, "thumbnail/9/webp", 2).await,
        Enqueued::Added
    );
    // Another alias of the same content is the same work.
    for known in [&upload, &other_name] {
        let enqueued = queue(&repo, known, "thumbnail/9/webp", 2).await;
        assert_eq!(enqueued, Enqueued::Known);
    }
    assert_eq!(
        queue(&repo, &upload, "thumbnail/9/png", 2).await,
        Enqueued::Added
    );
    // Full is full, but what is known needs no room.
    assert_eq!(
        queue(&repo, &upload, "thumbnail/8/png", 2).await,
        Enqueued::Full
    );
    assert_eq!(
        queue(&repo, &upload, "thumbnail/9/png", 2).await,
        Enqueued::Known
    );
    let job = hold(&repo, NOW).await;
    let Work::Variant { alias, variant } = &job.work else {
        panic!("{job:?}");
    };
    assert_eq!(*alias, upload.alias);
    assert!(variant.starts_with("thumbnail/9/"));
    // Known also while it is being done.
    assert_eq!(queue(&repo, &upload, variant, 2).await, Enqueued::Known);
    assert!(repo.finish_job(&job).await.expect("finished"));
    assert_eq!(queue(&repo, &upload, variant, 2).await, Enqueued::Added);
}

#[tokio::test]
async fn uploads_that_find_no_room_are_not_added_in_part() {
    let (repo, _folder) = empty().await;
    let ids = std::array::from_fn::<_, 3, _>(|_| UploadId::generate());
    assert!(!repo.add_waiting(&ids, "", NOW, 2).await.expect("asked"));
    assert_eq!(repo.jobs().await.expect("asked"), 0);
    for id in &ids {
        let progress = repo.progress(id).await.expect("asked");
        assert_eq!(progress, Progress::Unknown);
    }
    assert!(repo.add_waiting(&ids, "", NOW, 3).await.expect("asked"));
    assert_eq!(repo.jobs().await.expect("asked"), 3);
}

#[tokio::test]
async fn an_outcome_comes_with_its_alias_and_the_end_of_its_job() {
    let (repo, _folder) = empty().await;
    let [id] = waiting(&repo).await;
    assert_eq!(
        repo.waiting(&id).await.expect("asked").as_deref(),
        Some("resize=9")
    );
    assert!(repo.take_outcome(&id).await.expect("asked").is_none());
    let job = hold(&repo, NOW).await;
    let upload = upload();
    let added = repo.complete_upload(&job, &id, &upload, NOW + 5).await;
    assert!(added.expect("completed").expect("held").is_new);
    assert_eq!(repo.waiting(&id).await.expect("asked"), None);
    assert_eq!(repo.jobs().await.expect("asked"), 0);
    assert_eq!(repo.progress(&id).await.expect("asked"), Progress::Finished);
    let taken = repo.take_outcome(&id).await.expect("asked");
    let taken = taken.expect("there");
    assert_eq!(taken.finished_at, NOW + 5);
    let Outcome::Taken(found) = &taken.outcome else {
        panic!("{taken:?}");
    };
    assert_eq!(found.original, upload.original);
    assert_eq!(found.alias, upload.alias);
    assert!(found.token.matches(&upload.token));
    assert_eq!(repo.progress(&id).await.expect("asked"), Progress::Unknown);
    // Put back, it can be taken once more, and only once.
    repo.put_back(&id, &taken).await.expect("put back");
    assert_eq!(repo.oldest_unclaimed().await.expect("asked"), Some(NOW + 5));
    assert!(repo.take_outcome(&id).await.expect("asked").is_some());
    assert!(repo.take_outcome(&id).await.expect("asked").is_none());
}

#[tokio::test]
async fn a_failure_is_an_outcome_too_and_keeps_its_words() {
    let (repo, _folder) = empty().await;
    let ids: [UploadId; 3] = waiting(&repo).await;
    let explained = UserMessage {
        msg: "cut short".to_owned(),
        detail: Some("The file ends in the middle".to_owned()),
        limit: Some(100),
        found: Some(7),
    };
    let plain = UserMessage::from("{not JSON".to_owned());
    for message in [Some(explained), Some(plain), None] {
        let job = hold(&repo, NOW).await;
        let Work::Ingest(id) = job.work else {
            panic!("{job:?}");
        };
        let failure = Failure {
            code: ErrorCode::MediaDamaged,
            message,
        };
        let failed = repo.fail_upload(&job, &id, &failure, NOW).await;
        assert!(failed.expect("failed"));
        for _ in 0..2 {
            let taken = repo.take_outcome(&id).await.expect("asked");
            let taken = taken.expect("there");
            assert!(matches!(&taken.outcome, Outcome::Failed(found) if *found == failure));
            repo.put_back(&id, &taken).await.expect("put back");
        }
    }
    assert!(ids.iter().all(|id| !format!("{id:?}").is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_claims_at_once_exactly_one_gets_the_outcome() {
    let (repo, _folder) = empty().await;
    let ids: [UploadId; 10] = waiting(&repo).await;
    for _ in ids {
        let job = hold(&repo, NOW).await;
        let Work::Ingest(id) = job.work else {
            panic!("{job:?}");
        };
        let completed = repo.complete_upload(&job, &id, &upload(), NOW).await;
        assert!(completed.expect("completed").is_some());
    }
    for id in ids {
        let claims: Vec<_> = (0..8)
            .map(|_| {
                let repo = repo.clone();
                tokio::spawn(async move { repo.take_outcome(&id).await.expect("asked").is_some() })
            })
            .collect();
        let mut won = 0;
        for claim in claims {
            won += u32::from(claim.await.expect("no panic"));
        }
        assert_eq!(won, 1);
    }
}

#[tokio::test]
async fn what_nobody_claims_expires_with_the_alias_that_nobody_heard_of() {
    let (repo, _folder) = empty().await;
    let ids: [UploadId; 4] = waiting(&repo).await;
    let mut uploads = Vec::new();
    for finished_at in [NOW + 1, NOW + 2, NOW + 3] {
        let job = hold(&repo, NOW).await;
        let Work::Ingest(id) = job.work else {
            panic!("{job:?}");
        };
        // The first two are the same bytes.
        let upload = match uploads.first() {
            Some(first) if finished_at == NOW + 2 => duplicate(first),
            _ => upload(),
        };
        let completed = repo.complete_upload(&job, &id, &upload, finished_at).await;
        assert!(completed.expect("completed").is_some());
        uploads.push(upload);
    }
    assert_eq!(repo.oldest_unclaimed().await.expect("asked"), Some(NOW + 1));
    let (gone, removal) = repo
        .expire(NOW + 1, 10, &server(), NOW)
        .await
        .expect("expired");
    assert_eq!(
        (gone, removal.objects.len()),
        (1, 0),
        "the bytes have another name"
    );
    assert_eq!(removal.aliases, [uploads[0].alias.clone()]);
    // In pieces, the oldest first.
    let (gone, removal) = repo
        .expire(NOW + 9, 1, &server(), NOW)
        .await
        .expect("expired");
    assert_eq!((gone, removal.objects.len()), (1, 1));
    assert_eq!(removal.aliases, [uploads[1].alias.clone()]);
    let (gone, _) = repo
        .expire(NOW + 9, 10, &server(), NOW)
        .await
        .expect("expired");
    assert_eq!(gone, 1);
    assert_eq!(repo.garbage().await.expect("asked").len(), 2);
    // The fourth has no outcome yet, so it does not expire.
    let (gone, _) = repo
        .expire(i64::MAX, 10, &server(), NOW)
        .await
        .expect("asked");
    assert_eq!((gone, repo.jobs().await.expect("asked")), (0, 1));
    assert_eq!(ids.len(), 4);
}

#[tokio::test]
async fn an_alias_that_is_removed_before_it_is_claimed_is_told_so() {
    let (repo, _folder) = empty().await;
    let [id] = waiting(&repo).await;
    let job = hold(&repo, NOW).await;
    let upload = upload();
    let completed = repo.complete_upload(&job, &id, &upload, NOW).await;
    assert!(completed.expect("completed").is_some());
    repo.purge(upload.original.hash(), false, &admin(), NOW)
        .await
        .expect("purged");
    let taken = repo.take_outcome(&id).await.expect("asked");
    let taken = taken.expect("there");
    assert!(matches!(&taken.outcome, Outcome::Removed(alias) if *alias == upload.alias));
    repo.put_back(&id, &taken).await.expect("put back");
    // And expiring it removes nothing twice.
    let (gone, removal) = repo.expire(NOW, 10, &server(), NOW).await.expect("expired");
    assert_eq!((gone, removal.objects.len()), (1, 0));
}

#[tokio::test]
async fn jobs_that_were_held_when_the_server_died_are_due_at_its_next_start() {
    let (repo, folder) = empty().await;
    let ids: [UploadId; 2] = waiting(&repo).await;
    let held = hold(&repo, NOW).await;
    repo.close().await;
    drop(repo);
    let repo = again(&folder).await;
    // Even if the clock went back meanwhile.
    assert_eq!(
        repo.free_jobs(NOW - 500, NOW - 500, NOW)
            .await
            .expect("freed"),
        2
    );
    assert!(!repo.finish_job(&held).await.expect("asked"));
    let mut attempts = Vec::new();
    for _ in ids {
        attempts.push(hold(&repo, NOW - 500).await.attempt);
    }
    attempts.sort_unstable();
    assert_eq!(attempts, [1, 2], "the death counts as an attempt");
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

fn sent(bytes: &[u8]) -> Option<Digest> {
    Some(Digest::of(bytes))
}

#[tokio::test]
async fn what_is_blocked_is_not_added_in_any_form() {
    let (repo, _folder) = empty().await;
    let mut first = upload();
    first.source = sent(b"a file");
    repo.add_upload(&first).await.expect("added");
    let mut again = duplicate(&first);
    again.source = sent(b"the same picture with other metadata");
    repo.add_upload(&again).await.expect("added");
    let hash = *first.original.hash();
    let purged = repo.purge(&hash, true, &admin(), NOW).await;
    let mut blocked = purged.expect("purged").blocked;
    blocked.sort();
    let mut expected = vec![hash.digest()];
    expected.extend([first.source, again.source].into_iter().flatten());
    expected.sort();
    assert_eq!(blocked, expected);

    // The same stored bytes, from wherever.
    let mut other = duplicate(&first);
    other.source = sent(b"another file");
    let error = repo.add_upload(&other).await.expect_err("refused");
    assert_eq!(error.code(), ErrorCode::Blocked);
    // The same file, to be stored in another form.
    let mut resized = upload();
    resized.source = again.source;
    let error = repo.add_upload(&resized).await.expect_err("refused");
    assert_eq!(error.code(), ErrorCode::Blocked);
    let error = repo.refuse_blocked(&Digest::of(b"a file")).await;
    assert_eq!(error.expect_err("refused").code(), ErrorCode::Blocked);
    for refused in [&other, &resized] {
        let object = &refused.original.representation.object;
        assert!(!repo.knows_object(object).await.expect("asked"));
    }
    // One of three is forgiven.
    let digest = again.source.expect("set");
    assert!(repo.unblock(&digest, &admin(), NOW).await.expect("asked"));
    assert!(!repo.unblock(&digest, &admin(), NOW).await.expect("asked"));
    repo.add_upload(&resized).await.expect("added");
}

#[tokio::test]
async fn files_of_a_content_are_forgotten_with_it_and_bounded() {
    let (repo, _folder) = empty().await;
    let first = upload();
    for n in 0..1010_u32 {
        let mut again = duplicate(&first);
        again.source = sent(&n.to_be_bytes());
        repo.add_upload(&again).await.expect("added");
    }
    let hash = first.original.hash();
    let blocked = repo.block_content(hash, &admin(), NOW).await;
    assert_eq!(blocked.expect("blocked").len(), 1001);
    repo.purge(hash, false, &admin(), NOW)
        .await
        .expect("purged");
    let blocked = repo.block_content(hash, &admin(), NOW).await;
    assert_eq!(blocked.expect("blocked"), [hash.digest()]);
}

#[tokio::test]
async fn pages_of_contents_of_one_moment_miss_none() {
    let (repo, _folder) = empty().await;
    let mut keys = Vec::new();
    for n in 0..7 {
        let mut upload = upload();
        // Three moments.
        upload.original.representation.created_at = NOW + n / 3;
        repo.add_upload(&upload).await.expect("added");
        let original = upload.original.representation;
        keys.push((original.created_at, original.key));
    }
    keys.sort();
    keys.reverse();
    let (mut found, mut first, mut starts) = (Vec::new(), None, Vec::new());
    loop {
        let page = repo.page(first.as_ref(), None, 2).await.expect("asked");
        let key = |original: &Original| original.representation.key;
        found.extend(page.contents.iter().map(|(original, _)| key(original)));
        assert_eq!(page.prev, starts.last().copied());
        starts.push(key(&page.contents[0].0));
        first = page.next;
        if first.is_none() {
            break;
        }
    }
    let keys: Vec<_> = keys.into_iter().map(|(_, key)| key).collect();
    assert_eq!(found, keys);
    let page = repo.page(None, Some(NOW), 2).await.expect("asked");
    assert_eq!(key_of(&page.contents[0]), keys[4]);
    assert_eq!(page.prev, Some(keys[2]));
    let page = repo.page(None, Some(NOW - 1), 2).await.expect("asked");
    assert!(page.contents.is_empty() && page.next.is_none());
    assert_eq!(page.prev, Some(keys[5]));
    let page = repo.page(Some(&keys[3]), None, 0).await.expect("asked");
    assert!(page.contents.is_empty() && page.prev.is_none());
    assert_eq!(page.next, Some(keys[3]));
}

fn key_of((original, _): &(Original, Vec<Alias>)) -> ContentKey {
    *original.hash()
}

#[tokio::test]
async fn a_removal_and_its_entry_are_one() {
    let (repo, _folder) = empty().await;
    let first = upload();
    let second = duplicate(&first);
    repo.add_upload(&first).await.expect("added");
    repo.add_upload(&second).await.expect("added");
    let cause = Cause {
        actor: Actor::Token,
        reason: Some("because".to_owned()),
        request_id: Some("r1".to_owned()),
    };
    for _ in 0..2 {
        // The second time there is nothing to remove.
        let removed = repo.remove_alias(&first.alias, Some(&cause), NOW).await;
        removed.expect("asked");
    }
    repo.remove_alias(&second.alias, None, NOW)
        .await
        .expect("removed");
    repo.purge(first.original.hash(), false, &admin(), NOW)
        .await
        .expect("asked");
    let entries = repo.audit(None, 10).await.expect("asked");
    assert_eq!(entries.len(), 1);
    let entry = &entries[0];
    assert_eq!(entry.aliases, [first.alias.as_str()]);
    assert_eq!(entry.hash, Some(first.original.hash().to_hex()));
    assert_eq!(
        (entry.action.as_str(), entry.actor.as_str()),
        ("delete", "token")
    );
    assert_eq!(
        (&entry.reason, &entry.request_id),
        (&cause.reason, &cause.request_id)
    );
    assert_eq!(entry.created_at, NOW);
    assert_eq!(repo.audit(Some(entry.number), 10).await.expect("asked"), []);
    assert_eq!(repo.forget_audit(NOW, 10).await.expect("asked"), 0);
    assert_eq!(repo.forget_audit(NOW + 1, 10).await.expect("asked"), 1);
    assert_eq!(repo.audit(None, 10).await.expect("asked"), []);
}

#[tokio::test]
async fn a_run_that_was_begun_anew_is_not_advanced_by_its_past() {
    let (repo, folder) = empty().await;
    let lost = upload();
    repo.add_upload(&lost).await.expect("added");
    let plan = Plan {
        task: Task::Prune,
        total: 1,
        allowed: None,
        block: false,
    };
    let old = repo.begin_run(plan, &admin(), NOW).await.expect("begun");
    let new = repo.begin_run(plan, &admin(), NOW).await.expect("begun");
    let contents = repo.contents_after(None, 10).await.expect("asked");
    let cursor = contents.last().map(|(key, _)| *key);
    let pruned = repo.prune(&old, cursor.as_ref(), &contents, NOW).await;
    assert_eq!(pruned.expect("asked"), None);
    assert!(repo.original(&lost.alias).await.expect("asked").is_some());

    let healed = ObjectKey::generate(Format::Png);
    let object = &lost.original.representation.object;
    let replaced = repo
        .replace_object(lost.original.hash(), object, &healed)
        .await;
    assert!(replaced.expect("asked").is_some());
    // Found lost before, and healed meanwhile.
    let pruned = repo.prune(&new, cursor.as_ref(), &contents, NOW).await;
    assert_eq!(pruned.expect("asked").expect("ours").aliases, []);
    assert!(repo.original(&lost.alias).await.expect("asked").is_some());
    // Where it was is known over the end of the server.
    repo.close().await;
    drop(repo);
    let repo = Repo::open(folder.path()).await.expect("opened");
    let run = repo.unfinished_run().await.expect("asked").expect("one");
    assert_eq!(
        (run.task, run.cursor, run.progress),
        (Task::Prune, cursor, 0)
    );
    let pruned = repo.prune(&run, None, &[], NOW).await.expect("asked");
    assert!(pruned.is_some());
    assert!(repo.unfinished_run().await.expect("asked").is_none());
    let run = repo.run_of(Task::Prune).await.expect("asked").expect("one");
    assert!(run.is_finished);
}

#[tokio::test]
async fn variants_are_dropped_from_the_one_least_recently_used_on() {
    let (repo, _folder) = empty().await;
    let upload = upload();
    repo.add_upload(&upload).await.expect("added");
    let mut objects = Vec::new();
    for size in 1..=4 {
        objects.push(add_variant(&repo, &upload, &thumbnail(size)).await.object);
    }
    let made_at = upload.original.representation.created_at;
    let used = |index: usize, at| (objects[index].clone(), made_at + at);
    // The second and the third too soon to be noted.
    let uses = [used(0, 500), used(1, 90), used(2, 100), used(3, 300)];
    repo.touch_variants(&uses, 100).await.expect("noted");
    repo.touch_variants(&[], 100).await.expect("nothing");
    let usage = repo.usage().await.expect("counted");
    assert_eq!((usage.variants.count, usage.variants.bytes), (4, 4 * 77));
    assert_eq!(usage.oldest_variant, Some(made_at));

    let dropped = repo.expire_variants(made_at - 1, 9).await.expect("none");
    assert_eq!(dropped, Dropped::default());
    let dropped = repo.expire_variants(made_at, 9).await.expect("one");
    assert_eq!(
        dropped.removal.objects,
        [objects[1].clone(), objects[2].clone()]
    );
    assert_eq!(dropped.removal.contents, [*upload.original.hash(); 2]);
    assert_eq!(repo.garbage().await.expect("asked").len(), 2);

    // One too many by a byte; a limit; and nothing to do.
    let dropped = repo.shrink_variants(0, 0).await.expect("none");
    assert_eq!(dropped, Dropped::default());
    let dropped = repo.shrink_variants(2 * 4608, 9).await.expect("none");
    assert_eq!(dropped, Dropped::default());
    let dropped = repo.shrink_variants(2 * 4608 - 1, 9).await.expect("one");
    assert_eq!(dropped.removal.objects, [objects[3].clone()]);
    assert_eq!(dropped.bytes, 4608);
    let found = repo.variant(upload.original.hash(), &thumbnail(1)).await;
    assert!(found.expect("asked").is_some());
    let usage = repo.usage().await.expect("counted");
    assert_eq!((usage.variants.count, usage.variants.bytes), (1, 77));
    assert_eq!((usage.originals.count, usage.aliases), (1, 1));
    assert_eq!(usage.garbage, 3);
}

#[tokio::test]
async fn sums_follow_every_removal() {
    let (repo, _folder) = empty().await;
    let first = upload();
    let again = duplicate(&first);
    for upload in [&first, &again] {
        repo.add_upload(upload).await.expect("added");
        // A second time is no second variant.
        let made = representation(Format::Webp);
        repo.add_variant(first.original.hash(), &thumbnail(5), &made)
            .await
            .expect("added");
    }
    let count = async || {
        let usage = repo.usage().await.expect("counted");
        let (originals, variants) = (usage.originals, usage.variants);
        assert_eq!(
            (originals.bytes, variants.bytes),
            (originals.count * 77, variants.count * 77)
        );
        (usage.aliases, originals.count, variants.count)
    };
    assert_eq!(count().await, (2, 1, 1));
    repo.remove_alias(&first.alias, None, NOW)
        .await
        .expect("removed");
    assert_eq!(count().await, (1, 1, 1));
    repo.purge(first.original.hash(), false, &admin(), NOW)
        .await
        .expect("removed");
    assert_eq!(count().await, (0, 0, 0));
}

#[tokio::test]
async fn only_objects_without_a_row_are_unnamed() {
    let (repo, _folder) = empty().await;
    let upload = upload();
    repo.add_upload(&upload).await.expect("added");
    let variant = add_variant(&repo, &upload, &thumbnail(5)).await.object;
    let original = upload.original.representation.object.clone();
    let stranger = ObjectKey::new("no\"tes'.txt");
    let all = [original, stranger.clone(), variant];
    let unnamed = repo.unnamed(&all).await.expect("asked");
    assert_eq!(unnamed, std::slice::from_ref(&stranger));
    repo.purge(upload.original.hash(), false, &admin(), NOW)
        .await
        .expect("removed");
    // As garbage they still have a row.
    assert_eq!(repo.unnamed(&all).await.expect("asked"), [stranger]);
    let garbage = repo.garbage().await.expect("asked");
    assert_eq!(repo.some_garbage(1).await.expect("asked").len(), 1);
    repo.collected(&garbage).await.expect("removed");
    assert_eq!(repo.unnamed(&all).await.expect("asked").len(), 3);
}
