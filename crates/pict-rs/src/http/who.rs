//! Whose request it is: the holder of an API key, or an address; and whether a client or an
//! administrator looks at a medium. No permission depends on it, only shares of the server, and what
//! counts as used.

use std::net::IpAddr;

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use actix_web::{HttpMessage as _, HttpRequest};
use pict_rs_core::Config;
use pict_rs_core::config::{Network, Secret};
use pict_rs_core::requester::Requester;
use pict_rs_core::service::serve::Purpose;

/// What a medium is asked for: to be shown, unless the pages for administrators show it, or only the
/// head is asked for.
pub fn purpose(request: &HttpRequest) -> Purpose {
    let found = request.extensions().get().copied();
    found.unwrap_or(match *request.method() {
        Method::HEAD => Purpose::Inspection,
        _ => Purpose::Use,
    })
}

/// How clients are told apart.
pub struct Clients {
    keys: Vec<Secret>,
    trusted: Vec<Network>,
}

impl Clients {
    /// As configured.
    pub fn new(config: &Config) -> Self {
        Self {
            keys: config.server.api_keys().cloned().collect(),
            // Was checked when the configuration was read.
            trusted: config.server.trusted_proxies().unwrap_or_default(),
        }
    }

    /// The client behind a request that came from this address.
    pub fn of(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Requester {
        if let Some(given) = headers.get("x-api-token") {
            // All keys are compared, so that the time does not reveal which one matches.
            let keys = self.keys.iter().enumerate();
            let found = keys.fold(None, |found, (number, key)| {
                let is_right = key.matches(given.as_bytes());
                if is_right { Some(number) } else { found }
            });
            if let Some(number) = found {
                return Requester::Key(number);
            }
        }
        let Some(peer) = peer else {
            return Requester::Server;
        };
        Requester::of_address(self.behind(headers, peer))
    }

    /// The last address in the chain of proxies that none of ours has written, or the first of all.
    fn behind(&self, headers: &HeaderMap, peer: IpAddr) -> IpAddr {
        let mut client = peer;
        let lines: Vec<_> = headers.get_all("x-forwarded-for").collect();
        let hops = lines.iter().rev().flat_map(|line| {
            let line = line.to_str().unwrap_or_default();
            line.rsplit(',').map(address)
        });
        for hop in hops {
            if !self.trusted.iter().any(|network| network.contains(client)) {
                break;
            }
            match hop {
                Some(hop) => client = hop,
                None => break,
            }
        }
        client
    }
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let socket = || {
        text.parse()
            .ok()
            .map(|socket: std::net::SocketAddr| socket.ip())
    };
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    bare.unwrap_or(text).parse().ok().or_else(socket)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn only_trusted_proxies_tell_whose_request_it_is() {
        let mut config = Config::default();
        config.server.trusted_proxies.0 = vec!["10.0.0.0/8".to_owned()];
        let clients = Clients::new(&config);
        let check = |peer: &str, lines: &[&str], expected: &str| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(
                    HeaderName::from_static("x-forwarded-for"),
                    HeaderValue::from_str(line).expect("a value"),
                );
            }
            let found = clients.of(&headers, Some(peer.parse().expect("an address")));
            let expected = expected.parse().expect("an address");
            assert_eq!(found, Requester::of_address(expected), "{peer} {lines:?}");
        };
        check("192.0.2.1", &["198.51.100.7"], "192.0.2.1");
        check("10.1.1.1", &["198.51.100.7"], "198.51.100.7");
        check("10.1.1.1", &[], "10.1.1.1");
        check("10.1.1.1", &["203.0.113.7:51234"], "203.0.113.7");
        check("10.1.1.1", &["[2001:db8::7]:51234"], "2001:db8::7");
        check("10.1.1.1", &["[2001:db8::7]"], "2001:db8::7");
        // What a client writes itself stands further left.
        check(
            "10.1.1.1",
            &["192.0.2.99, 198.51.100.7, 10.2.2.2"],
            "198.51.100.7",
        );
        check("10.1.1.1", &["192.0.2.99", "198.51.100.7"], "198.51.100.7");
        check("10.1.1.1", &["198.51.100.7, unknown"], "10.1.1.1");
        check("10.1.1.1", &["10.3.3.3, 10.2.2.2"], "10.3.3.3");
    }

    #[test]
    fn who_has_a_key_is_known_by_it() {
        let mut config = Config::default();
        config.server.api_key = Some(Secret::new("right"));
        let clients = Clients::new(&config);
        let of = |key: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(
                HeaderName::from_static("x-api-token"),
                HeaderValue::from_str(key).expect("a value"),
            );
            clients.of(&headers, Some([192, 0, 2, 1].into()))
        };
        assert_eq!(of("right"), Requester::Key(0));
        assert_eq!(of("wrong"), Requester::of_address([192, 0, 2, 1].into()));
    }
}
