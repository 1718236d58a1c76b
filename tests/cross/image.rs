//! The images for containers, unpacked by their digests as a container engine would do it, and run:
//! the files of the layer as the root folder, with user, variables and command of the configuration.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::released::stem;
use super::{Target, on_each_target};
use crate::support::server::Program;
use crate::support::{Launch, pictures, programs};

on_each_target!(
    the_image_runs_as_its_configuration_says,
    docker_without_containerd_finds_the_same_image,
);

/// An image layout, read from its archive.
struct Layout(BTreeMap<String, Vec<u8>>);

impl Layout {
    fn read(file: &Path) -> Self {
        let file =
            std::fs::File::open(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut archive = tar::Archive::new(file);
        let mut files = BTreeMap::new();
        for entry in archive.entries().expect("an archive") {
            let mut entry = entry.expect("an entry");
            let name = entry.path().expect("a name").display().to_string();
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents).expect("readable");
            files.insert(name, contents);
        }
        let layout = Self(files);
        assert_eq!(layout.json("oci-layout")["imageLayoutVersion"], "1.0.0");
        layout
    }

    fn json(&self, name: &str) -> Value {
        let bytes = self.0.get(name).unwrap_or_else(|| panic!("no {name}"));
        serde_json::from_slice(bytes).expect("JSON")
    }

    /// What a descriptor describes, and that it is that.
    fn blob(&self, descriptor: &Value) -> &[u8] {
        let digest = descriptor["digest"].as_str().expect("a digest");
        let digest = digest.strip_prefix("sha256:").expect("SHA-256");
        let bytes = &self.0[&format!("blobs/sha256/{digest}")];
        assert_eq!(hex::encode(Sha256::digest(bytes)), digest);
        assert_eq!(descriptor["size"], bytes.len());
        bytes
    }

    fn described(&self, descriptor: &Value, kind: &str) -> Value {
        let kind = format!("application/vnd.oci.image.{kind}+json");
        assert_eq!(descriptor["mediaType"], kind);
        serde_json::from_slice(self.blob(descriptor)).expect("JSON")
    }

    /// The descriptors of all platforms: below one index with a name.
    fn manifests(&self) -> Vec<Value> {
        let entry = self.json("index.json");
        let entries = entry["manifests"].as_array().expect("a list");
        assert_eq!(entries.len(), 1);
        let version = env!("CARGO_PKG_VERSION");
        let notes = &entries[0]["annotations"];
        assert_eq!(notes["org.opencontainers.image.ref.name"], version);
        let index = self.described(&entries[0], "index.v1");
        index["manifests"].as_array().expect("a list").clone()
    }
}

fn platform(target: &Target) -> (&str, Option<&str>) {
    match target.name {
        "arm64" => ("arm64", Some("v8")),
        "armv7l" => ("arm", Some("v7")),
        name => (name, None),
    }
}

/// The layer, unpacked as it would be by root.
struct Container {
    root: TempDir,
    config: Value,
}

impl Container {
    fn of(layout: &Layout, target: &Target) -> Self {
        let manifests = layout.manifests();
        assert_eq!(manifests.len(), 1, "an image for one processor");
        let (architecture, variant) = platform(target);
        for place in [&manifests[0]["platform"], &config_of(layout, &manifests[0])] {
            assert_eq!(place["os"], "linux");
            assert_eq!(place["architecture"], architecture);
            assert_eq!(place["variant"].as_str(), variant);
        }
        let manifest = layout.described(&manifests[0], "manifest.v1");
        let config = config_of(layout, &manifests[0]);
        let layers = manifest["layers"].as_array().expect("a list");
        let digests = config["rootfs"]["diff_ids"].as_array().expect("a list");
        assert_eq!(layers.len(), digests.len());
        let root = tempfile::tempdir().expect("a folder");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(root.path(), open).expect("set");
        for (layer, digest) in layers.iter().zip(digests) {
            let kind = "application/vnd.oci.image.layer.v1.tar+gzip";
            assert_eq!(layer["mediaType"], kind);
            let mut tar = Vec::new();
            let mut reader = GzDecoder::new(layout.blob(layer));
            reader.read_to_end(&mut tar).expect("compressed");
            let found = format!("sha256:{}", hex::encode(Sha256::digest(&tar)));
            assert_eq!(*digest, *found);
            let mut archive = tar::Archive::new(&tar[..]);
            archive.set_preserve_permissions(true);
            archive.set_preserve_ownerships(true);
            archive.unpack(root.path()).expect("unpacked");
        }
        Self { root, config }
    }

