//! One transform from the command line, for measurements and for looking at results:
//! `transform IN 'resize=256&blur=2' EXT [fast|quality] [QUALITY] > OUT`
//! With `blurhash` or `clean` in the place of EXT it does that instead.

use std::io::Write as _;

use pict_rs_media::{Control, Job, Output, OutputFormat, Speed, limits::Bounds, operation, run};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [input, query, extension, rest @ ..] = &arguments[..] else {
        return Err("transform IN QUERY EXT [fast|quality] [QUALITY] > OUT".into());
    };
    let source = std::fs::read(input)?;
    let control = Control::new();
    let facts = run(&Job::Inspect(Bounds::NONE), &source, &control)?.facts()?;
    let mut out = std::io::stdout().lock();
    match extension.as_str() {
        "blurhash" => {
            let blurhash = run(&Job::Preview(facts), &source, &control)?
                .preview()?
                .blurhash;
            writeln!(out, "{blurhash}")?;
        }
        "clean" => {
            let job = Job::Keep {
                facts,
                credits: false,
                preview: false,
            };
            for piece in run(&job, &source, &control)?.made()?.pieces {
                out.write_all(piece.bytes(&source)?)?;
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
            let job = Job::Convert {
                facts,
                operations,
                output,
                frame: None,
                preview: false,
            };
            let made = run(&job, &source, &control)?.made()?;
            out.write_all(&made.into_bytes(&source)?)?;
        }
    }
    Ok(())
}
