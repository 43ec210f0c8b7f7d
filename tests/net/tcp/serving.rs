//! Listening and accepting: CPython's `test_create_server…` of `test_events` and `test_base_events`, as far as
//! sockets go, and several tasks that accept at once.
//!
//! Not here: several hosts and the empty host (`test_create_server_multiple_hosts…`, `…_empty_host`), which
//! are `start_server`'s business: `bind` takes the first address that can be had. Running out of
//! descriptors (`test_accept_connection_exception`) is a fact of the whole process.

use std::cell::RefCell;
use std::io::{self, Read as _, Write as _};
use std::net;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use evloop::net::{TcpListener, TcpSocket, TcpStream};
use evloop::{Task, create_task, yield_now};

use super::peers::{
    LOOPBACK, cancel_when_woken, held, nobody, on_every_loop, pair, poll_once, read_some, registered,
    until_waiting, waiting, with_peer,
};
use crate::support::yields;

#[test]
fn test_create_server() {
    on_every_loop(|| async {
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(address.ip().is_loopback());
        assert_ne!(address.port(), 0);
        let mut client = net::TcpStream::connect(address).unwrap();
        client.write_all(b"xxx").unwrap();
        let (stream, from) = listener.accept().await.unwrap();
        assert_eq!(read_some(&stream).await, b"xxx");
        assert_eq!(stream.peer_addr().unwrap(), client.local_addr().unwrap());
        assert_eq!(from, client.local_addr().unwrap());
        // The other side is gone, and then this one.
        drop(client);
        assert_eq!(read_some(&stream).await, b"");
        drop(stream);
        drop(listener);
        assert_eq!(registered(), 0);
    });
}

