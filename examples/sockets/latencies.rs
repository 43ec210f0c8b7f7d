//! Millions of durations in a few kilobytes, and their percentiles.

use std::fmt;
use std::time::Duration;

/// Each power of two is divided into so many buckets of equal width: a percentile is off by 3 % at most.
const DIVISIONS: u64 = 32;

/// Counts durations in buckets whose width grows with the duration. The least and the greatest are exact.
#[derive(Default)]
pub(crate) struct Latencies {
    buckets: Vec<u64>,
    count: u64,
    least: u64,
    greatest: u64,
}

impl Latencies {
    pub(crate) fn add(&mut self, latency: Duration) {
        let ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        let bucket = bucket_of(ns);
        if bucket >= self.buckets.len() {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.least = if self.count == 0 { ns } else { self.least.min(ns) };
        self.greatest = self.greatest.max(ns);
        self.count += 1;
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// What so many percent do not exceed.
    pub(crate) fn percentile(&self, percent: u64) -> Duration {
        // The rank is rounded up: the 50th percentile of three is the second.
        let rank = (self.count * percent).div_ceil(100).max(1);
        let mut passed = 0;
        let bucket = self.buckets.iter().position(|count| {
            passed += count;
            passed >= rank
        });
        let ns = bucket.map_or(0, greatest_in);
        Duration::from_nanos(ns.clamp(self.least, self.greatest))
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count == 0 {
            return f.write_str("none");
        }
        write!(f, "min {:.1?}", Duration::from_nanos(self.least))?;
        for percent in [50, 90, 99] {
            write!(f, ", p{percent} {:.1?}", self.percentile(percent))?;
        }
        write!(f, ", max {:.1?}", Duration::from_nanos(self.greatest))
    }
}

/// How often a bucket of the same power of two as `ns` is twice as wide as the first.
fn width_of(ns: u64) -> u32 {
    (ns | DIVISIONS).ilog2() - DIVISIONS.ilog2()
}

fn bucket_of(ns: u64) -> usize {
    let width = width_of(ns);
    (u64::from(width) * DIVISIONS + (ns >> width)) as usize
}

fn greatest_in(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    // The first two powers share the width of one nanosecond.
    let width = (bucket / DIVISIONS).saturating_sub(1);
    let within = bucket - width * DIVISIONS;
    (within << width) + ((1 << width) - 1)
}
