//! Imports files under names that an admin chooses, for example their old names.

use std::sync::Arc;

use crate::repo::hash::duplicate;
use crate::service::takeover;
use crate::{Alias, Context, Error, ErrorCode, Result};

/// The alias for a file of this name: the last component of its path.
///
/// # Errors
/// [`ErrorCode::FileUploadError`] when that cannot be an alias, [`ErrorCode::DuplicateAlias`]
/// when it is taken. If another request takes the name first, that is detected at commit.
pub async fn name(ctx: &Arc<Context>, filename: &str) -> Result<Alias> {
    let alias = parse(filename)?;
    // The predecessor of a takeover may have that alias.
    if ctx.repo.has_alias(&alias).await? || takeover::bring(ctx, &alias).await? {
        return Err(duplicate(&alias));
    }
    Ok(alias)
}

fn parse(filename: &str) -> Result<Alias> {
    let name = filename.rsplit('/').find(|part| !part.is_empty());
    // In URLs, `.` and `..` are folders, so such an alias could not be requested.
    let name = name.filter(|name| !matches!(*name, "." | ".."));
    name.and_then(|name| Alias::parse(name).ok())
        .ok_or_else(|| {
            Error::user(
                ErrorCode::FileUploadError,
                format!(
                    "A file with a name of {} bytes cannot be imported as that: it becomes the alias, so it \
                     needs 1 to {} bytes, none of them NUL, and must not mean a folder",
                    filename.len(),
                    Alias::MAX_BYTES
                ),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_component_of_a_file_name_is_the_alias() {
        let check = |filename: &str, expected: &str| {
            assert_eq!(parse(filename).expect("valid").as_str(), expected);
        };
        check("a.png", "a.png");
        check("some/folder/a b ü 猫.png", "a b ü 猫.png");
        check("/a/", "a");
        check("..a", "..a");
        check(r"C:\b.png", r"C:\b.png");
        for filename in ["", "/", ".", "a/..", "a\0b", &"x".repeat(1025)] {
            let error = parse(filename).expect_err("no alias");
            assert_eq!(error.code(), ErrorCode::FileUploadError, "{filename}");
        }
    }
}
