//! How debug mode is turned on and off, and who is told.

use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use evloop::debug::DebugReport;
use evloop::time::{millis, secs};
use evloop::{Clock, EventLoop, RunError, Runner, create_task, get_running_loop, yield_now};

use super::{told, told_virtually};
use crate::support::{forever_with, pause};

/// Whether a loop of a process in whose environment `EVLOOP_DEBUG` is this, or is not, is in debug mode: one that was
/// made by hand, and the one of `run`.
pub(crate) fn debug_mode_with(value: Option<&str>) -> (bool, bool) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "debug::switch::what_the_environment_says", "--nocapture"])
        .env_remove("EVLOOP_DEBUG");
    child.envs(value.map(|value| ("EVLOOP_DEBUG", value)));
    let output = child.output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    (said.contains("by hand: true"), said.contains("of run: true"))
}

/// The other side of [`debug_mode_with`].
#[test]
fn what_the_environment_says() {
    let by_hand = EventLoop::new().unwrap().handle().get_debug();
    let of_run = evloop::run(async { get_running_loop().unwrap().get_debug() });
    assert_eq!(by_hand, of_run);
    println!("by hand: {by_hand}, of run: {of_run}");
}

#[test]
fn the_builder_is_asked_before_the_environment() {
    assert_eq!(debug_mode_with(Some("0")), (false, false));
    assert_eq!(debug_mode_with(Some("")), (false, false));
    assert_eq!(debug_mode_with(Some("yes")), (true, true));
}

#[test]
fn the_builder_and_the_runner_decide_and_the_runner_has_the_last_word() {
    assert!(EventLoop::builder().debug(true).build().unwrap().handle().get_debug());
    assert!(!EventLoop::builder().debug(false).build().unwrap().handle().get_debug());
    let event_loop = EventLoop::builder().debug(true);
    assert!(Runner::builder().event_loop(event_loop.clone()).build().unwrap().handle().get_debug());
    let runner = Runner::builder().debug(false).event_loop(event_loop).build().unwrap();
    assert!(!runner.handle().get_debug());
}

#[test]
fn turned_off_in_a_run_nothing_is_told_any_more() {
    let (mut event_loop, told) = told_virtually();
    event_loop
        .run_until_complete(async {
            drop(create_task(yield_now()));
            get_running_loop().unwrap().set_debug(false);
            drop(create_task(yield_now()));
        })
        .unwrap();
    assert!(matches!(told.try_recv(), Ok(DebugReport::NeverAwaited { .. })));
    assert!(told.try_recv().is_err());
}

#[test]
fn turned_off_in_a_step_that_lasts_nothing_is_told_of_it() {
    let (builder, told) = told();
    let mut event_loop = builder.slow_callback_duration(secs(3600)).build().unwrap();
    event_loop
        .run_until_complete(async {
            let event_loop = get_running_loop().unwrap();
            event_loop.set_debug(false);
            event_loop.set_slow_callback_duration(Duration::ZERO);
            pause(millis(20)); // a watchdog that were still there would bark
        })
        .unwrap();
    assert_eq!(told.try_iter().count(), 0);
}

#[test]
fn who_is_told_and_panics_hurts_nobody() {
    let (sender, receiver) = mpsc::channel();
    let builder = EventLoop::builder().clock(Clock::Virtual).debug(true).on_debug_report(move |report| {
        sender.send(report.to_string()).unwrap();
        panic!("in a report");
    });
    let mut event_loop = builder.build().unwrap();
    let ran = event_loop.run_until_complete(async {
        drop(create_task(yield_now()));
        yield_now().await;
        5
    });
    assert_eq!(ran.unwrap(), 5);
    assert!(receiver.recv().unwrap().starts_with("the handle of task"));
}

#[test]
fn a_loop_in_debug_mode_may_be_dropped_by_its_own_task() {
    let (builder, _told) = told();
    let event_loop = std::rc::Rc::new(std::cell::RefCell::new(Some(builder.build().unwrap())));
    let mut outer = event_loop.borrow_mut().take().unwrap();
    let handle = outer.handle();
    let ran = outer.run_until_complete(async move {
        handle.stop();
        forever_with(()).await;
    });
    assert!(matches!(ran, Err(RunError::Stopped)));
}
