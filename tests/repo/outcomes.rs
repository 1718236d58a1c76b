//! Backgrounded uploads: one outcome each, claimed once.

use super::jobs::{hold, waiting};
use super::*;

on_each_engine!(
    an_outcome_comes_with_its_alias_and_the_end_of_its_job,
    a_failure_is_an_outcome_too_and_keeps_its_words,
    of_many_claims_at_once_exactly_one_gets_the_outcome,
    what_nobody_claims_expires_with_the_alias_that_nobody_heard_of,
    an_alias_that_is_removed_before_it_is_claimed_is_told_so,
);

async fn an_outcome_comes_with_its_alias_and_the_end_of_its_job(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
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

async fn a_failure_is_an_outcome_too_and_keeps_its_words(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
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

async fn of_many_claims_at_once_exactly_one_gets_the_outcome(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
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

async fn what_nobody_claims_expires_with_the_alias_that_nobody_heard_of(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
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

async fn an_alias_that_is_removed_before_it_is_claimed_is_told_so(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
    let [id] = waiting(&repo).await;
    let job = hold(&repo, NOW).await;
    let upload = upload();
    let completed = repo.complete_upload(&job, &id, &upload, NOW).await;
    assert!(completed.expect("completed").is_some());
    repo.purge(upload.original.hash(), Refused::Nothing, &admin(), NOW)
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
