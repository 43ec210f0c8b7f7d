//! CPython's `test_runners`, and what `run`, `try_run` and `Runner` promise beyond. What is about Ctrl-C is in
//! `tests/interrupts`: it needs a process's main thread.

mod kept;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use evloop::time::secs;
use evloop::{
    Clock, EventLoop, RunError, Runner, all_tasks, catch_cancel, create_task, current_task, finally,
    get_running_loop, now, run, sleep, try_run, yield_now,
};

use crate::support::{Log, forever_with, panic_of, reports, reports_of, virtual_loop};

fn virtual_runner() -> Runner {
    Runner::builder().event_loop(EventLoop::builder().clock(Clock::Virtual)).build().unwrap()
}

#[test]
fn test_asyncio_run_return() {
    let output = run(async {
        yield_now().await;
        42
    });
    assert_eq!(output, 42);
}

#[test]
fn test_asyncio_run_raises() {
    let output: Result<(), &str> = run(async {
        yield_now().await;
        Err("spam")
    });
    assert_eq!(output, Err("spam"));
}

#[evloop::test]
async fn test_asyncio_run_from_running_loop() {
    let log = Log::new();
    let nested = try_run(forever_with(log.on_drop("main was dropped")));
    assert!(matches!(nested, Err(RunError::AlreadyRunning)), "{nested:?}");
    assert_eq!(log.take(), ["main was dropped"]);
    let text = panic_of(|| run(async { unreachable!("it is never polled") }));
    assert!(text.contains("a loop runs on this thread already; await the future there"), "{text}");
    assert!(text.contains("evloop::try_run"), "{text}");
    // The loop that runs has not noticed.
    sleep(secs(1)).await;
    assert!(get_running_loop().unwrap().is_running());
}

#[test]
fn test_asyncio_run_cancels_hanging_tasks() {
    let log = Log::new();
    run(async {
        let hanging = log.on_drop("dropped");
        let sink = log.clone();
        create_task(async move {
            let _hanging = hanging;
            if let Err(cancellation) = catch_cancel(sleep(secs(3600))).await {
                sink.push("cancelled");
                yield_now().await;
                sink.push("cleaned up");
                cancellation.rethrow::<()>().await;
            }
        })
        .detach();
        yield_now().await;
    });
    assert_eq!(log.take(), ["cancelled", "cleaned up", "dropped"]);
}

#[test]
fn test_asyncio_run_reports_hanging_tasks_errors() {
    let said = run(async {
        let said = reports();
        create_task(async {
            let _ = catch_cancel(sleep(secs(3600))).await;
            panic!("in the cleanup");
        })
        .detach();
        yield_now().await;
        said
    });
    assert_eq!(said.take(), ["in the cleanup"]);
}

#[test]
fn test_run() {
    let mut runner = virtual_runner();
    let handle = runner.handle();
    assert_eq!(runner.run(async { "first" }).unwrap(), "first");
    let background = handle.create_task(sleep(secs(5)));
    assert_eq!(runner.run(async { "second" }).unwrap(), "second");
    assert!(!background.done(), "tasks stay in the loop between runs");
    runner.run(background).unwrap().unwrap();
    drop(runner);
    assert!(handle.is_closed() && !handle.is_running());
}

#[test]
fn test_explicit_close() {
    let mut runner = virtual_runner();
    let handle = runner.handle();
    runner.run(async {}).unwrap();
    assert!(!handle.is_closed());
    runner.close().unwrap();
    assert!(handle.is_closed() && runner.handle().is_closed());
    assert!(panic_of(|| handle.create_task(async {})).contains("the event loop is closed"));
}

#[test]
fn test_double_close() {
    let log = Log::new();
    let mut runner = virtual_runner();
    runner.handle().create_task(forever_with(log.on_drop("dropped"))).detach();
    runner.close().unwrap();
    assert_eq!(log.take(), ["dropped"]);
    runner.close().unwrap();
    drop(runner);
    assert!(log.is_empty());
}

#[test]
fn test_second_with_block_raises() {
    let mut runner = virtual_runner();
    runner.run(async {}).unwrap();
    runner.close().unwrap();
    let log = Log::new();
    let again = runner.run(forever_with(log.on_drop("main was dropped")));
    assert!(matches!(again, Err(RunError::Closed)), "{again:?}");
    assert_eq!(log.take(), ["main was dropped"]);
    let text = again.unwrap_err().to_string();
    assert_eq!(text, "the loop is closed: it was dropped from inside, or its Runner was closed before");
}

#[test]
fn test_recursive_run() {
    let (mut outer, mut inner) = (virtual_runner(), virtual_runner());
    let nested = outer.run(async { inner.run(async {}) }).unwrap();
    assert!(matches!(nested, Err(RunError::AlreadyRunning)), "{nested:?}");
    assert!(inner.run(async {}).is_ok(), "it works afterwards");
}

