//! Who waits for a task, once it is more than one: awaiters and callbacks, in order of registration.
//!
//! Whoever leaves early leaves a gap, found by bisection, and gaps are closed when they are more than half of the line:
//! n who leave take n log n, in whatever order.

use std::task::Waker;

use super::handle::TaskRef;
use crate::kernel::variables::Context;

/// Somebody who wants to know when a task is done.
pub(super) enum Waiter {
    Awaiter(Waker),
    /// With the context that it is to run in.
    Callback(Box<dyn FnOnce(&TaskRef)>, Option<Context>),
}

/// See the module's description.
#[derive(Default)]
pub(super) struct Waiters {
    /// In order of their numbers; `None` is a gap.
    line: Vec<(u64, Option<Waiter>)>,
    gaps: usize,
}

impl Waiters {
    pub(super) fn is_empty(&self) -> bool {
        self.line.len() == self.gaps
    }

    /// Joins the line under a number that is larger than all in it.
    pub(super) fn push(&mut self, number: u64, waiter: Waiter) {
        debug_assert!(self.line.last().is_none_or(|(last, _)| *last < number));
        self.line.push((number, Some(waiter)));
    }

    fn find(&self, number: u64) -> Option<usize> {
        self.line.binary_search_by_key(&number, |(number, _)| *number).ok()
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Waiter> {
        let index = self.find(number)?;
        self.line[index].1.as_mut()
    }

    /// Leaves the line.
    pub(super) fn remove(&mut self, number: u64) -> Option<Waiter> {
        let index = self.find(number)?;
        let waiter = self.line[index].1.take()?;
        self.gaps += 1;
        if self.gaps > self.line.len() / 2 {
            self.line.retain(|(_, waiter)| waiter.is_some());
            self.gaps = 0;
        }
        Some(waiter)
    }

    /// All of them, in order.
    pub(super) fn into_all(self) -> impl Iterator<Item = Waiter> {
        self.line.into_iter().filter_map(|(_, waiter)| waiter)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn waiter() -> Waiter {
        Waiter::Awaiter(Waker::noop().clone())
    }

    fn numbers(waiters: &Waiters) -> Vec<u64> {
        let there = waiters.line.iter().filter(|(_, waiter)| waiter.is_some());
        there.map(|(number, _)| *number).collect()
    }

    #[test]
    fn who_leaves_is_gone_and_the_others_keep_their_order() {
        let mut waiters = Waiters::default();
        assert!(waiters.is_empty());
        (1..=100).for_each(|number| waiters.push(number * 3, waiter()));
        for number in (2..=100).step_by(2) {
            assert!(waiters.remove(number * 3).is_some());
            assert!(waiters.remove(number * 3).is_none() && waiters.get_mut(number * 3).is_none());
        }
        assert!(waiters.remove(4).is_none(), "nobody had that number");
        assert_eq!(numbers(&waiters), (1..=100).step_by(2).map(|n| n * 3).collect::<Vec<_>>());
        for number in (0..50).rev().map(|n| 2 * n + 1) {
            assert!(!waiters.is_empty() && waiters.get_mut(number * 3).is_some());
            assert!(waiters.remove(number * 3).is_some());
            assert!(waiters.line.len() <= 2 * numbers(&waiters).len(), "gaps are closed");
        }
        assert!(waiters.is_empty() && waiters.into_all().next().is_none());
    }
}
