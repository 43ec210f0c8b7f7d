//! Descriptors: readers and writers in the one FIFO, on every kind of loop: O05, O36, O38.
//!
//! `socket.socketpair()` is `UnixStream::pair()`, `sock_recv` is the `read_with` of an `AsyncFd`.

use std::cell::Cell;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::thread;

use evloop::time::now;
use evloop::{
    AllCompleted, AsyncFd, Clock, EventLoop, LoopHandle, PollMode, Promise, call_at, call_soon, catch_cancel,
    create_task, get_running_loop, wait, yield_now,
};

use crate::trace::{Trace, yields};

/// Runs a scenario with both waits and in all modes.
#[track_caller]
fn scenario(expected: &[&str], program: impl AsyncFn(&Trace, &LoopHandle)) {
    for portable in [false, true] {
        for mode in [PollMode::Edge, PollMode::Level, PollMode::Oneshot] {
            let builder = EventLoop::builder().portable_wait(portable).poll_mode(mode);
            let mut event_loop = builder.clock(Clock::Virtual).detect_stuck(true).build().unwrap();
            let (trace, handle) = (Trace::new(), event_loop.handle());
            event_loop.run_until_complete(program(&trace, &handle)).unwrap();
            assert_eq!(handle.registrations(), (0, 0), "what the scenario has left behind");
            assert_eq!(trace.take(), expected, "with portable_wait({portable}) and {mode:?}");
        }
    }
}

/// Two connected sockets. What is registered with the first is removed at the end.
struct Pair {
    a: Rc<UnixStream>,
    b: UnixStream,
    handle: LoopHandle,
}

impl Pair {
    fn new() -> Self {
        let (a, b) = UnixStream::pair().unwrap();
        a.set_nonblocking(true).unwrap();
        Self { a: Rc::new(a), b, handle: get_running_loop().unwrap() }
    }

    fn send(&self, data: &[u8]) {
        (&self.b).write_all(data).unwrap();
    }

    /// A reader that logs `event` each time.
    fn add_reader(&self, trace: &Trace, event: &'static str) {
        let trace = trace.clone();
        self.handle.add_reader(&*self.a, move || trace.log(event)).unwrap();
    }

    /// A reader that logs `event` and removes itself.
    fn add_reader_once(&self, trace: &Trace, event: &'static str) {
        let (trace, handle, a) = (trace.clone(), self.handle.clone(), self.a.clone());
        let once = move || {
            trace.log(event);
            assert!(handle.remove_reader(&*a));
        };
        self.handle.add_reader(&*self.a, once).unwrap();
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.handle.remove_reader(&*self.a);
        self.handle.remove_writer(&*self.a);
    }
}

/// O05. An overdue timer, a readable descriptor and a `call_soon` entry, all pending for the same
/// iteration: what is ready, then I/O, then timers.
///
/// CPython: `3:soon | 3:main | 3:io | 3:timer`. Ours: the same.
#[test]
fn o05_one_tick_runs_what_was_ready_then_io_then_timers() {
    scenario(&["3:soon", "3:main", "3:io", "3:timer"], async |trace, _| {
        let pair = Pair::new();
        yield_now().await;
        call_at(now(), trace.logs("timer"));
        call_soon(trace.logs("soon"));
        pair.add_reader_once(trace, "io");
        pair.send(b"x");
        yield_now().await;
        trace.log("main");
        yields(2).await;
    });
}

/// O05 with a writer and a reader of one descriptor, added in this order.
///
/// CPython: `2:main | 2:reader | 2:writer`. Ours: the same.
#[test]
fn o05_the_reader_of_a_descriptor_runs_before_its_writer() {
    scenario(&["2:main", "2:reader", "2:writer"], async |trace, handle| {
        let pair = Pair::new();
        let once = {
            let (trace, handle, a) = (trace.clone(), handle.clone(), pair.a.clone());
            move || {
                trace.log("writer");
                handle.remove_writer(&*a);
            }
        };
        handle.add_writer(&*pair.a, once).unwrap();
        pair.add_reader_once(trace, "reader");
        pair.send(b"x");
        yield_now().await;
        trace.log("main");
        yields(2).await;
    });
}

