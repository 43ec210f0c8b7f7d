//! Used where no loop runs: an error that says so, from a socket that never waited and from one that did.

use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use evloop::AsyncFd;
use evloop::net::{TcpListener, TcpSocket, TcpStream};
use futures::{AsyncRead, AsyncWrite};

use super::{abroad, wait_once};
use crate::support::{on_every_kind, tcp_pair};

/// What a future that must not wait has to say.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits, and nobody will wake it"),
    }
}

#[track_caller]
fn refuses<T>(result: io::Result<T>) {
    let error = result.err().expect("there is no loop");
    assert!(error.to_string().contains("no event loop runs on this thread"), "{error}");
}

fn every_operation_refuses(stream: &mut TcpStream) {
    let mut byte = [0];
    refuses(at_once(stream.read(&mut byte)));
    refuses(at_once(stream.read_exact(&mut byte)));
    refuses(at_once(stream.read_vectored(&mut [io::IoSliceMut::new(&mut byte)])));
    refuses(at_once(stream.peek(&mut byte)));
    refuses(at_once(stream.write(&byte)));
    refuses(at_once(stream.write_all(&byte)));
    refuses(at_once(stream.write_vectored(&[io::IoSlice::new(&byte)])));
    refuses(at_once(stream.readable()));
    refuses(at_once(stream.writable()));
    refuses(stream.try_read(&mut byte));
    refuses(stream.try_peek(&mut byte));
    refuses(stream.try_write(&byte));
    refuses(at_once(std::future::poll_fn(|cx| pin!(&*stream).poll_read(cx, &mut byte))));
    refuses(at_once(std::future::poll_fn(|cx| pin!(&*stream).poll_write(cx, &byte))));
    let (mut reads, mut writes) = stream.split();
    refuses(at_once(reads.read(&mut byte)));
    refuses(at_once(writes.write(&byte)));
    // What moves a stream does not find a loop either.
    refuses(at_once(std::future::poll_fn(|cx| pin!(&mut *stream).poll_read(cx, &mut byte))));
    refuses(at_once(std::future::poll_fn(|cx| pin!(&mut *stream).poll_write(cx, &byte))));
}

#[test]
fn a_stream_that_never_waited_says_that_there_is_no_loop() {
    let (mut ours, mut theirs) = tcp_pair();
    every_operation_refuses(&mut ours);
    // Nor is anything read or written.
    io::Write::write_all(&mut theirs, b"!").unwrap();
    every_operation_refuses(&mut ours);
    drop(ours);
    assert_eq!(io::Read::read(&mut theirs, &mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn a_stream_that_has_waited_says_that_there_is_no_loop() {
    on_every_kind(|builder| {
        let mut event_loop = builder.build().unwrap();
        let (mut ours, _theirs) = tcp_pair();
        event_loop.run_until_complete(wait_once(&mut ours)).unwrap();
        // At home, between two runs; and on a thread that has no loop.
        every_operation_refuses(&mut ours);
        event_loop.run_until_complete(wait_once(&mut ours)).unwrap();
        abroad(move || every_operation_refuses(&mut ours));
        event_loop.run_once(None).unwrap();
        assert_eq!(event_loop.handle().registrations(), (0, 0));
    });
}

#[test]
fn what_does_not_wait_needs_no_loop() {
    let (ours, mut theirs) = tcp_pair();
    assert_eq!(ours.peer_addr().unwrap(), theirs.local_addr().unwrap());
    ours.set_nodelay(true).unwrap();
    ours.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(io::Read::read(&mut theirs, &mut [0]).unwrap(), 0);
    let (reads, writes) = ours.into_split();
    drop(reads.reunite(writes).unwrap().into_std());
}

#[test]
fn a_listener_says_that_there_is_no_loop() {
    // Neither binding to an address nor listening has to wait.
    let mut listener = at_once(TcpListener::bind("127.0.0.1:0")).unwrap();
    let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    refuses(at_once(listener.accept()));
    refuses(at_once(std::future::poll_fn(|cx| listener.poll_accept(cx))));
}

#[test]
fn connecting_says_that_there_is_no_loop() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    refuses(at_once(TcpStream::connect(address)));
    refuses(at_once(TcpStream::connect(address.to_string())));
    refuses(at_once(TcpSocket::new_v4().unwrap().connect(address)));
}

#[test]
fn an_async_fd_says_that_there_is_no_loop() {
    let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let mut fd = AsyncFd::new(ours);
    refuses(at_once(fd.readable()));
    refuses(at_once(fd.writable()));
    refuses(at_once(fd.read_with(|_| Ok(()))));
    refuses(at_once(fd.write_with(|_| Ok(()))));
    refuses(at_once(std::future::poll_fn(|cx| fd.poll_read_with(cx, |_| Ok(())))));
    refuses(at_once(std::future::poll_fn(|cx| fd.poll_write_with(cx, |_| Ok(())))));
}
