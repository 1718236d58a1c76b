//! Query strings: the operations of a process URL, and the options of an upload. Pure; order is
//! kept, because operations apply in order.

mod source;

use std::borrow::Cow;

use pict_rs_media::{
    Kind, OutputFormat,
    limits::{LimitKind, Limits, at_most},
    operation::{self, Operation},
};

use crate::{Error, ErrorCode, Owner, Result, VariantKey};

pub use source::{Download, take_url};

/// Bytes in a MiB, which the query calls MB.
const MIB: u64 = 1024 * 1024;

/// Splits and decodes a query string, in order.
pub fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(query.as_bytes())
}

/// A request for `process.{ext}?…`.
#[derive(Clone, Debug)]
pub struct ProcessRequest {
    /// In the order of the query.
    pub operations: Vec<Operation>,
    /// The frame of an animation, counted from 1.
    pub frame: Option<u32>,
    /// The output format.
    pub format: OutputFormat,
    /// The frame of a clip, as milliseconds from its beginning; `time` in the query is in seconds.
    /// Ignored for other media.
    pub time: Option<u64>,
    /// The canonical key of all this.
    pub key: VariantKey,
}

impl ProcessRequest {
    /// Parses the query. Keys that are not operations are ignored (clients leak parts of other URLs
    /// into ours), and so are operations that are not among `filters`.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidFileExtension`] and [`ErrorCode::InvalidProcessPath`].
    pub fn parse(extension: &str, query: &str, filters: &[String]) -> Result<Self> {
        let format = OutputFormat::from_extension(extension).ok_or_else(|| {
            let known = OutputFormat::ALL.map(OutputFormat::extension).join(", ");
            Error::user(
                ErrorCode::InvalidFileExtension,
                format!("Cannot write '{extension}' files; this server writes {known}"),
            )
        })?;
        let mut operations = Vec::new();
        let (mut frame, mut time) = (None, None);
        for (key, value) in pairs(query) {
            if key == FRAME {
                frame = Some(frame_number(&value)?);
            } else if key == TIME {
                time = Some(seconds(&value)?);
            } else if is_operation_like(&key)
                && (filters.iter().any(|name| *name == key) || !is_operation(&key))
            {
                operations.extend(operation::parse(&key, &value)?);
            }
        }
        let key = VariantKey::of_frame(frame, time, &operations, format)?;
        Ok(Self {
            operations,
            frame,
            format,
            time,
            key,
        })
    }
}

/// Refuses what [`ProcessRequest::parse`] would ignore: for `media.strict_operations`.
///
/// # Errors
/// [`ErrorCode::InvalidProcessPath`], naming the key.
pub fn refuse_unknown(query: &str, filters: &[String]) -> Result<()> {
    for (key, _) in pairs(query) {
        let is_known = [FRAME, TIME, "src", "alias", "proxy"].contains(&&*key)
            || filters.iter().any(|name| *name == key);
        if !is_known {
            let message = format!("'{key}' is not an operation of this server");
            let detail = format!("There are {}, {FRAME} and {TIME}", filters.join(", "));
            return Err(Error::user(ErrorCode::InvalidProcessPath, message).detail(detail));
        }
    }
    Ok(())
}

impl ProcessRequest {
    /// The same request in another format.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidProcessPath`] when there are too many operations for a key.
    pub fn in_format(&self, format: OutputFormat) -> Result<Self> {
        let key = VariantKey::of_frame(self.frame, self.time, &self.operations, format)?;
        Ok(Self {
            operations: self.operations.clone(),
            frame: self.frame,
            format,
            time: self.time,
            key,
        })
    }