#[test]
#[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
fn test_create_server_reuse_port() {
    on_every_loop(|| async {
        let one = TcpSocket::new_v4().unwrap();
        assert!(!one.reuseport().unwrap(), "it is off by default");
        one.set_reuseport(true).unwrap();
        assert!(one.reuseport().unwrap());
        one.bind(LOOPBACK.parse().unwrap()).unwrap();
        let one = one.listen(8).unwrap();
        let address = one.local_addr().unwrap();
        let other = TcpSocket::new_v4().unwrap();
        assert_eq!(other.bind(address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        other.set_reuseport(true).unwrap();
        other.bind(address).unwrap();
        let other = other.listen(8).unwrap();
        // Whichever of the two the system chooses.
        let stream = TcpStream::connect(address).await.unwrap();
        let (at_one, at_other) = (pin!(one.accept()), pin!(other.accept()));
        let (_served, from) = futures::future::select(at_one, at_other).await.factor_first().0.unwrap();
        assert_eq!(from, stream.local_addr().unwrap());
    });
}

#[test]
fn test_create_server_sock() {
    on_every_loop(|| async {
        let given = net::TcpListener::bind(LOOPBACK).unwrap();
        let address = given.local_addr().unwrap();
        let listener = TcpListener::from_std(given).unwrap();
        assert_eq!(listener.local_addr().unwrap(), address);
        assert!(poll_once(listener.accept()).await.is_pending());
        let client = net::TcpStream::connect(address).unwrap();
        assert_eq!(listener.accept().await.unwrap().1, client.local_addr().unwrap());
        // And it is given back, after it was waited for.
        assert_eq!(registered(), 1);
        let given = listener.into_std();
        assert_eq!(registered(), 0);
        given.set_nonblocking(false).unwrap();
        let client = net::TcpStream::connect(address).unwrap();
        assert_eq!(given.accept().unwrap().1, client.local_addr().unwrap());
    });
}

#[test]
fn test_create_server_addr_in_use() {
    on_every_loop(|| async {
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        let taken = listener.local_addr().unwrap();
        let error = TcpListener::bind(taken).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        // Of several addresses it takes the first that can be had.
        let second = TcpListener::bind([taken, LOOPBACK.parse().unwrap()]).await.unwrap();
        assert_ne!(second.local_addr().unwrap(), taken);
        let (_held, held) = nobody();
        let error = TcpListener::bind([taken, held]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    });
}

#[test]
fn test_create_server_no_getaddrinfo() {
    on_every_loop(|| async {
        let error = TcpListener::bind(Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    });
}

#[test]
fn test_server_close() {
    on_every_loop(|| async {
        let (_held, address) = held();
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        drop(listener);
        let error = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        // Connections live on.
        stream.write_all(b"still").await.unwrap();
        assert_eq!(read_some(&client).await, b"still");
    });
}

#[test]
fn whoever_waits_to_be_accepted_is_reset_when_the_listener_goes() {
    on_every_loop(|| async {
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        drop(listener);
        let error = client.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    });
}

/// An IPv6 listener, where there is IPv6.
fn v6() -> Option<TcpSocket> {
    let socket = TcpSocket::new_v6().ok()?;
    socket.bind("[::1]:0".parse().unwrap()).ok()?;
    Some(socket)
}

#[test]
fn test_create_server_ipv6() {
    if v6().is_none() {
        return;
    }
    on_every_loop(|| async {
        let listener = v6().unwrap().listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        assert!(address.is_ipv6());
        let client = TcpStream::connect(address.to_string()).await.unwrap();
        let (stream, from) = listener.accept().await.unwrap();
        assert_eq!(from, client.local_addr().unwrap());
        client.write_all(b"six").await.unwrap();
        assert_eq!(read_some(&stream).await, b"six");
    });
}

#[test]
fn test_create_server_dual_stack() {
    if v6().is_none() {
        return;
    }
    on_every_loop(|| async {
        let socket = TcpSocket::new_v6().unwrap();
        socket.set_only_v6(false).unwrap();
        socket.bind("[::]:0".parse().unwrap()).unwrap();
        let listener = socket.listen(2).unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "::1"] {
            let client = TcpStream::connect((host, port)).await.unwrap();
            let (stream, from) = listener.accept().await.unwrap();
            assert_eq!(from.port(), client.local_addr().unwrap().port());
            stream.write_all(host.as_bytes()).await.unwrap();
            assert_eq!(read_some(&client).await, host.as_bytes());
        }
        let alone = TcpSocket::new_v6().unwrap();
        alone.set_only_v6(true).unwrap();
        alone.bind("[::]:0".parse().unwrap()).unwrap();
        let alone = alone.listen(1).unwrap();
        let port = alone.local_addr().unwrap().port();
        let refused = TcpStream::connect(("127.0.0.1", port)).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    });
}

/// Tasks that each accept once, and note their number and the client's port.
struct Acceptors {
    listener: Rc<TcpListener>,
    served: Rc<RefCell<Vec<(usize, u16)>>>,
    tasks: Vec<Task<()>>,
}

impl Acceptors {
    /// All of them wait, in the order of their numbers.
    async fn new(count: usize) -> Self {
        let listener = Rc::new(TcpListener::bind(LOOPBACK).await.unwrap());
        let served = Rc::new(RefCell::new(Vec::new()));
        let tasks = (0..count).map(|number| {
            let (listener, served) = (listener.clone(), served.clone());
            create_task(async move {
                let (_, from) = listener.accept().await.unwrap();
                served.borrow_mut().push((number, from.port()));
            })
        });
        let tasks = tasks.collect();
        until_waiting(count).await;
        Self { listener, served, tasks }
    }

    /// A client whose connection is there for the listener to accept.
    fn client(&self) -> (net::TcpStream, u16) {
        let client = net::TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        let port = client.local_addr().unwrap().port();
        (client, port)
    }

    async fn until_served(&self, count: usize) {
        while self.served.borrow().len() < count {
            yield_now().await;
        }
    }
}

#[test]
fn test_accept_connection_retry() {
    on_every_loop(|| async {
        // One connection wakes all three; two of them find nothing, and go on waiting.
        let acceptors = Acceptors::new(3).await;
        let (_client, port) = acceptors.client();
        acceptors.until_served(1).await;
        yields(3).await;
        assert_eq!(*acceptors.served.borrow(), [(0, port)]);
        assert_eq!(waiting(), 2);
        let (_client, second) = acceptors.client();
        acceptors.until_served(2).await;
        let (_client, third) = acceptors.client();
        acceptors.until_served(3).await;
        assert_eq!(*acceptors.served.borrow(), [(0, port), (1, second), (2, third)]);
    });
}

#[test]
fn each_of_several_that_accept_gets_a_connection_first_come_first_served() {
    on_every_loop(|| async {
        let acceptors = Acceptors::new(5).await;
        let clients: Vec<_> = (0..5).map(|_| acceptors.client()).collect();
        acceptors.until_served(5).await;
        let expected: Vec<_> = clients.iter().enumerate().map(|(n, (_, port))| (n, *port)).collect();
        assert_eq!(*acceptors.served.borrow(), expected);
        assert_eq!(waiting(), 0);
    });
}

#[test]
fn cancelling_one_of_several_that_accept_leaves_the_others_right() {
    for cancelled in 0..3 {
        on_every_loop(|| async {
            let acceptors = Acceptors::new(3).await;
            acceptors.tasks[cancelled].cancel();
            until_waiting(2).await;
            let clients: Vec<_> = (0..2).map(|_| acceptors.client()).collect();
            acceptors.until_served(2).await;
            let left = (0..3).filter(|number| *number != cancelled);
            let expected: Vec<_> = left.zip(clients.iter().map(|(_, port)| *port)).collect();
            assert_eq!(*acceptors.served.borrow(), expected);
        });
    }
}

/// It was told of the connection already when it is cancelled: somebody else accepts it.
#[test]
fn a_connection_is_not_lost_with_the_one_who_was_woken_for_it() {
    on_every_loop(|| async {
        let acceptors = Acceptors::new(2).await;
        let (_client, port) = acceptors.client();
        cancel_when_woken(acceptors.tasks[0].task_ref());
        acceptors.until_served(1).await;
        assert_eq!(*acceptors.served.borrow(), [(1, port)]);
    });
}

#[test]
fn a_connection_that_nobody_waits_for_stays_in_line() {
    on_every_loop(|| async {
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(poll_once(listener.accept()).await.is_pending());
        let clients: Vec<_> = (0..3).map(|_| net::TcpStream::connect(address).unwrap()).collect();
        yields(200).await;
        for client in &clients {
            let (_, from) = listener.accept().await.unwrap();
            assert_eq!(from, client.local_addr().unwrap());
        }
        assert!(poll_once(listener.accept()).await.is_pending());
    });
}

#[test]
fn accepting_by_polls_is_as_accepting() {
    on_every_loop(|| async {
        let mut listener = TcpListener::bind(LOOPBACK).await.unwrap();
        let address = listener.local_addr().unwrap();
        let first = std::future::poll_fn(|cx| Poll::Ready(listener.poll_accept(cx).is_pending())).await;
        assert!(first);
        let client = net::TcpStream::connect(address).unwrap();
        let (mut stream, from) = std::future::poll_fn(|cx| listener.poll_accept(cx))
            .await
            .map(|(s, a)| (s.into_std(), a))
            .unwrap();
        assert_eq!(from, client.local_addr().unwrap());
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    });
}

#[test]
fn a_listener_has_its_options() {
    on_every_loop(|| async {
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        listener.set_ttl(17).unwrap();
        assert_eq!(listener.ttl().unwrap(), 17);
        assert!(listener.take_error().unwrap().is_none());
        let (one, _other) = pair();
        assert_ne!(one.ttl().unwrap(), 17);
    });
}

/// What the system says of it for each connection and for ever is an error, not a reason to try again.
#[test]
fn accepting_on_what_is_no_listener_is_an_error() {
    use std::os::fd::OwnedFd;
    on_every_loop(|| async {
        let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let connected = with_peer().0.into_std();
        for fd in [OwnedFd::from(datagrams), OwnedFd::from(connected)] {
            let listener = TcpListener::from_std(net::TcpListener::from(fd)).unwrap();
            listener.accept().await.unwrap_err();
        }
    });
}
