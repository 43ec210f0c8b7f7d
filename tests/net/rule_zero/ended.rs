//! Sockets that outlive their loop, and loops that end while threads drop sockets.

use std::io::{Read, Write};
use std::thread;

use evloop::net::TcpStream;
use evloop::{EventLoop, create_task, yield_now};
use futures::AsyncReadExt;

use super::{abroad, poll_read, wait_once, waiting_task};
use crate::support::{Woken, in_time, on_every_kind, registrations, run_on, tcp_pair};

/// A stream whose loop has ended after it had waited there; and the other side.
fn orphan(event_loop: &mut EventLoop) -> (TcpStream, std::net::TcpStream) {
    let (mut ours, theirs) = tcp_pair();
    event_loop.run_until_complete(wait_once(&mut ours)).unwrap();
    (ours, theirs)
}

#[test]
fn a_stream_may_be_dropped_after_the_end_of_its_loop_at_home_and_abroad() {
    on_every_kind(|builder| {
        let mut event_loop = builder.build().unwrap();
        let (at_home, mut peer_at_home) = orphan(&mut event_loop);
        let (away, mut peer_abroad) = orphan(&mut event_loop);
        drop(event_loop);
        drop(at_home);
        assert_eq!(peer_at_home.read(&mut [0]).unwrap(), 0);
        abroad(move || drop(away));
        assert_eq!(peer_abroad.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn a_stream_may_be_dropped_between_two_runs_of_its_loop() {
    on_every_kind(|builder| {
        let mut event_loop = builder.build().unwrap();
        let handle = event_loop.handle();
        let (at_home, mut theirs) = orphan(&mut event_loop);
        let (away, _theirs) = orphan(&mut event_loop);
        assert_eq!(handle.registrations().0, 2);
        assert!(event_loop.next_deadline().is_none());
        drop(at_home);
        assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
        abroad(move || drop(away));
        assert!(event_loop.next_deadline().is_some(), "a host hears of the mail");
        event_loop.run_once(None).unwrap();
        assert_eq!(handle.registrations(), (0, 0));
    });
}

#[test]
fn a_loop_closes_the_sockets_of_its_tasks_when_it_is_dropped() {
    on_every_kind(|builder| {
        let mut event_loop = builder.build().unwrap();
        let (ours, mut theirs) = tcp_pair();
        event_loop.handle().create_task(async move { ours.read(&mut [0]).await }).detach();
        event_loop.run_until_complete(yield_now()).unwrap();
        assert_eq!(event_loop.handle().registrations(), (1, 1));
        drop(event_loop);
        assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn a_stream_whose_loop_has_ended_is_refused_by_others_until_it_is_moved() {
    on_every_kind(|builder| {
        let mut event_loop = builder.clone().build().unwrap();
        let (mut ours, mut theirs) = orphan(&mut event_loop);
        drop(event_loop);
        theirs.write_all(b"12").unwrap();
        run_on(builder, async {
            let error = ours.read(&mut [0]).await.unwrap_err();
            assert!(error.to_string().contains("has waited in another event loop"), "{error}");
            assert_eq!(registrations(), (0, 0));
            let mut byte = [0];
            in_time(ours.read_exact(&mut byte)).await.expect_err("it is still not moved");
            in_time(AsyncReadExt::read_exact(&mut ours, &mut byte)).await.unwrap();
            assert_eq!(&byte, b"1");
            in_time(ours.read_exact(&mut byte)).await.unwrap();
            assert_eq!(&byte, b"2");
            wait_once(&mut ours).await;
            assert_eq!(registrations().0, 1);
            drop(ours);
        });
    });
}

#[test]
fn a_stream_can_be_released_after_the_end_of_its_loop() {
    on_every_kind(|builder| {
        let mut event_loop = builder.clone().build().unwrap();
        let (ours, mut theirs) = orphan(&mut event_loop);
        drop(event_loop);
        let ours = TcpStream::from_std(ours.into_std()).unwrap();
        theirs.write_all(b"!").unwrap();
        run_on(builder, async {
            assert_eq!(in_time(ours.read(&mut [0])).await.unwrap(), 1);
            drop(ours);
        });
    });
}

#[test]
fn nothing_waits_any_more_in_a_loop_that_is_being_dropped() {
    struct WaitsAtTheEnd(Option<(TcpStream, std::sync::mpsc::Sender<String>)>);

    impl Drop for WaitsAtTheEnd {
        fn drop(&mut self) {
            let (mut stream, said) = self.0.take().unwrap();
            let (woken, waker) = Woken::new();
            match poll_read(&mut stream, &mut std::task::Context::from_waker(&waker)) {
                std::task::Poll::Ready(Err(error)) => said.send(error.to_string()).unwrap(),
                other => said.send(format!("{other:?}")).unwrap(),
            }
            drop((stream, waker));
            assert_eq!(std::sync::Arc::strong_count(&woken), 1);
        }
    }

    on_every_kind(|builder| {
        for has_waited in [false, true] {
            let (said, heard) = std::sync::mpsc::channel();
            let (mut ours, mut theirs) = tcp_pair();
            let mut event_loop = builder.clone().build().unwrap();
            let main = async {
                if has_waited {
                    wait_once(&mut ours).await;
                }
                let at_the_end = WaitsAtTheEnd(Some((ours, said)));
                create_task(async move {
                    let _at_the_end = at_the_end;
                    std::future::pending::<()>().await;
                })
                .detach();
                yield_now().await;
            };
            event_loop.run_until_complete(main).unwrap();
            drop(event_loop);
            let text = heard.recv().unwrap();
            assert!(text.contains("the event loop is being closed"), "{text}");
            assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
        }
    });
}

#[test]
fn streams_dropped_while_their_loop_is_dropped_are_closed_all_the_same() {
    on_every_kind(|builder| {
        for round in 0..30 {
            let mut event_loop = builder.clone().build().unwrap();
            let (task, ours, mut theirs) = event_loop
                .run_until_complete(async {
                    let (ours, theirs) = tcp_pair();
                    let (task, ours) = waiting_task(ours).await;
                    (task, ours, theirs)
                })
                .unwrap();
            let other = thread::spawn(move || {
                (0..round * 20).for_each(|_| std::hint::spin_loop());
                drop(ours);
            });
            drop(event_loop);
            other.join().unwrap();
            assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
            drop(task);
        }
    });
}