/// O05 with three descriptors, added in order, which become readable in another.
///
/// CPython: `2:main | 2:io 2 | 2:io 0 | 2:io 1` (the system's order, on Linux that of the events). Ours: the
/// same.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn o05_several_descriptors_come_in_the_systems_order() {
    scenario(&["2:main", "2:io 2", "2:io 0", "2:io 1"], async |trace, _| {
        let pairs = [Pair::new(), Pair::new(), Pair::new()];
        for (pair, event) in pairs.iter().zip(["io 0", "io 1", "io 2"]) {
            pair.add_reader(trace, event);
        }
        for i in [2, 0, 1] {
            pairs[i].send(b"x");
        }
        yield_now().await;
        trace.log("main");
        yield_now().await;
    });
}

/// O36 with all sources. A thread makes a descriptor readable and calls `call_soon_threadsafe` twice,
/// between main's `call_soon(before)` and `call_soon(after)`; a timer is overdue.
///
/// CPython: `2:before | 2:thr 0 | 2:thr 1 | 2:after | 2:main | 2:io | 2:timer`. Ours: the same.
#[test]
fn o36_calls_from_a_thread_come_in_their_order_before_the_descriptor_that_it_wrote_to() {
    let expected = ["2:before", "2:thr 0", "2:thr 1", "2:after", "2:main", "2:io", "2:timer"];
    scenario(&expected, async |trace, handle| {
        let pair = Pair::new();
        pair.add_reader_once(trace, "io");
        call_at(now(), trace.logs("timer"));
        call_soon(trace.logs("before"));
        let (proxy, mut b) = (handle.proxy(), pair.b.try_clone().unwrap());
        let calls = ["thr 0", "thr 1"].map(|event| trace.logs(event));
        let other = thread::spawn(move || {
            b.write_all(b"x").unwrap();
            calls.into_iter().for_each(|call| proxy.call_soon(call).unwrap());
        });
        other.join().unwrap();
        call_soon(trace.logs("after"));
        yield_now().await;
        trace.log("main");
        yields(2).await;
    });
}

/// O36 where main, after the thread's call, only yields: all four sources at once.
///
/// CPython: `2:soon | 2:thr | 2:main | 2:io | 2:timer`.
///
/// Ours deviates by design: mail joins the FIFO when the loop looks outside, after I/O and before timers.
#[test]
fn o36_mail_that_nobody_looked_for_stands_between_io_and_timers() {
    scenario(&["2:soon", "2:main", "2:io", "2:thr", "2:timer"], async |trace, handle| {
        let pair = Pair::new();
        pair.add_reader_once(trace, "io");
        call_at(now(), trace.logs("timer"));
        call_soon(trace.logs("soon"));
        pair.send(b"x");
        let (proxy, thr) = (handle.proxy(), trace.logs("thr"));
        thread::spawn(move || proxy.call_soon(thr).unwrap()).join().unwrap();
        yield_now().await;
        trace.log("main");
        yields(2).await;
    });
}

/// O36 inside of a reader: a thread's call, then the reader's own `call_soon(after)`.
///
/// CPython: `2:main | 2:io | 3:thr | 3:after`. Ours: the same.
#[test]
fn o36_a_readers_call_stands_behind_the_call_of_a_thread_before_it() {
    scenario(&["2:main", "2:io", "3:thr", "3:after"], async |trace, handle| {
        let pair = Pair::new();
        let reader = {
            let (trace, handle, a) = (trace.clone(), handle.clone(), pair.a.clone());
            move || {
                trace.log("io");
                handle.remove_reader(&*a);
                let (proxy, thr) = (handle.proxy(), trace.logs("thr"));
                thread::spawn(move || proxy.call_soon(thr).unwrap()).join().unwrap();
                call_soon(trace.logs("after"));
            }
        };
        handle.add_reader(&*pair.a, reader).unwrap();
        pair.send(b"x");
        yield_now().await;
        trace.log("main");
        yields(3).await;
    });
}

/// O38, the unread descriptor: its reader is called in each iteration until it is removed, at last by main
/// in the batch in which the reader stands already.
///
/// CPython: `2:readable | 3:readable | 4:readable | 6:calls 3`. Ours: the same.
#[test]
fn o38_a_reader_is_called_in_each_iteration_until_it_is_removed() {
    scenario(&["2:readable", "3:readable", "4:readable", "6:calls 3"], async |trace, handle| {
        let pair = Pair::new();
        let calls = Rc::new(Cell::new(0));
        let reader = {
            let (trace, calls) = (trace.clone(), calls.clone());
            move || {
                trace.log("readable");
                calls.set(calls.get() + 1);
            }
        };
        handle.add_reader(&*pair.a, reader).unwrap();
        pair.send(b"x");
        yields(4).await;
        handle.remove_reader(&*pair.a);
        yield_now().await;
        trace.log(format_args!("calls {}", calls.get()));
    });
}

