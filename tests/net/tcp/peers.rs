//! Connections to test with, and ways to see what a loop and a future do.
//!
//! Most tests have one side in the loop and hold the other as a blocking socket of std's in the same thread:
//! what it writes fits into the system's buffers, so it never blocks, and on the loopback device it has
//! arrived when the call returns, or soon after.

use std::cell::Cell;
use std::future::poll_fn;
use std::net::{self, SocketAddr};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use evloop::net::{TcpSocket, TcpStream};
use evloop::{TaskRef, call_soon, get_running_loop};

use crate::support::{in_time, registrations};

/// Runs a test on a loop of each kind; one that hangs fails.
#[track_caller]
pub(crate) fn on_every_loop<F: Future<Output = ()>>(test: impl Fn() -> F) {
    crate::support::on_every_loop(|| in_time(test()));
}

/// Any free port of this machine.
pub(crate) const LOOPBACK: &str = "127.0.0.1:0";

/// Both sides of a connection, as blocking sockets. What is written goes out at once, however little it is.
pub(crate) fn std_pair() -> (net::TcpStream, net::TcpStream) {
    let listener = net::TcpListener::bind(LOOPBACK).unwrap();
    let one = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (other, _) = listener.accept().unwrap();
    for side in [&one, &other] {
        side.set_nodelay(true).unwrap();
    }
    (one, other)
}

/// A connection, and the other side of it as a blocking socket.
pub(crate) fn with_peer() -> (TcpStream, net::TcpStream) {
    let (one, other) = std_pair();
    (TcpStream::from_std(one).unwrap(), other)
}

/// Both sides of a connection.
pub(crate) fn pair() -> (TcpStream, TcpStream) {
    let (one, other) = std_pair();
    (TcpStream::from_std(one).unwrap(), TcpStream::from_std(other).unwrap())
}

/// Both sides of a connection between which little fits, some ten KB.
pub(crate) async fn narrow_pair() -> (TcpStream, TcpStream) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind(LOOPBACK.parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(4096).unwrap();
    let writes = socket.connect(listener.local_addr().unwrap()).await.unwrap();
    let (reads, _) = listener.accept().await.unwrap();
    (writes, reads)
}

/// An address at which nobody listens, as long as the socket lives.
pub(crate) fn nobody() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(LOOPBACK.parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// An address to listen at that nobody else gets when the listener has ended, as long as the socket lives: a
/// test that connects there then is refused, and does not meet another test's listener. Only Linux lets a
/// listener share its address in this way; elsewhere it is any free one.
pub(crate) fn held() -> (Option<TcpSocket>, SocketAddr) {
    if !cfg!(target_os = "linux") {
        return (None, LOOPBACK.parse().unwrap());
    }
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(LOOPBACK.parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (Some(socket), address)
}

/// A listener that answers nobody any more: those that it holds are all that it takes.
///
/// Elsewhere a full listener refuses.
#[cfg(target_os = "linux")]
pub(crate) struct Full {
    pub(crate) address: SocketAddr,
    _listener: evloop::net::TcpListener,
    _held: Vec<net::TcpStream>,
}

#[cfg(target_os = "linux")]
impl Full {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(LOOPBACK.parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        // Linux takes one more than it was told to.
        let held = (0..2).map(|_| net::TcpStream::connect(address).unwrap()).collect();
        Self { address, _listener: listener, _held: held }
    }
}

/// Writes until the system takes nothing; says how much it took.
pub(crate) fn fill(stream: &TcpStream) -> usize {
    let mut filled = 0;
    let mut piece = 1 << 16;
    // What is too much may fit in part or in smaller pieces.
    while piece > 0 {
        match stream.try_write(&vec![b' '; piece]) {
            Ok(n) => filled += n,
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                piece /= 2;
            }
        }
    }
    filled
}

/// As [`fill`], until nothing changes for a moment: what was under way has arrived. Room may come later still,
/// when the system says belatedly what has arrived; no assertion depends on its not coming.
pub(crate) async fn fill_up(stream: &TcpStream) -> usize {
    let mut filled = fill(stream);
    while evloop::wait_for(stream.writable(), Duration::from_millis(2)).await.is_ok() {
        filled += fill(stream);
    }
    filled
}

/// The iteration that the running loop is in.
pub(crate) fn tick() -> u64 {
    get_running_loop().unwrap().iterations()
}

/// How many wait for a descriptor.
pub(crate) fn waiting() -> usize {
    registrations().1
}

/// How many descriptors are registered.
pub(crate) fn registered() -> usize {
    registrations().0
}

/// Yields until so many wait for descriptors.
pub(crate) async fn until_waiting(count: usize) {
    let mut patience = 1_000_000;
    while waiting() != count {
        patience -= 1;
        assert!(patience > 0, "{} wait, not {count}", waiting());
        evloop::yield_now().await;
    }
}

/// Lets the loop wait in the system for a moment, and says how often it came back from there. A loop that
/// has nothing to do comes back a few times at most; one that spins, a thousand times.
pub(crate) async fn iterations_in_a_moment() -> u64 {
    let before = tick();
    evloop::sleep(Duration::from_millis(5)).await;
    tick() - before
}

/// More than a loop needs that has nothing to do but to wait for one timer.
pub(crate) const A_FEW: u64 = 10;

/// Counts how often a future is polled.
pub(crate) async fn counted<F: Future>(polls: &Cell<usize>, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        polls.set(polls.get() + 1);
        future.as_mut().poll(cx)
    })
    .await
}

/// Polls a future once and drops it.
pub(crate) async fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

/// Reads to the end of the stream.
pub(crate) async fn read_to_end(stream: &TcpStream) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        match stream.read(&mut buffer).await.unwrap() {
            0 => return all,
            n => all.extend_from_slice(&buffer[..n]),
        }
    }
}

/// Reads once, with room for more than ever comes here.
pub(crate) async fn read_some(stream: &TcpStream) -> Vec<u8> {
    let mut buffer = vec![0; 1 << 16];
    let n = stream.read(&mut buffer).await.unwrap();
    buffer.truncate(n);
    buffer
}

/// Cancels a task that waits for a descriptor when it has been woken and before it runs: in the iteration in
/// which nobody waits any more, in front of those whom the look at the system has woken.
pub(crate) fn cancel_when_woken(task: TaskRef) {
    let _ = call_soon(move || {
        if waiting() > 0 {
            cancel_when_woken(task);
        } else {
            assert!(task.cancel(), "it has run already");
        }
    });
}
