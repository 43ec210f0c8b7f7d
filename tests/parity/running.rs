//! How a run begins and ends, and what other threads add to it: O25, O35, O36.

use std::thread;

use evloop::time::secs;
use evloop::{
    Clock, EventLoop, Promise, call_soon, create_task, finally, get_running_loop, on_cancel, sleep, yield_now,
};

use crate::trace::{Trace, yields};

fn new_loop() -> EventLoop {
    EventLoop::builder().clock(Clock::Virtual).detect_stuck(true).build().unwrap()
}

/// O25 a. Callback a calls `stop()` and `call_soon(later)`; b is queued behind a. `stop` is only looked at
/// after the batch.
///
/// CPython: `1:a | 1:b | returned | 2:later (next run)`. Ours: the same.
#[test]
fn o25_stop_lets_the_batch_end_and_keeps_what_came_later() {
    let (mut event_loop, trace) = (new_loop(), Trace::new());
    let handle = event_loop.handle();
    handle.call_soon({
        let (handle, trace) = (handle.clone(), trace.clone());
        move || {
            trace.log("a");
            handle.stop();
            handle.call_soon(trace.logs("later"));
        }
    });
    handle.call_soon(trace.logs("b"));
    event_loop.run_forever().unwrap();
    trace.note("returned");
    handle.stop();
    event_loop.run_forever().unwrap();
    assert_eq!(trace.take(), ["1:a", "1:b", "returned", "2:later"]);
}

/// O25 b. `stop()` before `run_forever()`.
///
/// CPython: one full iteration with a zero poll, then it returns: `1:first | returned`; what `first`
/// schedules does not run. Ours: the same.
#[test]
fn o25_stop_before_run_forever_makes_one_iteration() {
    let (mut event_loop, trace) = (new_loop(), Trace::new());
    let handle = event_loop.handle();
    handle.call_soon({
        let trace = trace.clone();
        move || {
            trace.log("first");
            call_soon(trace.logs("second"));
        }
    });
    handle.stop();
    event_loop.run_forever().unwrap();
    trace.note("returned");
    assert_eq!(trace.take(), ["1:first", "returned"]);
    assert_eq!(handle.iterations(), 1);
}

/// O25 c. main schedules cb1, which schedules cb2, and returns. The run is stopped from main's done
/// callback, one tick after main ended: what main's last step queued still runs, its children do not.
///
/// CPython: `1:main returns | 2:cb1 | 2:result | 3:cb2 (next run only)`. Ours: the same.
#[test]
fn o25_what_mains_last_step_queued_runs_and_its_children_do_not() {
    let (mut event_loop, trace) = (new_loop(), Trace::new());
    let handle = event_loop.handle();
    let main = async {
        let cb1 = trace.clone();
        call_soon(move || {
            cb1.log("cb1");
            call_soon(cb1.logs("cb2"));
        });
        trace.log("main returns");
    };
    event_loop.run_until_complete(main).unwrap();
    trace.log_outside(&handle, "result");
    handle.stop();
    event_loop.run_forever().unwrap();
    assert_eq!(trace.take(), ["1:main returns", "2:cb1", "2:result", "3:cb2"]);
}

/// O35. A background task sleeps; main returns. The background task catches, yields, re-raises; a finally
/// block is around it. After main every remaining task is cancelled once and run to its end.
///
/// CPython: `2:main returns | 4:bg cancelled | 5:bg cleanup may await | 5:bg finally`. Ours: the same.
#[test]
fn o35_the_end_of_run_cancels_what_is_left_and_waits_for_its_cleanup() {
    let trace = evloop::run(async {
        let trace = Trace::new();
        let bg = trace.clone();
        let background = async move {
            let body = on_cancel(sleep(secs(3600)), async |c| {
                bg.log("bg cancelled");
                yield_now().await;
                bg.log("bg cleanup may await");
                c.rethrow().await
            });
            finally(body, async { bg.log("bg finally") }).await;
        };
        create_task(background).detach();
        yield_now().await;
        trace.log("main returns");
        trace
    });
    assert_eq!(trace.take(), ["2:main returns", "4:bg cancelled", "5:bg cleanup may await", "5:bg finally"]);
}

/// O36, threads. `call_soon(before)`; a thread does `call_soon_threadsafe` three times, finished before main
/// calls `call_soon(after)`; main waits for `after`.
///
/// CPython: `2:before | 2:thr 0 | 2:thr 1 | 2:thr 2 | 2:after | 3:main`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o36_calls_from_other_threads_enter_the_same_fifo() {
    let trace = Trace::new();
    let promise = Promise::new();
    call_soon(trace.logs("before"));
    let proxy = get_running_loop().unwrap().proxy();
    let calls = ["thr 0", "thr 1", "thr 2"].map(|event| trace.logs(event));
    let post = move || calls.into_iter().for_each(|call| proxy.call_soon(call).unwrap());
    thread::spawn(post).join().unwrap();
    let (after, setter) = (trace.clone(), promise.clone());
    call_soon(move || {
        after.log("after");
        setter.set_result(()).unwrap();
    });
    promise.await.unwrap();
    trace.log("main");
    assert_eq!(trace.take(), ["2:before", "2:thr 0", "2:thr 1", "2:thr 2", "2:after", "3:main"]);
}

/// O36 where main, after the thread's call, only yields.
///
/// CPython: `2:before | 2:thr | 2:main`.
///
/// Ours deviates by design: mail joins the FIFO when the loop looks outside, or when the next callback or
/// task is scheduled (that is why O36 itself is the same), but a plain wake, as that of main here, does not
/// look into the letter box first.
#[evloop::test(order = "fifo")]
async fn o36_mail_stands_behind_what_was_only_woken_after_it() {
    let trace = Trace::new();
    call_soon(trace.logs("before"));
    let proxy = get_running_loop().unwrap().proxy();
    let thr = trace.logs("thr");
    thread::spawn(move || proxy.call_soon(thr).unwrap()).join().unwrap();
    yield_now().await;
    trace.log("main");
    yields(2).await;
    assert_eq!(trace.take(), ["2:before", "2:main", "2:thr"]);
}

/// O36, signals. main adds a handler for SIGUSR1 that sets what it waits for, sends the signal to its own thread,
/// and calls `call_soon(soon)`. The handler is a callback like others: its byte is read in tick 2, after `soon`.
///
/// CPython: `1:after kill | 2:soon | 3:sig | 4:main`. Ours: the same.
#[cfg(unix)]
#[evloop::test(order = "fifo")]
async fn o36_a_signals_handler_is_an_ordinary_entry() {
    use evloop::signal::Signal;
    let (trace, promise) = (Trace::new(), Promise::new());
    let handle = get_running_loop().unwrap();
    let (sig, setter) = (trace.clone(), promise.clone());
    let handler = move || {
        sig.log("sig");
        setter.set_result(()).unwrap();
    };
    handle.add_signal_handler(Signal::SIGUSR1, handler).unwrap();
    raise_sigusr1();
    trace.log("after kill");
    call_soon(trace.logs("soon"));
    promise.await.unwrap();
    trace.log("main");
    assert!(handle.remove_signal_handler(Signal::SIGUSR1));
    assert_eq!(trace.take(), ["1:after kill", "2:soon", "3:sig", "4:main"]);
}

/// On this very thread, as Python's main thread is the one that handles it: it has arrived when this returns.
#[cfg(unix)]
#[expect(unsafe_code, reason = "raise, which no safe library has")]
fn raise_sigusr1() {
    // SAFETY: a number.
    assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
}