    /// The same request for a source of this kind and with `frames` frames, without the parts that
    /// have no effect: one picture must be one variant. `time` applies only to clips; a still, and
    /// a format without animation, has only the first frame.
    ///
    /// # Errors
    /// None in practice: the key only gets shorter.
    pub fn normalized(&self, kind: Kind, frames: u32) -> Result<Cow<'_, Self>> {
        let is_clip = kind == Kind::Video;
        let is_plain = !is_clip && (frames == 1 || !self.format.keeps_animation());
        let frame = self.frame.filter(|frame| !(is_plain && *frame == 1));
        let time = self.time.filter(|_| is_clip);
        if (frame, time) == (self.frame, self.time) {
            return Ok(Cow::Borrowed(self));
        }
        Ok(Cow::Owned(Self {
            key: VariantKey::of_frame(frame, time, &self.operations, self.format)?,
            frame,
            time,
            operations: self.operations.clone(),
            format: self.format,
        }))
    }

    /// Parses a variant's key from the database.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidFileExtension`] and [`ErrorCode::InvalidProcessPath`], for a key written
    /// by another version.
    pub fn from_key(key: &str) -> Result<Self> {
        let (path, extension) = key.rsplit_once('/').unwrap_or(("", key));
        let mut query = form_urlencoded::Serializer::new(String::new());
        let mut words = path.split('/');
        while let (Some(name), Some(argument)) = (words.next(), words.next()) {
            query.append_pair(name, argument);
        }
        let all = operation::NAMES.map(str::to_owned);
        Self::parse(extension, &query.finish(), &all)
    }
}

/// The key that chooses a frame of an animation.
const FRAME: &str = "frame";
/// The key that chooses a frame of a clip.
const TIME: &str = "time";

fn frame_number(value: &str) -> Result<u32> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let number = value.parse().ok().filter(|number| digits && *number > 0);
    number.ok_or_else(|| {
        Error::user(
            ErrorCode::InvalidProcessPath,
            format!("{FRAME}={value} is not valid: a whole number from 1 on"),
        )
    })
}

/// Whether it is a known operation with a valid argument.
pub fn is_sound_operation(key: &str, argument: &str) -> bool {
    is_operation(key) && operation::parse(key, argument).is_ok()
}

/// Whether `process` accepts it: a valid operation or frame.
pub fn is_sound_process_key(key: &str, argument: &str) -> bool {
    is_sound_operation(key, argument)
        || (key == FRAME && frame_number(argument).is_ok())
        || (key == TIME && seconds(argument).is_ok())
}

fn is_operation(key: &str) -> bool {
    operation::NAMES.contains(&key)
}

/// Whether a key looks like a misspelt operation: `Thumbnail` is reported, `utm_source` is ignored.
fn is_operation_like(key: &str) -> bool {
    operation::NAMES
        .iter()
        .any(|name| name.eq_ignore_ascii_case(key))
}

/// The query of an upload: limits, which can only tighten those of the server, and operations that
/// replace `media.preprocess_steps`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UploadQuery {
    /// Pixels.
    pub max_width: Option<u32>,
    /// Pixels.
    pub max_height: Option<u32>,
    /// Pixels.
    pub max_area: Option<u64>,
    /// Frames.
    pub max_frame_count: Option<u32>,
    /// MiB.
    pub max_file_size: Option<u64>,
    /// Refuse stills when false.
    pub allow_image: Option<bool>,
    /// Refuse animations when false.
    pub allow_animation: Option<bool>,
    /// Refuse clips when false.
    pub allow_video: Option<bool>,
    /// Whom the upload belongs to. Only with an API key.
    pub owner: Option<Owner>,
    /// In the order of the query; `None` when the query contains no operation.
    pub operations: Option<Vec<Operation>>,
}

impl UploadQuery {
    /// Parses the query. Keys that are neither a limit nor an operation are errors.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidQuery`] and [`ErrorCode::InvalidProcessPath`].
    pub fn parse(query: &str) -> Result<Self> {
        let mut parsed = Self::default();
        for (key, value) in pairs(query) {
            match &*key {
                "max_width" => parsed.max_width = Some(number(&key, &value)?),
                "max_height" => parsed.max_height = Some(number(&key, &value)?),
                "max_area" => parsed.max_area = Some(number(&key, &value)?),
                "max_frame_count" => parsed.max_frame_count = Some(number(&key, &value)?),
                "max_file_size" => parsed.max_file_size = Some(number(&key, &value)?),
                "allow_image" => parsed.allow_image = Some(switch(&key, &value)?),
                "allow_animation" => parsed.allow_animation = Some(switch(&key, &value)?),
                "allow_video" => parsed.allow_video = Some(switch(&key, &value)?),
                "owner" => parsed.owner = Some(Owner::parse(value)?),
                _ => {
                    let operation = operation::parse(&key, &value)?;
                    parsed.operations.get_or_insert_default().extend(operation);
                }
            }
        }
        Ok(parsed)
    }

