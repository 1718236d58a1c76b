//! `pict-rs doctor`: what this installation can and cannot do, and why. It changes nothing, and can
//! run while a server uses the same data.

use std::io::{self, Write};
use std::path::Path;

use pict_rs_core::Config;
use pict_rs_core::config::{Isolation, StoreType};
use pict_rs_core::helper::{self, Helper, Helpers};
use pict_rs_core::media::Pool;
use pict_rs_core::repo::Location;
use pict_rs_core::service::health;
use pict_rs_core::system::{self, Ability};
use pict_rs_media::{Foreign, Format, Kind, OutputFormat};
use serde::Serialize;

use crate::http::tls::Certificate;

/// The result of all checks.
#[derive(Debug, Serialize)]
pub struct Report {
    version: &'static str,
    /// Problems that keep the server from working.
    problems: Vec<String>,
    /// Things that are probably unintended.
    warnings: Vec<String>,
    formats: Vec<Line>,
    /// File extensions.
    outputs: [&'static str; OutputFormat::ALL.len()],
    engine: Vec<Line>,
    /// What not every operating system can do.
    system: Vec<Line>,
    /// Where files are decoded, and what those processes have given up.
    isolation: Vec<Line>,
    programs: Vec<Program>,
    folders: Vec<Folder>,
}

#[derive(Debug, Serialize)]
struct Line {
    name: String,
    ok: bool,
    /// Why, or how.
    reason: String,
}

#[derive(Debug, Serialize)]
struct Program {
    name: &'static str,
    purpose: &'static str,
    path: Option<String>,
    version: Option<String>,
    reason: String,
}

#[derive(Debug, Serialize)]
struct Folder {
    name: &'static str,
    path: String,
    ok: bool,
    reason: String,
    free_bytes: Option<u64>,
    total_bytes: Option<u64>,
}

impl Report {
    /// Runs all checks. `unknown` are names of settings that do not exist, `warnings` are other
    /// warnings about settings.
    pub fn new<'a>(
        config: &Config,
        data: &Path,
        helpers: &Helpers,
        unknown: impl IntoIterator<Item = &'a String>,
        warnings: Vec<String>,
    ) -> Self {
        let mut report = Self {
            version: env!("CARGO_PKG_VERSION"),
            problems: Vec::new(),
            warnings,
            formats: Vec::new(),
            outputs: OutputFormat::ALL.map(OutputFormat::extension),
            engine: engine(),
            system: system(),
            isolation: Vec::new(),
            programs: Vec::new(),
            folders: Vec::new(),
        };
        for helper in Helper::ALL {
            report.program(config, helpers, helper);
        }
        report.exiftool();
        report.formats = formats(config, helpers);
        report.isolation(config, helpers);
        match config.database(data) {
            Ok(location) => match location.folder() {
                Some(folder) => report.folder("database", folder),
                None => report.server(&location),
            },
            Err(error) => report.problems.push(error.to_string()),
        }
        if config.store.r#type == StoreType::Filesystem {
            report.folder("files", &config.files_folder(data));
            if let Some(folder) = &config.server.temporary_directory {
                report.folder("temporary", folder);
            }
        } else {
            report.folder("temporary", &config.scratch_folder(data));
        }
        let unknown = unknown
            .into_iter()
            .map(|name| format!("unknown setting: {name}"));
        report.warnings.extend(unknown);
        report.settings(config, helpers);
        report
    }

    /// Whether there are no problems.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    fn program(&mut self, config: &Config, helpers: &Helpers, helper: Helper) {
        let name = helper.name();
        let mut program = Program {
            name,
            purpose: helper.purpose(),
            path: None,
            version: None,
            reason: String::new(),
        };
        match helpers.path(helper) {
            Some(path) => {
                if let Err(problem) = program.look_at(helper, path) {
                    self.problems.push(problem);
                }
            }
            None if config.media.helpers.0.iter().any(|used| used == name) => {
                program.reason = format!("not on PATH (as {})", helper.files().join(", "));
            }
            None => "not named in media.helpers".clone_into(&mut program.reason),
        }
        self.programs.push(program);
    }

    /// Its absence is no problem: the server does not use it.
    fn exiftool(&mut self) {
        let mut program = Program {
            name: Helper::Exiftool.name(),
            purpose: Helper::Exiftool.purpose(),
            path: None,
            version: None,
            reason: String::new(),
        };
        match crate::programs::exiftool() {
            Some(path) => {
                if let Err(warning) = program.look_at(Helper::Exiftool, &path) {
                    self.warnings.push(warning);
                }
            }
            None => "not on PATH; the server does not use it".clone_into(&mut program.reason),
        }
        self.programs.push(program);
    }

    /// Starts a process as the server would.
    fn isolation(&mut self, config: &Config, helpers: &Helpers) {
        let opened = tokio::runtime::Runtime::new()
            .map_err(anyhow::Error::from)
            .and_then(|runtime| Ok(runtime.block_on(Pool::open(&config.media, helpers.own()))?));
        let line = |name: &str, ok, reason: String| Line {
            name: name.to_owned(),
            ok,
            reason,
        };
        match &opened {
            Err(error) => {
                self.problems.push(format!("{error:#}"));
                self.isolation
                    .push(line("own processes", false, format!("{error:#}")));
            }
            Ok(pool) => match pool.protections() {
                Some(protections) => {
                    let own = "files are decoded in processes of their own";
                    self.isolation
                        .push(line("own processes", true, own.to_owned()));
                    self.isolation.extend(protections.iter().map(|one| {
                        let reason = one.missing.clone().unwrap_or_default();
                        line(&one.name, one.missing.is_none(), reason)
                    }));
                    let helpers = helpers.clone().isolated(config.media.isolation);
                    for helper in Helper::ALL {
                        if helpers.path(helper).is_none() {
                            continue;
                        }
                        let (ok, reason) = match helpers.is_confined(helper) {
                            true => (true, "sees only programs, libraries and its own folder"),
                            false => (false, "does not run without access to other files"),
                        };
                        self.isolation
                            .push(line(helper.name(), ok, reason.to_owned()));
                    }
                }
                None => {
                    let reason = match config.media.isolation {
                        Isolation::Thread => "media.isolation is thread",
                        _ => "no process can be started to decode files",
                    };
                    self.isolation
                        .push(line("own processes", false, reason.to_owned()));
                    self.warnings.push(format!(
                        "{reason}: a file that makes a decoder crash ends the server"
                    ));
                }
            },
        }
    }

    fn folder(&mut self, name: &'static str, path: &Path) {
        let found = health::look_at(path);
        let reason = match &found.usable {
            Ok(true) => "can be written to".to_owned(),
            Ok(false) => "is not there yet and will be made".to_owned(),
            Err(error) => format!("cannot be used: {error}"),
        };
        let ok = found.usable.is_ok();
        if !ok {
            self.problems
                .push(format!("{name}: {} {reason}", path.display()));
        }
        if found.space.is_some_and(|space| space.free < LITTLE) {
            self.warnings.push(format!(
                "{name}: less than {} MiB are free in {}",
                LITTLE >> 20,
                path.display()
            ));
        }
        self.folders.push(Folder {
            name,
            path: path.display().to_string(),
            ok,
            reason,
            free_bytes: found.space.map(|space| space.free),
            total_bytes: found.space.map(|space| space.total),
        });
    }

    fn server(&mut self, location: &Location) {
        let asked = tokio::runtime::Runtime::new()
            .map_err(anyhow::Error::from)
            .and_then(|runtime| Ok(runtime.block_on(location.look_at())?));
        let (ok, reason) = match asked {
            Ok(version) => (true, format!("is PostgreSQL {version}")),
            Err(error) => (false, format!("cannot be used: {error:#}")),
        };
        if !ok {
            self.problems.push(format!("database: {location} {reason}"));
        }
        self.folders.push(Folder {
            name: "database",
            path: location.to_string(),
            ok,
            reason,
            free_bytes: None,
            total_bytes: None,
        });
    }

    fn settings(&mut self, config: &Config, helpers: &Helpers) {
        if let Err(error) = Certificate::open(&config.server) {
            self.problems.push(format!("TLS: {error:#}"));
        }
        if config.server.danger_dummy_mode {
            self.warnings
                .push("server.danger_dummy_mode is on: anything is accepted".to_owned());
        }
        if config.server.api_keys().next().is_none() {
            self.warnings
                .push("server.api_key is not set: /internal is closed".to_owned());
        }
        if config.media.video.enable && helpers.path(Helper::Ffmpeg).is_none() {
            self.warnings.push(
                "media.video.enable is true and there is no ffmpeg: videos are answered with 501"
                    .to_owned(),
            );
        }
    }

    /// Prints the result for people.
    ///
    /// # Errors
    /// When `out` cannot be written to.
    pub fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "pict-rs {}", self.version)?;
        writeln!(out, "\nWrites {}", self.outputs.join(", "))?;
        for (title, lines) in [
            ("Formats that are taken in", &self.formats),
            ("Engine", &self.engine),
            ("Operating system", &self.system),
            ("Isolation of decoders", &self.isolation),
        ] {
            writeln!(out, "\n{title}")?;
            for line in lines {
                let mark = if line.ok { "yes" } else { "no " };
                writeln!(out, "  {mark} {:<26} {}", line.name, line.reason)?;
            }
        }
        writeln!(out, "\nPrograms")?;
        for program in &self.programs {
            let mark = if program.version.is_some() {
                "yes"
            } else {
                "no "
            };
            let version = program.version.as_deref().unwrap_or(&program.reason);
            let path = program.path.as_deref().unwrap_or("-");
            let (name, purpose) = (program.name, program.purpose);
            writeln!(out, "  {mark} {name:<18} for {purpose}: {path}; {version}")?;
        }
        writeln!(out, "\nFolders")?;
        for folder in &self.folders {
            let mark = if folder.ok { "yes" } else { "no " };
            let free = folder
                .free_bytes
                .map(|free| format!(", {} MiB free", free >> 20));
            let (name, path, reason) = (folder.name, &folder.path, &folder.reason);
            let free = free.unwrap_or_default();
            writeln!(out, "  {mark} {name:<18} {path} {reason}{free}")?;
        }
        for (title, lines) in [("Warnings", &self.warnings), ("Problems", &self.problems)] {
            if !lines.is_empty() {
                writeln!(out, "\n{title}")?;
            }
            for line in lines {
                writeln!(out, "  {line}")?;
            }
        }
        Ok(())
    }
}

