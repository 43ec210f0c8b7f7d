//! CPython's `test_base_events`: the loop core.
//!
//! Deviations and what has no counterpart:
//! * connections, servers, datagrams, `sock_sendfile`, `test_ipaddr_info`,
//!   `test_single_selecter_event_callback_after_stopping`, `test_set_nodelay`: no sockets yet.
//! * `test_set_default_executor`: the pool cannot be replaced.
//! * `test_shutdown_default_executor_timeout`: the end of a run waits for no blocking job at all, see `test_threads`.
//! * `test_call_later_negative_delays`: a `Duration` is not negative; a time that has passed stands for it.
//! * `test_check_thread`: a `LoopHandle` is `!Send`, so the compiler refuses a foreign thread.
//! * `test_run_until_complete_loop`: a task of another loop can be awaited, see `test_tasks`.
//! * `test_default_exc_handler_broken`: the default handler cannot be replaced; writing to a closed standard
//!   error is ignored.
//! * `test_run_forever_keyboard_interrupt`: SIGINT is the `Runner`'s business alone (`tests/interrupts`). A panic takes
//!   the place of Python's fatal errors.

#![expect(non_snake_case, reason = "CPython's names, some of which are of private methods")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use evloop::time::{millis, secs};
use evloop::{
    RunError, call_at, call_later, call_soon, create_task, get_running_loop, now, sleep, yield_now,
};

use crate::support::{Log, OnDrop, forever_with, panic_of, reports, reports_of, virtual_loop, yields};

#[test]
fn test_close() {
    let event_loop = virtual_loop();
    let handle = event_loop.handle();
    let other = handle.clone();
    assert!(!handle.is_closed());
    drop(event_loop);
    assert!(handle.is_closed() && other.is_closed());
    assert_eq!(handle.iterations(), 0);
    assert!(handle.all_tasks().is_empty());
    handle.stop();
    assert!(format!("{handle:?}").contains("closed: true"));
}

#[test]
fn test__add_callback_cancelled_handle() {
    let mut event_loop = virtual_loop();
    let handle = event_loop.handle().call_soon(|| unreachable!("cancelled"));
    handle.cancel();
    event_loop.run_once(Some(std::time::Duration::ZERO)).unwrap();
    assert!(handle.cancelled());
}

#[test]
fn test_call_soon() {
    let (mut event_loop, log) = (virtual_loop(), Log::new());
    let handle = event_loop.handle().call_soon(log.callback("called"));
    assert_eq!(log.take(), [""; 0], "queued, not called");
    event_loop.run_once(None).unwrap();
    assert_eq!(log.take(), ["called"]);
    assert!(!handle.cancelled());
}

#[test]
fn test_call_later() {
    let (mut event_loop, log) = (virtual_loop(), Log::new());
    let handle = event_loop.handle();
    let start = handle.time();
    let timer = handle.call_later(secs(10), log.callback("called"));
    assert_eq!(timer.when(), start + secs(10));
    assert_eq!(event_loop.next_deadline(), Some(start + secs(10)), "scheduled, not ready");
    event_loop.run_once(Some(secs(9))).unwrap();
    assert_eq!(log.take(), [""; 0]);
    event_loop.run_once(None).unwrap();
    assert_eq!(log.take(), ["called"]);
    assert_eq!(handle.time() - start, secs(10));
}

#[evloop::test(order = "fifo")]
async fn test_call_later_negative_delays() {
    let log = Log::new();
    sleep(secs(10)).await;
    let at = now();
    let note = |name: &'static str| log.callback(name);
    let _ = call_later(secs(0), note("0"));
    let _ = call_at(at - secs(1), note("-1"));
    let _ = call_at(at - secs(2), note("-2"));
    let _ = call_soon(note("soon"));
    yield_now().await;
    assert_eq!(log.take(), ["soon"], "the timers are appended after what was ready, main too");
    yield_now().await;
    assert_eq!(log.take(), ["-2", "-1", "0"], "the more overdue, the earlier");
}

#[test]
fn test_time_and_call_at() {
    let mut event_loop = evloop::EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let when = handle.time() + millis(10);
    let called = Rc::new(Cell::new(None));
    let _ = handle.call_at(when, {
        let (called, handle) = (called.clone(), handle.clone());
        move || {
            called.set(Some(handle.time()));
            handle.stop();
        }
    });
    event_loop.run_forever().unwrap();
    let late = called.get().unwrap() - when;
    assert!(late < secs(1), "not early, and not a second late: {late:?}");
}