    fn setting(&self, name: &str) -> &Value {
        &self.config["config"][name]
    }

    fn words(&self, name: &str) -> Vec<&str> {
        let words = self.setting(name).as_array().into_iter().flatten();
        words.map(|word| word.as_str().expect("a word")).collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The server as a container engine would start it, on another port.
    fn launch(&self, emulator: Option<&PathBuf>) -> Launch {
        let user = self.setting("User").as_str().expect("a user");
        let mut runner = vec![
            programs::find("chroot").expect("part of coreutils"),
            format!("--userspec={user}").into(),
            self.root.path().to_owned(),
        ];
        // The emulator stands for the processor.
        if let Some(emulator) = emulator {
            std::fs::copy(emulator, self.path("processor")).expect("copied");
            runner.push("/processor".into());
        }
        let mut words = self.words("Entrypoint");
        words.extend(self.words("Cmd"));
        let program = Program::new(words[0], runner);
        let mut launch = Launch::of(program).arguments(words.into_iter().skip(1));
        for variable in self.words("Env") {
            let (name, value) = variable.split_once('=').expect("a name and a value");
            launch = launch.environment(name, value);
        }
        launch
    }
}

fn config_of(layout: &Layout, manifest: &Value) -> Value {
    let manifest = layout.described(manifest, "manifest.v1");
    layout.described(&manifest["config"], "config.v1")
}

/// The image of one target, or a reason not to go on.
fn layout(target: &Target, test: &str) -> Option<Layout> {
    let folder = target.folder(test)?;
    let name = format!("{}-image.tar", stem(target));
    Some(Layout::read(&folder.with_file_name(name)))
}

fn the_image_runs_as_its_configuration_says(target: &Target) {
    const TEST: &str = "the image";
    let (Some(layout), Some(emulator)) = (layout(target, TEST), target.emulator(TEST)) else {
        return;
    };
    if !rustix::process::geteuid().is_root() {
        let test = format!("{TEST} on {}", target.name);
        return programs::skip("cross", &test, "only root may chroot");
    }
    let container = Container::of(&layout, target);
    // What compose files for the existing image rely on.
    assert_eq!(container.setting("User"), "991:991");
    assert_eq!(container.setting("WorkingDir"), "/mnt");
    assert!(container.setting("Volumes")["/mnt"].is_object());
    assert!(container.setting("ExposedPorts")["8080/tcp"].is_object());
    let command = container.words("Cmd");
    assert_eq!(command, ["/usr/local/bin/pict-rs", "run"]);
    let variables = container.words("Env");
    // A variable would win over the user's file.
    let ours = variables.iter().find(|name| name.starts_with("PICTRS"));
    assert_eq!(ours, None);
    let version = &container.setting("Labels")["org.opencontainers.image.version"];
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    assert!(
        container
            .path("usr/share/licenses/pict-rs/LICENSE")
            .is_file()
    );

    let mnt = container.path("mnt").metadata().expect("there");
    assert_eq!((mnt.uid(), mnt.gid()), (991, 991));
    let server = container.launch(emulator.first()).start();
    let uploaded = server.upload(&pictures::jpeg(&pictures::photo(64, 48)));
    server.original(&uploaded.alias);
    server.process("webp", &uploaded.alias, "thumbnail=16");
    server.stop().start().original(&uploaded.alias);
    let files = container.path("mnt/files").metadata().expect("there");
    assert_eq!((files.uid(), files.gid()), (991, 991));
    assert!(container.path("mnt/database").is_dir());
}

fn docker_without_containerd_finds_the_same_image(target: &Target) {
    let Some(layout) = layout(target, "the image for Docker") else {
        return;
    };
    let images = layout.json("manifest.json");
    let image = &images.as_array().expect("a list")[..];
    let [image] = image else {
        panic!("{images}");
    };
    let manifest = layout.described(&layout.manifests()[0], "manifest.v1");
    let file = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().expect("a digest");
        format!("blobs/{}", digest.replace(':', "/"))
    };
    assert_eq!(image["Config"], file(&manifest["config"]));
    assert_eq!(image["Layers"][0], file(&manifest["layers"][0]));
    let name = concat!("pict-rs:", env!("CARGO_PKG_VERSION"));
    assert_eq!(image["RepoTags"][0], name);
}

