//! Random operations on a bounded channel, against the accounts written down with plain numbers and a deque.
//!
//! The model says of every future whether it waits, was called, holds a permit or is done, so each poll of the real
//! one has exactly one right answer. After each step nobody may wait without a reason.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::channel::mpsc::{self, Receiver, SendError, Sender, TryRecvError, TrySendError};
use crate::sync::tests::Count;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    New,
    InLine,
    Called,
    /// Has a permit, and sends when it is polled again.
    Holds,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Send,
    Reserve,
}

/// `Err` has the value that came back, if it had one to give.
type Outcome = Result<(), Option<u32>>;

struct Sending {
    kind: Kind,
    value: u32,
    stage: Stage,
    future: Pin<Box<dyn Future<Output = Outcome>>>,
    count: Arc<Count>,
    waker: Waker,
    wakes: usize,
}

/// A `recv` in flight, which has the receiver until it ends.
struct Receiving {
    future: Pin<Box<dyn Future<Output = Option<u32>>>>,
    count: Arc<Count>,
    waker: Waker,
    wakes: usize,
    waits: bool,
}

/// Lends the receiver to a future that owns it.
struct Lent {
    home: Rc<RefCell<Option<Receiver<u32>>>>,
    receiver: Option<Receiver<u32>>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        *self.home.borrow_mut() = self.receiver.take();
    }
}

struct World {
    senders: Vec<Sender<u32>>,
    receiver: Rc<RefCell<Option<Receiver<u32>>>>,
    receiving: Option<Receiving>,
    sending: BTreeMap<usize, Sending>,
    next_id: usize,
    next_value: u32,
    // the model
    capacity: usize,
    items: VecDeque<u32>,
    line: VecDeque<usize>,
    peak: usize,
    is_closed: bool,
    is_gone: bool,
}

impl World {
    fn new(capacity: usize) -> Self {
        let (sender, receiver) = mpsc::channel(capacity);
        World {
            senders: vec![sender],
            receiver: Rc::new(RefCell::new(Some(receiver))),
            receiving: None,
            sending: BTreeMap::new(),
            next_id: 0,
            next_value: 0,
            capacity,
            items: VecDeque::new(),
            line: VecDeque::new(),
            peak: 0,
            is_closed: false,
            is_gone: false,
        }
    }

    fn at_stage(&self, stage: Stage) -> usize {
        self.sending.values().filter(|sending| sending.stage == stage).count()
    }

    fn free(&self) -> usize {
        if self.is_closed {
            return 0;
        }
        self.capacity - self.items.len() - self.at_stage(Stage::Called) - self.at_stage(Stage::Holds)
    }

    fn has_ended(&self) -> bool {
        let no_sender = self.senders.is_empty() && self.sending.is_empty();
        self.items.is_empty() && (no_sender || self.is_closed && self.at_stage(Stage::Holds) == 0)
    }

    fn value(&mut self) -> u32 {
        self.next_value += 1;
        self.next_value
    }

    /// The receiver is woken if it waits.
    fn call_receiver(&mut self) {
        if let Some(receiving) = self.receiving.as_mut().filter(|receiving| receiving.waits) {
            receiving.waits = false;
            receiving.wakes += 1;
        }
    }

    fn stored(&mut self, value: u32) {
        self.items.push_back(value);
        self.peak = self.peak.max(self.items.len());
        self.call_receiver();
    }

    /// So many slots go to the first in line. Their futures' stages tell that the slots are not free.
    fn left_behind(&mut self, slots: usize) {
        for _ in 0..slots {
            let Some(id) = self.line.pop_front() else { return };
            let called = self.sending.get_mut(&id).unwrap();
            called.stage = Stage::Called;
            called.wakes += 1;
        }
    }

    fn taken(&mut self) -> Option<u32> {
        let value = self.items.pop_front()?;
        self.left_behind(1);
        Some(value)
    }

