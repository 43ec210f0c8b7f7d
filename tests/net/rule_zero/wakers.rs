//! Wakers that wait in a slot go with it: called and dropped when the socket goes, dropped with the loop.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use evloop::AsyncFd;
use evloop::net::TcpStream;
use futures::AsyncRead;

use super::{abroad, poll_read};
use crate::support::{Woken, fill, on_every_kind, on_every_loop, registrations, settle, tcp_pair};

/// A stream that waits with a waker of its own: nobody else keeps that.
fn waits_with_a_waker(stream: &mut TcpStream) -> Arc<Woken> {
    let (woken, waker) = Woken::new();
    assert!(poll_read(stream, &mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    assert_eq!((Arc::strong_count(&woken), woken.times()), (2, 0), "the slot has one");
    woken
}

#[test]
fn dropping_a_stream_at_home_wakes_who_waited_for_it() {
    on_every_loop(|| async {
        let (mut stream, _theirs) = tcp_pair();
        let woken = waits_with_a_waker(&mut stream);
        drop(stream);
        assert_eq!((Arc::strong_count(&woken), woken.times()), (1, 1));
        assert_eq!(registrations(), (0, 0));
    });
}

#[test]
fn dropping_a_stream_abroad_wakes_who_waited_for_it_at_home() {
    on_every_loop(|| async {
        let (mut stream, _theirs) = tcp_pair();
        let woken = waits_with_a_waker(&mut stream);
        abroad(move || drop(stream));
        assert_eq!((Arc::strong_count(&woken), woken.times()), (2, 0));
        settle().await;
        assert_eq!((Arc::strong_count(&woken), woken.times()), (1, 1));
    });
}

#[test]
fn taking_a_stream_out_of_the_loop_wakes_who_waited_for_it() {
    on_every_loop(|| async {
        let (mut stream, _theirs) = tcp_pair();
        let woken = waits_with_a_waker(&mut stream);
        let _std = stream.into_std();
        assert_eq!((Arc::strong_count(&woken), woken.times()), (1, 1));
    });
}

#[test]
fn a_waker_that_another_replaces_is_dropped_and_not_called() {
    on_every_loop(|| async {
        let (stream, _theirs) = tcp_pair();
        let ((first, first_waker), (second, second_waker)) = (Woken::new(), Woken::new());
        let mut byte = [0];
        let mut read = Box::pin(stream.read(&mut byte));
        assert!(read.as_mut().poll(&mut Context::from_waker(&first_waker)).is_pending());
        assert!(read.as_mut().poll(&mut Context::from_waker(&second_waker)).is_pending());
        assert_eq!(registrations(), (1, 1), "a future waits once");
        drop((first_waker, second_waker));
        assert_eq!((Arc::strong_count(&first), first.times()), (1, 0));
        assert_eq!((Arc::strong_count(&second), second.times()), (2, 0));
        drop(read);
        assert_eq!((Arc::strong_count(&second), second.times()), (1, 0), "it has left the line");
        assert_eq!(registrations(), (1, 0));
    });
}

#[test]
fn the_end_of_a_loop_drops_the_wakers() {
    on_every_kind(|builder| {
        let mut event_loop = builder.build().unwrap();
        let (mut stream, _theirs) = tcp_pair();
        let woken = event_loop.run_until_complete(async { waits_with_a_waker(&mut stream) }).unwrap();
        drop(event_loop);
        assert_eq!(Arc::strong_count(&woken), 1, "with the loop, though the stream lives on");
        drop(stream);
    });
}

#[test]
fn a_waker_that_drops_the_socket_it_waits_for_is_no_trouble() {
    /// What only a foreign executor would do.
    struct Dropper(Mutex<Option<TcpStream>>);

    impl Wake for Dropper {
        fn wake(self: Arc<Self>) {
            drop(self.0.lock().unwrap().take());
        }
    }

    on_every_loop(|| async {
        let (stream, theirs) = tcp_pair();
        let (woken, waker) = Woken::new();
        let dropper = Arc::new(Dropper(Mutex::new(None)));
        // Two who wait: the first drops the socket while the second is about to be told.
        let first = Waker::from(dropper.clone());
        assert!(poll_read_shared(&stream, &mut Context::from_waker(&first)).is_pending());
        assert!(poll_read_shared(&stream, &mut Context::from_waker(&waker)).is_pending());
        assert_eq!(registrations(), (1, 2));
        *dropper.0.lock().unwrap() = Some(stream);
        drop(theirs);
        settle().await;
        assert!(dropper.0.lock().unwrap().is_none());
        assert_eq!((registrations(), woken.times()), ((0, 0), 1));
    });
}

#[test]
fn a_waker_that_panics_is_reported_and_the_others_are_called() {
    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            resume_unwind(Box::new("a waker")); // a panic that prints nothing
        }
    }

    on_every_loop(|| async {
        let reports = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let handle = evloop::get_running_loop().unwrap();
        let sink = reports.clone();
        handle.set_exception_handler(move |context| sink.borrow_mut().push(context.message().to_owned()));
        let (stream, theirs) = tcp_pair();
        let (woken, waker) = Woken::new();
        for waker in [Waker::from(Arc::new(Panics)), waker] {
            assert!(poll_read_shared(&stream, &mut Context::from_waker(&waker)).is_pending());
        }
        drop(theirs);
        settle().await;
        assert_eq!((woken.times(), reports.take()), (1, vec!["a waker panicked".to_owned()]));

        // The same where the slot is freed by mail.
        let (stream, _theirs) = tcp_pair();
        let (woken, waker) = Woken::new();
        for waker in [Waker::from(Arc::new(Panics)), waker] {
            assert!(poll_read_shared(&stream, &mut Context::from_waker(&waker)).is_pending());
        }
        thread::spawn(move || drop(stream)).join().unwrap();
        settle().await;
        assert_eq!((woken.times(), reports.take()), (1, vec!["a waker panicked".to_owned()]));
    });
}