// Beyond asyncio's list.

#[test]
fn a_cancelled_main_is_an_error_with_its_message() {
    let ended = try_run(async {
        current_task().unwrap().cancel_with("enough");
        yield_now().await;
    });
    let error = ended.unwrap_err();
    assert_eq!(error.to_string(), "the main task was cancelled: enough");
    match error {
        RunError::Cancelled(error) => assert_eq!(error.message(), Some("enough")),
        other => panic!("{other:?}"),
    }
    let text = panic_of(|| {
        run(async {
            current_task().unwrap().cancel();
            yield_now().await;
        });
    });
    assert!(text.starts_with("evloop::run: the main task was cancelled"), "{text}");
}

#[test]
fn the_tasks_of_a_cancelled_main_clean_up() {
    let log = Log::new();
    let ended = try_run(async {
        create_task(finally(sleep(secs(3600)), {
            let log = log.clone();
            async move {
                yield_now().await;
                log.push("cleaned up");
            }
        }))
        .detach();
        yield_now().await;
        current_task().unwrap().cancel();
        yield_now().await;
    });
    assert!(matches!(ended, Err(RunError::Cancelled(_))));
    assert_eq!(log.take(), ["cleaned up"]);
}

#[test]
fn a_panic_of_main_goes_through_and_the_others_clean_up() {
    let log = Log::new();
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        run(async {
            let main = log.on_drop("main was dropped");
            create_task(finally(forever_with(log.on_drop("body dropped")), {
                let log = log.clone();
                async move {
                    yield_now().await;
                    yield_now().await;
                    log.push("cleaned up");
                }
            }))
            .detach();
            yield_now().await;
            let _main = main;
            std::panic::panic_any(42_i32);
        });
    }));
    assert_eq!(*payload.unwrap_err().downcast::<i32>().unwrap(), 42);
    assert_eq!(log.take(), ["main was dropped", "body dropped", "cleaned up"]);
    assert!(get_running_loop().is_err(), "the loop is not this thread's any more");
    assert_eq!(run(async { 1 }), 1);
}

#[test]
fn a_leftover_that_panics_while_main_panics_is_caught() {
    let reported = Rc::new(RefCell::new(None));
    let text = panic_of(|| {
        run(async {
            reported.replace(Some(reports()));
            create_task(async {
                let _ = catch_cancel(sleep(secs(3600))).await;
                panic!("the leftover's");
            })
            .detach();
            yield_now().await;
            panic!("main's");
        });
    });
    assert_eq!(text, "main's");
    assert_eq!(reported.take().unwrap().take(), ["the leftover's"]);
}

#[test]
fn main_may_borrow_and_so_may_its_output() {
    let words = [String::from("a"), String::from("bc")];
    let mut count = 0;
    let longest: &str = run(async {
        for _ in &words {
            yield_now().await;
            count += 1;
        }
        words.iter().max_by_key(|word| word.len()).unwrap()
    });
    assert_eq!((longest, count), ("bc", 2));
}

#[test]
fn mains_future_is_gone_when_run_returns_though_its_waker_lives_on() {
    let (value, waker) = (Rc::new(1), Rc::new(RefCell::new(None)));
    let stopped = try_run({
        let value = value.clone();
        let waker = waker.clone();
        async move {
            std::future::poll_fn(|cx| {
                waker.replace(Some(cx.waker().clone()));
                std::task::Poll::Ready(())
            })
            .await;
            get_running_loop().unwrap().stop();
            forever_with(value).await;
        }
    });
    assert!(matches!(stopped, Err(RunError::Stopped)), "{stopped:?}");
    assert_eq!(Rc::strong_count(&value), 1);
    waker.take().unwrap().wake();
}

#[test]
fn a_borrowed_main_that_is_stopped_is_dropped_before_the_call_returns() {
    let log = Log::new();
    let mut event_loop = virtual_loop();
    let handle = event_loop.handle();
    let mut borrowed = String::from("untouched");
    let stopped = event_loop.run_until_complete(async {
        let _guard = log.on_drop("main dropped");
        borrowed.push_str(", touched");
        handle.stop();
        sleep(secs(1)).await;
        borrowed.push_str(" twice");
    });
    assert!(matches!(stopped, Err(RunError::Stopped)));
    assert_eq!(stopped.unwrap_err().to_string(), "the loop was stopped before the main task ended");
    assert_eq!(log.take(), ["main dropped"]);
    assert_eq!(borrowed, "untouched, touched");
    assert!(handle.all_tasks().is_empty());
    event_loop.run_until_complete(sleep(secs(2))).unwrap();
}