    fn start(&mut self, kind: Kind, pick: usize) {
        let Some(sender) = self.senders.get(pick % self.senders.len().max(1)).cloned() else { return };
        let value = self.value();
        let future: Pin<Box<dyn Future<Output = Outcome>>> = match kind {
            Kind::Send => {
                Box::pin(async move { sender.send(value).await.map_err(|refused| Some(refused.0)) })
            }
            Kind::Reserve => Box::pin(async move {
                let permit = sender.reserve().await.map_err(|SendError(())| None)?;
                crate::yield_now().await;
                permit.send(value).map_err(|refused| Some(refused.0))
            }),
        };
        let (count, waker) = Count::pair();
        let sending = Sending { kind, value, stage: Stage::New, future, count, waker, wakes: 0 };
        self.sending.insert(self.next_id, sending);
        self.next_id += 1;
    }

    fn poll(&mut self, id: usize) {
        let sending = self.sending.get_mut(&id).unwrap();
        let answer = sending.future.as_mut().poll(&mut Context::from_waker(&sending.waker));
        let (kind, value, stage) = (sending.kind, sending.value, sending.stage);
        let refused = (kind == Kind::Send).then_some(value);
        let is_granted = match stage {
            Stage::InLine => false,
            Stage::New => self.free() > 0,
            Stage::Called => !self.is_closed,
            Stage::Holds => !self.is_gone,
        };
        let is_refused = match stage {
            Stage::InLine => false,
            Stage::New | Stage::Called => self.is_closed,
            Stage::Holds => self.is_gone,
        };
        let expected = match (is_granted, is_refused) {
            (true, _) if kind == Kind::Reserve && stage != Stage::Holds => Poll::Pending,
            (true, _) => Poll::Ready(Ok(())),
            (_, true) if stage == Stage::Holds => Poll::Ready(Err(Some(value))),
            (_, true) => Poll::Ready(Err(refused)),
            _ => Poll::Pending,
        };
        assert_eq!(answer, expected, "future {id}, {kind:?}, was {stage:?}");
        if expected.is_pending() {
            let sending = self.sending.get_mut(&id).unwrap();
            if is_granted {
                sending.stage = Stage::Holds;
                sending.wakes += 1; // by its yield
            } else if stage == Stage::New {
                sending.stage = Stage::InLine;
                self.line.push_back(id);
            }
            return;
        }
        // Its stage ends first, so that the slot is counted once.
        self.sending.get_mut(&id).unwrap().stage = Stage::New;
        if expected == Poll::Ready(Ok(())) {
            self.stored(value);
        }
        self.remove(id);
    }

    /// Ends a future that has no slot; its clone of the sender goes with it.
    fn remove(&mut self, id: usize) {
        drop(self.sending.remove(&id).unwrap());
        self.line.retain(|&other| other != id);
        self.sender_gone();
    }

    fn drop_sending(&mut self, id: usize) {
        let stage = self.sending[&id].stage;
        drop(std::mem::replace(
            &mut self.sending.get_mut(&id).unwrap().future,
            Box::pin(std::future::pending()),
        ));
        self.sending.get_mut(&id).unwrap().stage = Stage::New;
        match stage {
            Stage::Called | Stage::Holds if !self.is_closed => self.left_behind(1),
            Stage::Holds if self.at_stage(Stage::Holds) == 0 => self.call_receiver(),
            _ => {}
        }
        self.remove(id);
    }

    fn sender_gone(&mut self) {
        if self.senders.is_empty() && self.sending.is_empty() {
            self.call_receiver();
        }
    }

    fn try_send(&mut self, pick: usize) {
        let value = self.value();
        let Some(sender) = self.senders.get(pick % self.senders.len().max(1)) else { return };
        let expected = match (self.is_closed, self.free()) {
            (true, _) => Err(TrySendError::Closed(value)),
            (false, 0) => Err(TrySendError::Full(value)),
            (false, _) => Ok(()),
        };
        assert_eq!(sender.try_send(value), expected);
        if expected.is_ok() {
            self.stored(value);
        }
    }

    fn start_receiving(&mut self) {
        let Some(receiver) = self.receiver.take() else { return };
        let mut lent = Lent { home: self.receiver.clone(), receiver: Some(receiver) };
        let future = Box::pin(async move { lent.receiver.as_mut().unwrap().recv().await });
        let (count, waker) = Count::pair();
        self.receiving = Some(Receiving { future, count, waker, wakes: 0, waits: false });
    }

