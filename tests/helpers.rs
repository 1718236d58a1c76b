//! ffmpeg and ImageMagick see only programs, libraries and their own folder. One that a file has taken
//! over, as a stand-in of these tests is from the start, costs only its own request.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::{Launch, Server, disk, eventually, pictures, programs, server};

const CLIP: &[u8] = include_bytes!("data/formats/clip.mp4");
const PSD: &[u8] = b"8BPS\0\x01\0\0\0\0\0\0\0\x03\0\0\0\x01\0\0\0\x01\0\x08\0\x03";

/// The programs, and a file that each is asked about.
const HELPERS: [(&str, &[u8]); 2] = [("ffmpeg", CLIP), ("magick", PSD)];

/// A program in the place of a helper, in Perl, which has a word for every misdeed.
struct StandIn {
    folder: TempDir,
    name: &'static str,
}

impl StandIn {
    fn new(name: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let stand_in = Self { folder, name };
        stand_in.does("1");
        stand_in
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join(self.name)
    }

    /// From now on it says of this expression whether it is true, and else what the system said.
    fn does(&self, expression: &str) {
        let text = format!(
            "#!/usr/bin/perl\n\
             use Socket; use Fcntl;\n\
             if (grep {{ $_ eq '-version' }} @ARGV) {{ print \"ffmpeg version 1 ImageMagick\\n\"; exit 0 }}\n\
             my $is_done = ({expression});\n\
             print STDERR $is_done ? \"done\\n\" : \"refused: $!\\n\";\n\
             exit 1;\n"
        );
        std::fs::write(self.file(), text).expect("written");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.file(), mode).expect("set");
    }

    fn path(&self) -> &str {
        self.folder.path().to_str().expect("text")
    }
}

fn launch(stand_in: &StandIn) -> Launch {
    Launch::new()
        .environment("PATH", stand_in.path())
        .setting("media.isolation", "process")
        .setting("server.api_key", "a-secret-key")
}

fn is_possible(test: &str) -> bool {
    if server::is_emulated() {
        let reason = "an emulator cannot start the program again";
        programs::skip("sandbox", test, reason);
        return false;
    }
    programs::find_or_skip("perl", test).is_some()
}

/// What the stand-in tells of an expression.
fn told(server: &Server, stand_in: &StandIn, file: &[u8], expression: &str) -> String {
    stand_in.does(expression);
    let message = server.upload_refused("", file, 400, "media-damaged");
    let (_, told) = message.split_once("cannot read this file: ").expect("told");
    told.to_owned()
}

#[test]
fn a_hostile_helper_reaches_no_file_no_network_and_no_process() {
    if !is_possible("hostile helpers") {
        return;
    }
    for (name, file) in HELPERS {
        let stand_in = StandIn::new(name);
        let server = launch(&stand_in).start();
        let uploaded = server.upload(&pictures::png(&pictures::photo(40, 30)));
        let data = server.data();
        let stored = stored(&server);
        let before = stored
            .as_deref()
            .map(|file| std::fs::read(file).expect("there"));
        let victim = stored.as_deref().unwrap_or(Path::new("/etc/passwd"));
        let [data, victim] = [&data, victim].map(|path| path.display().to_string());
        let outside = TempDir::new().expect("a folder");
        let outside = outside.path().display();
        for (what, expression) in [
            ("read", "open(F, '<', '/etc/passwd')".to_owned()),
            ("read", format!("open(F, '<', '{victim}')")),
            ("read", "open(F, '<', '/proc/1/environ')".to_owned()),
            (
                "read",
                "open(F, '<', '/proc/'.getppid().'/environ')".to_owned(),
            ),
            ("list", format!("opendir(D, '{data}')")),
            ("list", "opendir(D, '/tmp')".to_owned()),
            ("write", format!("open(F, '>', '{outside}/new')")),
            ("write", format!("open(F, '>>', '{victim}')")),
            ("empty", format!("truncate('{victim}', 0)")),
            (
                "empty",
                format!("sysopen(F, '{victim}', O_RDONLY | O_TRUNC)"),
            ),
            ("remove", format!("unlink('{victim}')")),
            ("move", format!("rename('{victim}', 'mine')")),
            (
                "move",
                format!("symlink('{victim}', 'mine') && open(F, '<', 'mine')"),
            ),
            ("link", format!("link('{victim}', 'mine')")),
            ("mode", format!("chmod(0777, '{victim}')")),
            ("time", format!("utime(0, 0, '{victim}')")),
            ("network", "socket(S, PF_INET, SOCK_STREAM, 0)".to_owned()),
            ("network", "socket(S, PF_INET6, SOCK_DGRAM, 0)".to_owned()),
            ("local", "socket(S, PF_UNIX, SOCK_STREAM, 0)".to_owned()),
            ("signal", "kill('KILL', getppid())".to_owned()),
            ("signal", "kill('USR1', -getpgrp())".to_owned()),
            (
                "run",
                "sysopen(F, 'x', O_CREAT | O_WRONLY, 0755) && print(F \"#!/bin/sh\\n\") \
                 && close(F) && system('./x') == 0"
                    .to_owned(),
            ),
        ] {
            let told = told(&server, &stand_in, file, &expression);
            assert!(
                told.starts_with("refused: "),
                "{name}, {what}: {expression}: {told}"
            );
        }
        if let (Some(file), Some(before)) = (&stored, before) {
            assert!(std::fs::read(file).expect("still there") == before);
        }
        server
            .get(&format!("/image/original/{}", uploaded.alias))
            .ok();
        let path = format!("/image/delete/{}/{}", uploaded.token, uploaded.alias);
        server.delete(&path).status(204);
        disk::assert_nothing_stored(&server);
        disk::assert_nothing_unfinished(&server);
    }
}

