//! CPython's `test_sock_lowlevel`: what the loop's `sock_` methods do with TCP. Names are CPython's.
//!
//! Not here, for want of their sockets: `test_recvfrom`, `test_recvfrom_into`, `test_sendto_blocking`
//! (UDP) and `test_unix_sock_client_ops`. That a blocking socket is refused in debug mode (a part of
//! `test_sock_client_ops`) has no counterpart: what becomes a `TcpStream` is made non-blocking.

use std::io::{self, Read as _, Write as _};
use std::net::{self, Shutdown};

use evloop::net::{TcpListener, TcpSocket, TcpStream};
use evloop::time::millis;
use evloop::{create_task, wait_for, yield_now};

use super::peers::{
    LOOPBACK, fill_up, held, narrow_pair, nobody, on_every_loop, read_some, read_to_end, registered, waiting,
    with_peer,
};

const REQUEST: &[u8] = b"GET / HTTP/1.0\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.0 200 OK\r\nContent-Length: 12\r\n\r\nTest message";

/// Answers one request, and closes.
async fn serve_once(listener: TcpListener) {
    let (stream, _) = listener.accept().await.unwrap();
    let mut request = vec![0; REQUEST.len()];
    stream.read_exact(&mut request).await.unwrap();
    assert_eq!(request, REQUEST);
    stream.write_all(ANSWER).await.unwrap();
}

#[test]
fn test_sock_client_ops() {
    on_every_loop(|| async {
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = create_task(serve_once(listener));
        let stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(REQUEST).await.unwrap();
        assert_eq!(read_to_end(&stream).await, ANSWER);
        server.await.unwrap();
    });
}

#[test]
fn test_sock_client_racing() {
    on_every_loop(|| async {
        // A cancelled read, and at once another one.
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = create_task(serve_once(listener));
        let stream = std::rc::Rc::new(TcpStream::connect(address).await.unwrap());
        for _ in 0..2 {
            let before = waiting();
            let reader = create_task({
                let stream = stream.clone();
                async move { stream.read(&mut [0; 1024]).await }
            });
            yield_now().await;
            reader.cancel();
            assert!(reader.await.unwrap_err().is_cancelled());
            assert!(waiting() <= before, "a cancelled read waits");
        }
        let writer = create_task({
            let stream = stream.clone();
            async move { stream.write_all(REQUEST).await.unwrap() }
        });
        assert_eq!(read_to_end(&stream).await, ANSWER);
        writer.await.unwrap();
        server.await.unwrap();
    });
}

/// The part of `test_sock_client_racing` that sends.
#[test]
fn test_sock_client_racing_send() {
    on_every_loop(|| async {
        let (writes, reads) = narrow_pair().await;
        let filled = fill_up(&writes).await;
        let writes = std::rc::Rc::new(writes);
        let send = |data: &'static [u8]| {
            let writes = writes.clone();
            create_task(async move { writes.write_all(data).await.unwrap() })
        };
        let cancelled = send(b"hello");
        yield_now().await;
        // Unless room has come late, for what was on its way: then it is over, and whole.
        let is_cancelled = cancelled.cancel();
        let receiver = create_task(async move { read_to_end(&reads).await });
        // It has its turn before the one that is cancelled.
        send(b"world").await.unwrap();
        writes.shutdown(Shutdown::Write).unwrap();
        let received = receiver.await.unwrap();
        assert_eq!(&received[filled..], if is_cancelled { &b"world"[..] } else { b"helloworld" });
        assert_eq!(cancelled.await.is_err(), is_cancelled);
    });
}

#[test]
fn test_sock_client_connect_racing() {
    on_every_loop(|| async {
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        let address = listener.local_addr().unwrap();
        let first = create_task(TcpStream::connect(address));
        yield_now().await;
        first.cancel();
        let second = TcpStream::connect(address).await.unwrap();
        drop(first.await);
        assert_eq!(registered(), 1, "of the connection that was given up");
        // The listener may have got the first one, too. It has ended.
        let third = loop {
            let (stream, from) = listener.accept().await.unwrap();
            if from == second.local_addr().unwrap() {
                break stream;
            }
        };
        second.write_all(b"ping").await.unwrap();
        assert_eq!(read_some(&third).await, b"ping");
    });
}

const HUGE: usize = 1024 * 1024;

/// Sends back what comes, on a thread.
fn echo_on_a_thread() -> (net::SocketAddr, std::thread::JoinHandle<io::Result<()>>) {
    let listener = net::TcpListener::bind(LOOPBACK).unwrap();
    let address = listener.local_addr().unwrap();
    let echo = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match stream.read(&mut buffer)? {
                0 => return Ok(()),
                n => stream.write_all(&buffer[..n])?,
            }
        }
    });
    (address, echo)
}

fn huge() -> Vec<u8> {
    (0..HUGE as u32).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
}

#[test]
fn test_huge_content() {
    let data = huge();
    on_every_loop(|| async {
        let (address, echo) = echo_on_a_thread();
        let (mut reads, mut writes) = TcpStream::connect(address).await.unwrap().into_split();
        let writer = create_task({
            let data = data.clone();
            async move {
                writes.write_all(&data).await.unwrap();
                // And dropping the half ends the direction.
            }
        });
        let mut received = Vec::new();
        let mut buffer = vec![0; 100_000];
        loop {
            match reads.read(&mut buffer).await.unwrap() {
                0 => break,
                n => received.extend_from_slice(&buffer[..n]),
            }
        }
        assert!(received == data);
        writer.await.unwrap();
        echo.join().unwrap().unwrap();
    });
}

#[test]
fn test_huge_content_recvinto() {
    let data = huge();
    on_every_loop(|| async {
        let (address, echo) = echo_on_a_thread();
        let stream = TcpStream::connect(address).await.unwrap();
        let mut received = vec![0; HUGE];
        let read = stream.read_exact(&mut received);
        let (written, read) = futures::future::join(stream.write_all(&data), read).await;
        written.unwrap();
        read.unwrap();
        assert!(received == data);
        drop(stream);
        echo.join().unwrap().unwrap();
    });
}

#[test]
fn test_sock_client_fail() {
    on_every_loop(|| async {
        let (_held, address) = nobody();
        let error = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(registered(), 0, "the socket of the attempt");
    });
}

#[test]
fn test_sock_accept() {
    on_every_loop(|| async {
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = net::TcpStream::connect(address).unwrap();
        let (stream, from) = listener.accept().await.unwrap();
        assert_eq!(from, client.local_addr().unwrap());
        assert_eq!(stream.peer_addr().unwrap(), client.local_addr().unwrap());
        assert_eq!(stream.local_addr().unwrap(), address);
        assert_eq!(client.peer_addr().unwrap(), address);
        // A blocking read would hang here.
        let error = stream.into_std().read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    });
}

#[test]
fn test_cancel_sock_accept() {
    on_every_loop(|| async {
        let (_held, address) = held();
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(wait_for(listener.accept(), millis(1)).await.is_err());
        assert_eq!((registered(), waiting()), (1, 0));
        drop(listener);
        assert_eq!(registered(), 0);
        let error = TcpSocket::new_v4().unwrap().connect(address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn test_create_connection_sock() {
    on_every_loop(|| async {
        let (stream, mut peer) = with_peer();
        peer.write_all(b"adopted").unwrap();
        assert_eq!(read_some(&stream).await, b"adopted");
        stream.write_all(b"indeed").await.unwrap();
        let mut answer = [0; 6];
        peer.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"indeed");
        assert_eq!(stream.local_addr().unwrap(), peer.peer_addr().unwrap());
    });
}
