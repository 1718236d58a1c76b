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
    Control, Output, OutputFormat, Speed, clean, inspect, limits::Bounds, operation, transform,
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
        let facts = inspect(&source, &Bounds::NONE, &Control::new())?;
        made = transform(&source, &facts, &operations, &wanted, &Control::new())?.bytes;
        Ok(())
    })?;
    fs::write(output, made)?;
    Ok(())
}

/// The pieces are put together, as a store that writes them does.
fn measure_cleaning(source: &[u8], output: &str, repeat: u32) -> Result<(), Box<dyn Error>> {
    let mut made = Vec::new();
    clock::measure(repeat, || {
        let facts = inspect(source, &Bounds::NONE, &Control::new())?;
        made = clean(source, &facts, &Control::new())?.pieces.concat();
        Ok(())
    })?;
    fs::write(output, made)?;
    Ok(())
}
