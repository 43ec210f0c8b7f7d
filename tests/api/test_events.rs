//! CPython's `test_events`: running, callbacks, threads, handles.
//!
//! Deviations and what has no counterpart:
//! * signals: `tests/signal`; datagrams, pipes, subprocesses: not there yet. Connections and servers, as far as they are sockets
//!   and not transports: `tests/net/tcp`.
//! * `test_close_running_event_loop`: a running loop is borrowed, so it cannot be dropped.
//! * `test_close`: on a closed loop callbacks are dropped and their handles say cancelled, tasks panic with
//!   the remedy, a proxy returns an error.
//! * `test_timer_comparison`: handles are not compared; their `when()` is.
//! * `test_run_in_executor`, `test_run_in_executor_cancel`: `to_thread`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use evloop::testing::settle;
use evloop::time::{micros, millis, secs};
use evloop::{
    EventLoop, LoopClosed, RunError, call_later, call_soon, create_task, get_running_loop, now, sleep,
    to_thread, yield_now,
};

use crate::support::{Log, forever_with, panic_of, reports, virtual_loop};

#[test]
fn test_run_until_complete_nesting() {
    let mut event_loop = virtual_loop();
    let nested = event_loop.run_until_complete(async {
        assert!(get_running_loop().unwrap().is_running());
        virtual_loop().run_until_complete(async {})
    });
    assert!(matches!(nested.unwrap(), Err(RunError::AlreadyRunning)));
}

#[test]
fn test_run_until_complete() {
    let mut event_loop = EventLoop::new().unwrap();
    let start = event_loop.handle().time();
    event_loop.run_until_complete(sleep(millis(10))).unwrap();
    let took = event_loop.handle().time() - start;
    assert!(took >= millis(10) && took < secs(1), "{took:?}");
}

#[test]
fn test_run_until_complete_stopped() {
    let mut event_loop = virtual_loop();
    let stopped = event_loop.run_until_complete(async {
        get_running_loop().unwrap().stop();
        std::future::pending::<()>().await;
    });
    assert!(matches!(stopped, Err(RunError::Stopped)));
}

#[test]
fn test_call_later() {
    let mut event_loop = virtual_loop();
    let handle = event_loop.handle();
    let (start, results) = (handle.time(), Log::new());
    let _ = handle.call_later(millis(100), {
        let (handle, results) = (handle.clone(), results.clone());
        move || {
            results.push("hello world");
            handle.stop();
        }
    });
    event_loop.run_forever().unwrap();
    assert_eq!(results.take(), ["hello world"]);
    assert_eq!(handle.time() - start, millis(100));
}

#[test]
fn test_call_soon() {
    let (mut event_loop, results) = (virtual_loop(), Log::new());
    let handle = event_loop.handle();
    let stop = handle.clone();
    let note = results.callback("hello world");
    let _ = handle.call_soon(move || {
        note();
        stop.stop();
    });
    event_loop.run_forever().unwrap();
    assert_eq!(results.take(), ["hello world"]);
}

#[test]
fn test_call_soon_threadsafe() {
    let (results, has_result) = mpsc::channel();
    let mut event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let proxy = handle.proxy();
    thread::spawn({
        let results = results.clone();
        move || proxy.call_soon(move || results.send("hello").unwrap()).unwrap()
    })
    .join()
    .unwrap();
    let stop = handle.clone();
    let _ = handle.call_soon(move || {
        results.send("world").unwrap();
        stop.stop();
    });
    event_loop.run_forever().unwrap();
    assert_eq!(has_result.try_iter().collect::<Vec<_>>(), ["hello", "world"]);
}

#[evloop::test(order = "fifo")]
async fn test_call_soon_threadsafe_same_thread() {
    let (sender, called) = mpsc::channel();
    let proxy = get_running_loop().unwrap().proxy();
    let note = |name: &'static str| {
        let sender = sender.clone();
        move || sender.send(name).unwrap()
    };
    let _ = call_soon(note("a"));
    proxy.call_soon(note("hello")).unwrap();
    let _ = call_soon(note("world"));
    proxy.call_soon(note("and")).unwrap();
    create_task({
        let note = note("a task");
        async move { note() }
    })
    .detach();
    yield_now().await;
    yield_now().await;
    assert_eq!(called.try_iter().collect::<Vec<_>>(), ["a", "hello", "world", "and", "a task"]);
}

#[evloop::test(order = "fifo")]
async fn a_threadsafe_call_from_the_same_thread_runs_before_what_wakes_later() {
    let (sender, called) = mpsc::channel();
    let note = move || {
        let _ = sender.send("called");
    };
    get_running_loop().unwrap().proxy().call_soon(note).unwrap();
    yield_now().await;
    assert!(called.try_recv().is_ok(), "it was scheduled before main was, in asyncio's one FIFO");
}

