//! What docs/scaling.md shows: the settings of its compose file, word for word, on real servers in place
//! of the other containers, and its nginx in front.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::nginx::Nginx;
use crate::support::server::Program;
use crate::support::{Launch, eventually, pictures};
use testkit::postgres::{Cluster, Database};
use testkit::s3::{Bucket, KEY, Kind, S3, SECRET};

const COMPOSE: &str = include_str!("../contrib/scaling/docker-compose.yml");
const GARAGE: &str = include_str!("../contrib/scaling/garage.toml");

/// The variables of a service.
fn environment(service: &str) -> BTreeMap<String, String> {
    let head = format!("\n  {service}:\n");
    let (_, rest) = COMPOSE.split_once(&head).expect("a service of this name");
    let end = rest.lines().position(|line| {
        // The next service, or the next section.
        !line.is_empty() && !line.starts_with("   ")
    });
    let lines = rest.lines().take(end.unwrap_or(usize::MAX));
    let entries = lines.filter_map(|line| line.strip_prefix("      - ")?.split_once('='));
    let found: BTreeMap<_, _> = entries
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert!(!found.is_empty(), "{service} has no variables");
    found
}

/// A server as its service says. The other containers are reached elsewhere here, and the secrets are
/// those of these servers; all else is as in the file.
fn launch(database: &Database, bucket: &Bucket) -> Launch {
    let mut launch = Launch::of(Program::under_test());
    for (name, value) in environment("pictrs") {
        let value = match &*value {
            "${PICTRS_API_KEY:?}" => "key".to_owned(),
            "${S3_ACCESS_KEY:?}" => KEY.to_owned(),
            "${S3_SECRET_KEY:?}" => SECRET.to_owned(),
            "http://garage:3900" => bucket.endpoint(),
            "postgres://pict-rs:${POSTGRES_PASSWORD:?}@postgres:5432/pict-rs" => database.url(),
            "pict-rs" if name == "PICTRS__STORE__BUCKET_NAME" => bucket.name().to_owned(),
            plain => {
                assert!(!plain.contains(['$', '@', ':']), "{name}={plain}");
                plain.to_owned()
            }
        };
        launch = launch.environment(&name, value);
    }
    launch
}

#[test]
fn several_servers_run_as_the_file_for_scaling_says() {
    several_servers(Kind::S3sFs);
}

#[test]
fn several_servers_run_on_garage_as_the_file_for_scaling_says() {
    several_servers(Kind::Garage);
}

fn several_servers(kind: Kind) {
    const TEST: &str = "the compose file with PostgreSQL and Garage";
    let Some(cluster) = Cluster::shared_or_skip(TEST) else {
        return;
    };
    let Some(s3) = S3::shared(kind, TEST) else {
        return;
    };
    let (database, bucket) = (cluster.database(), s3.bucket());
    let first = launch(&database, &bucket).start();
    let second = launch(&database, &bucket).start();
    let uploaded = first.upload(&pictures::png(&pictures::photo(300, 200)));
    let original = first.original(&uploaded.alias);
    assert_eq!(second.original(&uploaded.alias), original);
    second.process("webp", &uploaded.alias, "thumbnail=64");
    // Rows are in the database, bytes in the bucket, and no server has any of both.
    let rows = "SELECT (SELECT count(*) FROM hashes) || ' ' || (SELECT count(*) FROM variants)";
    eventually("the row of the variant", || {
        (database.run(rows).trim() == "1 1").then_some(())
    });
    assert_eq!(bucket.objects().len(), 2);
    let health: Value = second
        .get_with("/internal/health", &[("X-Api-Token", "key")])
        .ok()
        .json();
    for part in ["repo", "store"] {
        assert_eq!(health[part]["ok"], true, "{health}");
    }
    // One of them dies, and its place is taken by another.
    first.kill();
    let third = launch(&database, &bucket).start();
    assert_eq!(third.original(&uploaded.alias), original);
    let path = format!("/image/delete/{}/{}", uploaded.token, uploaded.alias);
    third.delete(&path).status(204);
    eventually("an empty bucket", || {
        bucket.objects().is_empty().then_some(())
    });
    let gone = format!("/image/original/{}", uploaded.alias);
    second.get(&gone).refused(404, "alias-not-found");
}

#[test]
fn the_containers_of_the_file_for_scaling_fit_each_other() {
    let (server, postgres) = (environment("pictrs"), environment("postgres"));
    let url = &server["PICTRS__REPO__URL"];
    assert!(url.starts_with(&format!("postgres://{}:", postgres["POSTGRES_USER"])));
    assert!(url.ends_with(&format!("@postgres:5432/{}", postgres["POSTGRES_DB"])));
    assert!(url.contains(&postgres["POSTGRES_PASSWORD"]));
    let garage: toml::Table = GARAGE.parse().expect("TOML");
    let s3 = &garage["s3_api"];
    let region = s3["s3_region"].as_str().expect("text");
    assert_eq!(server["PICTRS__STORE__REGION"], region);
    let address = s3["api_bind_addr"].as_str().expect("text");
    let port = address.rsplit(':').next().expect("a port");
    assert!(server["PICTRS__STORE__ENDPOINT"].ends_with(&format!("garage:{port}")));
    let bucket = &server["PICTRS__STORE__BUCKET_NAME"];
    for command in [
        format!("garage bucket create {bucket}"),
        format!("garage bucket allow --read --write {bucket} --key pict-rs"),
    ] {
        assert!(COMPOSE.contains(&command), "{command}");
    }
    // Every secret that a service wants is among those that the beginning lists.
    let (intro, services) = COMPOSE.split_once("\nservices:\n").expect("services");
    for part in services.split("${").skip(1) {
        let name = part.split(':').next().expect("a name");
        assert!(intro.contains(&format!("{name}=")), "{name}");
    }
    assert_eq!(environment("garage").len(), 1);
}

#[test]
fn the_documented_nginx_goes_on_when_one_of_two_servers_dies() {
    const TEST: &str = "nginx before two servers";
    let Some(cluster) = Cluster::shared_or_skip(TEST) else {
        return;
    };
    let Some(s3) = S3::shared(Kind::S3sFs, TEST) else {
        return;
    };
    let (database, bucket) = (cluster.database(), s3.bucket());
    let servers = [(); 2].map(|()| launch(&database, &bucket).start());
    let blocks: Vec<_> = include_str!("../docs/scaling.md")
        .split("```nginx\n")
        .skip(1)
        .map(|block| block.split("```").next().expect("an end").to_owned())
        .collect();
    let [upstream, locations] = &blocks[..] else {
        panic!("{blocks:?}");
    };
    let mut upstream = upstream.clone();
    for (number, server) in servers.iter().enumerate() {
        let shown = format!("10.0.0.{}:8080", number + 1);
        assert!(upstream.contains(&shown), "{upstream}");
        upstream = upstream.replace(&shown, &server.address.to_string());
    }
    let Some(nginx) = Nginx::start_or_skip(TEST, &upstream, locations) else {
        return;
    };
    // Enough that each server has some of them.
    let uploads: Vec<_> = (20..40)
        .map(|width| nginx.upload(&pictures::png(&pictures::photo(width, 20))))
        .collect();
    let look = || {
        for upload in &uploads {
            nginx.original(&upload.alias);
            nginx.process("webp", &upload.alias, "thumbnail=8");
        }
    };
    look();
    let [first, _second] = servers;
    first.kill();
    look();
    nginx.get("/internal/health").status(404);
}
