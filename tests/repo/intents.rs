//! Objects of which the database knows before they are stored: they get a row in time, or are garbage.

use super::*;

on_each_engine!(
    an_object_without_an_intent_gets_no_row,
    an_intent_is_fulfilled_by_the_row_that_names_the_object,
    an_intent_that_runs_out_makes_garbage_and_no_row_can_follow,
    a_row_and_the_end_of_its_time_at_once_agree,
    the_file_of_an_upload_that_is_over_is_garbage,
    an_object_can_be_exchanged_for_another,
);

async fn empty(engine: Engine) -> (Repo, Home) {
    let (repo, folder) = engine.empty().await;
    (repo.with_intents(), folder)
}

async fn intend(repo: &Repo, objects: &[&ObjectKey]) {
    let objects: Vec<_> = objects.iter().copied().cloned().collect();
    repo.intend(&objects, NOW + 10).await.expect("noted");
}

async fn garbage(repo: &Repo) -> Vec<ObjectKey> {
    repo.garbage().await.expect("asked")
}

/// All rows of the table, intents included.
async fn is_noted(repo: &Repo, object: &ObjectKey) -> bool {
    let unnamed = repo.unnamed(std::slice::from_ref(object)).await;
    unnamed.expect("asked").is_empty()
}

fn object_of(upload: &NewUpload) -> &ObjectKey {
    &upload.original.representation.object
}

async fn an_object_without_an_intent_gets_no_row(engine: Engine) {
    let (repo, _folder) = empty(engine).await;
    let refused = |error: pict_rs_core::Error| {
        assert_eq!(error.code(), ErrorCode::StoreUnavailable, "{error}");
    };
    let upload = upload();
    refused(repo.add_upload(&upload).await.expect_err("refused"));
    assert!(!repo.has_alias(&upload.alias).await.expect("asked"));
    let added = repo.add_waiting(&[UploadId::generate()], "", NOW, 9).await;
    refused(added.expect_err("refused"));
    assert_eq!(repo.jobs().await.expect("asked"), 0);

    intend(&repo, &[object_of(&upload)]).await;
    repo.add_upload(&upload).await.expect("added");
    let hash = upload.original.hash();
    let made = representation(Format::Webp);
    let added = repo.add_variant(hash, &thumbnail(9), &made).await;
    refused(added.expect_err("refused"));
    let variant = repo.variant(hash, &thumbnail(9)).await;
    assert!(variant.expect("asked").is_none());
    let other = ObjectKey::generate(Format::Png);
    let healed = repo.replace_object(hash, object_of(&upload), &other).await;
    refused(healed.expect_err("refused"));
    let found = repo.original(&upload.alias).await.expect("asked");
    assert_eq!(found.expect("there"), upload.original);
    // Sums count what is there.
    let usage = repo.usage().await.expect("counted");
    assert_eq!((usage.originals.count, usage.variants.count), (1, 0));
}

async fn an_intent_is_fulfilled_by_the_row_that_names_the_object(engine: Engine) {
    let (repo, _folder) = empty(engine).await;
    let (upload, made) = (upload(), representation(Format::Webp));
    let other = ObjectKey::generate(Format::Png);
    intend(&repo, &[object_of(&upload), &made.object, &other]).await;
    assert!(garbage(&repo).await.is_empty());
    assert_eq!(repo.usage().await.expect("counted").garbage, 0);
    repo.add_upload(&upload).await.expect("added");
    let hash = upload.original.hash();
    let added = repo.add_variant(hash, &thumbnail(9), &made).await;
    assert_eq!(added.expect("added"), Some(made));
    let removal = repo.replace_object(hash, object_of(&upload), &other).await;
    let removal = removal.expect("replaced").expect("there");
    assert_eq!(removal.objects, std::slice::from_ref(object_of(&upload)));
    // Nothing of it runs out later.
    assert_eq!(repo.expire_intents(NOW + 99).await.expect("done"), 0);
    assert_eq!(garbage(&repo).await, removal.objects);
    // The same bytes once more need no object.
    let second = duplicate(&upload);
    intend(&repo, &[object_of(&second)]).await;
    assert!(!repo.add_upload(&second).await.expect("added").is_new);
    assert!(is_noted(&repo, object_of(&second)).await);
}

