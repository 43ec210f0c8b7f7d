//! Random operations on what is handed on in a line, `Semaphore` and `RwLock`, against the rules in plain words.
//!
//! A future stays inside once it has entered, until it is dropped. The model says of each one whether it waits, was
//! called or is in, and how often it has been woken, so each poll of the real thing has exactly one right answer.

use super::Count;
use crate::sync::{RwLock, Semaphore};
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::future::{Future, pending};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};

/// The real thing, and what the rules say of its room.
trait Rules {
    type Wish: Copy + Debug;
    /// Must a newcomer wait while somebody who was called has not come?
    const CALLED_COME_FIRST: bool;

    fn wish(&self, dice: usize) -> Self::Wish;

    /// What can be wished for at once.
    fn wish_at_once(&self, dice: usize) -> Self::Wish {
        self.wish(dice)
    }

    fn fits(&self, wish: Self::Wish) -> bool;
    fn take(&mut self, wish: Self::Wish);
    fn give(&mut self, wish: Self::Wish);
    /// How many at most are called when one leaves.
    fn calls(wish: Self::Wish) -> usize;
    /// Enters, says so, and stays.
    fn enter(&self, wish: Self::Wish, is_in: Rc<Cell<bool>>) -> Pin<Box<dyn Future<Output = ()>>>;
    /// The same if that is possible at once.
    fn try_enter(&self, wish: Self::Wish, is_in: Rc<Cell<bool>>) -> Pin<Box<dyn Future<Output = ()>>>;
    /// Says the real thing the same?
    fn check(&self, waiters: usize, peak: usize);
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    New,
    InLine,
    Called,
    In,
}

struct One<W> {
    wish: W,
    stage: Stage,
    future: Pin<Box<dyn Future<Output = ()>>>,
    is_in: Rc<Cell<bool>>,
    count: Arc<Count>,
    waker: Waker,
    wakes: usize,
}

struct World<R: Rules> {
    rules: R,
    all: BTreeMap<usize, One<R::Wish>>,
    next_id: usize,
    line: VecDeque<usize>,
    peak: usize,
    called: usize,
}

impl<R: Rules> World<R> {
    fn new(rules: R) -> Self {
        World { rules, all: BTreeMap::new(), next_id: 0, line: VecDeque::new(), peak: 0, called: 0 }
    }

    fn may_enter(&self, wish: R::Wish) -> bool {
        self.line.is_empty() && self.rules.fits(wish) && !(R::CALLED_COME_FIRST && self.called > 0)
    }

    fn start(&mut self, dice: usize, at_once: bool) {
        let wish = if at_once { self.rules.wish_at_once(dice) } else { self.rules.wish(dice) };
        let is_in = Rc::new(Cell::new(false));
        let make = if at_once { R::try_enter } else { R::enter };
        let future = make(&self.rules, wish, is_in.clone());
        let (count, waker) = Count::pair();
        self.all.insert(self.next_id, One { wish, stage: Stage::New, future, is_in, count, waker, wakes: 0 });
        self.next_id += 1;
        if at_once {
            let id = self.next_id - 1;
            let may_enter = self.may_enter(wish);
            let one = self.all.get_mut(&id).unwrap();
            let _ = one.future.as_mut().poll(&mut Context::from_waker(&one.waker));
            assert_eq!(one.is_in.get(), may_enter, "{wish:?} at once");
            if may_enter {
                one.stage = Stage::In;
                self.rules.take(wish);
            } else {
                self.all.remove(&id);
            }
        }
    }

    fn poll(&mut self, id: usize) {
        let one = self.all.get_mut(&id).unwrap();
        assert!(one.future.as_mut().poll(&mut Context::from_waker(&one.waker)).is_pending());
        let (wish, stage, is_in) = (one.wish, one.stage, one.is_in.get());
        let then = match stage {
            Stage::New if self.may_enter(wish) => {
                self.rules.take(wish);
                Stage::In
            }
            Stage::New => {
                self.line.push_back(id);
                self.peak = self.peak.max(self.line.len());
                Stage::InLine
            }
            Stage::Called => {
                self.called -= 1;
                if R::CALLED_COME_FIRST {
                    self.serve(usize::MAX);
                }
                Stage::In
            }
            Stage::InLine | Stage::In => stage,
        };
        assert_eq!(is_in, then == Stage::In, "{id} was {stage:?}, and should be {then:?}");
        self.all.get_mut(&id).unwrap().stage = then;
    }

    fn drop_one(&mut self, id: usize) {
        let One { wish, stage, .. } = self.all.remove(&id).unwrap();
        match stage {
            Stage::New => {}
            Stage::InLine => {
                self.line.retain(|&other| other != id);
                self.serve(usize::MAX);
            }
            Stage::Called => {
                self.called -= 1;
                self.rules.give(wish);
                self.serve(usize::MAX);
            }
            Stage::In => {
                self.rules.give(wish);
                self.serve(R::calls(wish));
            }
        }
    }

    fn serve(&mut self, most: usize) {
        for _ in 0..most {
            let Some(&first) = self.line.front() else { return };
            let one = self.all.get_mut(&first).unwrap();
            if !self.rules.fits(one.wish) {
                return;
            }
            one.stage = Stage::Called;
            one.wakes += 1;
            self.rules.take(one.wish);
            self.line.pop_front();
            self.called += 1;
        }
    }

    fn check(&self) {
        self.rules.check(self.line.len(), self.peak);
        for (id, one) in &self.all {
            assert_eq!(one.count.get(), one.wakes, "wakes of {id}");
        }
        if let Some(first) = self.line.front() {
            let fits = self.rules.fits(self.all[first].wish);
            assert!(!fits || self.called > 0, "{first} could enter, and nobody will call it");
        }
    }