#[test]
fn a_stop_in_main_ends_the_run_and_the_others_clean_up() {
    let log = Log::new();
    let stopped = try_run(async {
        create_task(finally(sleep(secs(3600)), {
            let log = log.clone();
            async move {
                yield_now().await;
                log.push("cleaned up");
            }
        }))
        .detach();
        yield_now().await;
        get_running_loop().unwrap().stop();
        sleep(secs(1)).await;
    });
    assert!(matches!(stopped, Err(RunError::Stopped)));
    assert_eq!(log.take(), ["cleaned up"]);
}

#[test]
fn a_value_of_the_iteration_in_which_the_loop_is_stopped_is_kept() {
    let mut event_loop = virtual_loop();
    let value = event_loop.run_until_complete(async {
        get_running_loop().unwrap().stop();
        7
    });
    assert_eq!(value.unwrap(), 7);
}

#[test]
fn a_stop_in_mains_last_iteration_does_not_stop_the_next_run() {
    // asyncio's own test of this kind is test_run_until_complete_loop_orphan_future_close_loop.
    let mut event_loop = virtual_loop();
    event_loop.run_until_complete(async { get_running_loop().unwrap().stop() }).unwrap();
    let next = event_loop.run_until_complete(sleep(secs(1)));
    assert!(next.is_ok(), "nobody has stopped this run: {next:?}");
}

#[test]
fn a_cleanup_that_stops_the_loop_ends_the_run_and_the_rest_is_dropped() {
    let log = Log::new();
    run(async {
        create_task(finally(forever_with(log.on_drop("a's body")), {
            let guard = log.on_drop("a's cleanup, dropped in the middle");
            async move {
                get_running_loop().unwrap().stop();
                forever_with(guard).await;
            }
        }))
        .detach();
        yield_now().await;
    });
    assert_eq!(log.take(), ["a's body", "a's cleanup, dropped in the middle"]);
}

#[test]
fn cleanups_may_take_their_time_and_start_tasks_of_their_own() {
    let log = Log::new();
    let mut event_loop = virtual_loop();
    let handle = event_loop.handle();
    let start = handle.time();
    for (name, hours) in [("a", 3), ("b", 1)] {
        let log = log.clone();
        let cleanup = async move {
            let helper = create_task(async move {
                sleep(secs(hours * 3600)).await;
                name
            });
            log.push(format!("{} after {hours}", helper.await.unwrap()));
        };
        handle.create_task(finally(sleep(secs(1)), cleanup)).detach();
    }
    event_loop.run_once(None).unwrap();
    event_loop.cancel_all_tasks().unwrap();
    assert_eq!(log.take(), ["b after 1", "a after 3"]);
    assert_eq!(handle.time() - start, secs(3 * 3600));
    assert!(handle.all_tasks().is_empty());
}

#[test]
fn a_runner_that_is_dropped_lets_the_others_clean_up() {
    let log = Log::new();
    let mut runner = virtual_runner();
    let sink = log.clone();
    runner.handle().create_task(finally(sleep(secs(3600)), async move { sink.push("cleaned up") })).detach();
    runner.run(yield_now()).unwrap();
    drop(runner);
    assert_eq!(log.take(), ["cleaned up"]);
}

#[test]
fn after_a_panic_of_main_the_runner_goes_on() {
    let mut runner = virtual_runner();
    let text = panic_of(|| {
        let _ = runner.run(async { panic!("main's") });
    });
    assert_eq!(text, "main's");
    assert_eq!(runner.run(async { 2 }).unwrap(), 2);
}

#[test]
fn cleanups_have_as_much_time_as_they_need_unless_there_is_a_limit() {
    for (grace, needed, expected) in [(None, 86_400, true), (Some(5), 4, true), (Some(5), 6, false)] {
        let mut builder = Runner::builder().event_loop(EventLoop::builder().clock(Clock::Virtual));
        if let Some(grace) = grace {
            builder = builder.grace(secs(grace));
        }
        let mut runner = builder.build().unwrap();
        let cleaned_up = Rc::new(Cell::new(false));
        let cleanup = {
            let cleaned_up = cleaned_up.clone();
            async move {
                sleep(secs(needed)).await;
                cleaned_up.set(true);
            }
        };
        runner.handle().create_task(finally(sleep(secs(1)), cleanup)).detach();
        runner.run(yield_now()).unwrap();
        let said = reports_of(&runner.handle());
        runner.close().unwrap();
        assert_eq!(cleaned_up.get(), expected, "grace {grace:?}, needed {needed}");
        assert_eq!(said.is_empty(), expected);
    }
}