async fn an_intent_that_runs_out_makes_garbage_and_no_row_can_follow(engine: Engine) {
    let (repo, _folder) = empty(engine).await;
    let upload = upload();
    intend(&repo, &[object_of(&upload)]).await;
    assert_eq!(repo.expire_intents(NOW + 9).await.expect("done"), 0);
    assert!(garbage(&repo).await.is_empty());
    assert_eq!(repo.expire_intents(NOW + 10).await.expect("done"), 1);
    assert_eq!(
        garbage(&repo).await,
        std::slice::from_ref(object_of(&upload))
    );
    assert!(repo.add_upload(&upload).await.is_err());
    repo.collected(&garbage(&repo).await).await.expect("noted");
    assert!(repo.add_upload(&upload).await.is_err());
    assert!(!repo.has_alias(&upload.alias).await.expect("asked"));
    assert!(!is_noted(&repo, object_of(&upload)).await);
}

async fn a_row_and_the_end_of_its_time_at_once_agree(engine: Engine) {
    let (repo, _folder) = empty(engine).await;
    for _ in 0..40 {
        let upload = upload();
        intend(&repo, &[object_of(&upload)]).await;
        let adding = {
            let (repo, upload) = (repo.clone(), upload.clone());
            tokio::spawn(async move { repo.add_upload(&upload).await.is_ok() })
        };
        let expiring = {
            let repo = repo.clone();
            tokio::spawn(async move { repo.expire_intents(NOW + 10).await.expect("done") })
        };
        let is_added = adding.await.expect("no panic");
        let expired = expiring.await.expect("no panic");
        assert_eq!(u64::from(!is_added), expired);
        let is_known = repo.knows_object(object_of(&upload)).await;
        assert_eq!(is_known.expect("asked"), is_added);
        assert_eq!(garbage(&repo).await.len(), usize::from(!is_added));
        repo.collected(&garbage(&repo).await).await.expect("noted");
    }
}

async fn the_file_of_an_upload_that_is_over_is_garbage(engine: Engine) {
    let (repo, _folder) = empty(engine).await;
    let ids = [UploadId::generate(), UploadId::generate()];
    let files = ids.map(|id| ObjectKey::new(format!("waiting/{}", id.expose())));
    intend(&repo, &[&files[0], &files[1]]).await;
    assert!(repo.add_waiting(&ids, "", NOW, 9).await.expect("added"));
    assert_eq!(repo.expire_intents(NOW + 99).await.expect("done"), 0);
    for number in 0..2 {
        let job = jobs::hold(&repo, NOW).await;
        let Work::Ingest(id) = job.work else {
            panic!("{job:?}");
        };
        if number == 0 {
            let upload = upload();
            intend(&repo, &[object_of(&upload)]).await;
            let completed = repo.complete_upload(&job, &id, &upload, NOW).await;
            assert!(completed.expect("completed").is_some());
        } else {
            let failure = Failure {
                code: ErrorCode::MediaDamaged,
                message: None,
            };
            let failed = repo.fail_upload(&job, &id, &failure, NOW).await;
            assert!(failed.expect("failed"));
        }
        assert_eq!(garbage(&repo).await.len(), number + 1);
    }
    let found = garbage(&repo).await;
    assert!(files.iter().all(|file| found.contains(file)));
}

async fn an_object_can_be_exchanged_for_another(engine: Engine) {
    let (repo, _folder) = empty(engine).await;
    let upload = upload();
    let other = ObjectKey::generate(Format::Png);
    intend(&repo, &[object_of(&upload), &other]).await;
    repo.add_upload(&upload).await.expect("added");
    let hash = upload.original.hash();
    let removal = repo.exchange_object(hash, object_of(&upload), &other).await;
    let removal = removal.expect("exchanged").expect("there");
    assert_eq!(removal.objects, std::slice::from_ref(object_of(&upload)));
    let found = repo.original(&upload.alias).await.expect("asked");
    assert_eq!(found.expect("there").representation.object, other);
    // Not once more: it points elsewhere by now.
    let late = ObjectKey::generate(Format::Png);
    intend(&repo, &[&late]).await;
    let removal = repo.exchange_object(hash, object_of(&upload), &late).await;
    assert!(removal.expect("asked").is_none());
    assert!(is_noted(&repo, &late).await);
}
