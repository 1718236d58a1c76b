//! Container images around the static binaries, as files: an OCI image layout in a tar archive. Made
//! without a container engine and without a network, because there is nothing to run: an image is a
//! layer with files, a configuration, and the digests of both.
//!
//! What users of the image rely on (user, folders, port, variables) is here, in `nix/image.nix` and in
//! `contrib/container/Containerfile`; `tests/cross/image.rs` compares them.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    archive::{Tar, gzip},
    contents,
    target::Target,
};
use crate::cache;

/// User and group that the server runs as; the data of the existing image belong to them.
const USER: u64 = 991;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The image of one target.
pub struct Image {
    blobs: BTreeMap<String, Vec<u8>>,
    /// The descriptor of the manifest.
    manifest: Value,
    /// As Docker's own format names them.
    config_file: String,
    layer_file: String,
}

impl Image {
    /// Makes an image of the folder of a target. `epoch` is the date of everything in it, in Unix
    /// seconds.
    ///
    /// # Errors
    /// When a file cannot be read, or the target has no name among OCI's platforms.
    pub fn new(target: &Target, folder: &Path, version: &str, epoch: u64) -> Result<Self> {
        let mut image = Self {
            blobs: BTreeMap::new(),
            manifest: Value::Null,
            config_file: String::new(),
            layer_file: String::new(),
        };
        let tar = layer(folder, epoch)?;
        let mut compressed = gzip(Vec::new());
        std::io::Write::write_all(&mut compressed, &tar)?;
        let layer = image.add(LAYER, compressed.finish()?);

        let platform = platform(target)?;
        let mut config = json!({
            "created": date(epoch)?,
            "config": settings(version)?,
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", digest(&tar))] },
            "history": [{ "created": date(epoch)?, "created_by": "cargo xtask dist" }],
        });
        for (name, value) in platform.as_object().into_iter().flatten() {
            config[name] = value.clone();
        }
        let config = image.add(CONFIG, serde_json::to_vec(&config)?);
        image.config_file = file_of(&config)?;
        image.layer_file = file_of(&layer)?;

        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config,
            "layers": [layer],
        });
        let mut manifest = image.add(MANIFEST, serde_json::to_vec(&manifest)?);
        manifest["platform"] = platform;
        image.manifest = manifest;
        Ok(image)
    }

    fn add(&mut self, kind: &str, bytes: Vec<u8>) -> Value {
        let digest = digest(&bytes);
        let descriptor = json!({
            "mediaType": kind,
            "digest": format!("sha256:{digest}"),
            "size": bytes.len(),
        });
        self.blobs.insert(digest, bytes);
        descriptor
    }
}

/// Writes an archive with these images under one name: the one for the machine is chosen where it
/// is loaded.
///
/// # Errors
/// When the archive cannot be written.
pub fn write(to: &Path, images: &[Image], version: &str, epoch: u64) -> Result<()> {
    let mut blobs: BTreeMap<&str, &[u8]> = BTreeMap::new();
    for image in images {
        blobs.extend(image.blobs.iter().map(|(name, bytes)| (&**name, &**bytes)));
    }
    let index = json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": images.iter().map(|image| &image.manifest).collect::<Vec<_>>(),
    });
    let index = serde_json::to_vec(&index)?;
    let index_digest = digest(&index);
    blobs.insert(&index_digest, &index);
    // What lies in the layout is one thing with a name: the index of all platforms.
    let entry = json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [{
            "mediaType": INDEX,
            "digest": format!("sha256:{index_digest}"),
            "size": index.len(),
            "annotations": {
                "org.opencontainers.image.ref.name": version,
                "io.containerd.image.name": format!("docker.io/library/pict-rs:{version}"),
            },
        }],
    });
    let create = || format!("cannot write {}", to.display());
    let mut tar = Tar::new(fs::File::create(to).with_context(create)?, epoch);
    tar.file("oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    tar.file("index.json", 0o644, &serde_json::to_vec(&entry)?)?;
    if let [image] = images {
        // Docker whose images are not kept by containerd reads this instead. It knows no platforms,
        // so it gets no more than one.
        let old = json!([{
            "Config": image.config_file,
            "RepoTags": [format!("pict-rs:{version}")],
            "Layers": [image.layer_file],
        }]);
        tar.file("manifest.json", 0o644, &serde_json::to_vec(&old)?)?;
    }
    tar.folder("blobs", 0o755, 0)?;
    tar.folder("blobs/sha256", 0o755, 0)?;
    for (name, bytes) in blobs {
        tar.file(&format!("blobs/sha256/{name}"), 0o644, bytes)?;
    }
    tar.finish()?.sync_all().with_context(create)
}

