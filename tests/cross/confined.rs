//! What is released, where it is meant to run: the package's unit under a systemd that boots, and the
//! image in a container engine. Both take much away from the server, which starts processes of its
//! own that give up even more; here it has to do all of its work all the same.

/// The image, run by podman.
mod podman;
/// The package, installed where systemd is process 1.
mod systemd;

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::json;

use crate::support::server::children_of;
use crate::support::{Client, eventually};

/// The port of the package and of the image. Each test has a network of its own.
const ADDRESS: &str = "127.0.0.1:8080";
const KEY: [(&str, &str); 1] = [("x-api-token", "key")];

/// Talks to a server in the network of a process. A thread is moved there for it, so that nothing
/// else of this program is.
fn in_network_of<T: Send>(process: u32, talk: impl FnOnce(&Client) -> T + Send) -> T {
    let talked = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let network = File::open(format!("/proc/{process}/ns/net")).expect("it runs");
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("root may");
            talk(&Client::new(ADDRESS.parse().expect("an address")))
        });
        thread.join()
    });
    talked.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Waits until the server answers.
fn wait_for(client: &Client) {
    eventually("the server answers", || {
        let answer = client.try_send("GET", "/healthz", &[], None).ok()?;
        (answer.status == 200).then_some(())
    });
}

/// Uploads a file of every format, clips only `with_clips`, and has variants made of each. Returns the
/// alias of the last one.
fn use_every_format(client: &Client, with_clips: bool) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/formats");
    let mut last = None;
    for entry in folder.read_dir().expect("readable") {
        let path = entry.expect("an entry").path();
        let is_clip = path.file_stem().is_some_and(|name| name == "clip");
        if is_clip && !with_clips {
            continue;
        }
        let uploaded = client.upload(&std::fs::read(&path).expect("readable"));
        for extension in ["webp", "avif", "jpeg"] {
            let bytes = client.process(extension, &uploaded.alias, "thumbnail=32");
            assert!(!bytes.is_empty(), "{}", path.display());
        }
        last = Some(uploaded.alias);
    }
    last.expect("there are files")
}

/// What the server itself says of the processes that decode files.
fn assert_isolated(client: &Client) {
    let health = client.get_with("/internal/health", &KEY).ok().json();
    let expected = json!({"mode": "process", "missing": []});
    assert_eq!(health["media"]["isolation"], expected, "{health}");
}

/// What the kernel says of the server and of the processes that decode files: no capabilities, no way
/// to new ones, and filters of system calls, of which those processes have more.
fn assert_confined(server: u32) {
    let filters = |id: u32| {
        let status = status_of(id);
        let line = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name} in {status}"))
                .trim()
        };
        for set in ["CapPrm:", "CapEff:", "CapBnd:"] {
            assert_eq!(line(set), "0000000000000000", "{status}");
        }
        assert_eq!(line("NoNewPrivs:"), "1", "{status}");
        assert_eq!(line("Seccomp:"), "2", "{status}");
        line("Seccomp_filters:").parse::<u32>().expect("a number")
    };
    let own = filters(server);
    let workers = children_of(server);
    assert!(!workers.is_empty(), "nothing decodes files");
    for worker in workers {
        let worker = worker.as_raw_nonzero().get().cast_unsigned();
        assert!(filters(worker) > own, "a worker has no filter of its own");
    }
}

/// Kills what decodes files; the next one is decoded as if nothing had been.
fn survive_dead_workers(server: u32, client: &Client, alias: &str) {
    let workers = children_of(server);
    workers.iter().copied().for_each(kill);
    // One that is still dying could be given the next job.
    eventually("they are dead", || {
        let now = children_of(server);
        (!workers.iter().any(|worker| now.contains(worker))).then_some(())
    });
    client.process("png", alias, "thumbnail=24");
    assert!(!children_of(server).is_empty(), "nothing decodes files");
}

fn kill(process: Pid) {
    // It may have ended by itself.
    let _ = kill_process(process, Signal::KILL);
}

fn status_of(id: u32) -> String {
    std::fs::read_to_string(format!("/proc/{id}/status")).expect("it runs")
}

/// All processes whose process 1 is `first`, which has to be one in a namespace.
fn processes_below(first: u32) -> Vec<u32> {
    let namespace = |id: u32| std::fs::read_link(format!("/proc/{id}/ns/pid")).ok();
    let own = namespace(first);
    assert_ne!(own, namespace(std::process::id()), "it has no namespace");
    let found = std::fs::read_dir("/proc").expect("there is /proc");
    let ids = found.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(|id| own.is_some() && namespace(*id) == own)
        .collect()
}
