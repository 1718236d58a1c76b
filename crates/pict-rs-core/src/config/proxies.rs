//! `server.trusted_proxies`: whose word is taken for the address of a client.

use std::net::IpAddr;

use super::ServerConfig;
use super::types::List;
use crate::{Error, ErrorCode, Result};

/// A network: an address and how many of its bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// `192.0.2.1`, `10.0.0.0/8`, `fd00::/8`.
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        (bits <= most).then_some(Self { address, bits })
    }

    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let same = |a: u128, b: u128, length: u32| {
            let ignored = length - self.bits;
            a.checked_shr(ignored).unwrap_or(0) == b.checked_shr(ignored).unwrap_or(0)
        };
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                same(a.to_bits().into(), b.to_bits().into(), u32::BITS)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), u128::BITS),
            _ => false,
        }
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
