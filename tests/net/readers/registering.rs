//! What can be registered, and what its registration does to others.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use evloop::time::millis;
use evloop::{AsyncFd, LoopHandle, create_task, get_running_loop, sleep, yield_now};

use super::{Calls, add_consumer, pair};
use crate::support::{
    fill, in_time, iterations_while_idle, on_every_kind, on_every_loop, registrations, run_on, settle,
    tcp_pair, yields,
};

fn handle() -> LoopHandle {
    get_running_loop().unwrap()
}

#[test]
fn a_reader_is_called_as_long_as_there_is_something_to_read() {
    on_every_loop(|| async {
        let ((a, mut b), calls) = (pair(), Calls::default());
        handle().add_reader(&a, calls.counter()).unwrap();
        assert_eq!((registrations(), calls.now().await), ((1, 1), 0));
        b.write_all(b"12").unwrap();
        assert!(calls.now().await >= 3);
        (&a).read_exact(&mut [0]).unwrap();
        assert!(calls.now().await >= 3, "one byte is left");
        (&a).read_exact(&mut [0]).unwrap();
        assert_eq!(calls.now().await, 0);
        drop(b);
        assert!(calls.now().await >= 3, "the end can be read again and again");
        assert!(handle().remove_reader(&a));
        assert_eq!((registrations(), calls.now().await), ((0, 0), 0));
    });
}

#[test]
fn a_writer_is_called_as_long_as_there_is_room() {
    on_every_loop(|| async {
        let ((a, mut b), calls) = (pair(), Calls::default());
        handle().add_writer(&a, calls.counter()).unwrap();
        assert!(calls.now().await >= 3);
        let written = fill(&a);
        assert_eq!(calls.now().await, 0);
        let mut rest = vec![0; written];
        b.read_exact(&mut rest).unwrap();
        assert!(calls.now().await >= 3);
        assert!(handle().remove_writer(&a));
        assert_eq!((registrations(), calls.now().await), ((0, 0), 0));
    });
}

#[test]
fn a_loop_that_sleeps_wakes_for_a_reader() {
    on_every_loop(|| async {
        let (a, mut b) = pair();
        let got = add_consumer(&handle(), &a);
        for i in 0..5 {
            // The loop sleeps in between.
            evloop::to_thread({
                let mut b = b.try_clone().unwrap();
                move || b.write_all(&[i]).unwrap()
            })
            .await;
            sleep(millis(1)).await;
        }
        b.write_all(b"!").unwrap();
        settle().await;
        assert_eq!(*got.borrow(), [0, 1, 2, 3, 4, b'!']);
        handle().remove_reader(&a);
    });
}

#[test]
fn the_directions_of_a_descriptor_come_and_go_independently() {
    on_every_loop(|| async {
        let ((a, mut b), reads, writes) = (pair(), Calls::default(), Calls::default());
        handle().add_reader(&a, reads.counter()).unwrap();
        handle().add_writer(&a, writes.counter()).unwrap();
        assert_eq!(registrations(), (1, 2), "one registration");
        assert!(writes.now().await >= 3 && reads.take() == 0);
        b.write_all(b"!").unwrap();
        assert!(writes.now().await >= 3 && reads.take() >= 3);

        assert!(handle().remove_reader(&a));
        assert!(!handle().remove_reader(&a));
        assert_eq!(registrations(), (1, 1));
        assert!(writes.now().await >= 3 && reads.take() == 0);

        handle().add_reader(&a, reads.counter()).unwrap();
        assert!(handle().remove_writer(&a));
        assert!(!handle().remove_writer(&a));
        assert!(reads.now().await >= 3 && writes.take() == 0);

        assert!(handle().remove_reader(&a));
        assert_eq!(registrations(), (0, 0));
    });
}

#[test]
fn a_direction_that_was_removed_does_not_keep_the_loop_awake() {
    on_every_loop(|| async {
        let ((a, mut b), calls) = (pair(), Calls::default());
        // Something to read for ever, and no room to write.
        b.write_all(b"!").unwrap();
        fill(&a);
        handle().add_reader(&a, calls.counter()).unwrap();
        handle().add_writer(&a, calls.counter()).unwrap();
        settle().await;
        assert!(handle().remove_reader(&a));
        calls.take();
        let iterations = iterations_while_idle().await;
        assert!(iterations <= 10, "{iterations} iterations");
        assert_eq!(calls.take(), 0);
        assert!(handle().remove_writer(&a));
        let iterations = iterations_while_idle().await;
        assert!(iterations <= 10, "{iterations} iterations");
    });
}

