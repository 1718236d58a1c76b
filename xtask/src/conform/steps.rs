//! The requests, in order, read from `steps.toml`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// One request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its name in the results.
    pub name: String,
    /// Method and path.
    send: String,
    /// Whether the API key is sent.
    #[serde(default)]
    key: bool,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// A JSON body.
    pub json: Option<String>,
    /// The field name of the files in a form.
    #[serde(default = "images")]
    pub field: String,
    /// A form with these files of [`super::pictures`].
    pub files: Option<Vec<String>>,
    /// Values for later steps: the name, and a JSON pointer or `header NAME`.
    #[serde(default)]
    pub keep: BTreeMap<String, String>,
}

impl Step {
    /// Its method.
    pub fn method(&self) -> &str {
        self.send.split_once(' ').unwrap_or_default().0
    }

    /// Its path, with placeholders.
    pub fn path(&self) -> &str {
        self.send.split_once(' ').unwrap_or_default().1
    }

    /// All headers except those of the body.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let key = self.key.then_some(("x-api-token", "<key>"));
        let others = self.headers.iter();
        key.into_iter()
            .chain(others.map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

fn images() -> String {
    "images[]".to_owned()
}

/// All of them.
pub static STEPS: LazyLock<Vec<Step>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct File {
        steps: Vec<Step>,
    }
    let file: File = toml::from_str(include_str!("steps.toml")).expect("steps.toml is right");
    file.steps
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_can_be_read_and_has_a_body_of_one_kind() {
        assert!(STEPS.len() > 200);
        for step in STEPS.iter() {
            assert!(step.path().starts_with('/'), "{step:?}");
            assert!(step.json.is_none() || step.files.is_none(), "{step:?}");
        }
    }
}