#[evloop::test(clock = "real")]
async fn test_run_in_executor() {
    let here = thread::current().id();
    let (text, there) = to_thread(move || ("yo", thread::current().id())).await;
    assert_eq!(text, "yo");
    assert_ne!(there, here);
}

#[test]
fn test_run_in_executor_cancel() {
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let (started, has_started) = mpsc::channel();
    let mut event_loop = EventLoop::new().unwrap();
    let job = event_loop.handle().create_task(to_thread(move || {
        started.send(()).unwrap();
        let _ = may_go_on.recv();
    }));
    event_loop.run_once(None).unwrap();
    has_started.recv().unwrap();
    job.cancel();
    event_loop.run_until_complete(async { assert!(job.await.unwrap_err().is_cancelled()) }).unwrap();
    drop(event_loop);
    // It ends when there is no loop any more that it could tell.
    drop(go_on);
    assert!(has_started.recv().is_err(), "it ends, and its end of the channel with it");
}

#[test]
fn test_timeout_rounding() {
    let mut event_loop = EventLoop::builder().steps_per_look(1).build().unwrap();
    let handle = event_loop.handle();
    event_loop
        .run_until_complete(async {
            for nanoseconds in [1, 10, 100, 1_000, 10_000] {
                sleep(Duration::from_nanos(nanoseconds)).await;
            }
            sleep(micros(100)).await;
        })
        .unwrap();
    assert!(handle.iterations() <= 20, "{} iterations: it busy-waits", handle.iterations());
}

#[test]
fn test_close() {
    let (event_loop, log) = (virtual_loop(), Log::new());
    let (handle, proxy) = (event_loop.handle(), event_loop.handle().proxy());
    drop(event_loop);

    let guard = log.on_drop("soon");
    assert!(handle.call_soon(move || drop(guard)).cancelled());
    let guard = log.on_drop("later");
    let timer = handle.call_later(secs(1), move || drop(guard));
    assert!(timer.cancelled());
    timer.cancel();
    let guard = log.on_drop("at");
    assert!(handle.call_at(timer.when(), move || drop(guard)).cancelled());
    assert_eq!(log.take(), ["soon", "later", "at"]);

    assert!(panic_of(|| handle.create_task(async {})).contains("the event loop is closed"));
    assert_eq!(proxy.call_soon(|| unreachable!("closed")), Err(LoopClosed));
    assert_eq!(proxy.stop(), Err(LoopClosed));
    assert!(LoopClosed.to_string().contains("closed"));
    let remote = proxy.create_task(|| async { unreachable!("closed") as u8 });
    assert!(remote.done());
    assert!(remote.join().unwrap_err().to_string().contains("the event loop is closed"));
}

#[evloop::test]
async fn test_handle() {
    let handle = call_soon(|| unreachable!("cancelled in time"));
    assert!(!handle.cancelled());
    let shown = format!("Handle {{ cancelled: false, scheduled_at: {} }}", handle.location().unwrap());
    assert_eq!(format!("{handle:?}"), shown);
    handle.cancel();
    handle.cancel();
    assert!(handle.cancelled());
    let ran = call_soon(|| ());
    yield_now().await;
    assert!(!ran.cancelled(), "it ran");
}

#[evloop::test]
async fn dropping_a_handle_does_nothing() {
    let log = Log::new();
    drop(call_soon(log.callback("soon")));
    drop(call_later(secs(1), log.callback("later")));
    sleep(secs(2)).await;
    assert_eq!(log.take(), ["soon", "later"]);
}

#[evloop::test]
async fn test_callback_with_exception() {
    let reports = reports();
    let handle = call_soon(|| panic!("in a callback"));
    settle().await;
    assert_eq!(reports.take(), ["in a callback"]);
    assert!(!handle.cancelled());
}

#[evloop::test]
async fn test_when() {
    let when = now() + secs(5);
    let timer = get_running_loop().unwrap().call_at(when, || ());
    assert_eq!(timer.when(), when);
    assert_eq!(call_later(secs(5), || ()).when(), when);
    assert!(format!("{timer:?}").starts_with("TimerHandle { when: "));
}

#[evloop::test]
async fn test_timer() {
    let captured = Rc::new(());
    let timer = call_later(secs(5), {
        let captured = captured.clone();
        move || drop(captured)
    });
    assert_eq!(Rc::strong_count(&captured), 2);
    timer.cancel();
    assert!(timer.cancelled());
    assert_eq!(Rc::strong_count(&captured), 1, "the callback is dropped at once");
    sleep(secs(6)).await;
}

