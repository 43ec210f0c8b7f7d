//! Connecting: CPython's `test_create_connection…` of `test_events` and `test_base_events`, as far as sockets
//! go (transports and protocols come on top), and what becomes of an attempt that fails or is given up.
//!
//! Not here: TLS; service names (`test_create_connection_service_name`) and local names
//! (`test_create_connection_no_local_addr`, `…_skip_different_family`, `…_nomatch_family`), since a local
//! address is given to `TcpSocket::bind` as an address; groups of errors (`all_errors`).

use std::io::{self, Read as _, Write as _};
use std::net::{self, SocketAddr};

use evloop::net::{TcpListener, TcpSocket, TcpStream};
use evloop::time::millis;
use evloop::{create_task, wait_for};

use super::peers::{LOOPBACK, nobody, on_every_loop, read_some, registered, std_pair, waiting};

fn kind<T: std::fmt::Debug>(result: io::Result<T>) -> io::ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn test_create_connection() {
    on_every_loop(|| async {
        let listener = net::TcpListener::bind(LOOPBACK).unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut served, from) = listener.accept().unwrap();
        assert_eq!(stream.local_addr().unwrap(), from);
        assert_eq!(stream.peer_addr().unwrap(), address);
        served.write_all(b"data").unwrap();
        assert_eq!(read_some(&stream).await, b"data");
    });
}

#[test]
fn test_create_connection_local_addr() {
    on_every_loop(|| async {
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(LOOPBACK.parse().unwrap()).unwrap();
        let local = socket.local_addr().unwrap();
        assert_ne!(local.port(), 0);
        let stream = socket.connect(listener.local_addr().unwrap()).await.unwrap();
        let (_served, from) = listener.accept().await.unwrap();
        assert_eq!(from, local);
        assert_eq!(stream.local_addr().unwrap(), local);
    });
}

#[test]
fn test_create_connection_local_addr_in_use() {
    let (_held, address) = nobody();
    let error = TcpSocket::new_v4().unwrap().bind(address).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[test]
fn test_connect_accepted_socket() {
    on_every_loop(|| async {
        let (mut client, accepted) = std_pair();
        let server = create_task(async move {
            let stream = TcpStream::from_std(accepted).unwrap();
            let request = read_some(&stream).await;
            stream.write_all(&request).await.unwrap();
        });
        client.write_all(b"elsewhere").unwrap();
        server.await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "elsewhere");
    });
}

/// A listener that is full does not answer at all.
#[test]
#[cfg(target_os = "linux")]
fn test_create_connection_timeout() {
    on_every_loop(|| async {
        let full = super::peers::Full::new();
        let attempt = wait_for(TcpStream::connect(full.address), millis(1));
        assert!(attempt.await.is_err());
        assert_eq!((registered(), waiting()), (0, 0), "of an attempt that was given up");
    });
}

#[test]
#[cfg(target_os = "linux")]
fn an_attempt_that_was_given_up_is_closed_and_the_next_one_is_another() {
    on_every_loop(|| async {
        let full = super::peers::Full::new();
        let attempt = create_task(TcpStream::connect(full.address));
        super::peers::until_waiting(1).await;
        attempt.cancel();
        assert!(attempt.await.unwrap_err().is_cancelled());
        assert_eq!((registered(), waiting()), (0, 0));
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
    });
}

#[test]
fn test_create_connection_connect_err() {
    on_every_loop(|| async {
        // The one error comes as the system gave it.
        let (_held, address) = nobody();
        let error = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(error.raw_os_error().is_some(), "{error}");
    });
}

#[test]
fn test_create_connection_multiple() {
    on_every_loop(|| async {
        let ((_held, first), (_held_too, second)) = (nobody(), nobody());
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        let last = listener.local_addr().unwrap();
        let stream = TcpStream::connect([first, second, last]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), last);
        // What was tried before was closed, and what comes after is not tried.
        assert_eq!(registered(), 1);
        let stream = TcpStream::connect(&[last, first][..]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), last);
    });
}

/// To this one, connecting fails at once and in its own way: the address of a whole net.
const EVERYBODY: &str = "255.255.255.255:9";

