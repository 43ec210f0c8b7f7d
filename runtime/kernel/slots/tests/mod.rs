//! The slots alone: no kernel, no loop. What stands here is how a consumer and the loop use them.

mod calling_back;
mod keys;
mod model;
mod registrations;
mod waiting;
mod watching;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Wake, Waker};

use super::{Owner, Rearm, Repeated, SlotKey, Slots, WaiterKey, Watcher, Who};
use crate::kernel::reactor::{Direction, Event, Interest, PollMode, RawSource};

const READ: Interest = Interest::of(Direction::Read);
const WRITE: Interest = Interest::of(Direction::Write);
const MODES: [PollMode; 3] = [PollMode::Edge, PollMode::Level, PollMode::Oneshot];
/// A descriptor's number.
const SEVEN: RawSource = 7;

/// A waker that is only somebody's name.
struct Name;

impl Wake for Name {
    fn wake(self: Arc<Self>) {}
}

fn waker() -> Waker {
    // Cloned as those that the slots keep are.
    Waker::from(Arc::new(Name)).clone()
}

/// Whom an event has told, or what a slot gave back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    /// By its number among the test's wakers.
    Woken(usize),
    Called(u32),
}

type Log = Rc<RefCell<Vec<Told>>>;

/// A callback that stays.
struct Call {
    id: u32,
    log: Log,
    ended: Cell<bool>,
}

impl Repeated for Call {
    fn due(self: Rc<Self>) {
        self.log.borrow_mut().push(Told::Called(self.id));
    }

    fn end(&self) {
        self.ended.set(true);
    }
}

/// The slots, some wakers to wait with, and a log of those who were told.
struct Stage {
    slots: Slots,
    wakers: Vec<Waker>,
    log: Log,
}

impl Stage {
    fn new() -> Self {
        Self { slots: Slots::new(), wakers: (0..8).map(|_| waker()).collect(), log: Log::default() }
    }

    /// A source's registration of number seven, made when there was nothing to read.
    fn registered(&self, mode: PollMode) -> SlotKey {
        self.registered_as(SEVEN, mode)
    }

    fn registered_as(&self, raw: RawSource, mode: PollMode) -> SlotKey {
        let armed = if mode == PollMode::Edge { Interest::BOTH } else { READ };
        let key = self.slots.reserve(Owner::Source, mode, armed, READ);
        assert!(self.slots.registered(key, raw).is_empty());
        key
    }

    /// A registration of `add_reader`'s, with that reader.
    fn watched(&self, raw: RawSource, id: u32) -> (SlotKey, Rc<Call>) {
        let key = self.slots.reserve(Owner::Callbacks, PollMode::Level, READ, Interest::NONE);
        let watchers = self.slots.registered(key, raw);
        assert_eq!(self.names(watchers), []);
        let call = self.call(id);
        assert!(self.slots.set_repeating(key, Direction::Read, Some(call.clone())).is_none());
        (key, call)
    }

    fn call(&self, id: u32) -> Rc<Call> {
        Rc::new(Call { id, log: self.log.clone(), ended: Cell::new(false) })
    }

    /// Waits as a consumer does; `None` if the slot is gone.
    fn wait(
        &self,
        key: SlotKey,
        direction: Direction,
        mut who: Who<'_>,
        waker: usize,
    ) -> Option<(Option<Told>, Option<Rearm>)> {
        let (slot, waker) = (self.slots.get(key)?, &self.wakers[waker]);
        if self.slots.wait_again(slot, direction, &mut who, waker) {
            return Some((None, None));
        }
        let (former, rearm) = self.slots.wait(slot, key, direction, who, waker);
        Some((former.map(|former| self.name(&former)), rearm))
    }

    /// Waits as a future of its own; its place in line.
    fn future(&self, key: SlotKey, direction: Direction, waker: usize) -> Option<WaiterKey> {
        let mut place = None;
        self.wait(key, direction, Who::Future(&mut place), waker).unwrap();
        place
    }

    fn leave(&self, key: SlotKey, direction: Direction, waiter: Option<WaiterKey>) -> Option<Told> {
        let watcher = self.slots.leave(key, direction, waiter?);
        self.names(watcher).pop()
    }

    /// Notes an event as the loop does; whom it told, and what the kernel has to be asked.
    fn event(&self, key: SlotKey, ready: Interest) -> (Vec<Told>, Option<Rearm>) {
        self.event_keeping(Event { key: key.as_usize(), ready, split: false }, true)
    }

    /// Whether the loop `keep`s wakers depends on whose they are.
    fn event_keeping(&self, event: Event, keep: bool) -> (Vec<Told>, Option<Rearm>) {
        let noted = self.slots.note(event, |waker| {
            self.log.borrow_mut().push(self.name(&waker));
            keep.then_some(waker)
        });
        let rearm = noted.map(|(_, rearm)| rearm);
        (self.log.take(), rearm)
    }

    fn told(&self, key: SlotKey, ready: Interest) -> Vec<Told> {
        self.event(key, ready).0
    }

    fn is_ready(&self, key: SlotKey) -> (bool, bool) {
        let slot = self.slots.get(key).unwrap();
        (slot.is_ready(Direction::Read), slot.is_ready(Direction::Write))
    }

    fn name(&self, waker: &Waker) -> Told {
        let place = self.wakers.iter().position(|own| own.will_wake(waker));
        Told::Woken(place.expect("one of the test's wakers"))
    }

    /// Says who they are; calls, which are the log's owners too, are made to say it.
    fn names(&self, watchers: impl IntoIterator<Item = Watcher>) -> Vec<Told> {
        let name = |watcher| match watcher {
            Watcher::Wake(waker) => self.name(&waker),
            Watcher::Call(call) => {
                call.due();
                self.log.borrow_mut().pop().unwrap()
            }
        };
        watchers.into_iter().map(name).collect()
    }
}

/// What the kernel is asked for number seven.
fn asks(key: SlotKey, interest: Interest, mode: PollMode) -> Option<Rearm> {
    Some(Rearm { raw: SEVEN, key, interest, mode })
}
