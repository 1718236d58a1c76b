//! A takeover under load: no request fails, and nothing is lost.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::{delete, old_launch, picture, seen, status, successor, wait_until_complete};
use crate::support::Uploaded;

/// Files at the old server.
const FILES: u32 = 1000;

#[test]
fn a_thousand_files_move_under_load_without_a_failed_request() {
    let old = old_launch().start();
    let next = AtomicUsize::new(0);
    let uploaded = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(number) = u32::try_from(number).ok().filter(|n| *n < FILES) else {
                        break;
                    };
                    // Every tenth is another alias of the file before.
                    let content = if number % 10 == 9 { number - 1 } else { number };
                    let one = old.upload(&picture(content));
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
    let expected: Vec<_> = uploaded.iter().map(|one| seen(&old, &one.alias)).collect();

    let new = successor(old.address).start();
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
            scope.spawn(move || {
                // In another order than that of the run.
                for request in 0.. {
                    if is_over.load(Ordering::Relaxed) && request >= uploaded.len() {
                        break;
                    }
                    let index = (request * 7 + reader * 311) % uploaded.len();
                    if is_deleted(index) {
                        continue;
                    }
                    let alias = &uploaded[index].alias;
                    match request % 3 {
                        0 => drop(new.process("webp", alias, "thumbnail=8")),
                        _ => assert_eq!(seen(new, alias), expected[index]),
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
            let numbers = FILES - 50..FILES + 50;
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

    old.kill();
    for (index, (one, expected)) in uploaded.iter().zip(&expected).enumerate() {
        match is_deleted(index) {
            true => assert_eq!(status(&new, &one.alias), 404, "{index}"),
            false => assert_eq!(seen(&new, &one.alias), *expected, "{index}"),
        }
    }
    for (one, body) in &own {
        assert_eq!(seen(&new, &one.alias).body, *body);
        delete(&new, one, &uploaded[0].token).refused(403, "invalid-delete-token");
        delete(&new, one, &one.token).status(204);
        assert_eq!(status(&new, &one.alias), 404);
    }
}
