//! A step that does not end. The steps here wait for the report itself, so no clock decides.

use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use evloop::debug::{DebugReport, Step};
use evloop::time::{millis, secs};
use evloop::{
    Clock, EventLoop, call_later, call_soon, create_task, current_task, get_running_loop, yield_now,
};

use super::told;
use crate::support::pause;

/// Blocks until the watchdog has told of what runs here.
fn told_of(told: &mpsc::Receiver<DebugReport>) -> (Step, Duration) {
    loop {
        // On a slow machine, an innocent step may be told of before.
        if let DebugReport::StillRunning { step, running, .. } = told.recv().unwrap() {
            return (step, running);
        }
    }
}

/// How long a step took, when that is told.
fn took(told: &mpsc::Receiver<DebugReport>) -> (Step, Duration) {
    loop {
        if let DebugReport::SlowStep { step, took, .. } = told.recv().unwrap() {
            return (step, took);
        }
    }
}

#[test]
fn a_stuck_step_is_named_while_it_is_stuck_and_measured_when_it_is_over() {
    for clock in [Clock::Monotonic, Clock::Virtual] {
        let (builder, told) = told();
        let told = Rc::new(told);
        let mut event_loop = builder.clock(clock).slow_callback_duration(millis(5)).build().unwrap();
        let line = line!() + 2;
        let main = async {
            let stuck = create_task({
                let told = told.clone();
                async move {
                    yield_now().await;
                    told_of(&told)
                }
            });
            stuck.set_name("stuck");
            let ((step, running), id) = ((&stuck).await.unwrap(), stuck.id());
            (step, running, id)
        };
        let (step, running, id) = event_loop.run_until_complete(main).unwrap();
        let Step::Task(task) = &step else { panic!("{step}") };
        assert_eq!((&*task.name(), task.id()), ("stuck", id));
        let location = task.location().unwrap();
        assert_eq!((location.file(), location.line()), (file!(), line));
        assert!(running >= millis(5), "{running:?}");
        let (over, took) = took(&told);
        assert_eq!(over, step);
        assert!(took >= running, "{took:?}");
    }
}

#[test]
fn a_stuck_callback_is_named_by_the_place_where_it_was_scheduled() {
    let (builder, told) = told();
    let told = Rc::new(told);
    let mut event_loop = builder.slow_callback_duration(millis(1)).build().unwrap();
    let line = line!() + 4;
    let steps = event_loop.run_until_complete(async {
        let (promise, told) = (evloop::Promise::new(), told.clone());
        let done = promise.clone();
        call_soon(move || drop(done.set_result(told_of(&told).0)));
        promise.await.unwrap()
    });
    let Step::Callback(Some(location)) = steps.unwrap() else { panic!("a callback with its place") };
    assert_eq!((location.file(), location.line()), (file!(), line));
}

#[test]
fn a_callback_of_another_thread_and_one_of_a_timer_are_named_by_their_places() {
    let (builder, told) = told();
    let mut event_loop = builder.slow_callback_duration(Duration::ZERO).build().unwrap();
    let proxy = event_loop.handle().proxy();
    let line = line!() + 1;
    std::thread::spawn(move || proxy.call_soon(|| get_running_loop().unwrap().stop()))
        .join()
        .unwrap()
        .unwrap();
    event_loop.run_forever().unwrap();
    let timer = line!() + 1;
    event_loop.handle().call_later(Duration::ZERO, || get_running_loop().unwrap().stop());
    event_loop.run_forever().unwrap();
    for line in [line, timer] {
        let (Step::Callback(Some(location)), _) = took(&told) else { panic!("a callback with its place") };
        assert_eq!((location.file(), location.line()), (file!(), line));
    }
}