/// An object of the store, if it is in a folder.
fn stored(server: &Server) -> Option<PathBuf> {
    if server.is_in_bucket() {
        return None;
    }
    let objects = disk::objects(&server.files());
    let name = objects.into_keys().next().expect("one was uploaded");
    Some(server.files().join(name))
}

#[test]
fn a_helper_has_what_it_needs_and_nothing_of_the_environment() {
    if !is_possible("what helpers need") {
        return;
    }
    for (name, file) in HELPERS {
        let stand_in = StandIn::new(name);
        let server = launch(&stand_in).start();
        for expression in [
            "open(F, '>', 'x') && print(F 'abc') && close(F) && -s 'x' == 3 && unlink('x')",
            "mkdir('d') && open(F, '>', 'd/x') && close(F) && rename('d/x', 'd/y') && unlink('d/y') && rmdir('d')",
            "system('/bin/true') == 0",
            "`/bin/echo said` eq \"said\\n\"",
            "open(F, '>', '/dev/null') && print(F 'abc')",
            "open(F, '<', '/dev/urandom') && sysread(F, $_, 4) == 4",
            "open(F, '<', '/proc/self/status')",
            "defined($_ = fork()) && ($_ || exit(0)) && waitpid($_, 0) == $_",
            "getppid() > 1 && getpgrp() == $$",
        ] {
            assert_eq!(
                told(&server, &stand_in, file, expression),
                "done",
                "{name}: {expression}"
            );
        }
        let names = "die(join(' ', sort grep { !/^(MAGICK|OMP)_/ } keys %ENV) . \"\\n\")";
        let told = told(&server, &stand_in, file, names);
        assert_eq!(told, "HOME LC_ALL TMPDIR", "{name}");
    }
}

#[test]
fn a_confined_helper_ends_in_time_and_with_its_server() {
    use rustix::process::Signal;
    if !is_possible("helpers that hang") {
        return;
    }
    let stand_in = StandIn::new("ffmpeg");
    stand_in.does("exec('/bin/sleep', '1000')");
    let sleepers = |server: &Server| {
        let all = server.children().into_iter();
        let name = |id: &rustix::process::Pid| {
            std::fs::read_to_string(format!("/proc/{}/comm", id.as_raw_nonzero()))
        };
        all.filter(|id| name(id).is_ok_and(|name| name == "sleep\n"))
            .collect::<Vec<_>>()
    };
    let launched = launch(&stand_in);
    let server = launched.clone().setting("media.process_timeout", 2).start();
    server.upload_refused("", CLIP, 400, "process-timeout");
    eventually("it has ended", || {
        sleepers(&server).is_empty().then_some(())
    });
    eventually("its folder has gone", || {
        disk::unfinished(&server.files()).is_empty().then_some(())
    });
    drop(server);
    let server = launched.setting("media.process_timeout", 600).start();
    let id = std::thread::scope(|scope| {
        scope.spawn(|| server.try_upload_form("", &[crate::support::File::new(CLIP)]));
        let id = eventually("it runs", || sleepers(&server).pop());
        server.signal(Signal::KILL);
        id
    });
    let place = format!("/proc/{}/exe", id.as_raw_nonzero());
    eventually("it has gone with its server", || {
        std::fs::read_link(&place).is_err().then_some(())
    });
}

#[test]
fn a_helper_that_needs_more_is_run_without_and_that_is_told_once() {
    if !is_possible("helpers that need more") {
        return;
    }
    let stand_in = StandIn::new("ffmpeg");
    let elsewhere = TempDir::new().expect("a folder");
    let needed = elsewhere.path().join("library");
    std::fs::write(&needed, "").expect("written");
    let text = format!(
        "#!/usr/bin/perl\n\
         open(F, '<', '{}') or die \"no library\\n\";\n\
         if (grep {{ $_ eq '-version' }} @ARGV) {{ print \"ffmpeg version 1\\n\"; exit 0 }}\n\
         die \"started\\n\";\n",
        needed.display()
    );
    std::fs::write(stand_in.file(), text).expect("written");
    let start = |isolation| {
        launch(&stand_in)
            .setting("media.isolation", isolation)
            .start()
    };
    let server = start("auto");
    for _ in 0..2 {
        let message = server.upload_refused("", CLIP, 400, "media-damaged");
        assert!(message.contains("started"), "{message}");
    }
    let said = server.output();
    assert_eq!(
        said.matches("it is run within limits alone").count(),
        1,
        "{said}"
    );
    // With this setting it is confined whatever happens.
    let server = start("process");
    let message = server.upload_refused("", CLIP, 400, "media-damaged");
    assert!(message.contains("no library"), "{message}");
    let server = start("thread");
    let message = server.upload_refused("", CLIP, 400, "media-damaged");
    assert!(message.contains("started"), "{message}");
}
