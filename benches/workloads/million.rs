//! A million tasks that sleep until a million instants within one second.
//!
//! All are started first, before that second begins; so what counts is how a runtime gets through the
//! second: the CPU time of all, how late they run, and how many run after one with a later deadline.

use std::cell::RefCell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::cpu::cpu_time;
use super::sides::Sides;

pub(crate) const SLEEPS: u64 = 1_000_000;
/// How long a million instants last.
const SPAN: Duration = Duration::from_secs(1);
/// For starting a million: the slowest side needs more than one second.
const LEAD: Duration = Duration::from_secs(2);
/// The clock is read for one sleep in so many.
const SAMPLE: u64 = 16;

/// What came of it.
#[derive(Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) cpu: Duration,
    pub(crate) inversions: u64,
    pub(crate) late_p50: Duration,
    pub(crate) late_p99: Duration,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, inversions, late_p50, late_p99 } = self;
        let (cpu, p50, p99) = (cpu.as_millis(), late_p50.as_micros(), late_p99.as_micros());
        write!(f, "{cpu} ms of CPU, {inversions} inversions, late by {p50} us (p50), {p99} us (p99)")
    }
}

/// Kept per thread, so that the tasks of every side can be `Send` for nothing.
struct Record {
    start: Instant,
    last: Duration,
    fired: u64,
    asked: u64,
    inversions: u64,
    late: Vec<Duration>,
    waker: Option<Waker>,
}

thread_local! {
    static RECORD: RefCell<Option<Record>> = const { RefCell::new(None) };
}

/// A side of its own for each run: every run pays for its memory.
pub(crate) fn evloop(sleeps: u64) -> Outcome {
    Sides::new().evloop(run(sleeps, |at, after| {
        drop(evloop::create_task(sleeper(evloop::time::sleep_until(at), after)));
    }))
}

pub(crate) fn tokio(sleeps: u64) -> Outcome {
    Sides::new().tokio(run(sleeps, |at, after| {
        drop(tokio::spawn(sleeper(tokio::time::sleep_until(at.into()), after)));
    }))
}

pub(crate) fn local(sleeps: u64) -> Outcome {
    Sides::new().local(run(sleeps, |at, after| {
        drop(tokio::task::spawn_local(sleeper(tokio::time::sleep_until(at.into()), after)));
    }))
}

async fn run(sleeps: u64, spawn: impl Fn(Instant, Duration)) -> Outcome {
    // Fewer sleeps take less time, at the same pace.
    let share = sleeps as f64 / SLEEPS as f64;
    let (lead, span) = (LEAD.mul_f64(share), SPAN.mul_f64(share).as_nanos() as u64);
    let (cpu, start) = (cpu_time(), Instant::now());
    let late = Vec::with_capacity((sleeps / SAMPLE + 1) as usize);
    let record =
        Record { start, last: Duration::ZERO, fired: 0, asked: sleeps, inversions: 0, late, waker: None };
    RECORD.set(Some(record));
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..sleeps {
        // xorshift: the same instants in every run.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let after = lead + Duration::from_nanos(random % span);
        spawn(start + after, after);
    }
    poll_fn(|cx| {
        RECORD.with_borrow_mut(|record| match record {
            Some(record) if record.fired < record.asked => {
                record.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        })
    })
    .await;
    let cpu = cpu_time() - cpu;
    let mut record = RECORD.take().expect("it was set above");
    record.late.sort_unstable();
    let quantile = |q: usize| record.late[(record.late.len() - 1) * q / 100];
    Outcome { cpu, inversions: record.inversions, late_p50: quantile(50), late_p99: quantile(99) }
}

async fn sleeper(sleep: impl Future, after: Duration) {
    sleep.await;
    let last = RECORD.with_borrow_mut(|record| {
        let record = record.as_mut()?;
        if record.fired % SAMPLE == 0 {
            record.late.push(record.start.elapsed().saturating_sub(after));
        }
        record.fired += 1;
        record.inversions += u64::from(after < record.last);
        record.last = record.last.max(after);
        if record.fired == record.asked { record.waker.take() } else { None }
    });
    if let Some(waker) = last {
        waker.wake();
    }
}