    fn poll_receiving(&mut self) {
        let Some(mut receiving) = self.receiving.take() else { return };
        let answer = receiving.future.as_mut().poll(&mut Context::from_waker(&receiving.waker));
        let expected = match self.taken() {
            None if !self.has_ended() => Poll::Pending,
            found => Poll::Ready(found),
        };
        assert_eq!(answer, expected);
        if expected.is_pending() {
            receiving.waits = true;
            self.receiving = Some(receiving);
        }
    }

    fn try_recv(&mut self, limit: usize) {
        let mut slot = self.receiver.take();
        let Some(receiver) = &mut slot else { return };
        if limit == 1 {
            let expected = match self.taken() {
                Some(value) => Ok(value),
                None if self.has_ended() => Err(TryRecvError::Closed),
                None => Err(TryRecvError::Empty),
            };
            assert_eq!(receiver.try_recv(), expected);
        } else {
            let mut batch = Vec::new();
            let future = receiver.recv_many(&mut batch, limit);
            let answer = std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop()));
            let expected: Vec<u32> = self.items.drain(..limit.min(self.items.len())).collect();
            self.left_behind(expected.len());
            let is_done = !expected.is_empty() || self.has_ended() || limit == 0;
            assert_eq!(answer, if is_done { Poll::Ready(expected.len()) } else { Poll::Pending });
            assert_eq!(batch, expected);
        }
        *self.receiver.borrow_mut() = slot;
    }

    fn close(&mut self, by_dropping: bool) {
        let mut slot = self.receiver.take();
        let Some(receiver) = &mut slot else { return };
        if by_dropping {
            drop(slot.take());
            self.items.clear();
            self.is_gone = true;
        } else {
            receiver.close();
        }
        *self.receiver.borrow_mut() = slot;
        self.is_closed = true;
        while let Some(id) = self.line.pop_front() {
            let called = self.sending.get_mut(&id).unwrap();
            called.stage = Stage::Called;
            called.wakes += 1;
        }
    }

    fn check(&self) {
        if let Some(sender) = self.senders.first() {
            let stats = sender.stats();
            assert_eq!(stats.len, self.items.len());
            assert_eq!(stats.peak, self.peak);
            assert_eq!(stats.senders, self.senders.len() + self.sending.len());
            assert_eq!(stats.waiting_senders, self.line.len());
            assert_eq!(
                stats.receiver_waits,
                self.receiving.as_ref().is_some_and(|receiving| receiving.waits)
            );
            assert_eq!(sender.capacity(), self.free());
            assert_eq!(sender.is_closed(), self.is_closed);
        }
        for (id, sending) in &self.sending {
            assert_eq!(sending.count.get(), sending.wakes, "wakes of future {id}");
        }
        assert!(self.line.is_empty() || !self.is_closed && self.free() == 0, "somebody waits for nothing");
        if let Some(receiving) = &self.receiving {
            assert_eq!(receiving.count.get(), receiving.wakes, "wakes of the receiver");
            let has_something = !self.items.is_empty() || self.has_ended();
            assert!(!(receiving.waits && has_something), "the receiver waits for nothing");
        }
    }
}

fn xorshift(seed: &mut u64) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    (*seed >> 8) as usize
}

#[test]
fn random_operations_match_the_model() {
    for mut seed in 1..=300_u64 {
        let mut world = World::new(1 + xorshift(&mut seed) % 4);
        for _ in 0..300 {
            let (dice, pick) = (xorshift(&mut seed), xorshift(&mut seed));
            let any = world.sending.keys().nth(pick % world.sending.len().max(1)).copied();
            match dice % 40 {
                0..=4 => world.start(Kind::Send, pick),
                5..=8 => world.start(Kind::Reserve, pick),
                9..=20 => any.into_iter().for_each(|id| world.poll(id)),
                21..=23 => any.into_iter().for_each(|id| world.drop_sending(id)),
                24 | 25 => world.try_send(pick),
                26 | 27 => world.start_receiving(),
                28..=32 => world.poll_receiving(),
                33 => drop(world.receiving.take()),
                34 => world.try_recv(1),
                35 => world.try_recv(pick % 4),
                36 => world.senders.extend(world.senders.first().cloned()),
                37 if (world.senders.len() > 1 || dice % 512 > 500) && world.senders.pop().is_some() => {
                    world.sender_gone();
                }
                38 if dice % 4096 > 4040 => world.close(dice & 1 == 0),
                _ => {}
            }
            world.check();
        }
    }
}