impl Program {
    /// Asks the program for its version; the error is for people.
    fn look_at(&mut self, helper: Helper, path: &Path) -> Result<(), String> {
        self.path = Some(path.display().to_string());
        match helper::version(helper, path) {
            Ok(version) => {
                self.version = Some(version);
                Ok(())
            }
            Err(error) => {
                self.reason = format!("it does not run as {} should: {error}", self.name);
                Err(format!("{}: {}", path.display(), self.reason))
            }
        }
    }
}

/// Bytes below which a file system is nearly full.
const LITTLE: u64 = 256 << 20;

fn formats(config: &Config, helpers: &Helpers) -> Vec<Line> {
    let has = |helper| helpers.path(helper).is_some();
    let of = |format: Format| {
        let (ok, reason) = match format.kind() {
            _ if !format.is_readable() => (false, "not in this build"),
            _ if format == Format::Svg && !config.media.svg.enable => {
                (false, "media.svg.enable is false")
            }
            Kind::Video if !config.media.video.enable => (false, "media.video.enable is false"),
            Kind::Video if !has(Helper::Ffmpeg) => (false, "needs ffmpeg"),
            Kind::Video => (true, "by ffmpeg"),
            _ if format.is_kept() => (true, ""),
            _ => (true, "stored converted"),
        };
        Line {
            name: format.to_string(),
            ok,
            reason: reason.to_owned(),
        }
    };
    let foreign = |what: Foreign| Line {
        name: what.name().to_owned(),
        ok: has(Helper::Magick) && config.media.magick.takes(what),
        reason: if !config.media.magick.takes(what) {
            format!("media.magick.formats does not name {}", what.key())
        } else if has(Helper::Magick) {
            "by ImageMagick, if it was built with this format; stored converted".to_owned()
        } else {
            "needs ImageMagick".to_owned()
        },
    };
    let others = Foreign::ALL.into_iter().map(foreign);
    Format::all().map(of).chain(others).collect()
}

fn engine() -> Vec<Line> {
    let features = pict_rs_media::build_features().into_iter();
    let of = |feature: pict_rs_media::BuildFeature| Line {
        name: feature.name.to_owned(),
        ok: feature.is_on,
        reason: feature.detail.to_owned(),
    };
    features.map(of).collect()
}

fn system() -> Vec<Line> {
    let of = |ability: Ability| Line {
        name: ability.name.to_owned(),
        ok: ability.is_there,
        reason: ability.detail.to_owned(),
    };
    system::abilities().map(of).into()
}
