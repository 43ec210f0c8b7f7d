//! CPython's `test_selector_events`: its tests of the loop, with real descriptors where it has mocks.
//!
//! Not ported, or elsewhere:
//! * `test_close`, `test_close_no_selector`: a loop is dropped, and that once; that its descriptors go is in
//!   `tests/leaks.rs`.
//! * `test_read_from_self_tryagain`, `test_read_from_self_exception`, `test_write_to_self_tryagain`,
//!   `test_write_to_self_exception`: nothing of the bell fails that could be heard of. What is left of them is
//!   that a bell may be rung by anybody, as often as they like: `a_bell_…`.
//! * `test_accept_connection_multiple`, `test_accept_connection_skip_connectionabortederror`,
//!   `test_sock_connect_resolve_using_socket_params`: `tests/net/tcp`.
//! * `test_make_socket_transport`, and all tests of transports: there are none yet.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use evloop::{Clock, EventLoop, LoopHandle, get_running_loop, yield_now};

use crate::support::{Log, virtual_loop, yields};

/// A descriptor with room to write and something to read; and its peer.
fn ready_pair() -> (Rc<UnixStream>, UnixStream) {
    let (a, mut b) = UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    b.write_all(b"!").unwrap();
    (Rc::new(a), b)
}

/// A callback that logs `name` each time, and once more when it is dropped.
fn logs(log: &Log, name: &'static str) -> impl FnMut() + use<> {
    let (log, guard) = (log.clone(), log.on_drop(format!("{name} dropped")));
    move || {
        let _ = &guard;
        log.push(name);
    }
}

fn handle() -> LoopHandle {
    get_running_loop().unwrap()
}

#[evloop::test(order = "fifo")]
async fn test_add_reader() {
    let ((a, mut b), log) = (ready_pair(), Log::new());
    handle().add_reader(&*a, logs(&log, "reader")).unwrap();
    assert_eq!(handle().registrations(), (1, 1));
    yields(3).await;
    assert_eq!(log.take(), ["reader"; 2], "from the next iteration on");
    (&*a).read_exact(&mut [0]).unwrap();
    yields(3).await;
    assert_eq!(log.take(), ["reader"], "which was due already");
    b.write_all(b"!").unwrap();
    yields(2).await;
    assert_eq!(log.take(), ["reader"]);
    handle().remove_reader(&*a);
}

#[evloop::test(order = "fifo")]
async fn test_add_reader_existing() {
    let ((a, _b), log) = (ready_pair(), Log::new());
    handle().add_reader(&*a, logs(&log, "old")).unwrap();
    yield_now().await;
    // It is due: it was found ready for the batch that this runs in.
    handle().add_reader(&*a, logs(&log, "new")).unwrap();
    assert_eq!(log.take(), ["old dropped"], "cancelled");
    assert_eq!(handle().registrations(), (1, 1));
    yields(2).await;
    assert_eq!(log.take(), ["new"]);
    assert!(handle().remove_reader(&*a));
}

#[evloop::test(order = "fifo")]
async fn test_add_reader_existing_writer() {
    let ((a, _b), log) = (ready_pair(), Log::new());
    handle().add_writer(&*a, logs(&log, "writer")).unwrap();
    handle().add_reader(&*a, logs(&log, "reader")).unwrap();
    assert_eq!(handle().registrations(), (1, 2));
    yields(3).await;
    assert_eq!(log.take(), ["reader", "writer", "reader", "writer"]);
    assert!(handle().remove_reader(&*a) && handle().remove_writer(&*a));
}

#[evloop::test]
async fn test_remove_reader() {
    let ((a, _b), log) = (ready_pair(), Log::new());
    handle().add_reader(&*a, logs(&log, "reader")).unwrap();
    assert!(handle().remove_reader(&*a));
    assert_eq!((log.take(), handle().registrations()), (vec!["reader dropped".to_owned()], (0, 0)));
    yields(3).await;
    assert!(log.is_empty());
}

#[evloop::test(order = "fifo")]
async fn test_remove_reader_read_write() {
    let ((a, _b), log) = (ready_pair(), Log::new());
    handle().add_reader(&*a, logs(&log, "reader")).unwrap();
    handle().add_writer(&*a, logs(&log, "writer")).unwrap();
    assert!(handle().remove_reader(&*a));
    assert_eq!(handle().registrations(), (1, 1));
    yields(2).await;
    assert_eq!(log.take(), ["reader dropped", "writer"]);
    assert!(handle().remove_writer(&*a));
    assert_eq!(handle().registrations(), (0, 0));
}

#[evloop::test]
async fn test_remove_reader_unknown() {
    let (a, _b) = ready_pair();
    assert!(!handle().remove_reader(&*a));
    handle().add_writer(&*a, || ()).unwrap();
    assert!(!handle().remove_reader(&*a), "its writer is no reader");
    assert!(handle().remove_writer(&*a));
}

#[evloop::test(order = "fifo")]
async fn test_add_writer() {
    let ((a, _b), log) = (ready_pair(), Log::new());
    handle().add_writer(&*a, logs(&log, "writer")).unwrap();
    yields(3).await;
    assert_eq!((log.take(), handle().registrations()), (vec!["writer".to_owned(); 2], (1, 1)));
    handle().remove_writer(&*a);
}

#[evloop::test(order = "fifo")]
async fn test_add_writer_existing() {
    let ((a, _b), log) = (ready_pair(), Log::new());
    handle().add_reader(&*a, logs(&log, "reader")).unwrap();
    handle().add_writer(&*a, logs(&log, "old")).unwrap();
    yield_now().await;
    handle().add_writer(&*a, logs(&log, "new")).unwrap();
    assert_eq!((log.take(), handle().registrations()), (vec!["old dropped".to_owned()], (1, 2)));
    yields(2).await;
    assert_eq!(log.take(), ["reader", "reader", "new"]);
    assert!(handle().remove_reader(&*a) && handle().remove_writer(&*a));
}