#[test]
fn a_second_callback_takes_the_place_of_the_first() {
    on_every_loop(|| async {
        let ((a, mut b), first, second) = (pair(), Calls::default(), Calls::default());
        b.write_all(b"!").unwrap();
        handle().add_reader(&a, first.counter()).unwrap();
        assert!(first.now().await >= 3);
        handle().add_reader(&a, second.counter()).unwrap();
        assert!(first.is_dropped(), "at once");
        assert_eq!(registrations(), (1, 1));
        assert!(second.now().await >= 3 && first.take() == 0);
        assert!(handle().remove_reader(&a));
        assert!(second.is_dropped(), "at once");
        assert!(!handle().remove_reader(&a));
    });
}

#[test]
fn nothing_is_removed_that_was_not_added() {
    on_every_loop(|| async {
        let ((a, _b), (other, _peer)) = (pair(), pair());
        assert!(!handle().remove_reader(&a) && !handle().remove_writer(&a));
        handle().add_reader(&a, || ()).unwrap();
        assert!(!handle().remove_writer(&a));
        assert!(!handle().remove_reader(&other) && !handle().remove_writer(&other));
        assert_eq!(registrations(), (1, 1));
        assert!(handle().remove_reader(&a));
    });
}

#[test]
fn regular_files_are_refused_with_the_systems_error() {
    on_every_loop(|| async {
        let path = std::env::temp_dir().join(format!("evloop-readers-{}", std::process::id()));
        let file = std::fs::File::create(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let calls = Calls::default();
        for error in [
            handle().add_reader(&file, calls.counter()).unwrap_err(),
            handle().add_writer(&file, calls.counter()).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "EPERM: {error}");
            assert!(error.raw_os_error().is_some(), "{error}");
        }
        assert!(calls.is_dropped());
        assert!(!handle().remove_reader(&file));
        assert_eq!(registrations(), (0, 0));
    });
}

#[test]
fn a_descriptor_that_a_socket_of_ours_waits_for_is_refused() {
    on_every_loop(|| async {
        let (ours, mut theirs) = tcp_pair();
        let ours = std::sync::Arc::new(ours);
        let reads = create_task({
            let ours = ours.clone();
            async move { ours.read(&mut [0]).await }
        });
        yield_now().await;
        let calls = Calls::default();
        for error in [
            handle().add_reader(&*ours, calls.counter()).unwrap_err(),
            handle().add_writer(&*ours, calls.counter()).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::AlreadyExists);
            assert!(error.to_string().contains("is watched in this event loop already"), "{error}");
        }
        assert!(calls.is_dropped());
        assert!(!handle().remove_reader(&*ours) && !handle().remove_writer(&*ours));
        assert_eq!(registrations(), (1, 1));
        theirs.write_all(b"!").unwrap();
        assert_eq!(in_time(reads).await.unwrap().unwrap(), 1, "and it is not disturbed");
        let ours = std::sync::Arc::into_inner(ours).unwrap().into_std();
        handle().add_reader(&ours, calls.counter()).unwrap();
        assert!(handle().remove_reader(&ours), "released, it is anybody's");
    });
}

#[test]
fn a_socket_of_ours_cannot_wait_for_a_descriptor_that_has_a_reader() {
    on_every_loop(|| async {
        let ((ours, mut theirs), calls) = (tcp_pair(), Calls::default());
        handle().add_reader(&ours, calls.counter()).unwrap();
        for error in [ours.read(&mut [0]).await.unwrap_err(), ours.writable().await.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::AlreadyExists);
            assert!(error.to_string().contains("is watched in this event loop already"), "{error}");
        }
        theirs.write_all(b"1").unwrap();
        assert!(calls.now().await >= 3, "the reader is not disturbed");
        assert_eq!(ours.read(&mut [0]).await.unwrap(), 1, "what need not wait is done");
        assert!(handle().remove_reader(&ours));
        theirs.write_all(b"2").unwrap();
        in_time(ours.readable()).await.unwrap();
        assert_eq!(in_time(ours.read(&mut [0])).await.unwrap(), 1);
    });
}

