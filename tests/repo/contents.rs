//! Contents and their aliases: adding, finding, removing, counting.

use super::*;

on_each_engine!(
    an_upload_is_found_by_its_alias_with_all_its_facts,
    what_is_unknown_is_nothing_and_no_error,
    the_first_object_of_a_content_stays_and_later_ones_are_told_so,
    an_alias_cannot_be_taken_twice,
    the_last_alias_takes_content_and_variants_with_it,
    a_purge_takes_all_aliases_and_nothing_of_others,
    a_lost_object_is_replaced_once,
    of_many_equal_uploads_at_once_exactly_one_is_new,
    uploads_and_removals_at_once_leave_no_row_without_an_alias,
    what_was_added_is_there_after_a_reopening,
    pages_of_contents_of_one_moment_miss_none,
    sums_follow_every_removal,
    only_objects_without_a_row_are_unnamed,
    a_use_is_recorded_once_within_its_precision,
);

async fn an_upload_is_found_by_its_alias_with_all_its_facts(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
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

async fn what_is_unknown_is_nothing_and_no_error(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
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
        .purge(&hash, Refused::Nothing, &admin(), NOW)
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

async fn the_first_object_of_a_content_stays_and_later_ones_are_told_so(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
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

async fn an_alias_cannot_be_taken_twice(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
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

async fn the_last_alias_takes_content_and_variants_with_it(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
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

async fn a_purge_takes_all_aliases_and_nothing_of_others(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
    let (first, other) = (upload(), upload());
    let second = duplicate(&first);
    for upload in [&first, &second, &other] {
        repo.add_upload(upload).await.expect("added");
    }
    add_variant(&repo, &first, &thumbnail(1)).await;
    add_variant(&repo, &other, &thumbnail(1)).await;
    let purged = repo
        .purge(first.original.hash(), Refused::Nothing, &admin(), NOW)
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

async fn a_lost_object_is_replaced_once(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
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
    assert_eq!(
        repo.garbage().await.expect("asked"),
        std::slice::from_ref(lost)
    );
    // The second one must not replace the first.
    let replaced = repo.replace_object(hash, lost, &late).await;
    assert_eq!(replaced.expect("done"), None);
    let healed = repo.original(&upload.alias).await.expect("asked");
    let healed = healed.expect("known").representation;
    assert_eq!(healed.object, found);
    assert_eq!(healed.created_at, upload.original.representation.created_at);
    assert!(!repo.knows_object(lost).await.expect("asked"));
}

async fn of_many_equal_uploads_at_once_exactly_one_is_new(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
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

async fn uploads_and_removals_at_once_leave_no_row_without_an_alias(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
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

async fn what_was_added_is_there_after_a_reopening(engine: Engine) {
    let (repo, folder) = engine.empty().await;
    let upload = upload();
    repo.add_upload(&upload).await.expect("added");
    let variant = add_variant(&repo, &upload, &thumbnail(9)).await;
    repo.close().await;
    drop(repo);
    let repo = engine.again(&folder).await;
    assert_eq!(
        repo.original(&upload.alias).await.expect("asked"),
        Some(upload.original.clone())
    );
    let found = repo.variant(upload.original.hash(), &thumbnail(9)).await;
    assert_eq!(found.expect("asked"), Some(variant));
}

async fn pages_of_contents_of_one_moment_miss_none(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
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

async fn sums_follow_every_removal(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
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
    repo.purge(first.original.hash(), Refused::Nothing, &admin(), NOW)
        .await
        .expect("removed");
    assert_eq!(count().await, (0, 0, 0));
}

async fn only_objects_without_a_row_are_unnamed(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
    let upload = upload();
    repo.add_upload(&upload).await.expect("added");
    let variant = add_variant(&repo, &upload, &thumbnail(5)).await.object;
    let original = upload.original.representation.object.clone();
    let stranger = ObjectKey::new("no\"tes'.txt");
    let all = [original, stranger.clone(), variant];
    let unnamed = repo.unnamed(&all).await.expect("asked");
    assert_eq!(unnamed, std::slice::from_ref(&stranger));
    repo.purge(upload.original.hash(), Refused::Nothing, &admin(), NOW)
        .await
        .expect("removed");
    // As garbage they still have a row.
    assert_eq!(repo.unnamed(&all).await.expect("asked"), [stranger]);
    let garbage = repo.garbage().await.expect("asked");
    assert_eq!(repo.some_garbage(1).await.expect("asked").len(), 1);
    repo.collected(&garbage).await.expect("removed");
    assert_eq!(repo.unnamed(&all).await.expect("asked").len(), 3);
}

async fn a_use_is_recorded_once_within_its_precision(engine: Engine) {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    let (repo, _folder) = engine.empty().await;
    assert_eq!(repo.uses_since().await.expect("asked"), 0);
    let upload = upload();
    repo.add_upload(&upload).await.expect("added");
    let hash = upload.original.hash();
    let used_at = async || repo.used_at(hash).await.expect("asked");
    assert_eq!(used_at().await, None);
    for (at, recorded) in [
        (NOW, NOW),
        (NOW + DAY - 1, NOW),
        (NOW + DAY + 1, NOW + DAY + 1),
        // The clock was wrong.
        (NOW, NOW),
    ] {
        repo.touch_contents(&[(*hash, at)], DAY)
            .await
            .expect("recorded");
        assert_eq!(used_at().await, Some(recorded), "{at}");
    }
    let listed = repo.contents(None, None, 10).await.expect("listed");
    assert_eq!(listed[0].used_at, Some(NOW));
    repo.record_uses_since(NOW).await.expect("recorded");
    assert_eq!(repo.uses_since().await.expect("asked"), NOW);
    // What is gone is not used.
    repo.purge(hash, Refused::Nothing, &admin(), NOW)
        .await
        .expect("removed");
    repo.touch_contents(&[(*hash, NOW)], DAY)
        .await
        .expect("nothing to do");
    assert_eq!(used_at().await, None);
}