#[evloop::test]
async fn test_remove_writer() {
    let ((a, _b), log) = (ready_pair(), Log::new());
    handle().add_writer(&*a, logs(&log, "writer")).unwrap();
    assert!(handle().remove_writer(&*a));
    assert_eq!(handle().registrations(), (0, 0));
    yields(3).await;
    assert_eq!(log.take(), ["writer dropped"]);
}

#[evloop::test(order = "fifo")]
async fn test_remove_writer_read_write() {
    let ((a, _b), log) = (ready_pair(), Log::new());
    handle().add_reader(&*a, logs(&log, "reader")).unwrap();
    handle().add_writer(&*a, logs(&log, "writer")).unwrap();
    assert!(handle().remove_writer(&*a));
    assert_eq!(handle().registrations(), (1, 1));
    yields(2).await;
    assert_eq!(log.take(), ["writer dropped", "reader"]);
    assert!(handle().remove_reader(&*a));
}

#[evloop::test]
async fn test_remove_writer_unknown() {
    let (a, _b) = ready_pair();
    assert!(!handle().remove_writer(&*a));
    handle().add_reader(&*a, || ()).unwrap();
    assert!(!handle().remove_writer(&*a), "its reader is no writer");
    assert!(handle().remove_reader(&*a));
}

/// An iteration in which `callback` is found ready in a batch behind what removes it.
fn removed_in_its_batch(
    add: impl Fn(&LoopHandle, &UnixStream, &Log),
    remove: impl Fn(&LoopHandle, &UnixStream) -> bool + 'static,
) -> Vec<String> {
    let (mut event_loop, (a, _b), log) = (virtual_loop(), ready_pair(), Log::new());
    let handle = event_loop.handle();
    add(&handle, &a, &log);
    handle.call_soon({
        let (handle, log) = (handle.clone(), log.clone());
        move || {
            assert!(remove(&handle, &a));
            log.push("removed");
        }
    });
    event_loop.run_once(Some(Duration::ZERO)).unwrap();
    assert_eq!(handle.registrations(), (0, 0), "unregistered");
    event_loop.run_once(Some(Duration::ZERO)).unwrap();
    log.take()
}

#[test]
fn test_process_events_read() {
    let (mut event_loop, (a, _b), log) = (virtual_loop(), ready_pair(), Log::new());
    event_loop.handle().add_reader(&*a, logs(&log, "reader")).unwrap();
    event_loop.run_once(Some(Duration::ZERO)).unwrap();
    assert_eq!(log.take(), ["reader"], "found and called in one iteration");
}

#[test]
fn test_process_events_read_cancelled() {
    let log = removed_in_its_batch(
        |handle, a, log| handle.add_reader(a, logs(log, "reader")).unwrap(),
        |handle, a| handle.remove_reader(a),
    );
    assert_eq!(log, ["reader dropped", "removed"]);
}

#[test]
fn test_process_events_write() {
    let (mut event_loop, (a, _b), log) = (virtual_loop(), ready_pair(), Log::new());
    event_loop.handle().add_writer(&*a, logs(&log, "writer")).unwrap();
    event_loop.run_once(Some(Duration::ZERO)).unwrap();
    assert_eq!(log.take(), ["writer"], "found and called in one iteration");
}

#[test]
fn test_process_events_write_cancelled() {
    let log = removed_in_its_batch(
        |handle, a, log| handle.add_writer(a, logs(log, "writer")).unwrap(),
        |handle, a| handle.remove_writer(a),
    );
    assert_eq!(log, ["writer dropped", "removed"]);
}

/// Loops on the system's clock, with both waits: each has a bell of its own kind.
fn loops() -> impl Iterator<Item = EventLoop> {
    [false, true]
        .into_iter()
        .map(|portable| EventLoop::builder().clock(Clock::Monotonic).portable_wait(portable).build().unwrap())
}

#[test]
fn a_bell_may_be_rung_for_ever_without_being_heard() {
    for mut event_loop in loops() {
        let (handle, log) = (event_loop.handle(), Log::new());
        // More than a pipe holds, which is what asyncio's bell is.
        for _ in 0..100_000 {
            handle.stop();
        }
        event_loop.run_forever().unwrap();
        let _ = handle.call_soon(log.callback("called"));
        event_loop.run_once(None).unwrap();
        assert_eq!(log.take(), ["called"]);
        // Heard, and nothing is left of it.
        event_loop.run_once(Some(Duration::ZERO)).unwrap();
        assert_eq!(event_loop.next_deadline(), None);
    }
}

#[test]
fn a_bell_may_be_rung_by_many_threads_at_once() {
    const THREADS: usize = 4;
    const CALLS: usize = 5_000;
    for mut event_loop in loops() {
        let handle = event_loop.handle();
        let (counter, proxy) = (Rc::new(std::cell::Cell::new(0)), handle.proxy());
        let (sender, receiver) = std::sync::mpsc::channel();
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let (proxy, sender) = (proxy.clone(), sender.clone());
                std::thread::spawn(move || {
                    for _ in 0..CALLS {
                        let sender = sender.clone();
                        proxy.call_soon(move || sender.send(()).unwrap()).unwrap();
                    }
                })
            })
            .collect();
        drop((sender, proxy));
        while counter.get() < THREADS * CALLS {
            event_loop.run_once(None).unwrap();
            counter.set(counter.get() + receiver.try_iter().count());
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(event_loop.next_deadline(), None);
    }
}