#[test]
fn a_waker_may_put_another_descriptor_in_the_place_of_the_socket_that_it_waits_for() {
    type Waiting = Pin<Box<dyn Future<Output = std::io::Result<usize>> + Send>>;

    /// Drops one socket and has another descriptor wait, in the slot that is free now, with wakers that count.
    struct Exchange {
        former: Mutex<Option<TcpStream>>,
        next: Arc<AsyncFd<UnixStream>>,
        waiting: Mutex<Vec<Waiting>>,
        woken: [Arc<Woken>; 2],
    }

    impl Wake for Exchange {
        fn wake(self: Arc<Self>) {
            drop(self.former.lock().unwrap().take());
            for waker in self.woken.clone().map(Waker::from) {
                let (next, also_next) = (self.next.clone(), self.next.clone());
                let waits: [Waiting; 2] = [
                    Box::pin(async move { next.read_with(|mut io| io.read(&mut [0])).await }),
                    Box::pin(async move { also_next.write_with(|mut io| io.write(b"!")).await }),
                ];
                for mut future in waits {
                    assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
                    self.waiting.lock().unwrap().push(future);
                }
            }
        }
    }

    on_every_loop(|| async {
        let ((mut former, theirs), (next, _peer)) = (tcp_pair(), UnixStream::pair().unwrap());
        next.set_nonblocking(true).unwrap();
        fill(&next);
        let exchange = Arc::new(Exchange {
            former: Mutex::default(),
            next: Arc::new(AsyncFd::new(next)),
            waiting: Mutex::default(),
            woken: [Woken::new().0, Woken::new().0],
        });
        let waker = Waker::from(exchange.clone());
        assert!(poll_read(&mut former, &mut Context::from_waker(&waker)).is_pending());
        *exchange.former.lock().unwrap() = Some(former);
        // An event for both directions, where both are watched.
        drop(theirs);
        settle().await;
        assert!(exchange.former.lock().unwrap().is_none());
        assert_eq!(registrations(), (1, 4));
        let times = exchange.woken.each_ref().map(|woken| woken.times());
        assert_eq!(times, [0, 0], "what happened to the former does not reach the next");
        exchange.waiting.lock().unwrap().clear();
    });
}

/// As one of several who share the stream.
fn poll_read_shared(mut stream: &TcpStream, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
    Pin::new(&mut stream).poll_read(cx, &mut [0])
}

#[test]
fn of_who_polls_a_stream_that_is_its_own_the_newest_waker_counts() {
    on_every_loop(|| async {
        let (mut stream, mut theirs) = tcp_pair();
        let (former, former_waker) = Woken::new();
        let (woken, waker) = Woken::new();
        for waker in [&former_waker, &waker, &former_waker, &waker] {
            assert!(poll_read(&mut stream, &mut Context::from_waker(waker)).is_pending());
            assert_eq!(registrations(), (1, 1), "reads that were given up do not pile up");
        }
        std::io::Write::write_all(&mut theirs, b"!").unwrap();
        settle().await;
        assert_eq!((former.times(), woken.times()), (0, 1));
    });
}
