//! The values that are kept, with their numbers and how many receivers have not seen them. Runs no foreign code.

use std::collections::VecDeque;
use std::rc::Rc;

pub(super) struct Ring<T> {
    slots: VecDeque<Slot<T>>,
    /// The number of the next value.
    next: u64,
}

struct Slot<T> {
    value: Rc<T>,
    /// How many receivers have not seen it. It never falls from one slot to the next: who has not seen a value has not seen
    /// the later ones either.
    to_go: usize,
}

impl<T> Ring<T> {
    pub(super) fn new() -> Self {
        Ring { slots: VecDeque::new(), next: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The number of the next value.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Adds a value for so many receivers. Returns the oldest if there is no room for both.
    pub(super) fn push(&mut self, value: T, to_go: usize, capacity: usize) -> Option<Rc<T>> {
        let oldest = if self.len() == capacity { self.slots.pop_front() } else { None };
        self.slots.push_back(Slot { value: Rc::new(value), to_go });
        self.next += 1;
        oldest.map(|slot| slot.value)
    }

    /// The number of the oldest value that is kept.
    fn oldest(&self) -> u64 {
        self.next - self.slots.len() as u64
    }

    fn slot(&mut self, number: u64) -> Option<&mut Slot<T>> {
        let at = number.checked_sub(self.oldest())?;
        self.slots.get_mut(usize::try_from(at).ok()?)
    }

    /// A receiver takes the value that it wants, or learns how many it has missed.
    pub(super) fn see(&mut self, number: u64) -> Option<Result<Rc<T>, u64>> {
        let missed = self.oldest().saturating_sub(number);
        if missed > 0 {
            return Some(Err(missed));
        }
        let slot = self.slot(number)?;
        slot.to_go -= 1;
        if slot.to_go > 0 {
            return Some(Ok(slot.value.clone()));
        }
        // All have seen it, and those before it.
        debug_assert_eq!(number, self.oldest());
        self.slots.pop_front().map(|slot| Ok(slot.value))
    }

    /// A receiver that wants `number` next goes. Returns what nobody waits for any more.
    pub(super) fn forget(&mut self, number: u64) -> Vec<Rc<T>> {
        let first = number.saturating_sub(self.oldest());
        for slot in self.slots.iter_mut().skip(usize::try_from(first).unwrap_or(usize::MAX)) {
            slot.to_go -= 1;
        }
        let seen = self.slots.iter().take_while(|slot| slot.to_go == 0).count();
        self.slots.drain(..seen).map(|slot| slot.value).collect()
    }
}
