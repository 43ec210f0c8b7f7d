//! Those who wait where somebody waits already: lines through one slab.

use std::task::Waker;

use slab::Slab;

use super::{WaiterKey, Watcher};

const NIL: u32 = u32::MAX;

/// The members of all lines of a loop.
pub(super) type Lines = Slab<Member>;

pub(super) struct Member {
    watcher: Watcher,
    serial: u32,
    next: u32,
    prev: u32,
}

/// One line, first come, first served; leaving it early is O(1).
#[derive(Clone, Copy)]
pub(super) struct Line {
    head: u32,
    tail: u32,
}

impl Default for Line {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Line {
    pub(super) const EMPTY: Self = Self { head: NIL, tail: NIL };

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.head == NIL
    }

    /// Appends a member; returns its place.
    pub(super) fn join(&mut self, lines: &mut Lines, serial: u32, watcher: Watcher) -> u32 {
        let member = Member { watcher, serial, next: NIL, prev: self.tail };
        let index = u32::try_from(lines.insert(member)).expect("no memory holds so many");
        match self.tail {
            NIL => self.head = index,
            tail => lines[tail as usize].next = index,
        }
        self.tail = index;
        index
    }

    /// Takes the first out.
    pub(super) fn pop(&mut self, lines: &mut Lines) -> Option<Watcher> {
        (!self.is_empty()).then(|| self.remove(lines, self.head))
    }

    /// Takes a member out, unless it has left before.
    pub(super) fn leave(&mut self, lines: &mut Lines, waiter: WaiterKey) -> Option<Watcher> {
        lines.get(waiter.index as usize).filter(|member| member.serial == waiter.serial)?;
        Some(self.remove(lines, waiter.index))
    }

    /// The waker of a member, if it still waits.
    pub(super) fn waker_of<'a>(&self, lines: &'a mut Lines, waiter: WaiterKey) -> Option<&'a mut Waker> {
        match lines.get_mut(waiter.index as usize) {
            Some(Member { watcher: Watcher::Wake(waker), serial, .. }) if *serial == waiter.serial => {
                Some(waker)
            }
            _ => None,
        }
    }

    /// The waker that wakes the same task.
    pub(super) fn same_waker<'a>(&self, lines: &'a mut Lines, waker: &Waker) -> Option<&'a mut Waker> {
        let mut index = self.head;
        while let Some(member) = lines.get(index as usize) {
            match &member.watcher {
                Watcher::Wake(own) if own.will_wake(waker) => break,
                _ => index = member.next,
            }
        }
        match &mut lines.get_mut(index as usize)?.watcher {
            Watcher::Wake(own) => Some(own),
            Watcher::Call(_) => None,
        }
    }

    /// All in order; those who are told once leave.
    pub(super) fn due(&mut self, lines: &mut Lines) -> Vec<Watcher> {
        let (mut index, mut due) = (self.head, Vec::new());
        while index != NIL {
            let member = &lines[index as usize];
            let next = member.next;
            due.push(match &member.watcher {
                Watcher::Call(call) => Watcher::Call(call.clone()),
                Watcher::Wake(_) => self.remove(lines, index),
            });
            index = next;
        }
        due
    }

    fn remove(&mut self, lines: &mut Lines, index: u32) -> Watcher {
        let member = lines.remove(index as usize);
        match member.prev {
            NIL => self.head = member.next,
            prev => lines[prev as usize].next = member.next,
        }
        match member.next {
            NIL => self.tail = member.prev,
            next => lines[next as usize].prev = member.prev,
        }
        member.watcher
    }
}