#[test]
fn who_is_not_done_in_time_is_named_and_dropped() {
    let log = Log::new();
    let builder = Runner::builder().event_loop(EventLoop::builder().clock(Clock::Virtual));
    let mut runner = builder.grace(secs(5)).build().unwrap();
    let handle = runner.handle();
    let errors = log.clone();
    handle.set_exception_handler(move |context| {
        errors.push(format!("{}: {}", context.message(), context.error().unwrap()))
    });
    let stuck = |name: &'static str, took: u64| {
        let dropped = log.on_drop(format!("{name} dropped"));
        finally(sleep(secs(3600)), async move {
            sleep(secs(took)).await;
            forever_with(dropped).await;
        })
    };
    let start = handle.time();
    let (first, line) = (handle.create_task(stuck("first", 1)), line!());
    first.set_name("first");
    first.detach();
    handle.create_task(finally(sleep(secs(3600)), sleep(secs(4)))).detach();
    let second = handle.create_task(stuck("second", 2));
    second.set_name("second");
    runner.run(yield_now()).unwrap();
    runner.run(async { assert_eq!(now(), start) }).unwrap();
    runner.close().unwrap();
    let file = file!();
    assert_eq!(
        log.take(),
        [
            format!(
                "the time for cleanups is over, and what is not done is dropped: first created at {file}:{line}:33, \
                 second created at {file}:{}:25",
                line + 4
            ),
            String::from("first dropped"),
            String::from("second dropped"),
        ]
    );
    assert!(second.done());
}

#[test]
fn each_leftover_is_cancelled_once() {
    let counts = Rc::new(RefCell::new(Vec::new()));
    run(async {
        for _ in 0..3 {
            let counts = counts.clone();
            create_task(async move {
                let _ = catch_cancel(sleep(secs(3600))).await;
                yield_now().await;
                counts.borrow_mut().push(current_task().unwrap().cancelling());
            })
            .detach();
        }
        yield_now().await;
    });
    assert_eq!(*counts.borrow(), [1, 1, 1]);
}

#[test]
fn a_task_that_never_ran_is_dropped_unpolled_at_the_end() {
    // As in asyncio, main's last iteration is followed by one batch: what was ready before still runs.
    let polled = Rc::new(Cell::new(0));
    run(async {
        let count = |polled: &Rc<Cell<u32>>| {
            let polled = polled.clone();
            async move { polled.set(polled.get() + 1) }
        };
        let (first, second) = (count(&polled), count(&polled));
        create_task(async move {
            first.await;
            create_task(second).detach();
        })
        .detach();
    });
    assert_eq!(polled.get(), 1, "the second one was born in that batch");
}

#[test]
fn what_mains_last_step_made_ready_still_runs_and_no_more() {
    let log = Log::new();
    let mut event_loop = virtual_loop();
    event_loop
        .run_until_complete(async {
            let (first, second) = (log.callback("cb1"), log.callback("cb2"));
            let _ = evloop::call_soon(move || {
                first();
                let _ = evloop::call_soon(second);
            });
        })
        .unwrap();
    assert_eq!(log.take(), ["cb1"]);
    event_loop.run_until_complete(async {}).unwrap();
    assert_eq!(log.take(), ["cb2"], "it waited for the next run");
}

#[test]
fn a_run_takes_whatever_can_be_awaited() {
    let promise = evloop::Promise::new();
    promise.set_result(3).unwrap();
    assert_eq!(run(&promise).unwrap(), 3);
    assert_eq!(run(promise).unwrap(), 3);
    let mut event_loop = EventLoop::new().unwrap();
    let task = event_loop.handle().create_task(async { 4 });
    assert_eq!(event_loop.run_until_complete(task).unwrap().unwrap(), 4);
}

#[test]
fn loops_on_several_threads_do_not_know_of_each_other() {
    let threads: Vec<_> = (0..4_usize)
        .map(|n| {
            std::thread::spawn(move || {
                run(async move {
                    let tasks: Vec<_> = (0..n).map(|_| create_task(std::future::pending::<()>())).collect();
                    assert_eq!(all_tasks().len(), n + 1);
                    tasks.len()
                })
            })
        })
        .collect();
    let seen: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(seen, [0, 1, 2, 3]);
}

#[test]
fn main_runs_in_iteration_one_of_a_new_loop() {
    assert_eq!(run(async { crate::support::tick() }), 1);
}

#[evloop::main(clock = "virtual")]
async fn an_hour() -> std::time::Duration {
    let start = now();
    sleep(secs(3600)).await;
    now() - start
}

#[test]
fn the_main_attribute_runs_any_async_fn() {
    assert_eq!(an_hour(), secs(3600));
}

#[evloop::test]
#[should_panic(expected = "all tasks are stuck")]
async fn a_test_in_which_nothing_can_happen_any_more_fails() {
    std::future::pending::<()>().await;
}
