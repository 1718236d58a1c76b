//! `server.trusted_proxies`: whose word is taken for the address of a client.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::ServerConfig;
use super::types::List;
use crate::{Error, ErrorCode, Result};

/// A network of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

/// Bits before an IPv4 address that is written as one of IPv6 (RFC 4291, section 2.5.5.2).
const MAPPED: u8 = 96;

impl Network {
    /// `192.0.2.1`, `10.0.0.0/8`, `fd00::/8`.
    fn parse(text: &str) -> Option<Self> {
        let network = match text.parse::<IpAddr>() {
            Ok(address) => address.into(),
            Err(_) => text.parse().ok()?,
        };
        let as_ipv4 = |network: Ipv6Net| {
            let address = network.addr().to_ipv4_mapped()?;
            let bits = network.prefix_len().checked_sub(MAPPED)?;
            Ipv4Net::new(address, bits).ok()
        };
        Some(Self(match network {
            IpNet::V6(network) => as_ipv4(network).map_or(network.into(), IpNet::V4),
            four => four,
        }))
    }

    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

/// What `server.trusted_proxies` is by default: a proxy on the same machine.
pub(super) fn default() -> List {
    List(["127.0.0.0/8", "::1"].map(str::to_owned).into())
}

impl ServerConfig {
    /// `server.trusted_proxies`, parsed.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] when an entry is neither an address nor a network.
    pub fn trusted_proxies(&self) -> Result<Vec<Network>> {
        let parse = |text: &String| {
            Network::parse(text).ok_or_else(|| {
                Error::user(
                    ErrorCode::ConfigInvalid,
                    format!(
                        "server.trusted_proxies: '{text}' is neither an address nor a network \
                         such as 10.0.0.0/8"
                    ),
                )
            })
        };
        self.trusted_proxies.0.iter().map(parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_addresses_with_a_length() {
        let check = |network: &str, address: &str, expected: bool| {
            let network = Network::parse(network).expect("a network");
            let address = address.parse().expect("an address");
            assert_eq!(network.contains(address), expected, "{network:?} {address}");
        };
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("10.0.0.0/8", "::ffff:10.1.2.3", true);
        check("::ffff:10.0.0.0/104", "10.255.0.1", true);
        check("::ffff:10.0.0.0/104", "11.0.0.1", false);
        check("::ffff:192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "192.0.2.3", false);
        check("0.0.0.0/0", "203.0.113.1", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("::/0", "2001:db8::1", true);
        check("fd00::/8", "fdff::1", true);
        check("fd00::/8", "fe80::1", false);
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "::1/129",
            "host",
            "10.0.0.0/-1",
        ] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}