#[evloop::test]
async fn a_timer_that_has_fired_cannot_be_cancelled() {
    let log = Log::new();
    let timer = call_later(secs(1), log.callback("fired"));
    let other = call_later(secs(10), log.callback("other"));
    sleep(secs(2)).await;
    timer.cancel();
    assert_eq!(log.take(), ["fired"]);
    assert!(!other.cancelled(), "its place may be another timer's by now");
    sleep(secs(20)).await;
    assert_eq!(log.take(), ["other"]);
}

#[evloop::test(order = "fifo")]
async fn timers_fire_in_order_of_deadline_and_ties_in_order_of_creation() {
    let log = Log::new();
    for (delay, name) in [(3, "3a"), (1, "1a"), (3, "3b"), (2, "2a"), (1, "1b"), (3, "3c"), (2, "2b")] {
        let _ = call_later(secs(delay), log.callback(name));
    }
    sleep(secs(4)).await;
    assert_eq!(log.take(), ["1a", "1b", "2a", "2b", "3a", "3b", "3c"]);
}

#[evloop::test]
async fn endless_delays_are_far_away_and_not_an_overflow() {
    let timer = call_later(Duration::MAX, || unreachable!("nobody sees it come"));
    assert!(timer.when() > now() + secs(3600 * 24 * 365));
    let sleeper = create_task(sleep(Duration::MAX));
    let limit = create_task(evloop::wait_for(sleep(secs(1)), Duration::MAX));
    assert_eq!(limit.await.unwrap(), Ok(()));
    assert!(!sleeper.done());
    sleeper.cancel();
    assert!(sleeper.await.is_err());
    timer.cancel();
}

#[test]
fn test_get_event_loop_returns_running_loop2() {
    // A loop with default settings, made by `run`.
    assert!(evloop::run(async { get_running_loop().unwrap().is_running() }));
    assert!(get_running_loop().is_err());
}

#[test]
fn test_get_event_loop_returns_running_loop() {
    assert!(get_running_loop().is_err());
    let mut event_loop = virtual_loop();
    let handle = event_loop.handle();
    assert!(!handle.is_running());
    let inside = event_loop
        .run_until_complete(async {
            let handle = get_running_loop().unwrap();
            let in_callback = Rc::new(Cell::new(false));
            let seen = in_callback.clone();
            let _ = call_soon(move || seen.set(get_running_loop().unwrap().is_running()));
            yield_now().await;
            handle.is_running() && in_callback.get()
        })
        .unwrap();
    assert!(inside && !handle.is_running());
    let error = get_running_loop().unwrap_err();
    assert!(error.to_string().contains("no event loop runs on this thread"), "{error}");
}

#[test]
fn what_needs_a_running_loop_says_so() {
    let text = "no event loop runs on this thread";
    assert!(panic_of(|| call_soon(|| ())).contains(text));
    assert!(panic_of(|| call_later(secs(1), || ())).contains(text));
    assert!(panic_of(|| evloop::call_at(now(), || ())).contains(text));
    assert!(panic_of(|| create_task(forever_with(()))).contains(text));
    assert!(panic_of(|| evloop::gather((async {}, async {}))).contains(text));
}

#[test]
fn a_stop_lets_the_batch_run_to_its_end() {
    // O25: what is queued behind the one that stops still runs, what is scheduled meanwhile does not.
    let (mut event_loop, log) = (virtual_loop(), Log::new());
    let handle = event_loop.handle();
    let _ = handle.call_soon({
        let (handle, log) = (handle.clone(), log.clone());
        move || {
            log.push("a stops");
            handle.stop();
            let _ = handle.call_soon(log.callback("later"));
        }
    });
    let _ = handle.call_soon(log.callback("b"));
    event_loop.run_forever().unwrap();
    assert_eq!(log.take(), ["a stops", "b"]);
    handle.stop();
    event_loop.run_forever().unwrap();
    assert_eq!(log.take(), ["later"]);
}

#[cfg(unix)]
mod descriptors {
    //! The tests of readers and writers.

    use std::io::{ErrorKind, Read, Write};
    use std::os::unix::net::UnixStream;

    use evloop::AsyncFd;

    use super::*;

    /// Runs the loop until something is so.
    fn run_until(event_loop: &mut EventLoop, is_so: impl Fn() -> bool) {
        let patience = async {
            while !is_so() {
                sleep(millis(1)).await;
            }
        };
        let in_time = event_loop.run_until_complete(evloop::wait_for(patience, secs(20))).unwrap();
        in_time.expect("it happens");
    }

