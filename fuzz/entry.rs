//! What the fuzz targets do with their bytes, and what must hold for every input.
//!
//! Shared by the targets and by an ordinary test that replays `fuzz/seeds` on the stable
//! compiler, so it uses nothing but the public interface of pict-rs-media. A broken promise is
//! a panic; an error that the interface documents is not.

use pict_rs_media::{
    Control, Done, Error, Facts, Format, Job, Kind, Made, Orientation, Output, OutputFormat, Speed,
    limits::{Bounds, Limits},
    operation::{self, Operation},
    predicted_memory,
};

/// Small enough that a megabyte of input cannot make a minute of work, large enough that every
/// path of the codecs is reached.
const LIMITS: Limits = Limits {
    max_width: 4096,
    max_height: 4096,
    max_area: 256 * 1024,
    max_frame_count: 12,
    max_file_size: 1 << 20,
};

/// The same for every kind, and enough memory for what a JPEG XL of such a size hides.
const BOUNDS: Bounds = Bounds {
    image: LIMITS,
    animation: LIMITS,
    video: LIMITS,
    memory: MAX_MEMORY,
};

/// What one variant may need by the engine's own prediction, and what that of an SVG, whose document
/// alone may need so much.
const MAX_MEMORY: u64 = 64 << 20;
const MAX_SVG_MEMORY: u64 = 160 << 20;

/// What is read here and stored in another format.
pub const CONVERTED: [Format; 5] = [
    Format::Tiff,
    Format::Bmp,
    Format::Ico,
    Format::Qoi,
    Format::Pnm,
];

/// Detection, facts and cleaning; never decodes pixels unless the orientation has to be baked in.
pub fn container(source: &[u8]) {
    let Some(facts) = admit(source) else { return };
    clean_twice(source, &facts);
}

/// Everything that an upload and its variants do, for files of the given formats.
pub fn picture(source: &[u8], formats: &[Format]) {
    let Some(facts) = admit(source) else { return };
    if !formats.contains(&facts.format) {
        return;
    }
    clean_twice(source, &facts);
    match run(Job::Preview(facts.clone()), source)
        .and_then(Done::preview)
        .map(|preview| preview.blurhash)
    {
        Ok(hash) => assert!(hash.len() >= 6 && hash.is_ascii(), "blurhash {hash:?}"),
        Err(error) => expected(&error),
    }
    // Both ways of shrinking, and one that changes nothing but the format.
    variant(
        source,
        &facts,
        "thumbnail=16",
        OutputFormat::Webp,
        Speed::Quality,
    );
    variant(
        source,
        &facts,
        "thumbnail=9",
        OutputFormat::Jpeg,
        Speed::Fast,
    );
    variant(
        source,
        &facts,
        "crop=3x2&resize=Mitchell.20&blur=1.5",
        OutputFormat::Png,
        Speed::Quality,
    );
    if facts.is_animated() {
        variant(source, &facts, "resize=12", OutputFormat::Gif, Speed::Fast);
    }
}

/// What the container of a clip says, asked in both ways.
pub fn clip(source: &[u8]) {
    let found = match run(Job::Clip, source).and_then(Done::clip) {
        Ok(found) => found,
        Err(error) => return expected(&error),
    };
    let facts = found.clip.facts;
    assert_eq!(facts.kind(), Kind::Video);
    assert!(facts.frames >= 1 && facts.stored_width >= 1 && facts.stored_height >= 1);
    assert!(facts.duration_ms.is_some());
    // Pictures in the same boxes are told apart before.
    if let Ok(other) = inspect(source)
        && other.kind() == Kind::Video
    {
        assert_eq!(other, facts, "both say the same of a clip");
    }
}

/// Parsing, the canonical path and the geometry of what was parsed.
pub fn query(source: &[u8]) {
    let Ok(text) = std::str::from_utf8(source) else {
        return;
    };
    for pair in text.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Ok(Some(parsed)) = operation::parse(key, value) else {
            continue;
        };
        let path = parsed.to_string();
        let (name, argument) = path.split_once('/').expect("a path has a name");
        let again = operation::parse(name, argument)
            .expect("a canonical path parses")
            .expect("an operation with a path does something");
        assert_eq!(again.to_string(), path, "from {pair:?}");
        geometry(parsed);
    }
}