#[test]
fn two_owners_cannot_wait_for_one_descriptor() {
    on_every_loop(|| async {
        let (a, mut b) = pair();
        let (one, two) = (AsyncFd::new(&a), AsyncFd::new(&a));
        let mut first = Box::pin(one.readable());
        assert!(futures::poll!(&mut first).is_pending());
        let error = two.readable().await.unwrap_err();
        assert!(error.to_string().contains("is watched in this event loop already"), "{error}");
        b.write_all(b"!").unwrap();
        in_time(first).await.unwrap();
        drop(one);
        in_time(two.readable()).await.unwrap();
    });
}

#[test]
fn duplicates_are_descriptors_of_their_own() {
    on_every_loop(|| async {
        let (a, mut b) = pair();
        let other = a.try_clone().unwrap();
        let (first, second) = (Calls::default(), Calls::default());
        handle().add_reader(&a, first.counter()).unwrap();
        handle().add_reader(&other, second.counter()).unwrap();
        b.write_all(b"!").unwrap();
        assert!(first.now().await >= 3 && second.take() >= 3);
        assert!(handle().remove_reader(&a));
        assert!(second.now().await >= 3 && first.take() == 0);
        assert!(handle().remove_reader(&other));
    });
}

#[test]
fn a_descriptor_may_have_readers_in_several_loops() {
    on_every_kind(|builder| {
        let mut one = builder.clone().build().unwrap();
        let mut two = builder.build().unwrap();
        let ((a, mut b), first, second) = (pair(), Calls::default(), Calls::default());
        // Neither of them runs.
        one.handle().add_reader(&a, first.counter()).unwrap();
        two.handle().add_reader(&a, second.counter()).unwrap();
        b.write_all(b"!").unwrap();
        one.run_until_complete(settle()).unwrap();
        assert!(first.take() >= 3 && second.take() == 0);
        two.run_until_complete(settle()).unwrap();
        assert!(second.take() >= 3 && first.take() == 0);
        // Removed by one while the other runs.
        let handle = one.handle();
        two.run_until_complete(async { assert!(handle.remove_reader(&a)) }).unwrap();
        one.run_until_complete(settle()).unwrap();
        assert_eq!(first.take(), 0);
        assert!(two.handle().remove_reader(&a));
        assert_eq!((one.handle().registrations(), two.handle().registrations()), ((0, 0), (0, 0)));
    });
}

#[test]
fn readers_are_added_and_removed_between_two_runs() {
    on_every_kind(|builder| {
        let mut event_loop = builder.build().unwrap();
        let ((a, mut b), calls, handle) = (pair(), Calls::default(), event_loop.handle());
        handle.add_reader(&a, calls.counter()).unwrap();
        assert!(event_loop.next_deadline().is_none());
        b.write_all(b"!").unwrap();
        event_loop.run_once(None).unwrap();
        assert_eq!(calls.take(), 1, "a turn calls it once");
        event_loop.run_once(None).unwrap();
        assert_eq!(calls.take(), 1);
        assert!(handle.remove_reader(&a));
        event_loop.run_once(Some(std::time::Duration::ZERO)).unwrap();
        assert_eq!(calls.take(), 0);
    });
}

#[test]
fn a_host_sees_on_the_loops_descriptor_that_a_reader_is_due() {
    on_every_kind(|builder| {
        let mut event_loop = builder.build().unwrap();
        let (a, mut b) = pair();
        let got = add_consumer(&event_loop.handle(), &a);
        // Bells of the past.
        while readable(&event_loop) {
            event_loop.run_once(Some(std::time::Duration::ZERO)).unwrap();
        }
        b.write_all(b"!").unwrap();
        assert!(readable(&event_loop));
        event_loop.run_once(None).unwrap();
        assert_eq!(*got.borrow(), b"!");
        assert!(!readable(&event_loop));
    });
}

/// Asks another loop, which is a poller as good as any.
fn readable(fd: &impl AsFd) -> bool {
    let (mut host, calls) = (evloop::EventLoop::new().unwrap(), Calls::default());
    host.handle().add_reader(fd, calls.counter()).unwrap();
    host.run_once(Some(std::time::Duration::ZERO)).unwrap();
    calls.take() > 0
}

