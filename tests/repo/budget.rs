//! What goes first when the budget of the disk is used up, and the sums of each day.

use super::*;
use pict_rs_core::repo::{DaySums, DroppedByValue, Sums, Total};

on_each_engine!(
    what_is_large_old_and_cheap_goes_first,
    uploads_and_what_they_share_are_never_dropped_by_value,
    days_are_kept_one_row_for_each_kind_and_forgotten,
);

const DAY: i64 = 24 * 60 * 60 * 1000;

/// A variant with this many bytes and pixels, last used some days before [`NOW`].
async fn variant(repo: &Repo, of: &NewUpload, at: u32, (size, side): (u64, u32), days: i64) {
    let mut made = representation(Format::Webp);
    let digest = made.key.digest().as_bytes().try_into().expect("32 bytes");
    made.key = ContentKey::new(digest, size, Format::Webp);
    (made.width, made.height) = (side, side);
    made.created_at = NOW - days * DAY;
    let kept = repo
        .add_variant(of.original.hash(), &thumbnail(at), &made)
        .await;
    assert!(kept.expect("added").is_some());
}

async fn variants(repo: &Repo, of: &NewUpload) -> Vec<String> {
    let found = repo.variants_of(of.original.hash(), 100).await;
    let found = found.expect("listed").into_iter().map(|one| one.name);
    found.collect()
}

fn proxied(url: &str) -> NewProxy {
    NewProxy {
        url: url.to_owned(),
        etag: None,
        last_modified: None,
        fresh_until: NOW,
        replaces: None,
    }
}

async fn what_is_large_old_and_cheap_goes_first(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
    let upload = upload();
    repo.add_upload(&upload).await.expect("added");
    variant(&repo, &upload, 1, (1_000_000, 100), 2).await;
    // The same, but small; used lately; dear to make.
    variant(&repo, &upload, 2, (500, 100), 2).await;
    variant(&repo, &upload, 3, (1_000_000, 100), 0).await;
    variant(&repo, &upload, 4, (1_000_000, 4000), 2).await;
    let dropped = repo.drop_by_value(1, NOW).await.expect("dropped");
    assert_eq!((dropped.variants.count, dropped.proxied.count), (1, 0));
    assert!(dropped.variants.bytes >= 1_000_000);
    let names = |sizes: [u32; 3]| sizes.map(|at| thumbnail(at).as_str().to_owned());
    assert_eq!(variants(&repo, &upload).await, names([2, 3, 4]));
    assert_eq!(repo.garbage().await.expect("asked").len(), 1);
    repo.drop_by_value(1, NOW).await.expect("dropped");
    assert_eq!(variants(&repo, &upload).await, names([2, 3, 4])[..2]);
    repo.drop_by_value(1, NOW).await.expect("dropped");
    assert_eq!(variants(&repo, &upload).await, names([2, 3, 4])[1..2]);
    repo.drop_by_value(u64::MAX, NOW).await.expect("dropped");
    assert!(variants(&repo, &upload).await.is_empty());
    let nothing = repo.drop_by_value(u64::MAX, NOW).await.expect("asked");
    assert_eq!(nothing, DroppedByValue::default());
    assert!(nothing.is_empty());
    assert!(repo.has_alias(&upload.alias).await.expect("asked"));
}

async fn uploads_and_what_they_share_are_never_dropped_by_value(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
    let (mine, theirs, shared) = (upload(), upload(), upload());
    repo.add_upload(&mine).await.expect("added");
    for (fetched, url) in [
        (&theirs, "https://a.example/1"),
        (&shared, "https://a.example/2"),
    ] {
        let added = repo.add_proxied(fetched, &proxied(url), NOW - DAY).await;
        added.expect("added").expect("new");
    }
    let again = duplicate(&shared);
    repo.add_upload(&again).await.expect("added");
    for of in [&mine, &theirs, &shared] {
        variant(&repo, of, 1, (1000, 30), 1).await;
    }
    while !repo
        .drop_by_value(u64::MAX, NOW)
        .await
        .expect("dropped")
        .is_empty()
    {}
    for (kept, is_there) in [
        (&mine, true),
        (&theirs, false),
        (&shared, true),
        (&again, true),
    ] {
        let found = repo.has_alias(&kept.alias).await.expect("asked");
        assert_eq!(found, is_there);
    }
    let sums = repo.sums().await.expect("counted");
    assert_eq!((sums.originals.count, sums.variants.count), (2, 0));
    assert_eq!(sums.proxied.bytes, 0);
}

async fn days_are_kept_one_row_for_each_kind_and_forgotten(engine: Engine) {
    let (repo, home) = engine.empty().await;
    let sums = |count| Sums {
        aliases: count,
        originals: Total {
            count,
            bytes: 10 * count,
            allocated: 100 * count,
        },
        ..Sums::default()
    };
    for (day, count) in [(20_000, 1), (20_001, 2), (20_001, 3), (20_005, 4)] {
        let noted = repo.note_day(day, &sums(count), 19_600).await;
        noted.expect("noted");
    }
    repo.close().await;
    drop(repo);
    let repo = engine.again(&home).await;
    let day = |day, count| DaySums {
        day,
        sums: sums(count),
    };
    let found = repo.days(0, 30_000).await.expect("listed");
    assert_eq!(found, [day(20_000, 1), day(20_001, 3), day(20_005, 4)]);
    let found = repo.days(20_001, 20_004).await.expect("listed");
    assert_eq!(found, [day(20_001, 3)]);
    repo.note_day(20_006, &sums(5), 20_005)
        .await
        .expect("noted");
    let found = repo.days(0, 30_000).await.expect("listed");
    assert_eq!(found, [day(20_005, 4), day(20_006, 5)]);
}
