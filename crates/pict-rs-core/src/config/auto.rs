//! `[media.auto]`: what `process.auto` answers with.

use pict_rs_media::OutputFormat;
use serde::{Deserialize, Serialize};

use super::{List, Span, invalid};
use crate::Result;

/// `[media.auto]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default)]
pub struct AutoConfig {
    /// Formats in order of preference, used among formats that a client likes equally. Formats that
    /// this build cannot write are skipped; JPEG, PNG and GIF come last if they are not listed.
    pub formats: List,
    /// Formats that a client does not have to wait for.
    pub slow: List,
    /// How long a request waits for a slow format, in milliseconds; 0 does not wait.
    pub budget: u64,
    /// `max-age` of the answer in another format that is sent meanwhile.
    pub fallback_max_age: Span,
}

impl Default for AutoConfig {
    fn default() -> Self {
        let list = |words: &[&str]| List(words.iter().map(|&word| word.to_owned()).collect());
        Self {
            formats: list(&["avif", "jxl", "webp", "jpeg", "png", "gif"]),
            slow: list(&["avif", "jxl"]),
            budget: 300,
            fallback_max_age: Span::seconds(60),
        }
    }
}

impl AutoConfig {
    /// The formats that may be answered, best first: `formats`, then those that every client shows.
    pub(crate) fn formats(&self) -> Vec<OutputFormat> {
        let last_resort = [OutputFormat::Jpeg, OutputFormat::Png, OutputFormat::Gif];
        let mut formats = Vec::with_capacity(OutputFormat::ALL.len());
        for format in known(&self.formats).chain(last_resort) {
            if !formats.contains(&format) {
                formats.push(format);
            }
        }
        formats
    }

    /// Whether `format` is listed in `slow`.
    pub(crate) fn is_slow(&self, format: OutputFormat) -> bool {
        known(&self.slow).any(|slow| slow == format)
    }

    pub(super) fn validate(&self) -> Result<()> {
        for (key, list) in [("formats", &self.formats), ("slow", &self.slow)] {
            for word in &list.0 {
                if OutputFormat::from_extension(word).is_none() {
                    let known = OutputFormat::ALL.map(OutputFormat::extension).join(", ");
                    return Err(invalid(format!(
                        "media.auto.{key}: '{word}' is not a format; there are {known}"
                    )));
                }
            }
        }
        Ok(())
    }
}

fn known(list: &List) -> impl Iterator<Item = OutputFormat> {
    let words = list.0.iter();
    words.filter_map(|word| OutputFormat::from_extension(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_format_is_found_at_start() {
        let mut auto = AutoConfig::default();
        auto.validate().expect("valid");
        auto.slow.0.push("heic".to_owned());
        let message = auto.validate().expect_err("refused").to_string();
        assert!(message.contains("media.auto.slow") && message.contains("heic"));
    }

    #[test]
    fn what_everybody_can_show_is_always_there() {
        let auto = AutoConfig {
            formats: List(vec!["webp".to_owned(), "png".to_owned()]),
            ..AutoConfig::default()
        };
        let expected = [
            OutputFormat::Webp,
            OutputFormat::Png,
            OutputFormat::Jpeg,
            OutputFormat::Gif,
        ];
        assert_eq!(auto.formats(), expected);
    }
}
