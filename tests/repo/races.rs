//! Two transactions at once on the same content. With one writer they come one after the other by
//! themselves; with several, by the lock on the content's row.

use super::*;

on_each_engine!(
    the_last_two_aliases_removed_at_once_leave_nothing,
    a_variant_that_is_made_while_its_content_is_purged_leaves_no_bytes,
    an_upload_and_the_removal_of_the_last_alias_at_once_agree,
    what_is_blocked_while_it_is_uploaded_is_gone,
);

/// Often enough for any order of two tasks.
const ROUNDS: usize = 40;

/// Everything that the database counts or keeps for removal, after all is gone.
async fn assert_nothing_left(repo: &Repo) {
    let usage = repo.usage().await.expect("counted");
    assert_eq!(
        (usage.aliases, usage.originals, usage.variants),
        Default::default()
    );
    assert_eq!(usage.proxied, Default::default());
}

async fn the_last_two_aliases_removed_at_once_leave_nothing(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
    for _ in 0..ROUNDS {
        let first = upload();
        let second = duplicate(&first);
        for upload in [&first, &second] {
            repo.add_upload(upload).await.expect("added");
        }
        let made = add_variant(&repo, &first, &thumbnail(9)).await;
        let removals = [first.alias.clone(), second.alias].map(|alias| {
            let repo = repo.clone();
            tokio::spawn(async move { repo.remove_alias(&alias, None, NOW).await })
        });
        let mut objects = Vec::new();
        for removal in removals {
            let removed = removal.await.expect("no panic").expect("removed");
            assert_eq!(removed.aliases.len(), 1);
            objects.extend(removed.objects);
        }
        // One of the two was the last.
        assert_eq!(objects.len(), 2);
        for object in [&first.original.representation.object, &made.object] {
            assert!(objects.contains(object));
            assert!(!repo.knows_object(object).await.expect("asked"));
        }
    }
    assert_nothing_left(&repo).await;
}

async fn a_variant_that_is_made_while_its_content_is_purged_leaves_no_bytes(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
    for _ in 0..ROUNDS {
        let upload = upload();
        repo.add_upload(&upload).await.expect("added");
        let hash = *upload.original.hash();
        let made = representation(Format::Webp);
        let adding = {
            let (repo, made) = (repo.clone(), made.clone());
            tokio::spawn(async move { repo.add_variant(&hash, &thumbnail(9), &made).await })
        };
        let purging = {
            let repo = repo.clone();
            tokio::spawn(async move { repo.purge(&hash, Refused::Nothing, &admin(), NOW).await })
        };
        let kept = adding.await.expect("no panic").expect("asked");
        let purged = purging.await.expect("no panic").expect("purged");
        // Either it came first and went with the content, or its maker is told to remove it.
        assert_eq!(
            purged.removal.objects.contains(&made.object),
            kept.is_some()
        );
        assert!(!repo.knows_object(&made.object).await.expect("asked"));
    }
    assert_nothing_left(&repo).await;
}

async fn an_upload_and_the_removal_of_the_last_alias_at_once_agree(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
    for _ in 0..ROUNDS {
        let first = upload();
        let second = duplicate(&first);
        repo.add_upload(&first).await.expect("added");
        let adding = {
            let (repo, second) = (repo.clone(), second.clone());
            tokio::spawn(async move { repo.add_upload(&second).await })
        };
        let removing = {
            let (repo, alias) = (repo.clone(), first.alias.clone());
            tokio::spawn(async move { repo.remove_alias(&alias, None, NOW).await })
        };
        let added = adding.await.expect("no panic").expect("added");
        let removed = removing.await.expect("no panic").expect("removed");
        // The content of the second is there, with an object that the removal does not name.
        let found = repo.original(&second.alias).await.expect("asked");
        assert_eq!(found, Some(added.original.clone()));
        assert!(
            !removed
                .objects
                .contains(&added.original.representation.object)
        );
        assert_eq!(removed.objects.len(), usize::from(added.is_new));
        repo.remove_alias(&second.alias, None, NOW)
            .await
            .expect("removed");
    }
    assert_nothing_left(&repo).await;
}

async fn what_is_blocked_while_it_is_uploaded_is_gone(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
    for _ in 0..ROUNDS {
        let first = upload();
        let second = duplicate(&first);
        repo.add_upload(&first).await.expect("added");
        let hash = *first.original.hash();
        let adding = {
            let repo = repo.clone();
            tokio::spawn(async move { repo.add_upload(&second).await })
        };
        let purging = {
            let repo = repo.clone();
            tokio::spawn(async move { repo.purge(&hash, Refused::Same, &admin(), NOW).await })
        };
        let added = adding.await.expect("no panic");
        let purged = purging.await.expect("no panic").expect("purged");
        match added {
            Ok(_) => assert_eq!(purged.removal.aliases.len(), 2),
            Err(error) => assert_eq!(error.code(), ErrorCode::Blocked),
        }
    }
    assert_nothing_left(&repo).await;
}
