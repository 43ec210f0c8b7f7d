//! Names and addresses: what is looked up, and what is not.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::task::Poll;

use evloop::net::{ToSocketAddrs, lookup_host};

use super::peers::{on_every_loop, poll_once};

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// What is known without asking anybody is there at the first poll.
async fn at_once(host: impl ToSocketAddrs) -> Vec<SocketAddr> {
    match poll_once(lookup_host(host)).await {
        Poll::Ready(addresses) => addresses.unwrap(),
        Poll::Pending => panic!("it is looked up"),
    }
}

async fn error_of(host: impl ToSocketAddrs) -> io::Error {
    lookup_host(host).await.unwrap_err()
}

/// CPython's `test_base_events`: literal addresses of every family bypass the resolver.
#[test]
fn test_ipaddr_info() {
    on_every_loop(|| async {
        let (v4, v6) = (address("1.2.3.4:80"), address("[::3]:80"));
        assert_eq!(at_once("1.2.3.4:80").await, [v4]);
        assert_eq!(at_once("[::3]:80").await, [v6]);
        assert_eq!(at_once(String::from("1.2.3.4:80")).await, [v4]);
        assert_eq!(at_once(&String::from("[::3]:80")).await, [v6]);
        assert_eq!(at_once(("1.2.3.4", 80)).await, [v4]);
        assert_eq!(at_once(("::3", 80)).await, [v6]);
        assert_eq!(at_once((String::from("::3"), 80)).await, [v6]);
        assert_eq!(at_once(("0.0.0.0", 0)).await, [address("0.0.0.0:0")]);
        // With the number of an interface it is an address, too.
        let scoped = SocketAddrV6::new("fe80::1".parse().unwrap(), 80, 0, 7);
        assert_eq!(at_once("[fe80::1%7]:80").await, [SocketAddr::V6(scoped)]);
    });
}

#[test]
fn addresses_are_what_they_are() {
    on_every_loop(|| async {
        let (v4, v6) = (address("1.2.3.4:80"), address("[::3]:80"));
        assert_eq!(at_once(v4).await, [v4]);
        assert_eq!(at_once(SocketAddrV4::new(Ipv4Addr::new(1, 2, 3, 4), 80)).await, [v4]);
        assert_eq!(at_once(SocketAddrV6::new(Ipv6Addr::from_bits(3), 80, 0, 0)).await, [v6]);
        assert_eq!(at_once((Ipv4Addr::new(1, 2, 3, 4), 80)).await, [v4]);
        assert_eq!(at_once((Ipv6Addr::from_bits(3), 80)).await, [v6]);
        assert_eq!(at_once((IpAddr::from([1, 2, 3, 4]), 80)).await, [v4]);
        // In the order in which they were given, and none is left out.
        assert_eq!(at_once([v6, v4, v6]).await, [v6, v4, v6]);
        assert_eq!(at_once(&[v6, v4][..]).await, [v6, v4]);
        assert_eq!(at_once(vec![v4]).await, [v4]);
        assert_eq!(at_once(&vec![v4]).await, [v4]);
        assert!(at_once(Vec::new()).await.is_empty());
        assert!(at_once([]).await.is_empty());
    });
}

/// It is in the system's own table, so no other machine is asked.
#[test]
fn localhost_is_this_machine() {
    on_every_loop(|| async {
        for addresses in [
            lookup_host("localhost:80").await.unwrap(),
            lookup_host(("localhost", 80)).await.unwrap(),
            lookup_host((String::from("localhost"), 80)).await.unwrap(),
        ] {
            assert!(addresses.iter().any(|address| *address == (Ipv4Addr::LOCALHOST, 80).into()));
            assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 80));
        }
    });
}

/// None of these is a name that anybody could be asked for.
#[test]
fn what_is_neither_an_address_nor_a_name_with_a_port_is_refused() {
    on_every_loop(|| async {
        for garbage in ["", "localhost", "127.0.0.1", "localhost:", "localhost:http", "localhost:65536"] {
            assert_eq!(error_of(garbage).await.kind(), io::ErrorKind::InvalidInput, "{garbage:?}");
        }
        assert_eq!(error_of(("local\0host", 80)).await.kind(), io::ErrorKind::InvalidInput);
        let error = evloop::net::TcpStream::connect("localhost").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let error = evloop::net::TcpListener::bind("localhost").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    });
}

#[test]
fn a_lookup_that_is_given_up_troubles_nobody() {
    on_every_loop(|| async {
        for _ in 0..3 {
            assert!(poll_once(lookup_host("localhost:80")).await.is_pending());
        }
        assert!(!lookup_host("localhost:80").await.unwrap().is_empty());
    });
}
