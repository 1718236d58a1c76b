//! Who a piece of work is done for, so that clients that wait have fair shares of the server.

use std::net::IpAddr;

/// A client, as far as shares are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Requester {
    /// The server itself: background work, and commands.
    Server,
    /// The holder of an API key, by its number in the settings.
    Key(usize),
    /// An address. Of IPv6 the network: a client usually has a whole one.
    Address(IpAddr),
}

/// Bits of an IPv6 address that tell clients apart.
const NETWORK: u32 = 64;

impl Requester {
    /// The client with this address.
    pub fn of_address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => {
                let mask = u128::MAX << (u128::BITS - NETWORK);
                IpAddr::V6((address.to_bits() & mask).into())
            }
            four => four,
        })
    }
}

tokio::task_local! {
    static REQUESTER: Requester;
}

/// Runs `work`, which is done for this client.
pub async fn on_behalf_of<T>(requester: Requester, work: impl Future<Output = T>) -> T {
    REQUESTER.scope(requester, work).await
}

/// Whom the current work is done for.
pub(crate) fn current() -> Requester {
    REQUESTER
        .try_with(|requester| *requester)
        .unwrap_or(Requester::Server)
}

/// For work that others may drive: it stays that of the client that began it.
pub(crate) fn inherit<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    on_behalf_of(current(), work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_apart_by_address_or_network() {
        let of = |text: &str| Requester::of_address(text.parse().expect("an address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    #[tokio::test]
    async fn work_stays_that_of_the_client_that_began_it() {
        let client = Requester::Key(1);
        let mut begun = None;
        on_behalf_of(client, async {
            begun = Some(inherit(async { current() }));
        })
        .await;
        let other = on_behalf_of(Requester::Key(2), begun.expect("begun"));
        assert_eq!(other.await, client);
        assert_eq!(current(), Requester::Server);
    }
}
