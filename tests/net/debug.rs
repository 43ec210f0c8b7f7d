//! What debug mode tells of sockets, and what the errors say of a wrong loop or none.

use std::io::Read as _;
use std::sync::mpsc;
use std::thread;

use evloop::debug::DebugReport;
use evloop::time::millis;
use evloop::{EventLoop, create_task, current_task, yield_now};

use crate::support::tcp_pair;

/// More than the system takes for a peer that does not read.
const MUCH: usize = 64 << 20;

#[test]
fn a_write_that_is_dropped_halfway_is_told_of() {
    let (sender, told) = mpsc::channel();
    let builder = EventLoop::builder().debug(true).on_debug_report(move |report| {
        let _ = sender.send(report.clone());
    });
    let (written, name) = builder
        .build()
        .unwrap()
        .run_until_complete(async {
            let (ours, mut theirs) = tcp_pair();
            current_task().unwrap().set_name("writer");
            let bytes = vec![7; MUCH];
            let late = evloop::wait_for(ours.write_all(&bytes), millis(20)).await;
            assert!(late.is_err(), "nobody reads");
            drop(ours.write_all(&bytes)); // nothing was written
            ours.shutdown(std::net::Shutdown::Write).unwrap();
            let read = thread::spawn(move || theirs.read_to_end(&mut Vec::new()).unwrap());
            (read.join().unwrap(), current_task().unwrap().name())
        })
        .unwrap();
    let halves: Vec<_> =
        told.try_iter().filter(|report| matches!(report, DebugReport::HalfWritten { .. })).collect();
    let [half] = &*halves else { panic!("{halves:?}") };
    let begins = format!(
        "TcpStream::write_all was dropped after {written} of {MUCH} bytes, in task {name} created at "
    );
    assert!(half.to_string().starts_with(&begins), "{half}");
}

#[test]
fn a_write_that_fails_is_its_callers_business() {
    let builder = EventLoop::builder().debug(true).on_debug_report(|report| {
        assert!(!matches!(report, DebugReport::HalfWritten { .. }), "{report}");
    });
    builder
        .build()
        .unwrap()
        .run_until_complete(async {
            let (ours, theirs) = tcp_pair();
            let bytes = vec![7; MUCH];
            let write = create_task(async move { ours.write_all(&bytes).await });
            yield_now().await;
            drop(theirs);
            assert!(write.await.unwrap().is_err());
        })
        .unwrap();
}

/// What an error says of a loop, as its id is nowhere to be seen: the number in its `Debug`.
fn id(event_loop: &EventLoop) -> String {
    let shown = format!("{event_loop:?}");
    shown.chars().filter(char::is_ascii_digit).collect()
}

#[test]
fn an_error_about_the_wrong_loop_names_both_and_their_threads() {
    let named = |name: &str| thread::Builder::new().name(name.to_owned());
    let begin = move || {
        let mut home = EventLoop::new().unwrap();
        let (ours, theirs) = tcp_pair();
        let ours = std::sync::Arc::new(ours);
        let there = id(&home);
        let stream = ours.clone();
        home.run_until_complete(async move {
            let waits = create_task(async move { stream.readable().await });
            yield_now().await;
            waits.cancel();
        })
        .unwrap();
        let abroad = named("abroad").spawn(move || {
            let off = ours.try_read(&mut [0]).unwrap_err().to_string();
            let mut event_loop = EventLoop::new().unwrap();
            let here = id(&event_loop);
            let wrong = event_loop.run_until_complete(async { ours.readable().await.unwrap_err() });
            (off, wrong.unwrap().to_string(), here)
        });
        let (off, wrong, here) = abroad.unwrap().join().unwrap();
        drop((home, theirs));
        (off, wrong, there, here)
    };
    let (off, wrong, there, here) = named("home").spawn(begin).unwrap().join().unwrap();
    let (there, here) = (format!("loop {there} of thread `home`"), format!("loop {here} of thread `abroad`"));
    assert_eq!(
        off,
        format!(
            "no event loop runs on this thread, thread `abroad`, and this socket is registered with {there}: use it there, \
             inside of evloop::run"
        )
    );
    assert_eq!(
        wrong,
        format!(
            "this socket has waited in another event loop, {there}, and is registered there, while this is {here}: use it \
             there, or where you have it alone move it by `&mut` (poll_read, poll_write and the like) or by `into_std` and \
             `from_std`"
        )
    );
}