/// O38 where the reader reads all: it is called again when more comes, and for ever at the end.
///
/// CPython: `2:got x | 4:more | 5:got yz | 7:end | 8:got  | 9:got `. Ours: the same.
#[test]
fn o38_a_reader_that_reads_is_called_when_more_comes_and_for_ever_at_the_end() {
    let expected = ["2:got x", "4:more", "5:got yz", "7:end", "8:got ", "9:got "];
    scenario(&expected, async |trace, handle| {
        let mut pair = Pair::new();
        let reader = {
            let (trace, a) = (trace.clone(), pair.a.clone());
            move || {
                let mut data = [0; 10];
                let n = (&*a).read(&mut data).unwrap();
                trace.log(format_args!("got {}", String::from_utf8_lossy(&data[..n])));
            }
        };
        handle.add_reader(&*pair.a, reader).unwrap();
        pair.send(b"x");
        yields(3).await;
        pair.send(b"yz");
        trace.log("more");
        yields(3).await;
        pair.b = UnixStream::pair().unwrap().0; // the former is closed
        trace.log("end");
        yields(3).await;
    });
}

/// O38 where main removes the reader twice, in the batch in which the reader stands already.
///
/// CPython: `2:removed True | 2:removed False | 4:main`. Ours: the same.
#[test]
fn o38_a_reader_removed_inside_the_batch_is_skipped() {
    scenario(&["2:removed true", "2:removed false", "4:main"], async |trace, handle| {
        let pair = Pair::new();
        pair.add_reader(trace, "readable");
        pair.send(b"x");
        yield_now().await;
        trace.log(format_args!("removed {}", handle.remove_reader(&*pair.a)));
        trace.log(format_args!("removed {}", handle.remove_reader(&*pair.a)));
        yields(2).await;
        trace.log("main");
    });
}

/// O38 where the reader removes the writer of the same descriptor, both being in the batch.
///
/// CPython: `2:reader | 3:main`. Ours: the same.
#[test]
fn o38_a_reader_can_remove_the_writer_that_stands_behind_it() {
    scenario(&["2:reader", "3:main"], async |trace, handle| {
        let pair = Pair::new();
        handle.add_writer(&*pair.a, || unreachable!("removed in time")).unwrap();
        let reader = {
            let (trace, handle, a) = (trace.clone(), handle.clone(), pair.a.clone());
            move || {
                trace.log("reader");
                assert!(handle.remove_writer(&*a));
            }
        };
        handle.add_reader(&*pair.a, reader).unwrap();
        pair.send(b"x");
        yields(2).await;
        handle.remove_reader(&*pair.a);
        trace.log("main");
        yield_now().await;
    });
}

/// O38 where main replaces the reader, in the batch in which the reader stands already.
///
/// CPython: `2:main replaces | 3:new | 4:main`. Ours: the same.
#[test]
fn o38_a_reader_replaced_inside_the_batch_is_skipped_and_the_new_one_comes_next() {
    scenario(&["2:main replaces", "3:new", "4:main"], async |trace, _| {
        let pair = Pair::new();
        pair.add_reader(trace, "old");
        pair.send(b"x");
        yield_now().await;
        pair.add_reader(trace, "new");
        trace.log("main replaces");
        yields(2).await;
        trace.log("main");
    });
}

/// O38 where the reader replaces itself.
///
/// CPython: `2:old | 2:old ends | 3:new | 4:main`. Ours: the same.
#[test]
fn o38_a_reader_that_replaces_itself_ends_and_the_new_one_comes_next() {
    scenario(&["2:old", "2:old ends", "3:new", "4:main"], async |trace, handle| {
        let pair = Pair::new();
        let old = {
            let (trace, handle, a) = (trace.clone(), handle.clone(), pair.a.clone());
            move || {
                trace.log("old");
                let new = trace.clone();
                handle.add_reader(&*a, move || new.log("new")).unwrap();
                trace.log("old ends");
            }
        };
        handle.add_reader(&*pair.a, old).unwrap();
        pair.send(b"x");
        yields(3).await;
        trace.log("main");
    });
}

