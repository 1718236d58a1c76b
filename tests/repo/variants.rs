//! Variants: made once, dropped by age and size.

use super::*;

on_each_engine!(
    the_first_of_two_equal_variants_is_kept,
    a_variant_of_a_content_that_is_gone_is_not_kept,
    a_lost_variant_can_be_forgotten_and_made_again,
    variants_are_dropped_from_the_one_least_recently_used_on,
);

async fn the_first_of_two_equal_variants_is_kept(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
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

async fn a_variant_of_a_content_that_is_gone_is_not_kept(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
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

async fn a_lost_variant_can_be_forgotten_and_made_again(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
    let upload = upload();
    repo.add_upload(&upload).await.expect("added");
    let lost = add_variant(&repo, &upload, &thumbnail(9)).await;
    repo.forget_variant(&lost.object).await.expect("forgotten");
    assert!(!repo.knows_object(&lost.object).await.expect("asked"));
    add_variant(&repo, &upload, &thumbnail(9)).await;
}

async fn variants_are_dropped_from_the_one_least_recently_used_on(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
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
