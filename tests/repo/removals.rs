//! What a removal leaves behind: the audit log, the blocklist, the runs that prune.

use super::*;

on_each_engine!(
    what_is_blocked_is_not_added_in_any_form,
    files_of_a_content_are_forgotten_with_it_and_bounded,
    a_removal_and_its_entry_are_one,
    a_run_that_was_restarted_is_not_advanced_by_its_past,
    a_run_that_has_not_ended_goes_on_as_it_was_requested,
    variants_are_all_gone_when_their_removal_has_ended,
);

fn sent(bytes: &[u8]) -> Option<Digest> {
    Some(Digest::of(bytes))
}

async fn what_is_blocked_is_not_added_in_any_form(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
    let mut first = upload();
    first.source = sent(b"a file");
    repo.add_upload(&first).await.expect("added");
    let mut again = duplicate(&first);
    again.source = sent(b"the same picture with other metadata");
    repo.add_upload(&again).await.expect("added");
    let hash = *first.original.hash();
    let purged = repo.purge(&hash, Refused::Same, &admin(), NOW).await;
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

async fn files_of_a_content_are_forgotten_with_it_and_bounded(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
    let first = upload();
    for n in 0..1010_u32 {
        let mut again = duplicate(&first);
        again.source = sent(&n.to_be_bytes());
        repo.add_upload(&again).await.expect("added");
    }
    let hash = first.original.hash();
    let blocked = repo.block_content(hash, &admin(), NOW).await;
    assert_eq!(blocked.expect("blocked").len(), 1001);
    repo.purge(hash, Refused::Nothing, &admin(), NOW)
        .await
        .expect("purged");
    let blocked = repo.block_content(hash, &admin(), NOW).await;
    assert_eq!(blocked.expect("blocked"), [hash.digest()]);
}

async fn a_removal_and_its_entry_are_one(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
    let first = upload();
    let second = duplicate(&first);
    repo.add_upload(&first).await.expect("added");
    repo.add_upload(&second).await.expect("added");
    let cause = Cause {
        actor: Actor::Token,
        key: None,
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
    repo.purge(first.original.hash(), Refused::Nothing, &admin(), NOW)
        .await
        .expect("asked");
    let entries = repo
        .audit(&AuditFilter::default(), None, 10)
        .await
        .expect("asked");
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
    assert_eq!(
        repo.audit(&AuditFilter::default(), Some(entry.number), 10)
            .await
            .expect("asked"),
        []
    );
    assert_eq!(repo.forget_audit(NOW, 10).await.expect("asked"), 0);
    assert_eq!(repo.forget_audit(NOW + 1, 10).await.expect("asked"), 1);
    assert_eq!(
        repo.audit(&AuditFilter::default(), None, 10)
            .await
            .expect("asked"),
        []
    );
}

async fn a_run_that_was_restarted_is_not_advanced_by_its_past(engine: Engine) {
    let (repo, folder) = engine.empty().await;
    let lost = upload();
    repo.add_upload(&lost).await.expect("added");
    let plan = Plan {
        task: Task::Prune,
        total: 1,
        allowed: None,
        block: false,
        restart: true,
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
    let repo = engine.again(&folder).await;
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

async fn a_run_that_has_not_ended_goes_on_as_it_was_requested(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
    let plan = Plan {
        task: Task::Prune,
        total: 1,
        allowed: Some(7),
        block: false,
        restart: false,
    };
    let cause = Cause {
        key: Some("ada".to_owned()),
        ..admin()
    };
    let first = repo.begin_run(plan, &cause, NOW).await.expect("begun");
    let other = Plan {
        allowed: None,
        block: true,
        ..plan
    };
    let second = repo.begin_run(other, &admin(), NOW + 1).await;
    let second = second.expect("the first");
    assert_eq!(second.started_at, first.started_at);
    assert_eq!((second.allowed, second.block), (Some(7), false));
    assert_eq!(second.cause.key.as_deref(), Some("ada"));
    repo.stop_run(&first, 8, NOW + 2).await.expect("stopped");
    let third = repo.begin_run(other, &admin(), NOW + 3).await;
    let third = third.expect("another");
    assert_eq!((third.allowed, third.block), (None, true));
    assert_eq!((third.cause.key, third.is_stopped), (None, false));
    assert!(third.started_at > first.started_at);
}

async fn variants_are_all_gone_when_their_removal_has_ended(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
    let first = upload();
    repo.add_upload(&first).await.expect("added");
    let made = add_variant(&repo, &first, &thumbnail(1)).await;
    let plan = Plan {
        task: Task::Variants,
        total: 1,
        allowed: None,
        block: false,
        restart: true,
    };
    let run = repo
        .begin_run(plan, &admin(), made.created_at)
        .await
        .expect("begun");
    let mut ended = Vec::new();
    for removed in [1, 0] {
        let removal = repo.drop_variants(&run, 10, NOW + 2).await;
        let removal = removal.expect("asked").expect("ours");
        assert_eq!(removal.objects.len(), removed);
        let now = repo.run_of(Task::Variants).await.expect("asked");
        ended.push(now.expect("a run").is_finished);
    }
    // Between the two steps, caches forget what the first one has removed.
    assert_eq!(ended, [false, true]);
}
