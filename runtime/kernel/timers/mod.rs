//! Deadlines and what happens at them.
//!
//! The wheel orders; here its entries are alarms. It reads no clock: `now` is an argument. No alarm rings or is dropped
//! while the wheel is borrowed.

pub(crate) mod wheel;

use std::cell::RefCell;
use std::task::Waker;

pub(crate) use wheel::TimerKey;
use wheel::Wheel;

use super::scheduler::ReadyList;
use super::scheduler::alarm::Alarm;

pub(crate) struct Timers {
    wheel: RefCell<Wheel<Alarm>>,
}

impl Timers {
    pub(crate) fn starting_at(now_ns: u64) -> Self {
        Self { wheel: RefCell::new(Wheel::starting_at(now_ns)) }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.wheel.borrow().is_empty()
    }

    #[inline]
    pub(crate) fn insert(&self, deadline_ns: u64, alarm: Alarm) -> TimerKey {
        self.wheel.borrow_mut().insert(deadline_ns, alarm)
    }

    /// Takes an alarm back before it fired; `None` if it has. The deadline is the one it was inserted with. The
    /// caller drops it, outside of the borrow.
    #[inline]
    pub(crate) fn cancel(&self, key: TimerKey, deadline_ns: u64) -> Option<Alarm> {
        self.wheel.borrow_mut().cancel(key, deadline_ns)
    }

    /// Whether the alarm has not fired yet, and whether it wakes the task of `waker`.
    pub(crate) fn look(&self, key: TimerKey, waker: &Waker) -> Look {
        match self.wheel.borrow_mut().get_mut(key) {
            None => Look::Fired,
            Some(own) if own.wakes(waker) => Look::Waiting,
            Some(_) => Look::WakesAnother,
        }
    }

    /// Puts another alarm into the place of one that has not fired yet; returns the one that is not needed, to be
    /// dropped outside of the borrow.
    pub(crate) fn replace(&self, key: TimerKey, alarm: Alarm) -> Alarm {
        match self.wheel.borrow_mut().get_mut(key) {
            Some(own) => std::mem::replace(own, alarm),
            None => alarm,
        }
    }

    /// The earliest deadline; after a cancel it may be too early, never too late.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.wheel.borrow_mut().next_deadline()
    }

    /// Rings all alarms that are due, in order of deadline and insertion. Says whether anything was due.
    pub(crate) fn fire(&self, now_ns: u64, ready: &ReadyList) -> bool {
        let mut any = false;
        loop {
            // Not in the loop's head: the borrow has to end before foreign wakers run.
            let due = self.wheel.borrow_mut().pop_due(now_ns);
            let Some(alarm) = due else { return any };
            any = true;
            alarm.ring(ready);
        }
    }

    /// Takes any alarm out, for the end of the loop.
    pub(crate) fn take_any(&self) -> Option<Alarm> {
        self.wheel.borrow_mut().take_any()
    }
}

/// The answer of [`Timers::look`].
pub(crate) enum Look {
    Fired,
    Waiting,
    WakesAnother,
}