    /// The server's limits, tightened by the query.
    pub fn tighten(&self, limits: Limits) -> Limits {
        Limits {
            max_width: stricter(limits.max_width, self.max_width),
            max_height: stricter(limits.max_height, self.max_height),
            max_area: stricter(limits.max_area, self.max_area),
            max_frame_count: stricter(limits.max_frame_count, self.max_frame_count),
            max_file_size: self.tighten_size(limits.max_file_size),
        }
    }

    /// The size limit alone, for use before the kind of media is known.
    pub fn tighten_size(&self, bytes: u64) -> u64 {
        stricter(bytes, self.max_file_size.map(|mib| mib.saturating_mul(MIB)))
    }

    /// # Errors
    /// [`ErrorCode::MediaDisallowed`] when the query excludes this kind of media.
    pub fn check_kind(&self, kind: Kind) -> Result<()> {
        let (allowed, key) = match kind {
            Kind::Image => (self.allow_image, "allow_image"),
            Kind::Animation => (self.allow_animation, "allow_animation"),
            Kind::Video => (self.allow_video, "allow_video"),
        };
        if allowed == Some(false) {
            return Err(Error::user(
                ErrorCode::MediaDisallowed,
                format!("{key}=false, and the file is of the kind {}", kind.name()),
            ));
        }
        Ok(())
    }

    /// # Errors
    /// [`ErrorCode::ValidateFileSize`] when `size` bytes exceed the smaller of both limits.
    pub fn check_size(&self, size: u64, server_limit: u64) -> Result<()> {
        Ok(at_most(
            LimitKind::FileSize,
            self.tighten_size(server_limit),
            size,
        )?)
    }
}

fn stricter<N: Ord>(server: N, query: Option<N>) -> N {
    match query {
        Some(query) => query.min(server),
        None => server,
    }
}

/// `12` or `12.345`, in milliseconds.
fn seconds(value: &str) -> Result<u64> {
    let (whole, part) = value.split_once('.').unwrap_or((value, "0"));
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let parse = || {
        let millis: u64 = format!("{part:0<3.3}").parse().ok()?;
        let whole: u64 = whole.parse().ok()?;
        whole.checked_mul(1000)?.checked_add(millis)
    };
    (are_digits(whole) && are_digits(part))
        .then(parse)
        .flatten()
        .ok_or_else(|| {
            Error::user(
                ErrorCode::InvalidProcessPath,
                format!("{TIME}={value} is not a number of seconds such as 2 or 2.5"),
            )
        })
}

fn number<N: std::str::FromStr>(key: &str, value: &str) -> Result<N> {
    value.parse().map_err(|_| {
        Error::user(
            ErrorCode::InvalidQuery,
            format!("{key}={value} is not a whole number"),
        )
    })
}

