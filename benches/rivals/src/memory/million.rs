//! A million tasks that sleep until a million instants within one second.
//!
//! All are started first, before that second begins; so what counts is how a runtime gets through the
//! second: the CPU time of all, how late they run, and how many run after one with a later deadline.

use std::cell::RefCell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::runtime::Runtime;
use crate::cpu_clock::Stopwatch;

pub(crate) const NAME: &str = "1M sleeps in a second, each";
pub(crate) const SLEEPS: u64 = 1_000_000;
/// How long a million instants last.
const SPAN: Duration = Duration::from_secs(1);
/// For starting a million: the slowest side needs more than one second.
const LEAD: Duration = Duration::from_secs(3);
/// The clock is read for one sleep in so many.
const SAMPLE: u64 = 16;

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) cpu: Duration,
    pub(crate) inversions: u64,
    pub(crate) late_p50: Duration,
    pub(crate) late_p99: Duration,
}

impl Outcome {
    /// As the child says it.
    pub(crate) fn to_line(self) -> String {
        let [cpu, p50, p99] = [self.cpu, self.late_p50, self.late_p99].map(|time| time.as_nanos());
        format!("{cpu} {} {p50} {p99}", self.inversions)
    }

    /// As the parent hears it.
    pub(crate) fn from_line(line: &str) -> io::Result<Self> {
        let numbers: Result<Vec<u64>, _> = line.split(' ').map(str::parse).collect();
        let Ok([cpu, inversions, p50, p99]) = numbers.as_deref() else {
            return Err(io::Error::other(format!("this is no outcome: {line}")));
        };
        let [cpu, late_p50, late_p99] = [cpu, p50, p99].map(|&nanos| Duration::from_nanos(nanos));
        Ok(Self { cpu, inversions: *inversions, late_p50, late_p99 })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, inversions, late_p50, late_p99 } = self;
        let (cpu, p50, p99) = (cpu.as_millis(), late_p50.as_micros(), late_p99.as_micros());
        write!(f, "{cpu} ms of CPU, {inversions} inversions, late by {p50} µs (p50), {p99} µs (p99)")
    }
}

struct Record {
    start: Instant,
    last: Duration,
    fired: u64,
    asked: u64,
    inversions: u64,
    late: Vec<Duration>,
    waker: Option<Waker>,
}

/// On a runtime of its own for each run: every run pays for its memory.
pub(crate) fn run<R: Runtime>(sleeps: u64) -> Outcome {
    R::new().run(|spawner| second::<R>(spawner, sleeps))
}

async fn second<R: Runtime>(spawner: R::Spawner, sleeps: u64) -> Outcome {
    // Fewer sleeps take less time, at the same pace.
    let share = sleeps as f64 / SLEEPS as f64;
    let (lead, span) = (LEAD.mul_f64(share), SPAN.mul_f64(share).as_nanos() as u64);
    let (cpu, start) = (Stopwatch::start(), Instant::now());
    let late = Vec::with_capacity((sleeps / SAMPLE + 1) as usize);
    let record =
        Record { start, last: Duration::ZERO, fired: 0, asked: sleeps, inversions: 0, late, waker: None };
    let record = Rc::new(RefCell::new(record));
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..sleeps {
        // xorshift: the same instants in every run.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let after = lead + Duration::from_nanos(random % span);
        let task = sleeper(R::sleep_until(start + after), after, record.clone());
        R::detach(R::spawn(&spawner, task));
    }
    poll_fn(|cx| {
        let mut record = record.borrow_mut();
        if record.fired == record.asked {
            return Poll::Ready(());
        }
        record.waker = Some(cx.waker().clone());
        Poll::Pending
    })
    .await;
    let cpu = cpu.elapsed();
    let mut record = record.borrow_mut();
    record.late.sort_unstable();
    let quantile = |q: usize| record.late[(record.late.len() - 1) * q / 100];
    Outcome { cpu, inversions: record.inversions, late_p50: quantile(50), late_p99: quantile(99) }
}

async fn sleeper(sleep: impl Future, after: Duration, record: Rc<RefCell<Record>>) {
    sleep.await;
    let mut record = record.borrow_mut();
    if record.fired.is_multiple_of(SAMPLE) {
        let late = record.start.elapsed().saturating_sub(after);
        record.late.push(late);
    }
    record.fired += 1;
    record.inversions += u64::from(after < record.last);
    record.last = record.last.max(after);
    let last = if record.fired == record.asked { record.waker.take() } else { None };
    drop(record);
    if let Some(waker) = last {
        waker.wake();
    }
}