#[test]
fn one_archive_has_the_images_of_all_processors() {
    let Some(folder) = Target::named("amd64").folder("the image for all") else {
        return;
    };
    let version = env!("CARGO_PKG_VERSION");
    let all = format!("pict-rs-{version}-linux-image.tar");
    let all = Layout::read(&folder.with_file_name(all));
    let found = all.manifests();
    for target in Target::all() {
        let Some(own) = layout(&target, "the image for all") else {
            return;
        };
        let manifest = &own.manifests()[0];
        assert!(found.contains(manifest), "{}", target.name);
        for blob in own
            .0
            .keys()
            .filter(|name| name.starts_with("blobs/sha256/"))
        {
            // Each archive has an index of its own.
            let is_index = own.json("index.json")["manifests"][0]["digest"]
                .as_str()
                .is_some_and(|digest| blob.ends_with(&digest["sha256:".len()..]));
            assert!(is_index || all.0.contains_key(blob), "{blob}");
        }
        let config = config_of(&all, manifest);
        assert_eq!(config["architecture"], platform(&target).0);
    }
    assert_eq!(found.len(), 3);
}

/// Instructions of a Containerfile as name and arguments, with continued lines as one.
fn instructions(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let lines = joined.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let (name, rest) = line.split_once(' ').expect("an argument");
            let rest = rest.split_whitespace().collect::<Vec<_>>().join(" ");
            (name.to_owned(), rest)
        })
        .collect()
}

/// No engine builds images here: what can be compared is what it would be told.
#[test]
fn containerfile_and_nix_make_images_with_the_same_settings() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |name: &str| std::fs::read_to_string(root.join(name)).expect("readable");
    let found = instructions(&read("contrib/container/Containerfile"));
    let known = [
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "FROM",
        "HEALTHCHECK",
        "RUN",
        "USER",
        "VOLUME",
        "WORKDIR",
    ];
    let mut stages: Vec<(String, Vec<String>)> = Vec::new();
    for (name, arguments) in found {
        assert!(known.contains(&name.as_str()), "{name}");
        if name == "FROM" {
            let stage = arguments.rsplit(' ').next().unwrap_or_default();
            stages.push((stage.to_owned(), Vec::new()));
        } else if let Some((_, lines)) = stages.last_mut() {
            lines.push(format!("{name} {arguments}"));
        }
    }
    let names: Vec<_> = stages.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["files", "full", "minimal"]);
    for (name, lines) in &stages[1..] {
        for line in [
            "COPY --from=files /files /",
            "ENV STATE_DIRECTORY=/mnt",
            "USER 991:991",
            "WORKDIR /mnt",
            "VOLUME /mnt",
            "EXPOSE 8080",
            "CMD [\"/usr/local/bin/pict-rs\", \"run\"]",
        ] {
            assert!(lines.iter().any(|found| found == line), "{name}: {line}");
        }
        assert!(!lines.iter().any(|line| line.starts_with("ENV PICTRS")));
    }
    // Programs that the server looks for.
    let (_, full) = &stages[1];
    for package in ["ffmpeg", "imagemagick", "ca-certificates", "tini"] {
        let is_named = |line: &String| line.split(' ').any(|word| word == package);
        assert!(full.iter().any(is_named), "{package}");
    }

    let nix = read("nix/image.nix");
    for line in [
        "User = \"991:991\";",
        "WorkingDir = \"/mnt\";",
        "Volumes.\"/mnt\" = { };",
        "ExposedPorts.\"8080/tcp\" = { };",
        "\"STATE_DIRECTORY=/mnt\"",
    ] {
        assert!(nix.contains(line), "{line}");
    }
}

/// The file that the compose file tells to load is one that a release has, with that name inside.
#[test]
fn the_compose_file_for_lemmy_uses_an_image_of_the_release() {
    let compose = include_str!("../../contrib/lemmy/docker-compose.yml");
    let version = env!("CARGO_PKG_VERSION");
    let file = format!("docker load -i {}-image.tar", stem(&Target::named("amd64")));
    assert!(compose.contains(&file), "{file}");
    let name = format!("    image: pict-rs:{version}\n");
    assert!(compose.contains(&name), "{name}");
}
