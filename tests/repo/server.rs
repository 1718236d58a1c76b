//! What is true of a database on a server: starts at once, what is refused at start, a server that goes
//! away, and values that SQLite takes and PostgreSQL does not.

use super::*;

/// The settings of a server that is there or is not: nothing is waited for.
fn impatient(url: &str) -> Server {
    Server::new(&ServerSettings {
        key: "repo.url",
        url,
        use_tls: false,
        certificate_file: None,
        max_connections: 4,
        patience: Duration::ZERO,
    })
    .expect("valid")
}

async fn open(url: &str, is_read_only: bool) -> pict_rs_core::Result<Repo> {
    Repo::open_at(&Location::Server(impatient(url).into()), is_read_only).await
}

async fn refusal(url: &str, is_read_only: bool) -> pict_rs_core::Error {
    open(url, is_read_only).await.expect_err("refused")
}

/// What the start says that an administrator has to change.
async fn mistake(url: &str) -> String {
    let error = refusal(url, false).await;
    assert_eq!(error.code(), ErrorCode::ConfigInvalid, "{error}");
    let text = format!("{error} {error:?}");
    assert!(!text.contains("hush"), "{text}");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_starts_at_once_make_the_tables_once() {
    let Some(cluster) = Cluster::shared_or_skip("ten_starts_at_once_make_the_tables_once") else {
        return;
    };
    let database = cluster.database();
    let starts: Vec<_> = (0..10)
        .map(|_| {
            let url = database.url();
            tokio::spawn(async move { open(&url, false).await })
        })
        .collect();
    let mut repos = Vec::new();
    for start in starts {
        repos.push(start.await.expect("no panic").expect("opened"));
    }
    let first = upload();
    repos[0].add_upload(&first).await.expect("added");
    for repo in &repos {
        assert!(repo.has_alias(&first.alias).await.expect("asked"));
    }
    assert_eq!(database.run("SELECT count(*) FROM usage").trim(), "4");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_database_and_one_of_another_program_are_refused_and_stay_as_they_are() {
    let Some(cluster) = Cluster::shared_or_skip("a_newer_database") else {
        return;
    };
    let database = cluster.database();
    open(&database.url(), false)
        .await
        .expect("opened")
        .close()
        .await;
    database.run(
        "INSERT INTO pict_rs_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'x', true, '', 0)",
    );
    let said = mistake(&database.url()).await;
    assert!(
        said.contains("newer version") && said.contains("9999"),
        "{said}"
    );

    for (table, whose) in [
        ("refinery_schema_history", "the existing pict-rs"),
        ("hashes", "another program"),
    ] {
        let database = cluster.database();
        database.run(&format!("CREATE TABLE {table} (a TEXT)"));
        let said = mistake(&database.url()).await;
        assert!(said.contains(whose), "{said}");
        let tables = database
            .run("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace");
        assert_eq!(tables.trim(), table);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_start_makes_no_tables_and_reads_what_is_there() {
    let Some(cluster) = Cluster::shared_or_skip("a_read_only_start") else {
        return;
    };
    let database = cluster.database();
    let error = refusal(&database.url(), true).await;
    assert_eq!(error.code(), ErrorCode::ConfigInvalid);
    assert!(error.to_string().contains("read-only"), "{error}");
    let repo = open(&database.url(), false).await.expect("opened");
    let first = upload();
    repo.add_upload(&first).await.expect("added");
    // As on a standby.
    let name = database.name();
    database.run(&format!(
        "ALTER DATABASE {name} SET default_transaction_read_only = on"
    ));
    let said = mistake(&database.url()).await;
    assert!(said.contains("server.read_only"), "{said}");
    let repo = open(&database.url(), true).await.expect("opened");
    assert!(repo.has_alias(&first.alias).await.expect("asked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_administrator_has_to_change_is_one_sentence() {
    let Some(cluster) = Cluster::shared_or_skip("what_an_administrator_has_to_change") else {
        return;
    };
    let database = cluster.database();
    let said = mistake(&database.url().replace(database.name(), "no_such_database")).await;
    assert!(
        said.contains("\"no_such_database\" does not exist"),
        "{said}"
    );
    let wrong = format!("{}&password=hushed", database.url_of("guarded"));
    let said = mistake(&wrong).await;
    assert!(said.contains("password authentication failed"), "{said}");
    // Since version 15 only the owner may make tables.
    database.run("REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    let right = format!("{}&password=hush", database.url_of("guarded"));
    let said = mistake(&right).await;
    assert!(said.contains("owner"), "{said}");
    let said = mistake(&format!("{}&sslmode=require", database.url())).await;
    assert!(said.contains("TLS"), "{said}");
    cluster
        .run(
            "postgres",
            "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1'",
        )
        .expect("made");
    let said = mistake(&database.url().replace(database.name(), "latin")).await;
    assert!(said.contains("UTF8") && said.contains("LATIN1"), "{said}");
    let away = refusal("postgres:///d?host=/nowhere&user=a", false).await;
    assert_eq!(away.code(), ErrorCode::RepoUnavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_away_is_used_again_and_is_missed_only_meanwhile() {
    let Some(mut cluster) = Cluster::own_or_skip("a_server_that_was_away") else {
        return;
    };
    let database = cluster.database();
    let repo = open(&database.url(), false).await.expect("opened");
    let first = upload();
    repo.add_upload(&first).await.expect("added");
    // Connections that have died while they were idle are not noticed.
    cluster.stop();
    cluster.resume().expect("started");
    assert!(repo.has_alias(&first.alias).await.expect("asked"));
    let second = upload();
    repo.add_upload(&second).await.expect("added");

    cluster.stop();
    let error = repo.has_alias(&first.alias).await.expect_err("away");
    assert_eq!(error.code(), ErrorCode::RepoUnavailable, "{error:?}");
    let error = repo.add_upload(&upload()).await.expect_err("away");
    assert_eq!(error.code(), ErrorCode::RepoUnavailable, "{error:?}");
    let error = repo.ping().await.expect_err("away");
    assert!(error.to_string().contains("cannot be reached"), "{error}");
    cluster.resume().expect("started");
    repo.ping().await.expect("back");
    repo.add_upload(&upload()).await.expect("added");
    assert!(repo.has_alias(&second.alias).await.expect("asked"));
    repo.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_waits_for_a_server_that_comes_later() {
    let Some(mut cluster) = Cluster::own_or_skip("a_start_waits") else {
        return;
    };
    let database = cluster.database();
    cluster.stop();
    let url = database.url();
    let start = tokio::spawn(async move {
        Repo::open_at(&Location::Server(postgres(&url).into()), false).await
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!start.is_finished());
    cluster.resume().expect("started");
    let repo = start.await.expect("no panic").expect("opened");
    repo.ping().await.expect("there");
    repo.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_that_lock_the_same_rows_in_another_order_all_succeed() {
    let test = "transactions_that_lock_the_same_rows_in_another_order_all_succeed";
    let Some(cluster) = Cluster::shared_or_skip(test) else {
        return;
    };
    let database = cluster.database();
    let repo = open(&database.url(), false).await.expect("opened");
    for _ in 0..12 {
        let first = upload();
        repo.add_upload(&first).await.expect("added");
        let mut used = Vec::new();
        for size in 1..40 {
            let made = add_variant(&repo, &first, &thumbnail(size)).await;
            used.push((made.object, NOW));
        }
        let cause = admin();
        // One takes its rows one by one, in the order of the objects; the other in any order.
        let (touched, purged) = tokio::join!(
            repo.touch_variants(&used, 0),
            repo.purge(first.original.hash(), Refused::Nothing, &cause, NOW)
        );
        touched.expect("touched");
        assert_eq!(purged.expect("purged").removal.objects.len(), 40);
    }
    // Sessions report what they saw at their end at the latest.
    repo.close().await;
    testkit::eventually("a deadlock, which is what this is about", || {
        let seen = database
            .run("SELECT deadlocks > 0 FROM pg_stat_database WHERE datname = current_database()");
        (seen.trim() == "t").then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn long_urls_and_odd_reasons_are_kept() {
    let Some(cluster) = Cluster::shared_or_skip("long_urls_and_odd_reasons") else {
        return;
    };
    let database = cluster.database();
    let repo = open(&database.url(), false).await.expect("opened");
    // Longer than an entry of an index, and not to be compressed.
    let mut noise = 1_u64;
    let url: String = (0..8000)
        .map(|_| {
            noise = noise
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b'a' + (noise >> 33) as u8 % 26)
        })
        .collect();
    let proxy = NewProxy {
        url: url.clone(),
        etag: None,
        last_modified: None,
        fresh_until: NOW,
        replaces: None,
    };
    let fetched = upload();
    let added = repo.add_proxied(&fetched, &proxy, NOW).await;
    assert!(added.expect("added").is_some());
    let again = repo.add_proxied(&upload(), &proxy, NOW).await;
    assert!(again.expect("asked").is_none(), "the URL has its alias");
    let found = repo.proxy(&url).await.expect("asked").expect("known");
    assert_eq!(found.alias, fetched.alias);

    let cause = Cause {
        reason: Some("a\0b".to_owned()),
        ..admin()
    };
    let removed = repo.remove_alias(&fetched.alias, Some(&cause), NOW).await;
    assert_eq!(removed.expect("removed").aliases.len(), 1);
    let entries = repo
        .audit(&AuditFilter::default(), None, 1)
        .await
        .expect("asked");
    assert_eq!(entries[0].reason.as_deref(), Some("a\u{fffd}b"));
}
