//! What the fuzz target `source` does with its bytes: finding the URL of another server in a
//! query. Shared with an ordinary test that replays `fuzz/seeds/source` on the stable compiler.

use pict_rs_core::query::{is_sound_operation, pairs, take_url};

/// The parameter that carries the URL.
const NAME: &str = "proxy";

/// Looks for the URL twice, as a server does that knows no key behind it and as one that does.
pub fn source(bytes: &[u8]) {
    let Ok(query) = std::str::from_utf8(bytes) else {
        return;
    };
    taken(query, |_, _| false);
    taken(query, is_sound_operation);
}

fn taken(query: &str, is_ours: impl Fn(&str, &str) -> bool + Copy) {
    let (url, rest) = take_url(query, NAME, is_ours);
    let before = || query.split('&').take_while(|part| !names_url(part));
    if url.is_none() {
        assert_eq!(rest, query, "nothing was taken");
        assert!(!query.split('&').any(names_url), "a URL was overlooked");
        return;
    }
    // What comes before the URL stays as it is, and nothing is made up or changes its place.
    let head: Vec<_> = before().collect();
    let head = head.join("&");
    assert!(rest.starts_with(&head), "{rest} lost {head}");
    let mut parts = query.split('&');
    if !rest.is_empty() {
        for part in rest.split('&') {
            assert!(parts.any(|own| own == part), "{part} is not from {query}");
        }
    }
    // Each key that is ours has its last value still.
    let behind: Vec<_> = query.split('&').skip(before().count() + 1).collect();
    for (key, value) in behind.iter().flat_map(|part| pairs(part)) {
        if is_ours(&key, &value) {
            assert!(
                pairs(&rest).any(|(left, _)| left == key),
                "{key} was taken from {query}"
            );
        }
    }
}

fn names_url(part: &str) -> bool {
    pairs(part).next().is_some_and(|(key, _)| key == NAME)
}