    /// The first of those at a stage.
    fn find(&self, stage: Stage) -> Option<usize> {
        self.all.iter().find(|(_, one)| one.stage == stage).map(|(&id, _)| id)
    }

    fn run(mut self, seed: &mut u64) {
        for _ in 0..400 {
            let dice = xorshift(seed);
            let pick = xorshift(seed) % self.all.len().max(1);
            let any = self.all.keys().nth(pick).copied();
            match dice % 16 {
                0..=2 => self.start(dice >> 4, false),
                3 => self.start(dice >> 4, true),
                4..=11 => any.into_iter().for_each(|id| self.poll(id)),
                _ => any.into_iter().for_each(|id| self.drop_one(id)),
            }
            self.check();
        }
        // Who is called comes, who is in leaves: all have their turn.
        loop {
            match (self.find(Stage::Called), self.find(Stage::In)) {
                (Some(id), _) => self.poll(id),
                (None, Some(id)) => self.drop_one(id),
                (None, None) => break,
            }
            self.check();
        }
        assert!(self.line.is_empty(), "somebody is left in line");
    }
}

struct Permits {
    semaphore: Rc<Semaphore>,
    total: usize,
    value: usize,
}

impl Rules for Permits {
    type Wish = usize;
    const CALLED_COME_FIRST: bool = true;

    fn wish(&self, dice: usize) -> usize {
        if dice.is_multiple_of(3) { dice / 3 % (self.total + 1) } else { 1 }
    }

    fn wish_at_once(&self, _: usize) -> usize {
        1
    }

    fn fits(&self, wish: usize) -> bool {
        wish <= self.value
    }

    fn take(&mut self, wish: usize) {
        self.value -= wish;
    }

    fn give(&mut self, wish: usize) {
        self.value += wish;
    }

    fn calls(wish: usize) -> usize {
        wish
    }

    fn enter(&self, wish: usize, is_in: Rc<Cell<bool>>) -> Pin<Box<dyn Future<Output = ()>>> {
        let semaphore = self.semaphore.clone();
        Box::pin(async move {
            let _permit = semaphore.acquire_many(wish).await;
            is_in.set(true);
            pending().await
        })
    }

    fn try_enter(&self, _: usize, is_in: Rc<Cell<bool>>) -> Pin<Box<dyn Future<Output = ()>>> {
        let semaphore = self.semaphore.clone();
        Box::pin(async move {
            let permit = semaphore.acquire_nowait();
            is_in.set(permit.is_ok());
            pending().await
        })
    }

    fn check(&self, waiters: usize, peak: usize) {
        let stats = self.semaphore.stats();
        assert_eq!((stats.available_permits, stats.waiters, stats.peak_waiters), (self.value, waiters, peak));
    }
}

#[test]
fn semaphores_follow_the_rules() {
    for mut seed in 1..=150_u64 {
        let total = 1 + xorshift(&mut seed) % 4;
        let semaphore = Rc::new(Semaphore::new(total));
        World::new(Permits { semaphore, total, value: total }).run(&mut seed);
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Wish {
    Read,
    Write,
}

struct ReadersAndWriters {
    lock: Rc<RwLock<()>>,
    readers: usize,
    is_writing: bool,
}

impl Rules for ReadersAndWriters {
    type Wish = Wish;
    const CALLED_COME_FIRST: bool = false;

    fn wish(&self, dice: usize) -> Wish {
        if dice.is_multiple_of(3) { Wish::Write } else { Wish::Read }
    }

    fn fits(&self, wish: Wish) -> bool {
        !self.is_writing && (wish == Wish::Read || self.readers == 0)
    }

    fn take(&mut self, wish: Wish) {
        match wish {
            Wish::Read => self.readers += 1,
            Wish::Write => self.is_writing = true,
        }
    }

    fn give(&mut self, wish: Wish) {
        match wish {
            Wish::Read => self.readers -= 1,
            Wish::Write => self.is_writing = false,
        }
    }

    fn calls(_: Wish) -> usize {
        usize::MAX
    }

    fn enter(&self, wish: Wish, is_in: Rc<Cell<bool>>) -> Pin<Box<dyn Future<Output = ()>>> {
        let lock = self.lock.clone();
        Box::pin(async move {
            let (mut read, mut write) = (None, None);
            match wish {
                Wish::Read => _ = read.insert(lock.read().await),
                Wish::Write => _ = write.insert(lock.write().await),
            }
            is_in.set(read.is_some() || write.is_some());
            pending().await
        })
    }

    fn try_enter(&self, wish: Wish, is_in: Rc<Cell<bool>>) -> Pin<Box<dyn Future<Output = ()>>> {
        let lock = self.lock.clone();
        Box::pin(async move {
            let read = if wish == Wish::Read { lock.read_nowait().ok() } else { None };
            let write = if wish == Wish::Write { lock.write_nowait().ok() } else { None };
            is_in.set(read.is_some() || write.is_some());
            pending().await
        })
    }

    fn check(&self, waiters: usize, peak: usize) {
        let stats = self.lock.stats();
        assert_eq!((stats.write_locked, stats.readers), (self.is_writing, self.readers));
        assert_eq!((stats.waiters, stats.peak_waiters), (waiters, peak));
    }
}

#[test]
fn read_write_locks_follow_the_rules() {
    for mut seed in 1..=150_u64 {
        let lock = Rc::new(RwLock::new(()));
        World::new(ReadersAndWriters { lock, readers: 0, is_writing: false }).run(&mut seed);
    }
}

fn xorshift(seed: &mut u64) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    (*seed >> 8) as usize
}
