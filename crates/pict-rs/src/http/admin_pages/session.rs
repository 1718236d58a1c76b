//! Sessions of the admin page: a signed cookie, so that no server has to remember them and every
//! server of a site accepts them.
//!
//! The cookie is `<end>.<token>.<name>.<signature>`: when the session ends (Unix time in seconds), a
//! random token that every form has to carry (against requests that other sites make a browser
//! send), the name of the API key or nothing, and an HMAC-SHA256 of these. Its key is made from the API keys, so that a change of these ends every
//! session.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::cookie::{Cookie, SameSite, time as cookie_time};
use pict_rs_core::config::{KeyName, ServerConfig};
use pict_rs_core::requester::Requester;
use ring::hmac;
use uuid::Uuid;

/// The name of the cookie.
pub const COOKIE: &str = "pict-rs-admin";
/// The only paths that it is sent to.
const PATH: &str = "/admin";
/// How long a session lasts.
const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);
/// Wrong keys that a client may send within [`WINDOW`].
const MAX_FAILURES: u32 = 10;
/// For how long wrong keys are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// Clients whose wrong keys are counted at a time; more are refused.
const MAX_CLIENTS: usize = 10_000;

/// Signs and verifies sessions.
pub struct Sessions {
    key: hmac::Key,
    failures: Mutex<HashMap<Requester, Failures>>,
}

/// A valid session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// What each form has to carry.
    pub token: String,
    /// The API key that was used to sign in.
    pub key: KeyName,
}

/// Wrong keys of a client.
struct Failures {
    count: u32,
    since: Instant,
}

impl Sessions {
    /// For the API keys of this server; `None` without any, or when the settings want no admin page.
    pub fn new(server: &ServerConfig) -> Option<Self> {
        let mut keys = server.keys().peekable();
        if !server.admin || keys.peek().is_none() {
            return None;
        }
        let mut secret = b"pict-rs session".to_vec();
        for (name, key) in keys {
            for text in [name.unwrap_or_default(), key.expose()] {
                // With its length, so that no other keys give the same secret.
                secret.extend((text.len() as u64).to_be_bytes());
                secret.extend(text.as_bytes());
            }
        }
        Some(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            failures: Mutex::default(),
        })
    }

    /// The cookie of a new session. `now` is Unix time in seconds.
    pub fn begin(&self, key: &KeyName, now: u64, is_secure: bool) -> Cookie<'static> {
        let end = now.saturating_add(LIFETIME.as_secs());
        // A name has no dot.
        let name = key.0.as_deref().unwrap_or_default();
        let signed = format!("{end}.{}.{name}", Uuid::new_v4().simple());
        let signature = hmac::sign(&self.key, signed.as_bytes());
        let value = format!("{signed}.{}", hex::encode(signature));
        cookie(value, is_secure)
    }

    /// The session of a cookie's value, if it is ours and has not ended.
    pub fn find(&self, value: &str, now: u64) -> Option<Session> {
        let (signed, signature) = value.rsplit_once('.')?;
        let signature = hex::decode(signature).ok()?;
        hmac::verify(&self.key, signed.as_bytes(), &signature).ok()?;
        let mut parts = signed.split('.');
        let (end, token, name) = (parts.next()?, parts.next()?, parts.next()?);
        let end: u64 = end.parse().ok()?;
        (now < end).then(|| Session {
            token: token.to_owned(),
            key: KeyName((!name.is_empty()).then(|| name.to_owned())),
        })
    }

    /// Whether this client may try a key now. If not, for how long not.
    ///
    /// # Errors
    /// The time until it may.
    pub fn admit(&self, client: Requester) -> Result<(), Duration> {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= MAX_CLIENTS {
            failures.retain(|_, failures| failures.since.elapsed() < WINDOW);
        }
        match failures.get(&client) {
            Some(found) if found.count >= MAX_FAILURES => {
                match WINDOW.checked_sub(found.since.elapsed()) {
                    Some(left) => Err(left),
                    None => Ok(()),
                }
            }
            None if failures.len() >= MAX_CLIENTS => Err(WINDOW),
            _ => Ok(()),
        }
    }

    /// Counts a wrong key.
    pub fn failed(&self, client: Requester) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let found = failures.entry(client).or_insert(Failures {
            count: 0,
            since: Instant::now(),
        });
        if found.since.elapsed() >= WINDOW {
            *found = Failures {
                count: 0,
                since: Instant::now(),
            };
        }
        found.count += 1;
    }
}