/// O38 where the reader removes itself and adds one of another descriptor, which is readable already.
///
/// CPython: `2:first | 3:second | 4:main`. Ours: the same.
#[test]
fn o38_a_reader_added_by_a_reader_comes_in_the_next_iteration() {
    scenario(&["2:first", "3:second", "4:main"], async |trace, handle| {
        let (pair, other) = (Pair::new(), Pair::new());
        other.send(b"x");
        let first = {
            let (trace, handle) = (trace.clone(), handle.clone());
            let (a, other) = (pair.a.clone(), other.a.clone());
            move || {
                trace.log("first");
                handle.remove_reader(&*a);
                let second = trace.clone();
                handle.add_reader(&*other, move || second.log("second")).unwrap();
            }
        };
        handle.add_reader(&*pair.a, first).unwrap();
        pair.send(b"x");
        yields(3).await;
        trace.log("main");
    });
}

/// O38 where the reader raises: it is reported, and called again. An exception is a panic here.
///
/// CPython: `2:bad | 2:handler ValueError | 3:bad | 3:handler ValueError | 4:main`. Ours: the same.
#[test]
fn o38_a_reader_that_fails_is_reported_and_called_again() {
    let expected = ["2:bad", "2:handler ValueError", "3:bad", "3:handler ValueError", "4:main"];
    scenario(&expected, async |trace, handle| {
        let pair = Pair::new();
        let handler = trace.clone();
        handle.set_exception_handler(move |context| {
            handler.log(format_args!("handler {}", context.panic_message()));
        });
        let bad = trace.clone();
        let bad = move || {
            bad.log("bad");
            resume_unwind(Box::new("ValueError")); // a panic that prints nothing
        };
        handle.add_reader(&*pair.a, bad).unwrap();
        pair.send(b"x");
        yields(3).await;
        trace.log("main");
    });
}

/// O38 where the reader sets what a task waits for.
///
/// CPython: `2:main sends | 3:io | 4:waiter | 5:main`. Ours: the same.
#[test]
fn o38_what_a_reader_wakes_runs_in_the_next_iteration() {
    scenario(&["2:main sends", "3:io", "4:waiter", "5:main"], async |trace, handle| {
        let (pair, promise) = (Pair::new(), Promise::new());
        let waiter = create_task({
            let (trace, promise) = (trace.clone(), promise.clone());
            async move {
                promise.await.unwrap();
                trace.log("waiter");
            }
        });
        let reader = {
            let (trace, a) = (trace.clone(), pair.a.clone());
            move || {
                trace.log("io");
                (&*a).read_exact(&mut [0]).unwrap();
                promise.set_result(()).unwrap();
            }
        };
        handle.add_reader(&*pair.a, reader).unwrap();
        yield_now().await;
        trace.log("main sends");
        pair.send(b"x");
        waiter.await.unwrap();
        trace.log("main");
    });
}

/// O38 where a task reads with `sock_recv`; main sends and calls `call_soon(soon)`.
///
/// CPython: `2:main sends | 3:soon | 4:got x | 5:main`.
///
/// Ours deviates by design: the event wakes the task, which reads in its own step; there a reader callback
/// reads and sets a future, which is one tick more.
#[test]
fn o38_a_task_reads_in_the_iteration_of_the_event() {
    scenario(&["2:main sends", "3:soon", "3:got x", "4:main"], async |trace, _| {
        let (a, mut b) = UnixStream::pair().unwrap();
        a.set_nonblocking(true).unwrap();
        let task = create_task(read(AsyncFd::new(a), trace.clone()));
        yield_now().await;
        trace.log("main sends");
        b.write_all(b"x").unwrap();
        call_soon(trace.logs("soon"));
        task.await.unwrap();
        trace.log("main");
    });
}

/// O38 where main cancels a task in `sock_recv`: `test_prompt_cancellation` as a trace.
///
/// CPython: `2:main cancels | 3:cancelled | 5:main True`. Ours: the same.
#[test]
fn o38_a_cancelled_read_ends_in_the_next_iteration() {
    scenario(&["2:main cancels", "3:cancelled", "5:main true"], async |trace, _| {
        let (a, _b) = UnixStream::pair().unwrap();
        a.set_nonblocking(true).unwrap();
        let task = create_task({
            let trace = trace.clone();
            async move {
                if let Err(token) = catch_cancel(read(AsyncFd::new(a), trace.clone())).await {
                    trace.log("cancelled");
                    token.rethrow().await
                }
            }
        });
        yield_now().await;
        trace.log("main cancels");
        task.cancel();
        wait([&task], AllCompleted, None).await;
        trace.log(format_args!("main {}", task.cancelled()));
    });
}

async fn read(stream: AsyncFd<UnixStream>, trace: Trace) {
    let mut data = [0; 10];
    let n = stream.read_with(|mut stream| stream.read(&mut data)).await.unwrap();
    trace.log(format_args!("got {}", String::from_utf8_lossy(&data[..n])));
}
