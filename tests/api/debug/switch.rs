//! How debug mode is turned on and off, and who is told.

use std::sync::mpsc;

use evloop::debug::DebugReport;
use evloop::{Clock, EventLoop, RunError, Runner, create_task, get_running_loop, yield_now};

use super::{told, told_virtually};
use crate::support::forever_with;

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
