//! The queue: each job in one hand at a time.

use super::*;

on_each_engine!(
    a_job_is_held_by_one_worker_until_its_lease_ends,
    a_job_is_tried_again_when_it_is_told_to_and_attempts_are_counted,
    jobs_are_handed_out_in_the_order_in_which_they_are_due,
    of_many_workers_each_job_goes_to_one,
    the_same_variant_is_queued_once_and_again_when_it_is_done,
    uploads_that_find_no_room_are_not_added_in_part,
    jobs_that_were_held_when_the_server_died_are_due_at_its_next_start,
);

/// Far more jobs than any test adds.
pub const LIMIT: u64 = 100;

/// Uploads that wait for their work.
pub async fn waiting<const N: usize>(repo: &Repo) -> [UploadId; N] {
    let ids = std::array::from_fn(|_| UploadId::generate());
    let added = repo.add_waiting(&ids, "resize=9", NOW, LIMIT).await;
    assert!(added.expect("added"));
    ids
}

/// A job that must be due, held for a second.
pub async fn hold(repo: &Repo, now: i64) -> Job {
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

async fn a_job_is_held_by_one_worker_until_its_lease_ends(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
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
    // A worker that lost it can do nothing with it.
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

async fn a_job_is_tried_again_when_it_is_told_to_and_attempts_are_counted(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
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

async fn jobs_are_handed_out_in_the_order_in_which_they_are_due(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
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

async fn of_many_workers_each_job_goes_to_one(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
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

async fn the_same_variant_is_queued_once_and_again_when_it_is_done(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
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

async fn uploads_that_find_no_room_are_not_added_in_part(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
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

async fn jobs_that_were_held_when_the_server_died_are_due_at_its_next_start(engine: Engine) {
    let (repo, folder) = engine.empty().await;
    let ids: [UploadId; 2] = waiting(&repo).await;
    let held = hold(&repo, NOW).await;
    repo.close().await;
    drop(repo);
    let repo = engine.again(&folder).await;
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
