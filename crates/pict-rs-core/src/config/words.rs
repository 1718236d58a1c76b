//! Settings with a few allowed values. The error for any other value lists them.

use pict_rs_media::OutputFormat;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            const WORDS: &'static [&'static str] = &[$($text,)*];

            /// As it is written in the configuration.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                match String::deserialize(deserializer)?.as_str() {
                    $($text => Ok(Self::$variant),)*
                    other => Err(de::Error::unknown_variant(other, Self::WORDS)),
                }
            }
        }
    };
}

words! {
    /// Shape of a log line.
    LogFormat {
        /// One line, for people.
        Normal = "normal",
        /// Shorter.
        Compact = "compact",
        /// Several lines.
        Pretty = "pretty",
        /// One JSON object a line.
        Json = "json",
    }
}

words! {
    /// What happens to a file that looks like a listed one.
    #[derive(Default)]
    OnMatch {
        /// It is refused.
        #[default]
        Refuse = "refuse",
        /// It is stored, and only administrators see it until they release it.
        Quarantine = "quarantine",
    }
}

words! {
    /// Which database.
    #[derive(Default)]
    RepoType {
        /// The embedded database.
        #[default]
        Sqlite = "sqlite",
        /// The embedded database, at the path given for sled.
        Sled = "sled",
        /// The embedded database, at the path given for fjall.
        Fjall = "fjall",
        /// PostgreSQL.
        Postgres = "postgres",
    }
}

words! {
    /// Where bytes are kept.
    #[derive(Default)]
    StoreType {
        /// A folder.
        #[default]
        Filesystem = "filesystem",
        /// An S3 bucket.
        ObjectStorage = "object_storage",
    }
}

words! {
    /// How the file is sent to the external validation.
    #[derive(Default)]
    ValidationForm {
        /// The bytes themselves, as pict-rs 0.5 sends them.
        #[default]
        Raw = "raw",
        /// One part of a form, as pict-rs 0.6 sends it.
        Multipart = "multipart",
    }
}

words! {
    /// What happens to a file when the external validation gives no verdict.
    #[derive(Default)]
    ValidationFailure {
        /// It is refused for now.
        #[default]
        Refuse = "refuse",
        /// It is accepted, with a warning.
        Accept = "accept",
    }
}

words! {
    /// What the external validation gets.
    #[derive(Default)]
    ValidationAs {
        /// The file that would be served.
        #[default]
        Original = "original",
        /// A JPEG of it; for animations and clips, a few of the frames.
        Jpeg = "jpeg",
    }
}

words! {
    /// Where files are decoded.
    #[derive(Default)]
    Isolation {
        /// In other processes where the system can start them, else in threads.
        #[default]
        Auto = "auto",
        /// In other processes, which have given up everything that a decoder does not need.
        Process = "process",
        /// In threads of the server.
        Thread = "thread",
    }
}

words! {
    /// Which aliases of a lost file work again when the same bytes are uploaded.
    #[derive(Default)]
    Heal {
        /// Only the alias of that upload.
        #[default]
        Alias = "alias",
        /// All its aliases.
        All = "all",
    }
}

words! {
    /// What stills can be converted to at upload.
    #[expect(missing_docs, reason = "the names say all")]
    ImageFormat {
        Avif = "avif",
        Jpeg = "jpeg",
        Jxl = "jxl",
        Png = "png",
        Webp = "webp",
    }
}

words! {
    /// What animations can be converted to at upload.
    #[expect(missing_docs, reason = "the names say all")]
    AnimationFormat {
        Apng = "apng",
        Avif = "avif",
        Gif = "gif",
        Webp = "webp",
    }
}

words! {
    /// What videos can be re-encoded to.
    #[expect(missing_docs, reason = "the names say all")]
    VideoCodec {
        Av1 = "av1",
        H264 = "h264",
        H265 = "h265",
        Vp8 = "vp8",
        Vp9 = "vp9",
    }
}

words! {
    /// What the sound of videos can be re-encoded to.
    #[expect(missing_docs, reason = "the names say all")]
    AudioCodec {
        Aac = "aac",
        Opus = "opus",
        Vorbis = "vorbis",
    }
}

impl ImageFormat {
    /// The engine's name for it.
    pub fn output(self) -> OutputFormat {
        match self {
            Self::Avif => OutputFormat::Avif,
            Self::Jpeg => OutputFormat::Jpeg,
            Self::Jxl => OutputFormat::Jxl,
            Self::Png => OutputFormat::Png,
            Self::Webp => OutputFormat::Webp,
        }
    }
}

impl AnimationFormat {
    /// The engine's name for it.
    pub fn output(self) -> OutputFormat {
        match self {
            Self::Apng => OutputFormat::Apng,
            Self::Avif => OutputFormat::Avif,
            Self::Gif => OutputFormat::Gif,
            Self::Webp => OutputFormat::Webp,
        }
    }
}
