//! Options of sockets: what was set is what is read back, here and by the system.

use std::io;
use std::time::Duration;

use evloop::net::{TcpListener, TcpSocket, TcpStream};
use evloop::time::{millis, secs};
use socket2::SockRef;

use super::peers::{LOOPBACK, held, on_every_loop, pair, with_peer};

/// CPython's `test_base_events`. There a transport sets the option by itself; a socket has it set.
#[test]
fn test_set_nodelay() {
    on_every_loop(|| async {
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        assert!(!stream.nodelay().unwrap());
        for nodelay in [true, false] {
            stream.set_nodelay(nodelay).unwrap();
            assert_eq!(stream.nodelay().unwrap(), nodelay);
            assert_eq!(SockRef::from(&stream).tcp_nodelay().unwrap(), nodelay);
        }
    });
}

#[test]
fn lingering_is_off_or_for_no_time() {
    let (stream, _peer) = pair();
    assert_eq!(stream.linger().unwrap(), None);
    stream.set_linger(Some(Duration::ZERO)).unwrap();
    assert_eq!(stream.linger().unwrap(), Some(Duration::ZERO));
    for time in [secs(1), millis(1), Duration::MAX] {
        let error = stream.set_linger(Some(time)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("block the loop"), "{error}");
        assert_eq!(stream.linger().unwrap(), Some(Duration::ZERO), "as it was");
    }
    stream.set_linger(None).unwrap();
    assert_eq!(stream.linger().unwrap(), None);
}

#[test]
fn a_silent_connection_is_probed_if_asked_for() {
    let (stream, _peer) = pair();
    assert!(!stream.keepalive().unwrap());
    stream.set_keepalive(Some(secs(77))).unwrap();
    assert!(stream.keepalive().unwrap());
    #[cfg(target_os = "linux")]
    assert_eq!(SockRef::from(&stream).tcp_keepalive_time().unwrap(), secs(77));
    stream.set_keepalive(None).unwrap();
    assert!(!stream.keepalive().unwrap());
}

#[test]
fn the_hops_and_the_buffers_are_set() {
    let (stream, _peer) = pair();
    stream.set_ttl(33).unwrap();
    assert_eq!(stream.ttl().unwrap(), 33);
    // Linux takes the double, others as they like.
    stream.set_send_buffer_size(30_000).unwrap();
    assert!(stream.send_buffer_size().unwrap() >= 30_000);
    stream.set_recv_buffer_size(40_000).unwrap();
    assert!(stream.recv_buffer_size().unwrap() >= 40_000);
    #[cfg(target_os = "linux")]
    assert_eq!((stream.send_buffer_size().unwrap(), stream.recv_buffer_size().unwrap()), (60_000, 80_000));
}

#[test]
fn the_options_of_a_socket_are_those_of_its_connection() {
    on_every_loop(|| async {
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_keepalive(Some(secs(55))).unwrap();
        socket.set_send_buffer_size(30_000).unwrap();
        socket.set_recv_buffer_size(40_000).unwrap();
        assert_eq!(socket.local_addr().unwrap().port(), 0);
        let stream = socket.connect(listener.local_addr().unwrap()).await.unwrap();
        assert!(stream.nodelay().unwrap() && stream.keepalive().unwrap());
        assert!(stream.send_buffer_size().unwrap() >= 30_000);
        assert!(stream.recv_buffer_size().unwrap() >= 40_000);
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_keepalive(Some(secs(55))).unwrap();
        socket.set_keepalive(None).unwrap();
        let stream = socket.connect(listener.local_addr().unwrap()).await.unwrap();
        assert!(!stream.keepalive().unwrap());
    });
}

#[test]
fn the_options_of_a_listener_are_those_of_the_connections_it_accepts() {
    on_every_loop(|| async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(40_000).unwrap();
        socket.set_reuseaddr(true).unwrap();
        assert!(SockRef::from(&socket).reuse_address().unwrap());
        socket.bind(LOOPBACK.parse().unwrap()).unwrap();
        let bound = socket.local_addr().unwrap();
        let listener = socket.listen(4).unwrap();
        assert_eq!(listener.local_addr().unwrap(), bound);
        let _client = std::net::TcpStream::connect(bound).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        assert!(stream.recv_buffer_size().unwrap() >= 40_000);
    });
}

/// Only an address that connections of a former listener hold still; not one at which somebody listens.
#[test]
#[cfg(unix)]
fn a_listener_may_have_the_address_of_a_former_one() {
    on_every_loop(|| async {
        let (_held, address) = held();
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = std::net::TcpStream::connect(address).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        drop(listener);
        // This side ends first: its address is held for a while after that.
        drop(stream);
        let again = TcpListener::bind(address).await.unwrap();
        assert_eq!(again.local_addr().unwrap(), address);
        drop(client);
        let plain = TcpSocket::new_v4().unwrap();
        assert_eq!(plain.bind(address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    });
}

#[test]
fn an_option_that_the_system_refuses_is_an_error() {
    let (stream, _peer) = with_peer();
    assert!(stream.set_ttl(0).is_err());
    assert!(stream.set_keepalive(Some(Duration::ZERO)).is_err());
    let socket = TcpSocket::new_v4().unwrap();
    let error = socket.bind("[::1]:0".parse().unwrap()).unwrap_err();
    assert!(error.to_string().contains("[::1]:0"), "{error}");
    // 203.0.113.0/24 is for documents, and no machine's.
    let error = socket.bind("203.0.113.1:0".parse().unwrap()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
}
