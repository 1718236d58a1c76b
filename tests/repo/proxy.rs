//! Proxied URLs: a row lives and dies with its alias.

use pict_rs_core::Alias;
use pict_rs_core::repo::{NewProxy, Proxied, Proxy, Refused, Removal, Repo};

use super::{Engine, add_variant, admin, duplicate, on_each_engine, thumbnail, upload};

on_each_engine!(
    a_proxied_url_leads_to_its_alias,
    a_removed_alias_takes_its_url_with_it,
    a_newer_content_takes_the_place_of_the_old_one_at_once,
    an_equal_content_keeps_its_alias,
    an_unchanged_content_is_fresh_for_longer_and_accesses_only_move_on,
);

const URL: &str = "http://a.example/x.png";

fn of(url: &str, replaces: Option<&Alias>) -> NewProxy {
    NewProxy {
        url: url.to_owned(),
        etag: Some("\"one\"".to_owned()),
        last_modified: None,
        fresh_until: 5000,
        replaces: replaces.cloned(),
    }
}

async fn found(repo: &Repo) -> Option<Proxy> {
    repo.proxy(URL).await.expect("asked")
}

async fn added(repo: &Repo, upload: &pict_rs_core::repo::NewUpload) -> Proxied {
    let added = repo.add_proxied(upload, &of(URL, None), 1000).await;
    added.expect("added").expect("new")
}

async fn a_proxied_url_leads_to_its_alias(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
    assert_eq!(found(&repo).await, None);
    let upload = upload();
    let proxied = added(&repo, &upload).await;
    assert!(proxied.added.is_new);
    assert_eq!(proxied.alias, upload.alias);
    let expected = Proxy {
        alias: upload.alias.clone(),
        accessed_at: 1000,
        etag: Some("\"one\"".to_owned()),
        last_modified: None,
        fresh_until: 5000,
    };
    assert_eq!(found(&repo).await, Some(expected));
    let original = repo.original(&upload.alias).await.expect("asked");
    assert_eq!(original, Some(upload.original));
}

async fn a_removed_alias_takes_its_url_with_it(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
    let first = upload();
    added(&repo, &first).await;
    repo.remove_alias(&first.alias, None, 2000)
        .await
        .expect("removed");
    assert_eq!(found(&repo).await, None);
    let second = upload();
    added(&repo, &second).await;
    repo.add_upload(&duplicate(&second)).await.expect("added");
    repo.purge(second.original.hash(), Refused::Nothing, &admin(), 2000)
        .await
        .expect("purged");
    assert_eq!(found(&repo).await, None);
}

async fn a_newer_content_takes_the_place_of_the_old_one_at_once(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
    let (old, new) = (upload(), upload());
    added(&repo, &old).await;
    let variant = add_variant(&repo, &old, &thumbnail(9)).await;
    let swap = of(URL, Some(&old.alias));
    let swapped = repo.add_proxied(&new, &swap, 2000).await;
    let swapped = swapped.expect("added").expect("the old one is there");
    assert_eq!(swapped.alias, new.alias);
    assert_eq!(swapped.removal.aliases, std::slice::from_ref(&old.alias));
    let mut gone = swapped.removal.objects;
    gone.sort_by_key(ToString::to_string);
    let mut expected = vec![old.original.representation.object, variant.object];
    expected.sort_by_key(ToString::to_string);
    assert_eq!(gone, expected);
    assert_eq!(found(&repo).await.expect("known").alias, new.alias);
    assert_eq!(repo.original(&old.alias).await.expect("asked"), None);
    // A caller that takes the old one for the current one is told that it is not.
    let late = repo.add_proxied(&upload(), &swap, 3000).await;
    assert!(late.expect("asked").is_none());
    assert!(!repo.refresh_proxy(&swap).await.expect("asked"));
    let unaware = repo.add_proxied(&upload(), &of(URL, None), 3000).await;
    assert!(unaware.expect("asked").is_none());
}

async fn an_equal_content_keeps_its_alias(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
    let old = upload();
    added(&repo, &old).await;
    let again = duplicate(&old);
    let swap = of(URL, Some(&old.alias));
    let kept = repo.add_proxied(&again, &swap, 2000).await;
    let kept = kept.expect("added").expect("the old one is there");
    assert_eq!(
        (kept.alias, kept.removal),
        (old.alias.clone(), Removal::default())
    );
    assert!(!kept.added.is_new);
    assert_eq!(kept.added.original, old.original);
    let aliases = repo.aliases(old.original.hash()).await.expect("asked");
    assert_eq!(aliases, [old.alias]);
    assert_eq!(found(&repo).await.expect("known").accessed_at, 2000);
}

async fn an_unchanged_content_is_fresh_for_longer_and_accesses_only_move_on(engine: Engine) {
    let (repo, _folder) = engine.empty().await;
    let upload = upload();
    added(&repo, &upload).await;
    let mut fresh = of(URL, Some(&upload.alias));
    fresh.fresh_until = 9000;
    fresh.etag = None;
    assert!(repo.refresh_proxy(&fresh).await.expect("asked"));
    let accesses = [(URL, 3000), (URL, 2000), ("http://b.example/", 4000)];
    let accesses = accesses.map(|(url, at)| (url.to_owned(), at));
    repo.touch_proxies(&accesses).await.expect("written");
    let proxy = found(&repo).await.expect("known");
    assert_eq!((proxy.fresh_until, proxy.accessed_at), (9000, 3000));
    assert_eq!(proxy.etag, None);
}
