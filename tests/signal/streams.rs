//! Streams of signals, `ctrl_c`, and which signals there are.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use evloop::signal::{Signal, signal};
use evloop::time::{millis, secs};
use evloop::{Clock, EventLoop, create_task, ctrl_c, get_running_loop, sleep, wait_for, yield_now};
use futures::stream::{FusedStream, StreamExt};

use crate::support::{DEFAULT, action, in_time, raise, turn};

/// Lets the loop look outside and run what it finds.
async fn settle() {
    for _ in 0..4 {
        yield_now().await;
    }
}

#[evloop::test]
async fn a_stream_hears_each_signal() {
    let _turn = turn();
    let mut usr1 = signal(Signal::SIGUSR1).unwrap();
    assert_eq!(usr1.signal(), Signal::SIGUSR1);
    for _ in 0..3 {
        raise(Signal::SIGUSR1);
        in_time(usr1.recv()).await;
    }
    let nothing = wait_for(usr1.recv(), millis(5)).await;
    assert!(nothing.is_err(), "three signals, three times");
}

#[evloop::test]
async fn signals_that_nobody_waits_for_are_one_and_not_lost() {
    let _turn = turn();
    let mut usr1 = signal(Signal::SIGUSR1).unwrap();
    for _ in 0..5 {
        raise(Signal::SIGUSR1);
    }
    settle().await;
    in_time(usr1.recv()).await;
    let mut again = pin!(usr1.recv());
    let again = poll_fn(|cx| Poll::Ready(again.as_mut().poll(cx))).await;
    assert!(again.is_pending());
}

#[evloop::test]
async fn a_recv_that_is_dropped_loses_nothing() {
    let _turn = turn();
    let mut usr1 = signal(Signal::SIGUSR1).unwrap();
    assert!(wait_for(usr1.recv(), millis(1)).await.is_err());
    raise(Signal::SIGUSR1);
    settle().await;
    in_time(usr1.recv()).await;
}

#[evloop::test]
async fn a_stream_dropped_in_the_middle_of_a_wait_leaves_nothing_behind() {
    let _turn = turn();
    let handle = get_running_loop().unwrap();
    let waits = create_task(async {
        let mut usr1 = signal(Signal::SIGUSR1)?;
        usr1.recv().await;
        Ok::<_, std::io::Error>(())
    });
    settle().await;
    assert_ne!(action(Signal::SIGUSR1), DEFAULT);
    assert_eq!(handle.registrations(), (1, 1));
    waits.cancel();
    assert!(waits.await.unwrap_err().is_cancelled());
    assert_eq!(action(Signal::SIGUSR1), DEFAULT);
    assert_eq!(handle.registrations(), (0, 0));
}

#[evloop::test]
async fn who_listens_on_the_virtual_clock_keeps_real_time_and_only_while_it_listens() {
    let _turn = turn();
    let handle = get_running_loop().unwrap();
    // The clock jumps only while nobody waits for a descriptor, which is the second number.
    sleep(secs(3600)).await;
    let one = signal(Signal::SIGUSR1).unwrap();
    let two = signal(Signal::SIGUSR2).unwrap();
    assert_eq!(handle.registrations(), (1, 1));
    drop(one);
    assert_eq!(handle.registrations(), (1, 1));
    drop(two);
    assert_eq!(handle.registrations(), (0, 0));
    sleep(secs(3600)).await;
}

#[evloop::test]
async fn streams_are_streams() {
    let _turn = turn();
    let mut usr1 = signal(Signal::SIGUSR1).unwrap();
    raise(Signal::SIGUSR1);
    assert_eq!(in_time(usr1.next()).await, Some(()));
    assert_eq!(format!("{usr1:?}"), "Signals { signal: SIGUSR1, .. }");
}

#[test]
fn a_stream_that_outlives_its_loop_ends() {
    let _turn = turn();
    let mut event_loop = EventLoop::builder().clock(Clock::Virtual).build().unwrap();
    let mut usr1 = event_loop.run_until_complete(async { signal(Signal::SIGUSR1).unwrap() }).unwrap();
    drop(event_loop);
    assert_eq!(action(Signal::SIGUSR1), DEFAULT);
    assert!(!usr1.is_terminated(), "it was not told");
    assert_eq!(evloop::run(usr1.next()), None);
    assert!(usr1.is_terminated());
    let text =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| evloop::run(usr1.recv()))).unwrap_err();
    assert!(text.downcast_ref::<String>().unwrap().contains("make the stream in the loop that awaits it"));
    drop(usr1);
}

#[test]
fn off_any_loop_there_is_nobody_to_hear() {
    let error = signal(Signal::SIGUSR1).unwrap_err();
    assert!(error.to_string().contains("call this inside of evloop::run"), "{error}");
}

#[evloop::test]
async fn ctrl_c_is_the_next_sigint() {
    let _turn = turn();
    let heard = Rc::new(Cell::new(false));
    let waits = create_task({
        let heard = heard.clone();
        async move {
            ctrl_c().await.unwrap();
            heard.set(true);
        }
    });
    settle().await;
    assert!(!heard.get());
    raise(Signal::SIGINT);
    in_time(waits).await.unwrap();
    assert!(heard.get());
    assert_eq!(action(Signal::SIGINT), DEFAULT, "and the one after that ends the process again");
}

#[test]
fn a_signal_that_cannot_be_listened_to_says_why() {
    let refused = |number| {
        let error = Signal::from_raw(number).unwrap_err();
        (error.kind(), error.to_string())
    };
    for number in [0, -1, 129, 1000, i32::MAX, i32::MIN] {
        let (kind, text) = refused(number);
        assert_eq!(kind, ErrorKind::InvalidInput, "{number}");
        assert!(text.starts_with(&format!("{number} is not the number of a signal")), "{text}");
    }
    for (number, name) in [(libc::SIGKILL, "SIGKILL"), (libc::SIGSTOP, "SIGSTOP")] {
        let (kind, text) = refused(number);
        assert_eq!(kind, ErrorKind::Unsupported);
        assert!(text.starts_with(&format!("{name} cannot be caught")), "{text}");
    }
    for number in [libc::SIGSEGV, libc::SIGILL, libc::SIGFPE, libc::SIGBUS] {
        let (kind, text) = refused(number);
        assert_eq!(kind, ErrorKind::Unsupported);
        assert!(text.contains("an instruction failed"), "{text}");
    }
}

#[test]
fn signals_have_numbers_and_names() {
    assert_eq!(Signal::from_raw(libc::SIGTERM).unwrap(), Signal::SIGTERM);
    assert_eq!(Signal::try_from(libc::SIGHUP).unwrap().as_raw(), libc::SIGHUP);
    assert_eq!(Signal::SIGWINCH.to_string(), "SIGWINCH");
    #[cfg(target_os = "linux")]
    {
        let real_time = Signal::from_raw(libc::SIGRTMIN() + 1).unwrap();
        assert_eq!(
            format!("{real_time:?} {real_time}"),
            format!("Signal({0}) signal {0}", real_time.as_raw())
        );
        assert!(Signal::from_raw(32).is_err(), "the C library keeps it for itself");
    }
}