#[test]
fn test__run_once() {
    let (mut event_loop, log) = (virtual_loop(), Log::new());
    let handle = event_loop.handle();
    let start = handle.time();
    let head = handle.call_at(start + secs(5), log.callback("cancelled"));
    let _ = handle.call_at(start + secs(10), log.callback("live"));
    head.cancel();
    event_loop.run_once(None).unwrap();
    while log.take().is_empty() {
        event_loop.run_once(None).unwrap();
    }
    assert_eq!(handle.time() - start, secs(10), "a cancelled head fires nothing and costs no time");
}

#[evloop::test]
async fn test__run_once_schedule_handle() {
    let log = Log::new();
    let _ = call_later(secs(1), {
        let log = log.clone();
        move || {
            log.push_at("timer");
            let sink = log.clone();
            let _ = call_soon(move || sink.push_at("scheduled by it"));
        }
    });
    sleep(secs(2)).await;
    let [timer, scheduled] = log.take().try_into().unwrap();
    let iteration = |entry: &String| entry.split_once(':').unwrap().0.parse::<u64>().unwrap();
    assert_eq!(iteration(&scheduled), iteration(&timer) + 1);
}

#[evloop::test]
async fn test__run_once_cancelled_event_cleanup() {
    let captured = Rc::new(());
    for n in 0..10_000 {
        let captured = captured.clone();
        call_later(secs(3600 + n % 60), move || drop(captured)).cancel();
    }
    assert_eq!(Rc::strong_count(&captured), 1, "a cancelled timer keeps nothing");
}

#[test]
fn test_run_until_complete_loop_orphan_future_close_loop() {
    let mut event_loop = virtual_loop();
    let text = panic_of(|| event_loop.run_until_complete(async { panic!("fatal") }));
    assert_eq!(text, "fatal");
    let start = event_loop.handle().time();
    event_loop.run_until_complete(async { sleep(secs(1)).await }).expect("nothing stops the next run");
    assert_eq!(event_loop.handle().time() - start, secs(1));
}

#[test]
fn test_run_until_complete_baseexception() {
    let mut event_loop = virtual_loop();
    let handle = event_loop.handle();
    let reports = reports_of(&handle);
    assert_eq!(panic_of(|| event_loop.run_until_complete(async { panic!("fatal") })), "fatal");
    assert!(!handle.is_running());
    assert_eq!(reports.take(), [""; 0], "the caller has heard of it");
    let _ = handle.call_soon({
        let handle = handle.clone();
        move || handle.stop()
    });
    event_loop.run_forever().unwrap();
    assert_eq!(event_loop.run_until_complete(async { 1 }).unwrap(), 1);
}

#[evloop::test]
async fn test_default_exc_handler_coro() {
    // The default handler's text is in `exceptions`; that it is asked at all is here.
    let reports = reports();
    create_task(async { panic!("unread") }).detach();
    create_task(async { panic!("read") }).await.unwrap_err();
    yield_now().await;
    assert_eq!(reports.take(), ["unread"]);
}

#[evloop::test]
async fn test_default_exc_handler_callback() {
    let reports = reports();
    let _ = call_soon(|| panic!("soon"));
    let _ = call_later(secs(1), || panic!("later"));
    sleep(secs(2)).await;
    assert_eq!(reports.take(), ["soon", "later"]);
}

#[test]
fn test_create_task_error_closes_coro() {
    let log = Log::new();
    let event_loop = virtual_loop();
    let handle = event_loop.handle();
    drop(event_loop);
    let refused = panic_of(|| handle.create_task(forever_with(log.on_drop("future dropped"))));
    assert!(refused.contains("the event loop is closed"), "{refused}");
    assert_eq!(log.take(), ["future dropped"]);
}

#[evloop::test]
async fn test_create_named_task_with_default_factory() {
    let task = get_running_loop().unwrap().create_task(async {});
    task.set_name("test_task");
    assert_eq!(&*task.name(), "test_task");
}

