//! `pict-rs-admin` on a machine with the package: commands run as the service does, and what root
//! types without it makes nothing that the service could not use.

use std::os::unix::fs::MetadataExt as _;

use super::Target;
use super::machine::Machine;
use super::packages::package;
use super::upgrades::dpkg;

/// A machine with the package.
fn installed(test: &str) -> Option<Machine> {
    let package = package(&Target::named("amd64"), test, "deb", &["dpkg", "setpriv"])?;
    let machine = Machine::new(test)?;
    let package = machine.take(&package);
    machine.run(&dpkg("--install", &package));
    let configuration = machine.read("etc/pict-rs/pict-rs.toml");
    machine.write(
        "etc/pict-rs/pict-rs.toml",
        &format!("{configuration}\n[media]\nmax_file_size = 7\n"),
    );
    Some(machine)
}

/// Number and group of the service's user.
fn service(machine: &Machine) -> (u32, u32) {
    let users = machine.read("etc/passwd");
    let line = users.lines().find(|line| line.starts_with("pict-rs:"));
    let mut fields = line.expect("it was made").split(':').skip(2);
    let mut number = || fields.next().and_then(|field| field.parse().ok());
    (number().expect("a user"), number().expect("a group"))
}

#[test]
fn commands_run_as_the_service_does_without_systemd() {
    const TEST: &str = "pict-rs-admin";
    let Some(machine) = installed(TEST) else {
        return;
    };
    std::fs::remove_dir(machine.path("run/systemd/system")).expect("it was made");
    machine.write(
        "etc/systemd/system/pict-rs.service.d/more.conf",
        "[Service]\n# not LoadCredential=none:/none\nLoadCredential=key:/etc/pict-rs/key\n\
         Environment=\"PICTRS__SERVER__API_KEY_FILE=%d/key\" \\\n  PICTRS__MEDIA__QUEUE_LENGTH=9\n",
    );
    machine.write("etc/pict-rs/key", "secret\n");
    let said = machine.run(&["pict-rs-admin", "print-config"]);
    for line in ["max_file_size = 7", "queue_length = 9", "/key\""] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let said = machine.run(&["pict-rs-admin", "doctor"]);
    assert!(said.contains("/var/lib/pict-rs/database"), "{said}");
    assert!(!said.contains("of this shell"), "{said}");

    // Without it: root would make what the service cannot open.
    let bare = ["pict-rs", "-c", "/etc/pict-rs/pict-rs.toml"];
    let said = machine.fails(&[&bare[..], &["accept-store"]].concat());
    assert!(said.contains("pict-rs-admin accept-store"), "{said}");
    assert!(!machine.path("data").exists());
    machine.write("var/lib/pict-rs/files/picture", "bytes");
    let there = ["env", "STATE_DIRECTORY=/var/lib/pict-rs"];
    let said = machine.fails(&[&there[..], &bare, &["accept-store"]].concat());
    assert!(said.contains("'pict-rs-admin' does"), "{said}");
    assert!(!machine.path("var/lib/pict-rs/database").exists());
    let (said, (user, group)) = (
        machine.output(&[&bare[..], &["doctor"]].concat()).1,
        service(&machine),
    );
    assert!(said.contains("'pict-rs-admin doctor'"), "{said}");

    let files = machine.path("var/lib/pict-rs/files");
    std::os::unix::fs::chown(files, Some(user), Some(group)).expect("root may");
    machine.run(&["pict-rs-admin", "accept-store"]);
    let folder = std::fs::read_dir(machine.path("var/lib/pict-rs/database")).expect("made");
    let mut count = 0;
    for entry in folder {
        let entry = entry.expect("an entry");
        let found = entry.metadata().expect("readable");
        assert_eq!((found.uid(), found.gid()), (user, group), "{entry:?}");
        assert_eq!(found.mode() & 0o077, 0, "{entry:?}");
        count += 1;
    }
    assert!(count > 0, "there is a database");

    let status = |words: &[&str]| machine.output(words).0.status.code();
    assert_eq!(status(&["pict-rs-admin", "--help"]), Some(0));
    assert_eq!(status(&["pict-rs-admin"]), Some(2));
    assert_eq!(status(&["pict-rs-admin", "no-such-command"]), Some(2));
    machine.write("etc/pict-rs/pict-rs.toml", "[media]\nmax_file_size = 'x'\n");
    assert_eq!(status(&["pict-rs-admin", "check-config"]), Some(78));
    let said = machine.fails(&["pict-rs-admin", "run"]);
    assert!(said.contains("systemctl start"), "{said}");
    let unprivileged = ["setpriv", "--reuid=65534", "--clear-groups"];
    let said = machine.fails(&[&unprivileged[..], &["pict-rs-admin", "doctor"]].concat());
    assert!(said.contains("as root"), "{said}");
}

#[test]
fn commands_run_as_the_service_does_under_systemd() {
    const TEST: &str = "pict-rs-admin under systemd";
    let Some(machine) = installed(TEST) else {
        return;
    };
    // Stands for a systemd that runs: shows the unit, and tells what it would start.
    machine.write_program(
        "usr/bin/systemctl",
        "#!/bin/sh\nexec cat /usr/lib/systemd/system/pict-rs.service\n",
    );
    machine.write_program(
        "usr/bin/systemd-run",
        "#!/bin/sh\nfor word; do echo \"<$word>\"; done\nexit 5\n",
    );
    let (output, said) = machine.output(&["pict-rs-admin", "migrate", "--from", "a $b"]);
    assert_eq!(output.status.code(), Some(5), "{said}");
    for word in [
        "--pipe",
        "--wait",
        "User=pict-rs",
        "Group=pict-rs",
        "UMask=0077",
        "StateDirectory=pict-rs",
        "StateDirectoryMode=0700",
        "LoadCredential=pict-rs.toml:/etc/pict-rs/pict-rs.toml",
    ] {
        assert!(said.contains(&format!("<{word}>\n")), "{word}: {said}");
    }
    let command = "<-->\n</usr/bin/pict-rs>\n<--config-file>\n<${CREDENTIALS_DIRECTORY}/pict-rs.toml>\n\
                   <migrate>\n<--from>\n<a $$b>\n";
    assert!(said.ends_with(command), "{said}");
}
