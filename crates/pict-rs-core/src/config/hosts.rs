//! Hosts that an admin trusts, as `client.allowed_hosts` lists them.

use url::{Host, Url};

/// One entry: a host as written in URLs, and optionally a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    host: Host<String>,
    /// `None` allows any port that is not refused anyway.
    port: Option<u16>,
}

/// How far an entry of the list reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// The host, at any address, on the usual ports.
    Host,
    /// The host, at any address, on exactly this port.
    HostAndPort,
}

impl AllowedHost {
    /// `host` or `host:port`; IPv6 addresses in brackets. `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        // The URL parser knows all spellings of a host, but must be given only host and port.
        if text.contains(['/', '\\', '@', '?', '#', '*']) || text.chars().any(char::is_whitespace) {
            return None;
        }
        // The scheme must have no default port, because the parser drops default ports.
        let url = Url::parse(&format!("http://{text}/")).ok()?;
        let host = url.host()?.to_owned();
        let has_port = text.rsplit_once(':').is_some_and(|(before, port)| {
            let inside_brackets = before.starts_with('[') && !before.ends_with(']');
            !inside_brackets && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
        });
        let port = has_port.then(|| url.port_or_known_default()).flatten();
        if text.ends_with(':') || (has_port && port.is_none_or(|port| port == 0)) {
            return None;
        }
        Some(Self { host, port })
    }

    /// Whether the entry matches this host and port, and what it allows.
    pub fn allows(&self, host: &Host<&str>, port: u16) -> Option<Allowed> {
        let is_same = match (&self.host, host) {
            (Host::Domain(a), Host::Domain(b)) => a == b,
            (Host::Ipv4(a), Host::Ipv4(b)) => a == b,
            (Host::Ipv6(a), Host::Ipv6(b)) => a == b,
            _ => false,
        };
        match self.port {
            _ if !is_same => None,
            None => Some(Allowed::Host),
            Some(own) => (own == port).then_some(Allowed::HostAndPort),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_host_as_urls_spell_it_and_maybe_a_port() {
        let check = |text, expected: Option<(&str, Option<u16>)>| {
            let parsed = AllowedHost::parse(text);
            let found = parsed.map(|entry| (entry.host.to_string(), entry.port));
            let expected = expected.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(found, expected, "{text}");
        };
        check("cdn.example", Some(("cdn.example", None)));
        check("CDN.Example:8080", Some(("cdn.example", Some(8080))));
        check("cdn.example:80", Some(("cdn.example", Some(80))));
        check("bücher.example", Some(("xn--bcher-kva.example", None)));
        check("127.1:9000", Some(("127.0.0.1", Some(9000))));
        check("[::1]", Some(("[::1]", None)));
        check("[::1]:443", Some(("[::1]", Some(443))));
        for text in [
            "",
            "a b",
            "http://a",
            "a/b",
            "u@a",
            "a:",
            "a:0",
            "a:99999",
            "::1",
            "*.example",
            "a:b",
            "a?b",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn an_entry_allows_its_own_host_and_port_and_no_other() {
        let check = |entry: &str, url: &str, expected| {
            let url = Url::parse(url).expect("valid");
            let host = url.host().expect("a host");
            let port = url.port_or_known_default().expect("a port");
            let entry = AllowedHost::parse(entry).expect("valid");
            assert_eq!(entry.allows(&host, port), expected, "{url}");
        };
        check("a.example", "http://a.example/", Some(Allowed::Host));
        check("a.example", "https://A.EXAMPLE:444/", Some(Allowed::Host));
        check("a.example", "http://b.a.example/", None);
        check("a.example", "http://a.example.evil/", None);
        check("a.example", "http://a.example./", None);
        check(
            "a.example:80",
            "http://a.example/",
            Some(Allowed::HostAndPort),
        );
        check("a.example:80", "https://a.example/", None);
        check(
            "127.0.0.1:80",
            "http://2130706433/",
            Some(Allowed::HostAndPort),
        );
        check("[::1]", "http://127.0.0.1/", None);
    }
}