/// The only layer: the binary, a place for data, names for the user, and the licences.
fn layer(folder: &Path, epoch: u64) -> Result<Vec<u8>> {
    let binary = folder.join("pict-rs");
    let binary = fs::read(&binary).with_context(|| format!("cannot read {}", binary.display()))?;
    let mut tar = Tar::new(Vec::new(), epoch);
    for name in [
        "etc",
        "usr",
        "usr/local",
        "usr/local/bin",
        "usr/share",
        "usr/share/licenses",
        "usr/share/licenses/pict-rs",
    ] {
        tar.folder(name, 0o755, 0)?;
    }
    // A volume takes owner and permissions from here when it is made.
    tar.folder("mnt", 0o755, USER)?;
    tar.folder("tmp", 0o1777, 0)?;
    let passwd = format!(
        "root:x:0:0:root:/:/sbin/nologin\npict-rs:x:{USER}:{USER}:pict-rs:/mnt:/sbin/nologin\n"
    );
    tar.file("etc/passwd", 0o644, passwd.as_bytes())?;
    let group = format!("root:x:0:\npict-rs:x:{USER}:\n");
    tar.file("etc/group", 0o644, group.as_bytes())?;
    tar.file("usr/local/bin/pict-rs", 0o755, &binary)?;
    tar.files("usr/share/licenses/pict-rs", &contents::licences(folder))?;
    tar.finish()
}

/// What a container is started with.
fn settings(version: &str) -> Result<Value> {
    let package = Package::of_workspace()?;
    let mut labels = json!({
        "org.opencontainers.image.title": "pict-rs",
        "org.opencontainers.image.description": package.description,
        "org.opencontainers.image.version": version,
        // Of the binary; the sources are AGPL-3.0-or-later.
        "org.opencontainers.image.licenses": "AGPL-3.0-only",
    });
    for (label, value) in [
        ("org.opencontainers.image.source", package.repository),
        ("org.opencontainers.image.url", package.homepage),
    ] {
        if let Some(value) = value {
            labels[label] = value.into();
        }
    }
    Ok(json!({
        "User": format!("{USER}:{USER}"),
        "WorkingDir": "/mnt",
        "Volumes": { "/mnt": {} },
        "ExposedPorts": { "8080/tcp": {} },
        // No variable of the server itself: those of the user, a file or a flag always win.
        "Env": [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "STATE_DIRECTORY=/mnt",
        ],
        // Without an entry point the whole command can be replaced, as in the existing image.
        "Cmd": ["/usr/local/bin/pict-rs", "run"],
        "Labels": labels,
    }))
}

/// What the manifests say of the program.
struct Package {
    description: String,
    repository: Option<String>,
    homepage: Option<String>,
}

impl Package {
    fn of_workspace() -> Result<Self> {
        let read = |name: &str| {
            let text = fs::read_to_string(cache::repository().join(name))?;
            toml::from_str::<toml::Table>(&text).with_context(|| format!("in {name}"))
        };
        let shared = read("Cargo.toml")?;
        let shared = |key: &str| {
            let value = shared.get("workspace")?.get("package")?.get(key)?;
            value.as_str().map(str::to_owned)
        };
        let own = read("crates/pict-rs/Cargo.toml")?;
        let description = own
            .get("package")
            .and_then(|package| package.get("description")?.as_str());
        Ok(Self {
            description: description
                .context("crates/pict-rs/Cargo.toml has no description")?
                .to_owned(),
            repository: shared("repository"),
            homepage: shared("homepage"),
        })
    }
}

/// Operating system and processor, as Go names them.
fn platform(target: &Target) -> Result<Value> {
    let processor = target.rust.split('-').next().unwrap_or_default();
    Ok(match processor {
        "x86_64" => json!({ "os": "linux", "architecture": "amd64" }),
        "aarch64" => json!({ "os": "linux", "architecture": "arm64", "variant": "v8" }),
        "armv7" => json!({ "os": "linux", "architecture": "arm", "variant": "v7" }),
        "riscv64gc" => json!({ "os": "linux", "architecture": "riscv64" }),
        other => bail!(
            "images have no name for {other}: look at platform in {}",
            file!()
        ),
    })
}

fn date(epoch: u64) -> Result<String> {
    let date = time::OffsetDateTime::from_unix_timestamp(epoch.try_into()?)?;
    Ok(date.format(&time::format_description::well_known::Rfc3339)?)
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Where the archive has the blob of a descriptor.
fn file_of(descriptor: &Value) -> Result<String> {
    let digest = descriptor["digest"].as_str();
    let name = digest.and_then(|digest| digest.strip_prefix("sha256:"));
    Ok(format!("blobs/sha256/{}", name.context("a digest")?))
}
