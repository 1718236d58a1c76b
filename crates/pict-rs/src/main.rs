//! The server. Reads the command line, environment and configuration file; everything else is in
//! `pict-rs-core` (services) and `http` (their HTTP side).

#[cfg(all(target_env = "musl", target_pointer_width = "64"))]
mod allocator;
mod cli;
mod doctor;
mod fsck;
mod http;
mod load;
mod log;
#[cfg(feature = "migrate")]
mod migrate;
mod migrate_repo;
mod migrate_store;
#[cfg(feature = "otlp")]
mod otlp;
mod owner;
mod programs;
mod progress;
mod source;
mod verify_clean;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use pict_rs_core::ErrorCode;
use pict_rs_core::helper::confined;
use pict_rs_core::sandbox;
use pict_rs_core::service::{backup, guard, recover};
use pict_rs_core::worker::Worker;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    match std::env::args_os().nth(1) {
        Some(word) if word == sandbox::COMMAND => return decode(),
        Some(word) if word == confined::COMMAND => return run_helper(),
        _ => {}
    }
    #[cfg(all(target_env = "musl", target_pointer_width = "64"))]
    allocator::tune();
    let cli = Cli::parse();
    let loaded = match configure(&cli) {
        Ok(loaded) => loaded,
        Err(error) => return failed(&cli, &error, CANNOT_WORK.into()),
    };
    match run(&cli, loaded) {
        Ok(code) => code,
        Err(error) if !is_migration(&cli) && needs_an_administrator(&error) => {
            failed(&cli, &error, CANNOT_WORK.into())
        }
        Err(error) => failed(&cli, &error, ExitCode::FAILURE),
    }
}