#[test]
fn each_stuck_step_is_told_of_once() {
    let (builder, told) = told();
    let told = Rc::new(told);
    let mut event_loop = builder.slow_callback_duration(millis(2)).build().unwrap();
    let steps = event_loop.run_until_complete(async {
        let mut steps = Vec::new();
        for _ in 0..3 {
            steps.push(told_of(&told).0);
            // Long enough for a second report, if there were one.
            pause(millis(20));
            yield_now().await;
        }
        let id = current_task().unwrap().id();
        steps.iter().all(|step| matches!(step, Step::Task(task) if task.id() == id))
    });
    assert!(steps.unwrap());
    let left: Vec<_> = told.try_iter().collect();
    let running = left.iter().filter(|report| matches!(report, DebugReport::StillRunning { .. }));
    assert_eq!(running.count(), 0, "{left:?}");
}

#[test]
fn whoever_panics_on_the_watchdogs_thread_is_told_of_the_next_step_too() {
    let (sender, told) = mpsc::channel();
    let builder = EventLoop::builder().debug(true).slow_callback_duration(millis(1));
    let builder = builder.on_debug_report(move |report| {
        let _ = sender.send(report.clone());
        panic!("in a report");
    });
    let mut event_loop = builder.build().unwrap();
    event_loop
        .run_until_complete(async {
            told_of(&told);
            yield_now().await;
            told_of(&told);
        })
        .unwrap();
}

#[test]
fn the_watchdog_ends_with_its_loop_and_when_debug_mode_ends() {
    let (sender, told) = mpsc::channel();
    let builder = EventLoop::builder().debug(true).slow_callback_duration(millis(1));
    let builder = builder.on_debug_report(move |report| {
        let _ = sender.send(report.clone());
    });
    let mut event_loop = builder.build().unwrap();
    event_loop
        .run_until_complete(async {
            told_of(&told);
            get_running_loop().unwrap().set_debug(false);
            yield_now().await;
            get_running_loop().unwrap().set_debug(true);
            yield_now().await;
            told_of(&told);
        })
        .unwrap();
    drop(event_loop);
    // Each thread holds on to whom it tells.
    while told.recv().is_ok() {}
}

#[test]
fn the_limit_can_be_changed_and_counts_for_the_step_that_runs() {
    let (builder, told) = told();
    let mut event_loop = builder.slow_callback_duration(secs(3600)).build().unwrap();
    let main = async {
        let event_loop = get_running_loop().unwrap();
        assert_eq!(event_loop.slow_callback_duration(), secs(3600));
        yield_now().await;
        event_loop.set_slow_callback_duration(millis(1));
        assert_eq!(event_loop.slow_callback_duration(), millis(1));
        told_of(&told)
    };
    assert!(event_loop.run_until_complete(main).unwrap().1 >= millis(1));
}

#[test]
fn what_is_quick_is_not_told_of() {
    let (builder, told) = told();
    let mut event_loop = builder.clock(Clock::Virtual).slow_callback_duration(secs(3600)).build().unwrap();
    let main = async {
        evloop::sleep(secs(7200)).await; // of virtual time: no step takes that long
        let _ = call_later(secs(1), || ());
        evloop::sleep(secs(2)).await;
    };
    event_loop.run_until_complete(main).unwrap();
    assert_eq!(told.try_iter().count(), 0);
}

#[test]
fn the_reports_say_what_happened() {
    let (builder, told) = told();
    let mut event_loop = builder.slow_callback_duration(Duration::ZERO).build().unwrap();
    let task = event_loop.handle().create_task(async {});
    task.set_name("quick");
    event_loop.run_until_complete(task).unwrap().unwrap();
    let place = format!("{}:", file!());
    let is_of = |text: &str, step: &str, end: &str| {
        text.starts_with(&format!("a step of task {step} created at {place}")) && text.ends_with(end)
    };
    let texts: Vec<_> = told.try_iter().map(|report| report.to_string()).collect();
    assert!(
        texts.iter().any(|text| is_of(text, "quick", "seconds") && text.contains(" took 0.0")),
        "{texts:?}"
    );
    let (step, running) = (Step::Callback(None), millis(350));
    assert_eq!(step.to_string(), "a callback");
    assert_eq!(running.as_secs_f64(), 0.35);
}
