//! How the existing pict-rs encodes names in its keys: a UUID as its 16 bytes, any other name as
//! text, followed by the extension.

use uuid::Uuid;

use super::broken;
use crate::{Alias, DeleteToken, Result};

/// Bytes of a UUID.
const UUID: usize = 16;

/// Decodes an alias. Bytes that are valid text are taken as a name, as in the existing pict-rs,
/// unless the part before the extension is as long as a UUID.
pub(super) fn alias(bytes: &[u8]) -> Result<Alias> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => {
            let (stem, extension) = text.split_at(text.rfind('.').unwrap_or(text.len()));
            match Uuid::from_slice(stem.as_bytes()) {
                Ok(uuid) => format!("{uuid}{extension}"),
                Err(_) => text.to_owned(),
            }
        }
        Err(_) => {
            let (uuid, extension) = bytes
                .split_at_checked(UUID)
                .ok_or_else(|| broken("an alias is neither text nor a UUID"))?;
            let uuid = Uuid::from_slice(uuid).map_err(|_| broken("an alias has no UUID"))?;
            format!("{uuid}{}", String::from_utf8_lossy(extension))
        }
    };
    Alias::parse(text).map_err(|_| broken("an alias is empty, or far too long"))
}

/// Decodes a delete token: a UUID, or ten letters in old databases.
pub(super) fn token(bytes: &[u8]) -> Result<DeleteToken> {
    if let Ok(uuid) = Uuid::from_slice(bytes) {
        return Ok(DeleteToken::new(uuid.to_string()));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| broken("a delete token is no text"))?;
    Ok(DeleteToken::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_written_out_and_names_stay() {
        let uuid = Uuid::from_u128(0x8899_aabb_ccdd_eeff_8899_aabb_ccdd_eeff);
        let id = "8899aabb-ccdd-eeff-8899-aabbccddeeff";
        let check = |bytes: &[u8], expected: &str| {
            assert_eq!(alias(bytes).expect("an alias").as_str(), expected);
        };
        check(
            &[uuid.as_bytes(), &b".png"[..]].concat(),
            &format!("{id}.png"),
        );
        check(uuid.as_bytes(), id);
        check(b"cat.jpg", "cat.jpg");
        check(b"asdfghjkl1", "asdfghjkl1");
        // A UUID whose bytes are all letters.
        check(
            b"abcdefghijklmnop.gif",
            "61626364-6566-6768-696a-6b6c6d6e6f70.gif",
        );
        alias(b"\xff").expect_err("too short for a UUID");
        assert_eq!(token(uuid.as_bytes()).expect("a token").expose(), id);
        assert_eq!(
            token(b"abcdefghij").expect("a token").expose(),
            "abcdefghij"
        );
    }
}
