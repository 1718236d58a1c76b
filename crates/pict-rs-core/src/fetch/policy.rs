//! Which URLs may be fetched. Pure; [`super::address`] checks addresses once they are known.

use std::net::IpAddr;

use url::{Host, Url};

use super::address::is_public;
use crate::config::{Allowed, AllowedHost};
use crate::{Error, ErrorCode, Result};

/// Ports of other protocols, the list that browsers refuse, so that this server cannot be made to
/// talk to a mail server, for example. Sorted.
const OTHER_PROTOCOLS: [u16; 82] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101,
    102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427,
    465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990,
    993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667,
    6668, 6669, 6697, 10080,
];
/// Databases and remote desktops: browsers may reach them, this server never needs to. Sorted.
const DATABASES: [u16; 9] = [1433, 1521, 3306, 3389, 5432, 5900, 6379, 11211, 27017];

/// Exceptions to the checks.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// `client.allow_local_connections`, or `server.danger_dummy_mode`
    pub allow_local: bool,
    /// `client.allowed_hosts`
    pub allowed_hosts: Vec<AllowedHost>,
}

/// Where a connection goes, before its name is resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// As URLs spell it.
    pub host: Host<String>,
    /// TCP.
    pub port: u16,
    /// TLS or not.
    pub is_https: bool,
    /// Whether private addresses are allowed.
    pub is_trusted: bool,
}

impl Policy {
    /// Checks scheme, user name, port and, if the host is an address, the address.
    ///
    /// # Errors
    /// [`ErrorCode::DownloadFileError`], which names what is refused.
    pub fn check(&self, url: &Url) -> Result<Endpoint> {
        let is_https = match url.scheme() {
            "http" => false,
            "https" => true,
            scheme => {
                return Err(refused(format!(
                    "Only http and https URLs are fetched, not {scheme}"
                )));
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("URLs with a user name or password are not fetched"));
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(refused("The URL has no host"));
        };
        let allowed = self
            .allowed_hosts
            .iter()
            .filter_map(|entry| entry.allows(&host, port))
            .max_by_key(|allowed| *allowed == Allowed::HostAndPort);
        if allowed != Some(Allowed::HostAndPort) && is_refused_port(port) {
            return Err(refused(format!(
                "Port {port} belongs to another protocol than HTTP"
            )));
        }
        let target = Endpoint {
            host: host.to_owned(),
            port,
            is_https,
            is_trusted: self.allow_local || allowed.is_some(),
        };
        match target.literal() {
            Some(address) if !target.allows(address) => Err(target.is_local()),
            _ => Ok(target),
        }
    }
}

impl Endpoint {
    /// The address, if the host is an address.
    pub fn literal(&self) -> Option<IpAddr> {
        match self.host {
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
            Host::Domain(_) => None,
        }
    }

    /// Whether connecting to `address` is allowed for this target.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.is_trusted || is_public(address)
    }

    /// The error when no address is allowed.
    pub fn is_local(&self) -> Error {
        refused("Proxy url resolves to local address").detail(format!(
            "{} is, or resolves to, a local or otherwise special address; this server fetches from the \
             public internet only",
            self.host
        ))
    }
}

fn is_refused_port(port: u16) -> bool {
    OTHER_PROTOCOLS.binary_search(&port).is_ok() || DATABASES.binary_search(&port).is_ok()
}

