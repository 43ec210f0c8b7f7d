//! What `echo_client` is asked for, and how far it has come.

use std::cell::{Cell, RefCell};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use evloop::time::{now, secs};

use super::latencies::Latencies;
use super::{Words, seconds};

pub(crate) const USAGE: &str = "echo_client [ADDRESS [CONNECTIONS [AMOUNT [BYTES]]]]";

pub(crate) struct Load {
    pub(crate) address: String,
    pub(crate) connections: usize,
    amount: Amount,
    pub(crate) bytes: usize,
}

#[derive(Clone, Copy)]
enum Amount {
    Requests(u64),
    Time(Duration),
}

impl Load {
    pub(crate) fn parse(words: &mut Words) -> Result<Self, String> {
        let amount = |word: &str| match word.strip_suffix('s') {
            Some(time) => seconds(time).map(Amount::Time),
            None => word.parse().ok().filter(|count| *count > 0).map(Amount::Requests),
        };
        let amounts = "an amount: requests such as 100000, or seconds such as 5s";
        Ok(Load {
            address: words.address("127.0.0.1:5001")?,
            connections: words.next("a number of connections, 1 to 100000", 50, count(1..=100_000))?,
            amount: words.next(amounts, Amount::Time(secs(5)), amount)?,
            bytes: words.next("a size in bytes, 1 to 16777216", 64, count(1..=16 << 20))?,
        })
    }
}

fn count(range: RangeInclusive<usize>) -> impl FnOnce(&str) -> Option<usize> {
    move |word| word.parse().ok().filter(|count| range.contains(count))
}

/// What all connections share.
pub(crate) struct Run {
    /// Requests that were not begun yet.
    left: Cell<u64>,
    begin: Instant,
    end: Option<Instant>,
    pub(crate) latencies: RefCell<Latencies>,
}

impl Run {
    /// It begins now.
    pub(crate) fn of(load: &Load) -> Self {
        let begin = now();
        let (left, end) = match load.amount {
            Amount::Requests(count) => (count, None),
            Amount::Time(time) => (u64::MAX, begin.checked_add(time)),
        };
        Run { left: Cell::new(left), begin, end, latencies: RefCell::default() }
    }

    /// Whether another request is wanted at this time; it counts as begun.
    pub(crate) fn take(&self, at: Instant) -> bool {
        let wanted = self.left.get() > 0 && self.end.is_none_or(|end| at < end);
        self.left.set(self.left.get() - u64::from(wanted));
        wanted
    }

    pub(crate) fn summary(&self) -> String {
        let (took, latencies) = (now() - self.begin, self.latencies.borrow());
        let count = latencies.count();
        let rate = count as f64 / took.as_secs_f64();
        format!("requests: {count}\nrequests/s: {rate:.0}\nlatency: {latencies}")
    }
}
