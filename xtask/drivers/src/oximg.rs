//! Runs oximg's own pipeline inside the process, the way the other drivers run theirs:
//! `drive-oximg IN SIDE EXT OUT REPEAT`. The file is read once, before the clock starts.
//! Prints `peak BYTES` after the first run and `cpu MILLISECONDS` for each later one.

#[path = "clock.rs"]
mod clock;

use std::{env, error::Error, fs};

use oximg::pipeline::{ImageFormat, Params, process};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [input, side, extension, output, repeat] = &arguments[..] else {
        return Err("drive-oximg IN SIDE EXT OUT REPEAT".into());
    };
    let source = fs::read(input)?;
    let side = match side.parse()? {
        0 => u32::MAX,
        side => side,
    };
    let params = Params {
        max_width: side,
        max_height: side,
        quality: 80.0,
        webp_quality: Some(80.0),
        output: Some(ImageFormat::from_token(extension).ok_or("unknown extension")?),
        ..Params::default()
    };
    let mut made = Vec::new();
    clock::measure(repeat.parse()?, || {
        made = process(&source, &params)
            .map_err(|error| format!("{error:?}"))?
            .0;
        Ok(())
    })?;
    fs::write(output, made)?;
    Ok(())
}
