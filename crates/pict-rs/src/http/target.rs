//! Parses the target of a query string.

use std::borrow::Cow;

use pict_rs_core::service::target::Target;
use pict_rs_core::{Alias, Error, ErrorCode, Result, SourceUrl, query};

/// `alias=` or `proxy=`; with both, `proxy` wins. Unknown keys are ignored.
///
/// # Errors
/// [`ErrorCode::InvalidQuery`] when both are missing, or the URL is invalid.
pub fn plain(query: &str) -> Result<Target> {
    let (url, rest) = query::take_url(query, "proxy", |_, _| false);
    match (url, find(&rest, "alias")) {
        (Some(url), _) => SourceUrl::parse(&url).map(Target::Proxy),
        (None, Some(alias)) => Alias::parse(alias).map(Target::Alias),
        (None, None) => Err(missing("alias")),
    }
}

/// `src=`, else `alias=`, else `proxy=`; also returns the rest of the query, for the operations.
///
/// # Errors
/// As [`plain`].
pub fn of_process(query: &str) -> Result<(Target, Cow<'_, str>)> {
    let (url, rest) = query::take_url(query, "proxy", query::is_sound_process_key);
    let alias = find(&rest, "src").or_else(|| find(&rest, "alias"));
    let target = match (alias, url) {
        (Some(alias), _) => Target::Alias(Alias::parse(alias)?),
        (None, Some(url)) => Target::Proxy(SourceUrl::parse(&url)?),
        (None, None) => return Err(missing("src")),
    };
    Ok((target, rest))
}

/// `upload_id=`, not yet parsed.
///
/// # Errors
/// [`ErrorCode::InvalidQuery`] when it is missing.
pub fn upload_id(query: &str) -> Result<String> {
    find(query, "upload_id").ok_or_else(|| missing("upload_id"))
}

/// A key that is `true` or `false`; false when it is missing.
///
/// # Errors
/// [`ErrorCode::InvalidQuery`] for any other value.
pub fn switch(query: &str, name: &str) -> Result<bool> {
    match find(query, name).as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(Error::user(
            ErrorCode::InvalidQuery,
            format!("{name}={other} is neither true nor false"),
        )),
    }
}

/// The first value of a key.
pub fn find(query: &str, name: &str) -> Option<String> {
    query::pairs(query)
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

fn missing(name: &str) -> Error {
    Error::user(ErrorCode::InvalidQuery, format!("The query lacks {name}=…"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(text: &str) -> Target {
        Target::Alias(Alias::parse(text).expect("valid"))
    }

    fn proxy(text: &str) -> Target {
        Target::Proxy(SourceUrl::parse(text).expect("valid"))
    }

    #[test]
    fn each_kind_of_route_has_its_own_order() {
        let both = "alias=a.png&proxy=http://b";
        assert_eq!(plain("alias=a.png&x=y").expect("found"), alias("a.png"));
        assert_eq!(plain(both).expect("found"), proxy("http://b/"));
        let of = |query| of_process(query).expect("found").0;
        assert_eq!(of("alias=a.png&src=b%20c.png"), alias("b c.png"));
        assert_eq!(of(both), alias("a.png"));
        assert_eq!(of("proxy=http://b&alias=a.png"), alias("a.png"));
        assert_eq!(of("proxy=http://b&thumbnail=5"), proxy("http://b/"));
        let code = |result: Result<Target>| result.map_err(|error| error.code());
        let of = |query| of_process(query).map(|(target, _)| target);
        assert_eq!(code(plain("src=a.png")), Err(ErrorCode::InvalidQuery));
        assert_eq!(code(plain("proxy=b")), Err(ErrorCode::InvalidQuery));
        assert_eq!(code(of("thumbnail=5")), Err(ErrorCode::InvalidQuery));
        assert_eq!(code(of("proxy=/b")), Err(ErrorCode::InvalidQuery));
        assert_eq!(code(plain("alias=")), Err(ErrorCode::AliasNotFound));
    }

    #[test]
    fn what_leaked_of_a_url_is_no_operation() {
        let (target, rest) =
            of_process("proxy=http://b/?c=1&crop=faces&d=2&thumbnail=5").expect("found");
        assert_eq!(target, proxy("http://b/?c=1&crop=faces&d=2"));
        assert_eq!(rest, "thumbnail=5");
        let found = plain("proxy=http://b/?c=1&thumbnail=5&alias=a").expect("found");
        assert_eq!(found, proxy("http://b/?c=1&thumbnail=5&alias=a"));
    }
}
