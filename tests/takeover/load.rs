//! A takeover under load: no request fails, and nothing is lost.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::{
    Seen, delete, old_launch, picture, seen, status, successor, takeover, wait_until_complete,
};
use crate::support::client::Client;
use crate::support::{Launch, Uploaded};

#[test]
fn a_thousand_files_move_under_load_without_a_failed_request() {
    let old = old_launch().start();
    let (client, new) = (Client::new(old.address), successor(old.address));
    let upload = |bytes: &[u8]| client.upload(bytes);
    move_under_load(&client, 1000, upload, seen, new, false, || old.kill());
}

/// Fills the old server with `files` by `upload`, and has the new one take over from it under load.
/// `look` tells what a client sees, on both alike. `end` ends the old server when everything is here;
/// `knows_tokens` tells whether the new one has read all tokens by then. Returns how many requests
/// readers had answered meanwhile.
pub(super) fn move_under_load<T>(
    old: &Client,
    files: u32,
    upload: impl Fn(&[u8]) -> Uploaded + Sync,
    look: fn(&Client, &str) -> Seen,
    new: Launch,
    knows_tokens: bool,
    end: impl FnOnce() -> T,
) -> usize {
    let requests = AtomicUsize::new(0);
    let next = AtomicUsize::new(0);
    let uploaded = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(number) = u32::try_from(number).ok().filter(|n| *n < files) else {
                        break;
                    };
                    // Every tenth is another alias of the file before.
                    let content = if number % 10 == 9 { number - 1 } else { number };
                    let one = upload(&picture(content));
                    uploaded.lock().expect("whole").insert(number, one);
                }
            });
        }
    });
    let uploaded: Vec<Uploaded> = uploaded
        .into_inner()
        .expect("whole")
        .into_values()
        .collect();
    let expected: Vec<_> = uploaded.iter().map(|one| look(old, &one.alias)).collect();

    let new = new.start();
    let is_over = AtomicBool::new(false);
    /// Also when something fails, because the readers go on until then.
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    // Each twentieth is deleted by its owner meanwhile.
    let is_deleted = |index: usize| index % 20 == 19;
    let own = thread::scope(|scope| {
        let over = Over(&is_over);
        let read = |reader: usize| {
            let (new, uploaded, expected, is_over) = (&new, &uploaded, &expected, &is_over);
            let requests = &requests;
            scope.spawn(move || {
                // In another order than that of the run.
                for request in 0.. {
                    if is_over.load(Ordering::Relaxed) && request >= uploaded.len() {
                        break;
                    }
                    requests.fetch_add(1, Ordering::Relaxed);
                    let index = (request * 7 + reader * 311) % uploaded.len();
                    if is_deleted(index) {
                        continue;
                    }
                    let alias = &uploaded[index].alias;
                    match request % 3 {
                        0 => drop(new.process("webp", alias, "thumbnail=8")),
                        _ => assert_eq!(look(new, alias), expected[index]),
                    }
                }
            })
        };
        let readers = [read(0), read(1)];
        let deleter = scope.spawn(|| {
            for index in (0..uploaded.len()).filter(|index| is_deleted(*index)) {
                let one = &uploaded[index];
                let wrong = &uploaded[index - 1].token;
                delete(&new, one, wrong).refused(403, "invalid-delete-token");
                delete(&new, one, &one.token).status(204);
                assert_eq!(status(&new, &one.alias), 404);
            }
        });
        let uploader = scope.spawn(|| {
            // Half of them are files that the old server has.
            let numbers = files - 50..files + 50;
            let upload = |number| {
                let one = new.upload(&picture(number));
                let body = seen(&new, &one.alias).body;
                (one, body)
            };
            numbers.map(upload).collect::<Vec<_>>()
        });
        deleter.join().expect("no failure");
        let own = uploader.join().expect("no failure");
        wait_until_complete(&new);
        drop(over);
        for reader in readers {
            reader.join().expect("no failure");
        }
        own
    });

    let requests = requests.into_inner();
    let unknown = takeover(&new)["unknown_tokens"].as_u64();
    assert_eq!(unknown == Some(0), knows_tokens, "{unknown:?}");
    end();
    for (index, (one, expected)) in uploaded.iter().zip(&expected).enumerate() {
        match is_deleted(index) {
            true => assert_eq!(status(&new, &one.alias), 404, "{index}"),
            false => assert_eq!(look(&new, &one.alias), *expected, "{index}"),
        }
    }
    let kept = (0..uploaded.len()).filter(|index| knows_tokens && !is_deleted(*index));
    for index in kept {
        let one = &uploaded[index];
        let wrong = &uploaded[(index + 1) % uploaded.len()].token;
        delete(&new, one, wrong).refused(403, "invalid-delete-token");
        delete(&new, one, &one.token).status(204);
        assert_eq!(status(&new, &one.alias), 404);
    }
    for (one, body) in &own {
        assert_eq!(seen(&new, &one.alias).body, *body);
        delete(&new, one, &uploaded[0].token).refused(403, "invalid-delete-token");
        delete(&new, one, &one.token).status(204);
        assert_eq!(status(&new, &one.alias), 404);
    }
    requests
}
