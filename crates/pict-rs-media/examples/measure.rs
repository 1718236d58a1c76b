//! One transform, measured from inside the process the way `xtask/drivers` measures the peers:
//! `measure IN QUERY EXT quality|fast QUALITY OUT REPEAT`; with `clean` as the query the file is only
//! freed of metadata, and the words after it but for OUT and REPEAT do not count.
//! The file is read once, before the clock starts.
//! Prints `peak BYTES` after the first run and `cpu MILLISECONDS` for each later one.
#![expect(clippy::print_stdout, reason = "figures are its purpose")]

#[path = "../../../xtask/drivers/src/clock.rs"]
mod clock;

use std::{env, error::Error, fs};

use pict_rs_media::{
    Control, Facts, Job, Output, OutputFormat, Speed, limits::Bounds, operation, run,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [input, query, extension, speed, quality, output, repeat] = &arguments[..] else {
        return Err("measure IN QUERY EXT quality|fast QUALITY OUT REPEAT".into());
    };
    let source = fs::read(input)?;
    if query == "clean" {
        return measure_cleaning(&source, output, repeat.parse()?);
    }
    let mut operations = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        operations.extend(operation::parse(key, value)?);
    }
    let wanted = Output {
        format: OutputFormat::from_extension(extension).ok_or("unknown extension")?,
        quality: Some(quality.parse()?),
        lossless: false,
        speed: match speed.as_str() {
            "fast" => Speed::Fast,
            _ => Speed::Quality,
        },
    };
    let mut made = Vec::new();
    clock::measure(repeat.parse()?, || {
        // Facts are part of the work: every peer finds out what the file is as well.
        let job = Job::Convert {
            facts: inspect(&source)?,
            operations: operations.clone(),
            output: wanted,
            frame: None,
            preview: false,
        };
        made = make(&job, &source)?;
        Ok(())
    })?;
    fs::write(output, made)?;
    Ok(())
}

/// The pieces are put together, as a store that writes them does.
fn measure_cleaning(source: &[u8], output: &str, repeat: u32) -> Result<(), Box<dyn Error>> {
    let mut made = Vec::new();
    clock::measure(repeat, || {
        let job = Job::Keep {
            facts: inspect(source)?,
            credits: false,
            preview: false,
        };
        made = make(&job, source)?;
        Ok(())
    })?;
    fs::write(output, made)?;
    Ok(())
}

fn inspect(source: &[u8]) -> Result<Facts, Box<dyn Error>> {
    Ok(run(&Job::Inspect(Bounds::NONE), source, &Control::new())?.facts()?)
}

fn make(job: &Job, source: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let made = run(job, source, &Control::new())?.made()?;
    Ok(made.into_bytes(source)?)
}