/// The cookie that removes that of a session.
pub fn end(is_secure: bool) -> Cookie<'static> {
    let mut cookie = cookie(String::new(), is_secure);
    cookie.set_max_age(cookie_time::Duration::ZERO);
    cookie
}

fn cookie(value: String, is_secure: bool) -> Cookie<'static> {
    Cookie::build(COOKIE, value)
        .path(PATH)
        .http_only(true)
        .secure(is_secure)
        .same_site(SameSite::Strict)
        .max_age(LIFETIME.try_into().unwrap_or(cookie_time::Duration::ZERO))
        .finish()
}

#[cfg(test)]
mod tests {
    use pict_rs_core::config::Secret;

    use super::*;

    fn sessions(keys: &[&str]) -> Sessions {
        let mut server = ServerConfig::default();
        server.api_keys.0 = keys.iter().map(|key| Secret::new(*key)).collect();
        Sessions::new(&server).expect("there is a key")
    }

    #[test]
    fn a_session_ends_after_its_time_or_with_the_keys() {
        let ours = sessions(&["a", "b"]);
        let cookie = ours.begin(&KeyName::default(), 1_000, false);
        let end = 1_000 + LIFETIME.as_secs();
        let session = ours.find(cookie.value(), 1_000).expect("valid");
        assert_eq!(session.token.len(), 32);
        assert_eq!(session.key, KeyName(None));
        let ada = KeyName(Some("ada".to_owned()));
        let named = ours.begin(&ada, 1_000, false);
        let named = ours.find(named.value(), 1_000).expect("valid");
        assert_eq!(named.key, ada);
        assert_eq!(ours.find(cookie.value(), end - 1), Some(session));
        assert_eq!(ours.find(cookie.value(), end), None);
        // Another server of the site has the same keys.
        assert!(sessions(&["a", "b"]).find(cookie.value(), 1_000).is_some());
        for keys in [&["a"][..], &["b", "a"], &["ab"], &["a", "b", "c"]] {
            assert_eq!(sessions(keys).find(cookie.value(), 1_000), None, "{keys:?}");
        }
    }

    #[test]
    fn no_other_value_is_a_session() {
        let ours = sessions(&["a"]);
        let value = ours
            .begin(&KeyName::default(), 1_000, false)
            .value()
            .to_owned();
        for at in 0..value.len() {
            let mut changed = value.clone().into_bytes();
            changed[at] = if changed[at] == b'1' { b'2' } else { b'1' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert_eq!(ours.find(&changed, 1_000), None, "{changed}");
        }
        for value in [
            "",
            ".",
            "..",
            "9999999999.x.",
            "9999999999.x.ä",
            "9999999999.x.0",
        ] {
            assert_eq!(ours.find(value, 1_000), None, "{value}");
        }
    }

    #[test]
    fn a_cookie_stays_on_this_site_and_away_from_scripts() {
        let text = sessions(&["a"])
            .begin(&KeyName::default(), 0, true)
            .to_string();
        for part in [
            "; HttpOnly",
            "; SameSite=Strict",
            "; Secure",
            "; Path=/admin",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(
            !sessions(&["a"])
                .begin(&KeyName::default(), 0, false)
                .to_string()
                .contains("Secure")
        );
        assert!(end(false).to_string().contains("Max-Age=0"));
    }

    #[test]
    fn keys_are_not_guessed_for_long() {
        let sessions = sessions(&["a"]);
        let client = |number: u8| Requester::of_address([192, 0, 2, number].into());
        for _ in 0..MAX_FAILURES {
            sessions.admit(client(1)).expect("not too many");
            sessions.failed(client(1));
        }
        let left = sessions.admit(client(1)).expect_err("too many");
        assert!(left <= WINDOW && left > WINDOW / 2, "{left:?}");
        sessions.admit(client(2)).expect("another client");
    }

    #[test]
    fn there_are_no_sessions_without_a_key_or_page() {
        let mut server = ServerConfig::default();
        assert!(Sessions::new(&server).is_none());
        server.api_key = Some(Secret::new(""));
        assert!(Sessions::new(&server).is_none());
        server.api_key = Some(Secret::new("a"));
        assert!(Sessions::new(&server).is_some());
        server.admin = false;
        assert!(Sessions::new(&server).is_none());
    }
}
