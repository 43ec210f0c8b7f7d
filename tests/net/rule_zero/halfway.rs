//! Futures that leave their loop half-way: begun on one, dropped or polled on another.

use std::io::{Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use evloop::net::{TcpListener, TcpStream};

use super::abroad;
use crate::support::{Woken, in_time, on_every_kind, on_every_loop, registrations, run_on, settle, tcp_pair};

type Boxed = Pin<Box<dyn Future<Output = std::io::Result<usize>> + Send>>;

/// A read of one byte that owns a share of its stream.
fn read_by(stream: &Arc<TcpStream>) -> Boxed {
    let stream = stream.clone();
    Box::pin(async move { stream.read(&mut [0]).await })
}

/// Begins a future with a waker of its own.
fn begin<F: Future + Unpin>(future: &mut F) -> Arc<Woken> {
    let (woken, waker) = Woken::new();
    assert!(Pin::new(future).poll(&mut Context::from_waker(&waker)).is_pending());
    woken
}

#[test]
fn a_read_begun_here_and_dropped_abroad_leaves_its_waker_until_the_next_event() {
    on_every_loop(|| async {
        let (ours, mut theirs) = tcp_pair();
        let ours = Arc::new(ours);
        let mut read = read_by(&ours);
        let woken = begin(&mut read);
        abroad(move || drop(read));
        settle().await;
        assert_eq!((registrations(), woken.times()), ((1, 1), 0));
        theirs.write_all(b"12").unwrap();
        settle().await;
        assert_eq!((registrations(), woken.times(), Arc::strong_count(&woken)), ((1, 0), 1, 1));
        let mut data = [0; 2];
        in_time(ours.read_exact(&mut data)).await.unwrap();
        assert_eq!(&data, b"12", "nothing was read for nobody");
    });
}

#[test]
fn a_read_dropped_abroad_with_the_last_share_of_its_stream_closes_it() {
    on_every_loop(|| async {
        let (ours, mut theirs) = tcp_pair();
        let mut read = read_by(&Arc::new(ours));
        let woken = begin(&mut read);
        abroad(move || {
            drop(read);
            assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
        });
        assert_eq!((registrations(), woken.times()), ((1, 1), 0));
        settle().await;
        assert_eq!((registrations(), woken.times(), Arc::strong_count(&woken)), ((0, 0), 1, 1));
    });
}

#[test]
fn a_read_begun_here_is_refused_on_another_loop_and_goes_on_at_home() {
    on_every_kind(|builder| {
        run_on(builder.clone(), async {
            let (ours, mut theirs) = tcp_pair();
            let ours = Arc::new(ours);
            let mut read = read_by(&ours);
            let woken = begin(&mut read);
            let builder = builder.clone();
            let error = abroad(move || run_on(builder, read).unwrap_err());
            assert!(error.to_string().contains("has waited in another event loop"), "{error}");
            let mut again = read_by(&ours);
            assert_eq!(begin(&mut again).times(), 0);
            theirs.write_all(b"!").unwrap();
            assert_eq!(in_time(again).await.unwrap(), 1);
            assert_eq!(woken.times(), 1, "the waker of the first stayed behind, and was called");
        });
    });
}

#[test]
fn a_read_can_travel_and_end_at_home() {
    on_every_loop(|| async {
        let (ours, mut theirs) = tcp_pair();
        let mut read = read_by(&Arc::new(ours));
        let woken = begin(&mut read);
        // It is only carried, and the event comes while it is away.
        let read = abroad(move || {
            theirs.write_all(b"!").unwrap();
            drop(theirs);
            read
        });
        settle().await;
        assert_eq!(woken.times(), 1);
        assert_eq!(in_time(read).await.unwrap(), 1);
        assert_eq!(registrations(), (0, 0));
    });
}

#[test]
fn a_read_that_has_not_begun_belongs_to_whoever_polls_it() {
    on_every_kind(|builder| {
        let (ours, mut theirs) = tcp_pair();
        let read = read_by(&Arc::new(ours));
        let serving = std::thread::spawn(move || run_on(builder, in_time(read)));
        theirs.write_all(b"!").unwrap();
        assert_eq!(serving.join().unwrap().unwrap(), 1);
    });
}

#[test]
fn connecting_and_accepting_can_be_dropped_abroad() {
    on_every_loop(|| async {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let accepting = listener.clone();
        let mut accept = Box::pin(async move { accepting.accept().await.map(|_| ()) });
        let accepts = begin(&mut accept);
        let mut connect = Box::pin(TcpStream::connect(listener.local_addr().unwrap()));
        let connects = begin(&mut connect);
        assert_eq!(registrations(), (2, 2));
        abroad(move || drop((accept, connect)));
        settle().await;
        // The connection was made, so who waited to accept it was called; its socket is gone.
        assert_eq!((accepts.times(), connects.times(), registrations()), (1, 1, (1, 0)));
        let (stream, _) = in_time(listener.accept()).await.unwrap();
        assert_eq!(in_time(stream.read(&mut [0])).await.unwrap(), 0);
    });
}

#[test]
fn the_futures_of_many_reads_are_dropped_on_many_threads_while_the_loop_serves() {
    on_every_loop(|| async {
        let (ours, mut theirs) = tcp_pair();
        let ours = Arc::new(ours);
        for _ in 0..20 {
            let mut reads: Vec<_> = (0..8).map(|_| read_by(&ours)).collect();
            for read in &mut reads {
                begin(read);
            }
            let others = reads.split_off(4);
            let dropper = std::thread::spawn(move || drop(others));
            theirs.write_all(b"1234").unwrap();
            for read in reads {
                assert_eq!(in_time(read).await.unwrap(), 1);
            }
            dropper.join().unwrap();
        }
        theirs.write_all(b"!").unwrap();
        settle().await;
        assert_eq!(registrations(), (1, 0), "whose waker stayed behind was called, and is gone");
    });
}

/// Not a matter of loops, but of threads: a future that is polled by turns at home and abroad.
#[test]
fn a_waker_that_was_left_behind_is_not_doubled_when_its_future_comes_back() {
    on_every_loop(|| async {
        let (ours, mut theirs) = tcp_pair();
        let ours = Arc::new(ours);
        let mut read = read_by(&ours);
        begin(&mut read);
        for _ in 0..3 {
            read = abroad(move || read);
            let woken = begin(&mut read);
            assert_eq!((registrations(), Arc::strong_count(&woken)), ((1, 1), 2));
        }
        theirs.write_all(b"!").unwrap();
        let woken = begin(&mut read);
        settle().await;
        assert_eq!(woken.times(), 1);
        let (_, waker) = Woken::new();
        assert!(matches!(read.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(Ok(1))));
    });
}
