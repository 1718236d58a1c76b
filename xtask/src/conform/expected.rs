//! Wanted differences from the existing pict-rs, read from `expected.toml`. Each is explained in
//! `docs/compatibility.md`, which a test compares with this list.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    /// Prefix of the step's name, prefix of the aspect, our value if only that is wanted, and the
    /// key of the reason. The first match applies.
    rows: Vec<[String; 4]>,
    reasons: BTreeMap<String, String>,
}

static EXPECTED: LazyLock<Expected> = LazyLock::new(|| {
    toml::from_str(include_str!("expected.toml")).expect("expected.toml is right")
});

/// Why a difference is wanted, if it is.
pub fn reason(step: &str, aspect: &str, ours: &str) -> Option<&'static str> {
    let fits = |row: &&[String; 4]| {
        let [steps, aspects, wanted, _] = row;
        step.starts_with(steps)
            && aspect.starts_with(aspects)
            && (wanted.is_empty() || wanted == ours)
    };
    let [.., reason] = EXPECTED.rows.iter().find(fits)?;
    EXPECTED.reasons.get(reason).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_wanted_difference_is_documented() {
        let docs = include_str!("../../../docs/compatibility.md");
        // Lines are wrapped in the document.
        let docs = docs
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .to_lowercase();
        for reason in EXPECTED.reasons.values() {
            assert!(
                docs.contains(&reason.to_lowercase()),
                "docs/compatibility.md lacks: {reason}"
            );
        }
    }

    #[test]
    fn rows_have_the_reasons_that_there_are() {
        let used: BTreeSet<_> = EXPECTED.rows.iter().map(|[.., reason]| reason).collect();
        assert_eq!(used, EXPECTED.reasons.keys().collect());
    }

    #[test]
    fn what_nobody_wants_has_no_reason() {
        assert_eq!(reason("original", "status", "200"), None);
        assert_eq!(
            reason("upload jpeg", "json.files[].alias", "string"),
            Some("Both shapes of the upload answer are sent")
        );
    }
}
