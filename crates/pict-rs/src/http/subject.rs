//! Which media a query string is about.

use pict_rs_core::{Alias, Error, ErrorCode, Result, query};

/// `alias=` or `proxy=`; with both, `proxy` wins. Unknown keys are ignored.
///
/// # Errors
/// [`ErrorCode::InvalidQuery`] when neither is there, [`ErrorCode::ProxyNotFound`] for any
/// `proxy=`, as this version fetches nothing.
pub fn plain(query: &str) -> Result<Alias> {
    match (find(query, "proxy"), find(query, "alias")) {
        (Some(_), _) => Err(not_proxied()),
        (None, Some(alias)) => Alias::parse(alias),
        (None, None) => Err(missing("alias")),
    }
}

/// `src=`, else `alias=`, else `proxy=`.
///
/// # Errors
/// As [`plain`].
pub fn of_process(query: &str) -> Result<Alias> {
    match find(query, "src").or_else(|| find(query, "alias")) {
        Some(alias) => Alias::parse(alias),
        None if find(query, "proxy").is_some() => Err(not_proxied()),
        None => Err(missing("src")),
    }
}

/// `upload_id=`, not yet looked at.
///
/// # Errors
/// [`ErrorCode::InvalidQuery`] when it is not there.
pub fn upload_id(query: &str) -> Result<String> {
    find(query, "upload_id").ok_or_else(|| missing("upload_id"))
}

fn find(query: &str, name: &str) -> Option<String> {
    query::pairs(query)
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

fn missing(name: &str) -> Error {
    Error::user(ErrorCode::InvalidQuery, format!("The query lacks {name}=…"))
}

fn not_proxied() -> Error {
    Error::user(ErrorCode::ProxyNotFound, "Media has not been proxied")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_route_has_its_own_order() {
        let code = |result: Result<Alias>| result.map_err(|error| error.code());
        assert_eq!(plain("alias=a.png&x=y").expect("found").as_str(), "a.png");
        assert_eq!(
            code(plain("alias=a.png&proxy=http://b")),
            Err(ErrorCode::ProxyNotFound)
        );
        assert_eq!(code(plain("src=a.png")), Err(ErrorCode::InvalidQuery));
        assert_eq!(
            of_process("alias=a.png&src=b%20c.png")
                .expect("found")
                .as_str(),
            "b c.png"
        );
        assert_eq!(
            of_process("proxy=http://b&alias=a.png")
                .expect("found")
                .as_str(),
            "a.png"
        );
        assert_eq!(
            code(of_process("proxy=http://b")),
            Err(ErrorCode::ProxyNotFound)
        );
        assert_eq!(
            code(of_process("thumbnail=5")),
            Err(ErrorCode::InvalidQuery)
        );
        assert_eq!(code(plain("alias=")), Err(ErrorCode::AliasNotFound));
    }
}