#[test]
fn test_create_connection_multiple_errors() {
    on_every_loop(|| async {
        let ((_held, first), (_held_too, second)) = (nobody(), nobody());
        // The same error from all is that error.
        let error = TcpStream::connect([first, second]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(error.raw_os_error().is_some(), "{error}");
        // Different ones are told together, and the last one's kind is theirs.
        let everybody: SocketAddr = EVERYBODY.parse().unwrap();
        let other = TcpStream::connect(everybody).await.unwrap_err();
        assert_ne!(other.kind(), error.kind());
        for addresses in [[first, everybody], [everybody, first]] {
            let combined = TcpStream::connect(addresses).await.unwrap_err();
            let last = if addresses[1] == everybody { &other } else { &error };
            assert_eq!(combined.kind(), last.kind());
            let text = combined.to_string();
            assert!(text.contains(&error.to_string()) && text.contains(&other.to_string()), "{text}");
        }
        assert_eq!(registered(), 0, "sockets of attempts");
    });
}

#[test]
fn test_create_connection_no_getaddrinfo() {
    on_every_loop(|| async {
        assert_eq!(kind(TcpStream::connect(Vec::new()).await), io::ErrorKind::InvalidInput);
    });
}

/// A literal address needs no other thread: it is connected to without a wait before the connection itself.
#[test]
fn test_create_connection_ip_addr() {
    on_every_loop(|| async {
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        let address = listener.local_addr().unwrap();
        let text = address.to_string();
        assert!(super::peers::poll_once(TcpStream::connect(&text)).await.is_pending());
        let (_, from) = listener.accept().await.unwrap();
        assert!(from.ip().is_loopback(), "it was begun in the first step");
        let stream = TcpStream::connect(&text).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        let stream = TcpStream::connect(("127.0.0.1", address.port())).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        let stream = TcpStream::connect((net::Ipv4Addr::LOCALHOST, address.port())).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
    });
}

/// A name is looked up, and all that it stands for is tried.
#[test]
fn a_name_is_connected_to() {
    on_every_loop(|| async {
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpStream::connect(("localhost", address.port())).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        let stream = TcpStream::connect(format!("localhost:{}", address.port())).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
    });
}

/// The address of an interface that is good on its own wire only, with the wire's number.
#[cfg(target_os = "linux")]
fn link_local() -> Option<net::SocketAddrV6> {
    let table = std::fs::read_to_string("/proc/net/if_inet6").ok()?;
    table.lines().find_map(|line| {
        let mut columns = line.split_whitespace();
        let ip = u128::from_str_radix(columns.next()?, 16).ok()?;
        let index = u32::from_str_radix(columns.next()?, 16).ok()?;
        let ip = net::Ipv6Addr::from(ip);
        ip.is_unicast_link_local().then(|| net::SocketAddrV6::new(ip, 0, 0, index))
    })
}

/// It takes an interface with such an address; the loopback device has none.
#[test]
#[cfg(target_os = "linux")]
fn test_create_connection_ipv6_scope() {
    let Some(address) = link_local() else { return };
    on_every_loop(|| async {
        let listener = TcpListener::bind(address).await.unwrap();
        let SocketAddr::V6(bound) = listener.local_addr().unwrap() else { panic!("an IPv6 address") };
        assert_eq!(bound.scope_id(), address.scope_id());
        let stream = TcpStream::connect(bound).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), SocketAddr::V6(bound));
        // In text, too: the number after the percent sign.
        let text = format!("[{}%{}]:{}", bound.ip(), bound.scope_id(), bound.port());
        let stream = TcpStream::connect(text).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), SocketAddr::V6(bound));
        // Without the number nobody knows which wire it is.
        assert!(TcpStream::connect((*bound.ip(), bound.port())).await.is_err());
    });
}

/// If the system does not know the family of one address, the others are tried still.
#[test]
fn an_address_of_a_family_that_the_system_lacks_is_passed_over() {
    if net::TcpListener::bind("[::1]:0").is_ok() {
        return; // This system has both; there is nothing to see.
    }
    on_every_loop(|| async {
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        let address = listener.local_addr().unwrap();
        let lacking = SocketAddr::new(net::Ipv6Addr::LOCALHOST.into(), address.port());
        let stream = TcpStream::connect([lacking, address]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
    });
}
