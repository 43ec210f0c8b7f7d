//! Those who wait where somebody waits already: lines through one slab.

use std::task::Waker;

use slab::Slab;

use super::{Kind, WaiterKey, Watcher};

const NIL: u32 = u32::MAX;

/// The members of all lines of a loop.
pub(super) type Lines = Slab<Member>;

pub(super) struct Member {
    watcher: Watcher,
    serial: u32,
    kind: Kind,
    next: u32,
    prev: u32,
}

/// One line, first come, first served; leaving it early is O(1).
#[derive(Clone, Copy)]
pub(super) struct Line {
    head: u32,
    tail: u32,
}

/// Whether a serial number was given out before another; they may wrap around.
pub(super) fn is_before(one: u32, other: u32) -> bool {
    one.wrapping_sub(other).cast_signed() < 0
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

    /// Adds a member where its serial number belongs, which is at the end unless it stood here before. Returns its
    /// place.
    pub(super) fn join(&mut self, lines: &mut Lines, serial: u32, kind: Kind, watcher: Watcher) -> u32 {
        let (mut prev, mut next) = (self.tail, NIL);
        while prev != NIL && is_before(serial, lines[prev as usize].serial) {
            (prev, next) = (lines[prev as usize].prev, prev);
        }
        let member = Member { watcher, serial, kind, next, prev };
        let index = u32::try_from(lines.insert(member)).expect("no memory holds so many");
        match prev {
            NIL => self.head = index,
            prev => lines[prev as usize].next = index,
        }
        match next {
            NIL => self.tail = index,
            next => lines[next as usize].prev = index,
        }
        index
    }

    /// Takes the first out, with its serial number.
    pub(super) fn pop(&mut self, lines: &mut Lines) -> Option<(u32, Watcher)> {
        let serial = lines.get(self.head as usize)?.serial;
        Some((serial, self.remove(lines, self.head)))
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

    /// The first waker of this kind that is meant.
    pub(super) fn waker_of_kind<'a>(
        &self,
        lines: &'a mut Lines,
        kind: Kind,
        is_meant: impl Fn(&Waker) -> bool,
    ) -> Option<&'a mut Waker> {
        let mut index = self.head;
        while let Some(member) = lines.get(index as usize) {
            match &member.watcher {
                Watcher::Wake(own) if member.kind == kind && is_meant(own) => break,
                _ => index = member.next,
            }
        }
        match &mut lines.get_mut(index as usize)?.watcher {
            Watcher::Wake(own) => Some(own),
            Watcher::Call(_) => None,
        }
    }

    /// All in order, with their serial numbers; those who are told once leave.
    pub(super) fn due(&mut self, lines: &mut Lines) -> Vec<(u32, Watcher)> {
        let (mut index, mut due) = (self.head, Vec::new());
        while index != NIL {
            let member = &lines[index as usize];
            let (next, serial) = (member.next, member.serial);
            let watcher = match &member.watcher {
                Watcher::Call(call) => Watcher::Call(call.clone()),
                Watcher::Wake(_) => self.remove(lines, index),
            };
            due.push((serial, watcher));
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