#[test]
fn the_end_of_a_loop_drops_its_readers_and_lets_the_descriptors_go() {
    on_every_kind(|builder| {
        let mut event_loop = builder.clone().build().unwrap();
        let ((a, mut b), handle) = (pair(), event_loop.handle());
        let (reads, writes, due) = (Calls::default(), Calls::default(), Calls::default());
        handle.add_reader(&a, reads.counter()).unwrap();
        handle.add_writer(&a, writes.counter()).unwrap();
        let (busy, mut signal) = pair();
        signal.write_all(b"!").unwrap();
        // Stands in the FIFO when the loop ends.
        handle.add_reader(&busy, due.counter()).unwrap();
        let stop = handle.clone();
        handle.add_writer(&busy, move || stop.stop()).unwrap();
        event_loop.run_forever().unwrap();
        drop(event_loop);
        assert!(reads.is_dropped() && writes.is_dropped() && due.is_dropped());

        let refused = Calls::default();
        let error = handle.add_reader(&a, refused.counter()).unwrap_err();
        assert!(error.to_string().contains("the event loop is being closed"), "{error}");
        assert!(refused.is_dropped());
        assert!(!handle.remove_reader(&a) && !handle.remove_writer(&a));

        let calls = Calls::default();
        run_on(builder, async {
            let handle = get_running_loop().unwrap();
            handle.add_reader(&a, calls.counter()).unwrap();
            b.write_all(b"!").unwrap();
            assert!(calls.now().await >= 3);
            assert!(handle.remove_reader(&a));
        });
    });
}

#[test]
fn nothing_can_be_added_to_a_loop_that_is_being_dropped() {
    struct AddsAtTheEnd(Option<(LoopHandle, UnixStream, Calls)>);

    impl Drop for AddsAtTheEnd {
        fn drop(&mut self) {
            let (handle, stream, calls) = self.0.take().unwrap();
            let error = handle.add_reader(&stream, calls.counter()).unwrap_err();
            assert!(error.to_string().contains("the event loop is being closed"), "{error}");
            assert!(!handle.remove_reader(&stream));
            calls.add();
        }
    }

    on_every_kind(|builder| {
        let mut event_loop = builder.build().unwrap();
        let ((a, _b), calls) = (pair(), Calls::default());
        let handle = event_loop.handle();
        let guards =
            [0, 1, 2].map(|_| AddsAtTheEnd(Some((handle.clone(), a.try_clone().unwrap(), calls.clone()))));
        let [in_task, in_reader, in_callback] = guards;
        handle
            .create_task(async move {
                let _in_task = in_task;
                std::future::pending::<()>().await;
            })
            .detach();
        handle.add_reader(&a, move || _ = &in_reader).unwrap();
        event_loop.run_until_complete(yield_now()).unwrap();
        handle.call_soon(move || drop(in_callback));
        drop(event_loop);
        assert_eq!(calls.take(), 3);
        assert!(calls.is_dropped());
    });
}

#[test]
fn a_hundred_readers_are_all_called() {
    on_every_loop(|| async {
        let handle = handle();
        let pairs: Vec<_> = (0..100).map(|_| pair()).collect();
        let got: Vec<_> = pairs.iter().map(|(a, _)| add_consumer(&handle, a)).collect();
        for round in 0..3u8 {
            for (_, b) in &pairs {
                (&*b).write_all(&[round]).unwrap();
            }
            settle().await;
        }
        assert!(got.iter().all(|got| *got.borrow() == [0, 1, 2]));
        pairs.iter().for_each(|(a, _)| assert!(handle.remove_reader(a)));
    });
}

#[test]
fn readers_timers_and_tasks_let_each_other_live() {
    on_every_loop(|| async {
        let ((a, mut b), calls) = (pair(), Calls::default());
        b.write_all(b"!").unwrap();
        handle().add_reader(&a, calls.counter()).unwrap();
        let yielder = create_task(async { yields(10_000).await });
        in_time(sleep(millis(2))).await;
        assert!(calls.take() > 0, "beside a task that always has something to do");
        in_time(yielder).await.unwrap();
        assert!(handle().remove_reader(&a));
    });
}