fn switch(key: &str, value: &str) -> Result<bool> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Error::user(
            ErrorCode::InvalidQuery,
            format!("{key}={value} is neither true nor false"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<String> {
        operation::NAMES.map(str::to_owned).into()
    }

    #[test]
    fn a_process_query_keeps_order_and_ignores_strangers() {
        let check = |query: &str, expected: &str| {
            let request = ProcessRequest::parse("webp", query, &all()).expect("valid");
            assert_eq!(request.key.as_str(), expected, "{query}");
        };
        check("src=a.png", "webp");
        check("src=a.png&thumbnail=64", "thumbnail/64/webp");
        check("crop=1x1&resize=64&utm_source=x", "crop/1x1/resize/64/webp");
        check("resize=64&crop=1x1", "resize/64/crop/1x1/webp");
        check("resize=%36%34", "resize/64/webp");
        check("thumbnail=64&time=2.50", "time/2.500/thumbnail/64/webp");
        check("time=2.5009&thumbnail=64", "time/2.500/thumbnail/64/webp");
    }

    #[test]
    fn operations_that_are_not_among_the_filters_are_ignored() {
        let request = ProcessRequest::parse("jpg", "blur=x&thumbnail=9", &["thumbnail".to_owned()])
            .expect("valid");
        assert_eq!(request.key.as_str(), "thumbnail/9/jpeg");
    }

    #[test]
    fn a_variants_key_stands_for_its_request() {
        for query in [
            "",
            "thumbnail=64",
            "crop=16x9&resize=64&blur=1.5&blur=1.5",
            "time=2.5&thumbnail=9",
            "time=0",
            "resize=Lanczos.200&resize=.a10000&resize=Mitchell.a7",
        ] {
            let request = ProcessRequest::parse("jpg", query, &all()).expect("valid");
            let again = ProcessRequest::from_key(request.key.as_str()).expect("valid");
            assert_eq!(again.key, request.key);
            assert_eq!(again.operations, request.operations);
            assert_eq!(again.format, request.format);
        }
        let request = ProcessRequest::parse("png", "resize=7&frame=3", &all()).expect("valid");
        assert_eq!(request.key.as_str(), "frame/3/resize/7/png");
        let again = ProcessRequest::from_key(request.key.as_str()).expect("valid");
        assert_eq!((again.key, again.frame), (request.key, Some(3)));
        assert!(ProcessRequest::from_key("sepia/1/tiff").is_err());
    }

    #[test]
    fn mistakes_in_a_process_url_are_told() {
        let code = |extension, query| {
            ProcessRequest::parse(extension, query, &all())
                .expect_err("refused")
                .code()
        };
        assert_eq!(code("webp", "thumbnail=-1"), ErrorCode::InvalidProcessPath);
        assert_eq!(code("webp", "Thumbnail=32"), ErrorCode::InvalidProcessPath);
        for query in ["time=-1", "time=1.", "frame=0", "frame=-1"] {
            assert_eq!(
                code("webp", query),
                ErrorCode::InvalidProcessPath,
                "{query}"
            );
        }
        assert_eq!(code("mp4", ""), ErrorCode::InvalidFileExtension);
        assert_eq!(code("WEBP", ""), ErrorCode::InvalidFileExtension);
        assert_eq!(
            code("webp", &"blur=1&".repeat(200)),
            ErrorCode::InvalidProcessPath
        );
    }

    #[test]
    fn no_part_of_a_key_escapes_its_bound() {
        let parse = |query: &str| ProcessRequest::parse("webp", query, &all());
        let blurs = |count| "blur=1&".repeat(count);
        let most = (1..).take_while(|count| parse(&blurs(*count)).is_ok());
        let longest = blurs(most.last().expect("one"));
        for more in ["time=1", "frame=1000"] {
            let error = parse(&format!("{longest}{more}")).expect_err("too long");
            assert_eq!(error.code(), ErrorCode::InvalidProcessPath, "{more}");
        }
    }

    #[test]
    fn an_upload_query_is_strict() {
        let code = |query| UploadQuery::parse(query).expect_err("refused").code();
        assert_eq!(code("colour=red"), ErrorCode::InvalidProcessPath);
        assert_eq!(code("allow_video=1"), ErrorCode::InvalidQuery);
        assert_eq!(code("max_width=wide"), ErrorCode::InvalidQuery);
        assert_eq!(code("resize=a100"), ErrorCode::InvalidProcessPath);
        let long = "a".repeat(201);
        for owner in ["", "a%00b", &long] {
            let code = UploadQuery::parse(&format!("owner={owner}")).map_err(|e| e.code());
            assert_eq!(code, Err(ErrorCode::InvalidQuery), "{owner}");
        }
        assert_eq!(
            UploadQuery::parse("").expect("valid"),
            UploadQuery::default()
        );
    }

    #[test]
    fn an_upload_query_only_tightens() {
        let query = UploadQuery::parse("max_width=10&max_height=99999&max_file_size=1&resize=64")
            .expect("valid");
        let limits = query.tighten(Limits {
            max_width: 10_000,
            max_height: 10_000,
            max_area: 40_000_000,
            max_frame_count: 1,
            max_file_size: 40 * MIB,
        });
        assert_eq!(
            (limits.max_width, limits.max_height, limits.max_file_size),
            (10, 10_000, MIB)
        );
        assert_eq!(query.operations.as_ref().map(Vec::len), Some(1));
        assert!(query.check_size(MIB, 40 * MIB).is_ok());
        assert_eq!(
            query.check_size(MIB + 1, 40 * MIB).map_err(|e| e.code()),
            Err(ErrorCode::ValidateFileSize)
        );
    }
}
