//! Death while media of another server are fetched, swapped for newer ones and removed.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::support::client::Client;
use crate::support::upstream::{Reply, Upstream};
use crate::support::{Launch, Server, database, disk, pictures};

use super::{CLIENTS, adapt, assert_rows_and_objects_agree, picture, slowdown};

/// Deaths.
const ROUNDS: u64 = 15;
/// URLs that are asked for; those from [`STAYING`] on are purged now and then.
const URLS: u64 = 9;
const STAYING: u64 = 6;

#[test]
fn after_any_death_each_proxied_url_has_its_alias_and_each_alias_its_bytes() {
    // Whatever is asked for has changed since the last time.
    let version = AtomicU64::new(0);
    let upstream = Upstream::start(move |_| {
        let seed = version.fetch_add(1, Ordering::Relaxed);
        Reply::ok(&pictures::png(&picture(seed)))
    });
    let served = Mutex::new(BTreeSet::new());
    let mut slowdown = slowdown();
    let mut launch = Launch::new()
        .setting("client.allow_local_connections", true)
        .setting("server.api_key", "key");
    for round in 0..ROUNDS {
        let server = launch.start();
        // Not a sleep for something to happen: the moment of death is what is tried out.
        let life = slowdown * Duration::from_millis(5 + round * 37 % 260);
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (server, upstream, served) = (&server, &upstream, &served);
                scope.spawn(move || ask_until_death(server, upstream, client, served));
            }
            std::thread::sleep(life);
            server.signal(rustix::process::Signal::KILL);
        });
        launch = server.ended().1;
        let got = served.lock().expect("no panic").len() as u64;
        let asked = upstream.asked().len() as u64;
        adapt(
            &mut slowdown,
            got >= round.min(STAYING) && asked >= 2 * round,
        );
        let server = launch.start();
        assert_eq!(disk::unfinished(&server.files()), Vec::<String>::new());
        for path in served.lock().expect("no panic").iter() {
            server.get(&format!("/image/details{path}")).ok();
        }
        launch = server.stop();
        let data = launch.folder().join("data");
        assert_rows_and_objects_agree(&data);
        for query in [
            "SELECT url FROM proxies WHERE alias NOT IN (SELECT alias FROM aliases)",
            "SELECT alias FROM aliases WHERE alias NOT IN (SELECT alias FROM proxies)",
        ] {
            assert_eq!(database::texts(&data, query), Vec::<String>::new());
        }
        if !database::texts(&data, "SELECT url FROM proxies").is_empty() {
            database::change(&data, "UPDATE proxies SET fresh_until = 0");
        }
    }
    // Else nothing was tried out.
    assert!(upstream.asked().len() > 20, "{}", upstream.asked().len());
    assert_eq!(served.into_inner().expect("no panic").len() as u64, STAYING);
}

fn ask_until_death(
    server: &Server,
    upstream: &Upstream,
    client: u64,
    served: &Mutex<BTreeSet<String>>,
) {
    let http = Client::new(server.address);
    for number in client.. {
        let url = number % URLS;
        let path = format!("/original?proxy={}", upstream.url(&format!("/{url}")));
        match http.try_send("GET", &format!("/image{path}"), &[], None) {
            Ok(answer) if answer.status == 200 && url < STAYING => {
                served.lock().expect("no panic").insert(path.clone());
            }
            Ok(_) => {}
            Err(_) => return,
        }
        if url >= STAYING && number.is_multiple_of(2) {
            let purge = path.replace("/original", "/internal/purge");
            let key = [("X-Api-Token", "key")];
            if http.try_send("POST", &purge, &key, None).is_err() {
                return;
            }
        }
    }
}
