//! Small types of settings, and how they are written.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Whole seconds, written as a bare number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Seconds(pub u64);

impl Seconds {
    /// As a duration, at most a century: a clock would overflow with more.
    pub fn duration(self) -> Duration {
        const CENTURY: u64 = 100 * 365 * 24 * 60 * 60;
        Duration::from_secs(self.0.min(CENTURY))
    }
}

/// A length of time with a unit: `30s`, `15m`, `12h`, `7d`, `1y`; also `minute`, `hour`,
/// `day`, `year` in the existing pict-rs's spelling. A bare number means seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(u64);

const UNITS: [(&str, u64); 13] = [
    ("seconds", 1),
    ("second", 1),
    ("s", 1),
    ("minutes", 60),
    ("minute", 60),
    ("m", 60),
    ("hours", 3_600),
    ("hour", 3_600),
    ("h", 3_600),
    ("days", 86_400),
    ("day", 86_400),
    ("d", 86_400),
    ("y", 31_536_000),
];

impl Span {
    /// From seconds.
    pub fn seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// From days.
    pub fn days(days: u64) -> Self {
        Self(days * 86_400)
    }

    /// As a duration.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }

    /// From text; `None` when it is not a length of time.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let factor = match unit.trim() {
            "" => 1,
            "year" | "years" => 31_536_000,
            unit => UNITS.iter().find(|(name, _)| *name == unit)?.1,
        };
        number.parse::<u64>().ok()?.checked_mul(factor).map(Self)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) = [("y", 31_536_000), ("d", 86_400), ("h", 3_600), ("m", 60)]
            .into_iter()
            .find(|(_, factor)| self.0 != 0 && self.0.is_multiple_of(*factor))
            .unwrap_or(("s", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "'{text}' is not a time such as 30s, 15m, 12h or 7d"
            ))
        })
    }
}

/// A number of bytes with a unit: `40 GiB`, `500 MiB`, `2 TB`. A bare number means MiB, as in all other
/// sizes of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(u64);

const BYTE_UNITS: [(&str, u64); 8] = [
    ("tib", 1 << 40),
    ("tb", 1_000_000_000_000),
    ("gib", 1 << 30),
    ("gb", 1_000_000_000),
    ("mib", 1 << 20),
    ("mb", 1_000_000),
    ("kib", 1 << 10),
    ("kb", 1_000),
];

impl ByteSize {
    /// In bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// From text; `None` when it is not a size. Case and the space before the unit do not matter, and
    /// a number may have decimals: `1.5 TiB`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_number = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
        let (number, unit) = text.split_at(text.bytes().take_while(is_number).count());
        let factor = match unit.trim().to_ascii_lowercase().as_str() {
            "" => 1 << 20,
            unit => BYTE_UNITS.iter().find(|(name, _)| *name == unit)?.1,
        };
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(factor).map(Self);
        }
        let bytes = number.parse::<f64>().ok()? * factor as f64;
        // Beyond that a float has no whole bytes.
        (bytes < (1_u64 << 53) as f64).then_some(Self(bytes as u64))
    }
}

/// In the largest binary unit that divides it, or else in KiB, rounded down.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20)];
        let (unit, factor) = binary
            .into_iter()
            .find(|(_, factor)| self.0 != 0 && self.0.is_multiple_of(*factor))
            .unwrap_or(("KiB", 1 << 10));
        write!(f, "{} {unit}", self.0 / factor)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "'{text}' is not a size such as 40 GiB or 500 MiB, or a number of MiB"
            ))
        })
    }
}

/// Text that must not be printed.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the secret, to be compared or sent.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares in a time that reveals nothing of the secret, not even its length.
    pub fn matches(&self, given: &[u8]) -> bool {
        let [ours, theirs] = [self.0.as_bytes(), given].map(Sha256::digest);
        ours[..].ct_eq(&theirs[..]).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Several secrets; a single text is split at commas, for environment variables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Secrets(pub Vec<Secret>);

impl<'de> Deserialize<'de> for Secrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let List(words) = List::deserialize(deserializer)?;
        Ok(Self(words.into_iter().map(Secret).collect()))
    }
}

/// Keys by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NamedKeys(pub BTreeMap<String, Secret>);

impl NamedKeys {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The name of an API key, if it has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyName(pub Option<String>);

impl KeyName {
    /// Characters of a name at most.
    pub const MAX: usize = 32;

    /// Whether a key may be named so.
    pub fn is_valid(name: &str) -> bool {
        let is_one = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        (1..=Self::MAX).contains(&name.len()) && name.bytes().all(is_one)
    }
}

/// A list of words; a single text is split at commas, for environment variables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct List(pub Vec<String>);

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl<'de> de::Visitor<'de> for Words {
            type Value = Vec<String>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of words")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                let words = text.split(',').map(|word| word.trim().to_owned());
                Ok(words.filter(|word| !word.is_empty()).collect())
            }

            fn visit_seq<A: de::SeqAccess<'de>>(
                self,
                mut words: A,
            ) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(word) = words.next_element()? {
                    list.push(word);
                }
                Ok(list)
            }
        }
        deserializer.deserialize_any(Words).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_take_every_documented_unit() {
        let check =
            |text, seconds| assert_eq!(Span::parse(text).map(|span| span.0), seconds, "{text}");
        check("5", Some(5));
        check("5s", Some(5));
        check("2m", Some(120));
        check("2minute", Some(120));
        check("3h", Some(10_800));
        check("3 hours", Some(10_800));
        check("7d", Some(604_800));
        check("1year", Some(31_536_000));
        check("", None);
        check("d", None);
        check("7w", None);
        check("99999999999999999999d", None);
        check("999999999999999999y", None);
    }

    #[test]
    fn sizes_take_every_documented_unit_and_print_as_they_are_written() {
        let check =
            |text, bytes| assert_eq!(ByteSize::parse(text).map(ByteSize::bytes), bytes, "{text}");
        check("40 GiB", Some(40 << 30));
        check("40gib", Some(40 << 30));
        check(" 500 MB ", Some(500_000_000));
        check("1.5 TiB", Some(3 << 39));
        check("2 TB", Some(2_000_000_000_000));
        check("64", Some(64 << 20));
        check("0", Some(0));
        for wrong in [
            "",
            "GiB",
            "-1 GiB",
            "40 Gib/s",
            "40 G",
            "1.2.3 GiB",
            ".",
            "99999999999999999999",
            "99999999999 TiB",
        ] {
            check(wrong, None);
        }
        for text in ["40 GiB", "2 TiB", "500 MiB", "3 KiB", "1536 GiB"] {
            let size = ByteSize::parse(text).expect("valid");
            assert_eq!(size.to_string(), text);
        }
    }

    #[test]
    fn a_secret_matches_only_itself_and_never_prints() {
        let secret = Secret::new("hush");
        assert!(secret.matches(b"hush"));
        for other in ["", "hus", "hush ", "husH"] {
            assert!(!secret.matches(other.as_bytes()), "{other}");
        }
        let secrets = Secrets(vec![secret]);
        assert!(!format!("{secrets:?}").contains("hush"));
    }

    #[test]
    fn a_span_prints_as_it_is_written() {
        for text in ["0s", "5s", "2m", "36h", "7d", "1y"] {
            assert_eq!(Span::parse(text).expect("valid").to_string(), text);
        }
    }
}
