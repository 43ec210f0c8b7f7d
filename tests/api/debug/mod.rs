//! Debug mode: what is told, when, of whom, and what is not.

mod handles;
mod held;
mod locks;
mod silence;
pub(crate) mod switch;
mod waiting;
mod watchdog;

use std::sync::mpsc;

use evloop::debug::DebugReport;
use evloop::{Builder, Clock, EventLoop};

/// Settings of a loop in debug mode, and what it tells.
pub(crate) fn told() -> (Builder, mpsc::Receiver<DebugReport>) {
    let (sender, told) = mpsc::channel();
    let builder = EventLoop::builder().debug(true).on_debug_report(move |report| {
        let _ = sender.send(report.clone());
    });
    (builder, told)
}

/// As [`told`], on the virtual clock.
fn told_virtually() -> (EventLoop, mpsc::Receiver<DebugReport>) {
    let (builder, told) = told();
    (builder.clock(Clock::Virtual).build().unwrap(), told)
}

/// All that has been told, in words, without the slow steps of a slow machine.
fn texts(told: &mpsc::Receiver<DebugReport>) -> Vec<String> {
    let is_of_time = |report: &DebugReport| {
        matches!(report, DebugReport::SlowStep { .. } | DebugReport::StillRunning { .. })
    };
    told.try_iter().filter(|report| !is_of_time(report)).map(|report| report.to_string()).collect()
}
