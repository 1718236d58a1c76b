//! One transform from the command line, for measurements and for looking at results:
//! `transform IN 'resize=256&blur=2' EXT [fast|quality] [QUALITY] > OUT`
//! With `blurhash` or `clean` in the place of EXT it does that instead.

use std::io::Write as _;

use pict_rs_media::{
    Control, Output, OutputFormat, Speed, blurhash, clean, inspect, limits::Bounds, operation,
    transform,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [input, query, extension, rest @ ..] = &arguments[..] else {
        return Err("transform IN QUERY EXT [fast|quality] [QUALITY] > OUT".into());
    };
    let source = std::fs::read(input)?;
    let facts = inspect(&source, &Bounds::NONE, &Control::new())?;
    let control = Control::new();
    let mut out = std::io::stdout().lock();
    match extension.as_str() {
        "blurhash" => writeln!(out, "{}", blurhash(&source, &facts, &control)?)?,
        "clean" => {
            for piece in clean(&source, &facts, &control)?.pieces {
                out.write_all(&piece)?;
            }
        }
        extension => {
            let mut operations = Vec::new();
            for pair in query.split('&').filter(|pair| !pair.is_empty()) {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                operations.extend(operation::parse(key, value)?);
            }
            let output = Output {
                format: OutputFormat::from_extension(extension).ok_or("unknown extension")?,
                quality: rest.get(1).map(|quality| quality.parse()).transpose()?,
                lossless: false,
                speed: if rest.first().is_some_and(|word| word == "fast") {
                    Speed::Fast
                } else {
                    Speed::Quality
                },
            };
            out.write_all(&transform(&source, &facts, &operations, &output, &control)?.bytes)?;
        }
    }
    Ok(())
}
