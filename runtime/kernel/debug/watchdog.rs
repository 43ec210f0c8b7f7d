//! The watchdog: a thread that sees when a step does not end.
//!
//! The loop writes down what it runs and since when, under a lock that nobody holds for long; so the watchdog follows no
//! pointer into the loop. It sleeps until the step that runs is due to be told of, or, while nothing runs, until the next
//! begins: a loop that waits costs nothing.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::info::Step;
use super::report::{DebugReport, Sink};
use crate::kernel::clock::real_now;

/// The loop's end of the watchdog; the thread ends with the last of them.
#[derive(Clone)]
pub(super) struct Watchdog(Arc<Leash>);

struct Leash(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    news: Condvar,
}

struct State {
    running: Option<Running>,
    slow: Duration,
    /// The thread waits for the next step to begin.
    dozes: bool,
    over: bool,
}

struct Running {
    step: Step,
    began: Instant,
    told: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No foreign code runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watchdog {
    pub(super) fn start(slow: Duration, sink: &Sink) -> Self {
        let state = State { running: None, slow, dozes: false, over: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), news: Condvar::new() });
        let (seen, sink) = (shared.clone(), sink.clone());
        // Without a thread, a slow step is told of when it is over.
        let _ =
            thread::Builder::new().name("evloop-watchdog".to_owned()).spawn(move || keep_watch(&seen, &sink));
        Self(Arc::new(Leash(shared)))
    }

    pub(super) fn set_slow(&self, slow: Duration) {
        self.0.0.lock().slow = slow;
        self.0.0.news.notify_one();
    }

    pub(super) fn begin(&self, step: Step) {
        let mut state = self.0.0.lock();
        state.running = Some(Running { step, began: real_now(), told: false });
        let dozed = std::mem::take(&mut state.dozes);
        drop(state);
        if dozed {
            self.0.0.news.notify_one();
        }
    }

    /// Nothing is to be told of the step that runs.
    pub(super) fn forget(&self) {
        self.0.0.lock().running = None;
    }

    /// The step that began last is over: what there is to tell about it.
    pub(super) fn end(&self) -> Option<DebugReport> {
        let mut state = self.0.0.lock();
        let slow = state.slow;
        let ended = state.running.take();
        drop(state);
        let Running { step, began, told } = ended?;
        let took = began.elapsed();
        (told || took >= slow).then_some(DebugReport::SlowStep { step, took })
    }
}

impl Drop for Leash {
    /// The thread is not waited for: it may be telling somebody who waits for this one.
    fn drop(&mut self) {
        self.0.lock().over = true;
        self.0.news.notify_one();
    }
}

/// The life of the thread.
fn keep_watch(shared: &Shared, sink: &Sink) {
    let mut state = shared.lock();
    while !state.over {
        let slow = state.slow;
        match &mut state.running {
            Some(running) if !running.told => {
                let so_far = running.began.elapsed();
                if let Some(left) = slow.checked_sub(so_far).filter(|left| !left.is_zero()) {
                    let waited = shared.news.wait_timeout(state, left);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                    continue;
                }
                running.told = true;
                let report = DebugReport::StillRunning { step: running.step.clone(), running: so_far };
                drop(state);
                sink.tell(&report);
                state = shared.lock();
            }
            _ => {
                state.dozes = true;
                state = shared.news.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}