fn geometry(parsed: Operation) {
    for (width, height) in [
        (1, 1),
        (3, 2),
        (4032, 3024),
        (1, 65_535),
        (u32::MAX, u32::MAX),
    ] {
        match parsed {
            Operation::Resize { to, .. } => {
                let (w, h) = to.size(width, height);
                assert!((1..=width).contains(&w) && (1..=height).contains(&h));
            }
            Operation::Crop {
                width: rw,
                height: rh,
            } => {
                let cut = operation::centred_crop(width, height, rw, rh);
                assert!(cut.width >= 1 && cut.height >= 1);
                assert!(u64::from(cut.x) + u64::from(cut.width) <= u64::from(width));
                assert!(u64::from(cut.y) + u64::from(cut.height) <= u64::from(height));
            }
            Operation::Thumbnail(_) | Operation::Blur(_) => {}
        }
    }
}

/// The facts of a file that a server with [`LIMITS`] would let in.
fn admit(source: &[u8]) -> Option<Facts> {
    let facts = run(Job::Inspect(BOUNDS), source).and_then(Done::facts);
    let facts = facts.inspect_err(expected).ok()?;
    assert!(facts.frames >= 1 && facts.stored_width >= 1 && facts.stored_height >= 1);
    Some(facts)
}

/// The facts of a file of any size.
fn inspect(source: &[u8]) -> Result<Facts, Error> {
    run(Job::Inspect(Bounds::NONE), source).and_then(Done::facts)
}

/// Does a job that is not stopped.
fn run(job: Job, source: &[u8]) -> Result<Done, Error> {
    pict_rs_media::run(&job, source, &Control::new())
}

/// A cleaned file, and its facts.
fn clean(source: &[u8], facts: &Facts, credits: bool) -> Result<(Vec<u8>, Facts), Error> {
    let job = Job::Keep {
        facts: facts.clone(),
        credits,
        preview: false,
    };
    file(run(job, source)?.made()?, source)
}

fn file(made: Made, source: &[u8]) -> Result<(Vec<u8>, Facts), Error> {
    let facts = made.facts.clone();
    Ok((made.into_bytes(source)?, facts))
}

/// A cleaned file is a file of the same picture, upright, with nothing left to clean; with credits
/// it is that as well, but for them.
fn clean_twice(source: &[u8], facts: &Facts) {
    let (once, cleaned) = match clean(source, facts, false) {
        Ok(cleaned) => cleaned,
        Err(error) => return expected(&error),
    };
    // How an AVIF is turned is part of the picture.
    let apart = matches!(facts.format, Format::Avif | Format::AvifAnimation);
    assert!(apart || cleaned.orientation == Orientation::Normal);
    let size = |facts: &Facts| (facts.width(), facts.height(), facts.frames);
    assert_eq!(size(&cleaned), size(facts));
    let found = inspect(&once).expect("a cleaned file is recognised");
    assert_eq!(
        found, cleaned,
        "the facts of a cleaned file are those it was given"
    );
    let (again, _) = clean(&once, &found, false).expect("a cleaned file can be cleaned");
    assert!(again == once, "cleaning twice is cleaning once");
    let (credited, facts) = clean(source, facts, true).expect("what is cleaned can have credits");
    let found = inspect(&credited).expect("a file with credits is recognised");
    assert_eq!(found, facts, "credits are no part of the picture");
    clean(&credited, &found, false).expect("a file with credits can be cleaned");
}

fn variant(source: &[u8], facts: &Facts, query: &str, format: OutputFormat, speed: Speed) {
    let operations: Vec<_> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter_map(|(key, value)| operation::parse(key, value).expect("written right above"))
        .collect();
    let output = Output {
        format,
        quality: None,
        lossless: false,
        speed,
    };
    let most = if facts.format == Format::Svg {
        MAX_SVG_MEMORY
    } else {
        MAX_MEMORY
    };
    if predicted_memory(facts, &operations, &output) > most {
        return;
    }
    let job = Job::Convert {
        facts: facts.clone(),
        operations,
        output,
        frame: None,
        preview: false,
    };
    let made = run(job, source).and_then(Done::made);
    match made.and_then(|made| file(made, source)) {
        Ok((bytes, made)) => {
            let found = inspect(&bytes).expect("our own file is recognised");
            let size = |facts: &Facts| (facts.format, facts.width(), facts.height(), facts.frames);
            assert_eq!(size(&found), size(&made), "{query} to {format:?}");
            assert!(found.width() <= facts.width() && found.height() <= facts.height());
        }
        Err(error) => expected(&error),
    }
}

/// Refusals are part of the interface; our own fault and a cancel that nobody asked for are not.
fn expected(error: &Error) {
    assert!(
        !matches!(error, Error::Internal(_) | Error::Cancelled),
        "{error}"
    );
}