fn refused(message: impl Into<String>) -> Error {
    Error::user(ErrorCode::DownloadFileError, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ClientConfig, Config, List};

    fn policy(hosts: &[&str]) -> Policy {
        let config = Config {
            client: ClientConfig {
                allowed_hosts: List(hosts.iter().map(|host| (*host).to_owned()).collect()),
                ..ClientConfig::default()
            },
            ..Config::default()
        };
        Policy {
            allow_local: false,
            allowed_hosts: config.allowed_hosts().expect("valid"),
        }
    }

    fn check(policy: &Policy, url: &str) -> Result<Endpoint, String> {
        let url = Url::parse(url).expect("a URL");
        policy.check(&url).map_err(|error| {
            assert_eq!(error.code(), ErrorCode::DownloadFileError);
            error.to_string()
        })
    }

    #[test]
    fn the_lists_of_ports_are_sorted() {
        assert!(OTHER_PROTOCOLS.is_sorted() && DATABASES.is_sorted());
    }

    #[test]
    fn only_http_and_https_without_a_user_are_fetched() {
        let strict = Policy::default();
        let target = check(&strict, "https://a.example/x.png").expect("allowed");
        assert_eq!((target.port, target.is_https), (443, true));
        let target = check(&strict, "http://a.example:8080/").expect("allowed");
        assert_eq!((target.port, target.is_https), (8080, false));
        assert!(!target.is_trusted);
        for url in [
            "ftp://a.example/x.png",
            "file:///etc/passwd",
            "gopher://a.example/",
            "data:image/png;base64,AA",
            "ws://a.example/",
            "http://user@a.example/",
            "http://user:secret@a.example/",
            "http://:secret@a.example/",
        ] {
            check(&strict, url).expect_err(url);
        }
    }

    #[test]
    fn ports_of_other_protocols_are_refused_unless_they_are_named() {
        for url in [
            "http://a.example:0/",
            "http://a.example:22/",
            "http://a.example:25/",
            "https://a.example:6379/",
            "http://a.example:11211/",
            "http://a.example:6667/",
            "http://a.example:10080/",
        ] {
            let message = check(&Policy::default(), url).expect_err(url);
            assert!(message.contains("Port"), "{message}");
            check(&policy(&["a.example"]), url).expect_err(url);
        }
        let named = policy(&["a.example", "a.example:6379"]);
        assert!(check(&named, "http://a.example:6379/").is_ok());
        assert!(check(&named, "http://a.example:25/").is_err());
    }

    #[test]
    fn a_local_address_is_refused_in_every_spelling() {
        for host in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "0177.1",
            "017700000001",
            "0",
            "0.0.0.0",
            "0x0",
            "127.0.0.1.",
            "127。0。0。1",
            "①②⑦.0.0.1",
            "%31%32%37.0.0.1",
            "10.1",
            "169.254.169.254",
            "0xa9fea9fe",
            "192.168.1.1",
            "[::1]",
            "[::]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b:1::1]",
            "[2002:7f00:1::]",
            "[fe80::1]",
            "[fd00::1]",
        ] {
            let message = check(&Policy::default(), &format!("http://{host}/")).expect_err(host);
            assert!(
                message.starts_with("Proxy url resolves to local address: "),
                "{host}: {message}"
            );
        }
    }

    #[test]
    fn numbers_that_are_no_address_are_no_url() {
        for host in [
            "256.0.0.1",
            "127.0.0.0.1",
            "0x100000000",
            "[::1",
            "1.2.3.08",
        ] {
            assert!(Url::parse(&format!("http://{host}/")).is_err(), "{host}");
        }
    }

    #[test]
    fn public_addresses_and_names_are_fetched_from() {
        for host in [
            "8.8.8.8",
            "134744072",
            "[2606:4700::1]",
            "example.org",
            "localhost",
        ] {
            // Names are checked by the addresses they resolve to.
            check(&Policy::default(), &format!("http://{host}/")).expect(host);
        }
    }

    #[test]
    fn trust_is_for_all_or_for_listed_hosts() {
        let all = Policy {
            allow_local: true,
            ..Policy::default()
        };
        assert!(check(&all, "http://127.1/").expect("allowed").is_trusted);
        check(&all, "ftp://127.1/").expect_err("still no HTTP");
        check(&all, "http://127.1:25/").expect_err("still a port of mail");
        let some = policy(&["127.0.0.1:8080", "media.internal"]);
        assert!(check(&some, "http://2130706433:8080/").is_ok());
        assert!(check(&some, "http://127.0.0.1:8081/").is_err());
        assert!(check(&some, "http://127.0.0.2:8080/").is_err());
        let named = check(&some, "https://media.internal/").expect("allowed");
        assert!(named.allows(IpAddr::from([10, 0, 0, 1])));
        let other = check(&some, "https://other.internal/").expect("not resolved yet");
        assert!(!other.allows(IpAddr::from([10, 0, 0, 1])));
        assert!(other.allows(IpAddr::from([8, 8, 8, 8])));
    }
}