/// What the server starts this program for again; see [`sandbox`].
fn decode() -> ExitCode {
    match sandbox::inside::serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "only the server starts this: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the server starts this program for when it needs another one; see [`confined`].
fn run_helper() -> ExitCode {
    let (code, error) = confined::become_program(std::env::args_os().skip(2));
    let _ = writeln!(std::io::stderr(), "the program cannot be run: {error}");
    ExitCode::from(code)
}

/// Whether another start would fail in the same way.
fn needs_an_administrator(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<pict_rs_core::Error>();
    error.is_some_and(|error| error.code() == ErrorCode::ConfigInvalid)
}

/// The exit code for an invalid configuration, `EX_CONFIG` of `sysexits.h`. Units do not restart
/// the server after it, because it would fail again.
const CANNOT_WORK: u8 = 78;

fn is_server(cli: &Cli) -> bool {
    matches!(
        cli.command,
        Some(Command::Takeover(_) | Command::Run(_)) | None
    )
}

/// Whether data of the existing pict-rs are taken over, which ends with 1 if that did not succeed.
fn is_migration(cli: &Cli) -> bool {
    match cli.command {
        #[cfg(feature = "migrate")]
        Some(Command::Migrate(_)) => true,
        _ => false,
    }
}

fn failed(cli: &Cli, error: &anyhow::Error, code: ExitCode) -> ExitCode {
    // The reason why the server ends must be in the log.
    let format = is_server(cli)
        .then(|| load::log_format(cli.config_file.as_deref(), environment(), cli.overrides()));
    log::fatal(error, format.flatten());
    code
}

/// The environment as UTF-8; other variables cannot be ours.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// The configuration, checked as far as possible without accessing folders.
fn configure(cli: &Cli) -> anyhow::Result<load::Loaded> {
    let mut loaded = load::load(cli.config_file.as_deref(), environment(), cli.overrides())?;
    if matches!(cli.command, Some(Command::MigrateStore(_))) {
        migrate_store::complete(&mut loaded.config);
    }
    loaded.config.validate()?;
    if matches!(cli.command, Some(Command::Takeover(_))) {
        let url = loaded.config.takeover.url.as_deref();
        anyhow::ensure!(
            !url.unwrap_or_default().is_empty(),
            "takeover needs the URL of the running server, as an argument or as takeover.url"
        );
    }
    log::check(&loaded.config.tracing)?;
    Ok(loaded)
}

fn run(cli: &Cli, loaded: load::Loaded) -> anyhow::Result<ExitCode> {
    let config = loaded.config;
    let mut warnings = loaded.renamed;
    warnings.extend(
        log::warnings(&config.tracing)
            .into_iter()
            .map(str::to_owned),
    );
    if let Some(file) = &cli.save_to {
        load::save(&loaded.written, file)?;
    }
    // Fails only if a provider is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match &cli.command {
        Some(Command::CheckConfig) => {
            for name in loaded.unknown {
                writeln!(std::io::stdout(), "unknown, ignored: {name}")?;
            }
            for warning in warnings {
                writeln!(std::io::stdout(), "warning: {warning}")?;
            }
            writeln!(std::io::stdout(), "the configuration is valid")?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::PrintConfig) => {
            write!(std::io::stdout(), "{}", load::printable(&loaded.written)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::Doctor { json }) => {
            let data = load::data_folder(std::env::var("STATE_DIRECTORY").ok());
            let path = std::env::var_os("PATH");
            let helpers = programs::find_all(&config.media, path.as_deref());
            warnings.extend(programs::of_the_service(path.as_deref()));
            let report = doctor::Report::new(&config, &data, &helpers, &loaded.unknown, warnings);
            let mut out = std::io::stdout();
            if *json {
                writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
            } else {
                report.print(&mut out)?;
            }
            return Ok(u8::from(!report.is_sound()).into());
        }
        Some(Command::AcceptStore) => {
            let data = load::data_folder(std::env::var("STATE_DIRECTORY").ok());
            owner::refuse_to_begin(&config, &data)?;
            owner::refuse_to_intrude(&config, &data)?;
            let runtime = tokio::runtime::Runtime::new()?;
            let accepted = runtime.block_on(guard::accept(&config, &data))?;
            writeln!(
                std::io::stdout(),
                "{} and {} belong together from now on. The database has {} contents; of {} files that \
                 were looked for {} are there",
                config.database(&data)?,
                accepted.place,
                accepted.contents,
                accepted.sampled,
                accepted.present
            )?;
            return Ok(ExitCode::SUCCESS);
        }
        #[cfg(feature = "migrate")]
        Some(Command::Migrate(_)) => {}
        Some(Command::MigrateRepo(_) | Command::MigrateStore(_)) => {}
        // Before the log begins, because both would write to the same output.
        Some(Command::Fsck(command)) => {
            let data = load::data_folder(std::env::var("STATE_DIRECTORY").ok());
            let is_sound = fsck::run(config, &data, command)?;
            return Ok(u8::from(!is_sound).into());
        }
        Some(Command::VerifyClean(command)) => {
            return Ok(verify_clean::run(&config, command)?.into());
        }
        Some(Command::Backup { file }) => {
            let data = load::data_folder(std::env::var("STATE_DIRECTORY").ok());
            let folder = config.export_folder(&data);
            let database = config.database(&data)?;
            let written = backup::backup(&database, file.as_deref(), &folder);
            let written = tokio::runtime::Runtime::new()?.block_on(written)?;
            let (path, size) = (written.path.display(), written.size);
            writeln!(std::io::stdout(), "{path}: {size} bytes")?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::Restore { file }) => {
            let data = load::data_folder(std::env::var("STATE_DIRECTORY").ok());
            owner::refuse_to_intrude(&config, &data)?;
            let database = config.database(&data)?;
            let size = backup::restore(file, &database);
            let size = tokio::runtime::Runtime::new()?.block_on(size)?;
            writeln!(std::io::stdout(), "{database}: {size} bytes")?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::Takeover(_) | Command::Run(_)) | None => {}
    }
    let _traces = log::start(&config.tracing)?;
    log::take_panics();
    if !loaded.unknown.is_empty() {
        let names: Vec<_> = loaded.unknown.into_iter().collect();
        tracing::warn!(names = names.join(", "), "unknown settings are ignored");
    }
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let data = load::data_folder(std::env::var("STATE_DIRECTORY").ok());
    if config.server.danger_dummy_mode {
        tracing::warn!(
            "DANGER: server.danger_dummy_mode is on: anything that is uploaded is accepted, \
             uncleaned and unchecked, and served as a picture, and local addresses are fetched from. \
             For tests only"
        );
    }
    #[cfg(feature = "migrate")]
    if let Some(Command::Migrate(from)) = &cli.command {
        let state_directory = std::env::var("STATE_DIRECTORY").ok();
        let has_config_file = cli.config_file.is_some();
        let target = migrate::Target::find(&config, has_config_file, state_directory, from)?;
        let is_complete = migrate::run(config, &target, from)?;
        return Ok(u8::from(!is_complete).into());
    }
    if let Some(Command::MigrateRepo(command)) = &cli.command {
        let is_whole = migrate_repo::run(&config, &data, command)?;
        return Ok(u8::from(!is_whole).into());
    }
    if let Some(Command::MigrateStore(command)) = &cli.command {
        let is_moved = migrate_store::run(config, &data, command)?;
        return Ok(u8::from(!is_moved).into());
    }
    owner::refuse_to_intrude(&config, &data)?;
    let counted = config
        .metrics
        .prometheus_address
        .map(|_| http::metrics::install());
    let counted = counted.transpose()?;
    actix_web::rt::System::new().block_on(async {
        let helpers = programs::find_all(&config.media, std::env::var_os("PATH").as_deref());
        programs::announce(&helpers);
        let context = recover::open(config, &data, helpers).await?;
        let worker = Worker::start(context.clone());
        http::serve(context, worker, counted, loaded.origins).await
    })?;
    Ok(ExitCode::SUCCESS)
}