    #[test]
    fn test_reader_callback() {
        let mut event_loop = EventLoop::new().unwrap();
        let (r, w) = UnixStream::pair().unwrap();
        r.set_nonblocking(true).unwrap();
        let (r, w) = (Rc::new(RefCell::new(Some(r))), Rc::new(w));
        let bytes_read = Rc::new(RefCell::new(Vec::<u8>::new()));
        let handle = event_loop.handle();
        let reader = {
            let (r, bytes_read, handle) = (r.clone(), bytes_read.clone(), handle.clone());
            move || {
                let mut data = [0; 1024];
                let received = r.borrow().as_ref().unwrap().read(&mut data);
                match received {
                    // Spurious readiness is possible.
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => panic!("{error}"),
                    Ok(0) => {
                        let r = r.take().unwrap();
                        assert!(handle.remove_reader(&r));
                    }
                    Ok(n) => bytes_read.borrow_mut().extend(&data[..n]),
                }
            }
        };
        handle.add_reader(r.borrow().as_ref().unwrap(), reader).unwrap();
        let mut length = 0;
        for data in [b"abc", b"def"] {
            let _ = handle.call_soon({
                let w = w.clone();
                move || (&*w).write_all(data).unwrap()
            });
            length += data.len();
            run_until(&mut event_loop, || bytes_read.borrow().len() >= length);
        }
        let _ = handle.call_soon(move || drop(w));
        run_until(&mut event_loop, || r.borrow().is_none());
        assert_eq!(*bytes_read.borrow(), b"abcdef");
        assert_eq!(handle.registrations(), (0, 0));
    }

    #[test]
    fn test_writer_callback() {
        let mut event_loop = EventLoop::new().unwrap();
        let (mut r, w) = UnixStream::pair().unwrap();
        w.set_nonblocking(true).unwrap();
        let data = [b'x'; 1024];
        let handle = event_loop.handle();
        let writer = {
            let (mut w, handle) = (w.try_clone().unwrap(), handle.clone());
            move || {
                w.write_all(&data).unwrap();
                handle.stop();
            }
        };
        handle.add_writer(&w, writer).unwrap();
        event_loop.run_forever().unwrap();
        assert!(handle.remove_writer(&w));
        assert!(!handle.remove_writer(&w));
        drop(w);
        let mut read = Vec::new();
        r.read_to_end(&mut read).unwrap();
        assert_eq!(read, data);
    }

    #[test]
    fn test_remove_fds_after_closing() {
        let event_loop = virtual_loop();
        let handle = event_loop.handle();
        let (r, w) = UnixStream::pair().unwrap();
        handle.add_reader(&r, || ()).unwrap();
        handle.add_writer(&w, || ()).unwrap();
        drop(event_loop);
        assert!(!handle.remove_reader(&r));
        assert!(!handle.remove_writer(&w));
    }

    #[test]
    fn test_add_fds_after_closing() {
        let event_loop = virtual_loop();
        let handle = event_loop.handle();
        let (r, w) = UnixStream::pair().unwrap();
        drop(event_loop);
        for error in [handle.add_reader(&r, || ()).unwrap_err(), handle.add_writer(&w, || ()).unwrap_err()] {
            assert!(error.to_string().contains("the event loop is being closed"), "{error}");
        }
    }

    #[test]
    fn test_prompt_cancellation() {
        let mut event_loop = virtual_loop();
        let (r, _w) = UnixStream::pair().unwrap();
        r.set_nonblocking(true).unwrap();
        let handle = event_loop.handle();
        let f = handle.create_task(async move { AsyncFd::new(r).read_with(|mut r| r.read(&mut [0])).await });
        let main = handle.create_task({
            let handle = handle.clone();
            async move {
                let cancel = f.task_ref();
                let _ = call_soon(move || _ = cancel.cancel());
                let cancelled = f.await.unwrap_err().is_cancelled();
                handle.stop();
                cancelled
            }
        });
        event_loop.run_forever().unwrap();
        assert_eq!(main.result().map(Result::unwrap), Some(&true));
        assert!(handle.iterations() <= 5, "{} iterations", handle.iterations());
    }
}

#[evloop::test]
async fn test_handle_source_traceback() {
    let event_loop = get_running_loop().unwrap();
    let line = line!() + 1;
    let handles = [call_soon(|| ()), event_loop.call_soon(|| ())];
    let timers = [call_later(secs(1), || ()), event_loop.call_at(now(), || ())];
    let places =
        handles.iter().map(|handle| handle.location()).chain(timers.iter().map(|timer| timer.location()));
    for (place, line) in places.zip([line, line, line + 1, line + 1]) {
        let place = place.expect("it was scheduled here");
        assert_eq!((place.file(), place.line()), (file!(), line));
    }
    let shown = format!("{:?}", handles[0]);
    assert_eq!(
        shown,
        format!("Handle {{ cancelled: false, scheduled_at: {} }}", handles[0].location().unwrap())
    );
}