#[test]
fn test_run_once() {
    let (mut event_loop, log) = (virtual_loop(), Log::new());
    let handle = event_loop.handle();
    let _ = handle.call_soon({
        let (log, handle) = (log.clone(), handle.clone());
        move || {
            log.push("first");
            let _ = handle.call_soon(log.callback("second"));
        }
    });
    event_loop.run_once(None).unwrap();
    assert_eq!(log.take(), ["first"], "one iteration");
    event_loop.run_once(None).unwrap();
    assert_eq!(log.take(), ["second"]);
}

#[test]
fn test_run_forever_pre_stopped() {
    let (mut event_loop, log) = (virtual_loop(), Log::new());
    let handle = event_loop.handle();
    let _ = handle.call_later(secs(1), || unreachable!("it does not wait for timers"));
    let _ = handle.call_soon(log.callback("one iteration"));
    handle.stop();
    let before = (handle.time(), handle.iterations());
    event_loop.run_forever().unwrap();
    assert_eq!((handle.time(), handle.iterations()), (before.0, before.1 + 1));
    assert_eq!(log.take(), ["one iteration"]);
}

#[test]
fn test_custom_run_forever_integration() {
    // A host steps the loop itself until its task has ended.
    let mut event_loop = virtual_loop();
    let handle = event_loop.handle();
    let mut task = handle.create_task(async {
        assert!(get_running_loop().unwrap().is_running());
        sleep(secs(3)).await;
        "done"
    });
    let mut turns = 0;
    while !task.done() {
        assert!(!handle.is_running());
        event_loop.run_once(None).unwrap();
        turns += 1;
    }
    assert_eq!(task.take_result().unwrap().unwrap(), "done");
    assert!(turns <= 3, "{turns} turns");
    event_loop.cancel_all_tasks().unwrap();
}

#[evloop::test]
async fn test_running_loop_within_a_loop() {
    let mut other = virtual_loop();
    assert!(matches!(other.run_forever(), Err(RunError::AlreadyRunning)));
    assert!(matches!(other.run_once(None), Err(RunError::AlreadyRunning)));
    assert!(matches!(other.run_until_complete(async {}), Err(RunError::AlreadyRunning)));
    assert!(matches!(other.cancel_all_tasks(), Err(RunError::AlreadyRunning)));
    assert!(get_running_loop().unwrap().is_running());
    yields(2).await;
}

#[test]
fn a_destructor_that_runs_while_main_is_dropped_sees_the_loop() {
    let seen = Rc::new(RefCell::new(None));
    let mut event_loop = virtual_loop();
    let handle = event_loop.handle();
    let guard = OnDrop::new({
        let seen = seen.clone();
        move || *seen.borrow_mut() = Some(get_running_loop().is_ok())
    });
    handle.stop();
    assert!(event_loop.run_until_complete(forever_with(guard)).is_err());
    assert_eq!(seen.take(), Some(true));
}

#[test]
fn test_set_debug() {
    let event_loop = virtual_loop();
    let handle = event_loop.handle();
    handle.set_debug(true);
    assert!(handle.get_debug());
    handle.set_debug(false);
    assert!(!handle.get_debug());
    drop(event_loop);
    assert!(!handle.get_debug());
}

#[test]
fn test_env_var_debug() {
    use crate::debug::switch::debug_mode_with;
    assert!(!debug_mode_with(None).0);
    assert!(debug_mode_with(Some("1")).0);
}

#[test]
fn test_log_slow_callbacks() {
    let (builder, told) = crate::debug::told();
    let mut event_loop = builder.slow_callback_duration(std::time::Duration::ZERO).build().unwrap();
    let handle = event_loop.handle();
    let stop_loop_cb = {
        let handle = handle.clone();
        handle.clone().call_soon(move || handle.stop())
    };
    event_loop.run_forever().unwrap();
    let said: Vec<_> = told.try_iter().map(|report| report.to_string()).collect();
    let place = stop_loop_cb.location().unwrap();
    let begins = format!("a callback scheduled at {place} took 0.");
    assert!(said.iter().any(|text| text.starts_with(&begins) && text.ends_with(" seconds")), "{said:?}");
    drop(said);

    let task = handle.create_task({
        let handle = handle.clone();
        async move { handle.stop() }
    });
    task.set_name("stop_loop_coro");
    event_loop.run_forever().unwrap();
    let said: Vec<_> = told.try_iter().map(|report| report.to_string()).collect();
    let begins = format!("a step of task stop_loop_coro created at {}:", file!());
    assert!(said.iter().any(|text| text.starts_with(&begins) && text.contains(" took 0.")), "{said:?}");
}
