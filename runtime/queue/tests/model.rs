//! Random operations against asyncio's algorithm written down with plain deques.
//!
//! The model says of every future whether it waits, was called or is done, so each poll of the real
//! queue has exactly one right answer. After each step nothing may be lost, doubled or forgotten.

use crate::queue::Queue;
use crate::sync::tests::Count;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    New,
    InLine,
    Called,
}

/// What a future ended with: the item it got, or nothing for a put; `Err` is a shut-down.
type Outcome = Result<Option<u32>, Option<u32>>;

struct Waiting {
    /// `Some` for a put.
    item: Option<u32>,
    stage: Stage,
    future: Pin<Box<dyn Future<Output = Outcome>>>,
    count: Arc<Count>,
    waker: Waker,
    wakes: usize,
}

struct World {
    queue: Rc<Queue<u32>>,
    futures: BTreeMap<usize, Waiting>,
    next_id: usize,
    next_item: u32,
    // the model
    items: VecDeque<u32>,
    maxsize: usize,
    is_shut_down: bool,
    getters: VecDeque<usize>,
    putters: VecDeque<usize>,
}

impl World {
    fn full(&self) -> bool {
        self.maxsize != 0 && self.items.len() >= self.maxsize
    }

    fn call(&mut self, id: Option<usize>) {
        if let Some(id) = id {
            let waiting = self.futures.get_mut(&id).unwrap();
            waiting.stage = Stage::Called;
            waiting.wakes += 1;
        }
    }

    fn stored(&mut self, item: u32) {
        self.items.push_back(item);
        let first = self.getters.pop_front();
        self.call(first);
    }

    fn taken(&mut self) -> Option<u32> {
        let item = self.items.pop_front()?;
        let first = self.putters.pop_front();
        self.call(first);
        Some(item)
    }

    fn start(&mut self, is_put: bool) {
        let queue = self.queue.clone();
        let item = is_put.then(|| self.item());
        let future: Pin<Box<dyn Future<Output = Outcome>>> =
            match item {
                Some(item) => Box::pin(async move {
                    queue.put(item).await.map(|()| None).map_err(|refused| Some(refused.0))
                }),
                None => Box::pin(async move { queue.get().await.map(Some).map_err(|_| None) }),
            };
        let (count, waker) = Count::pair();
        let waiting = Waiting { item, stage: Stage::New, future, count, waker, wakes: 0 };
        self.futures.insert(self.next_id, waiting);
        self.next_id += 1;
    }

    fn item(&mut self) -> u32 {
        self.next_item += 1;
        self.next_item
    }

    fn poll(&mut self, id: usize) {
        let mut waiting = self.futures.remove(&id).unwrap();
        let answer = waiting.future.as_mut().poll(&mut Context::from_waker(&waiting.waker));
        let item = waiting.item;
        let stage = waiting.stage;
        self.futures.insert(id, waiting);
        let expected = match (stage, item) {
            (Stage::InLine, _) => Poll::Pending,
            (_, Some(item)) if self.is_shut_down => Poll::Ready(Err(Some(item))),
            (_, Some(_)) if self.full() => {
                self.putters.push_back(id);
                Poll::Pending
            }
            (_, Some(item)) => {
                self.stored(item);
                Poll::Ready(Ok(None))
            }
            (_, None) => match self.taken() {
                Some(item) => Poll::Ready(Ok(Some(item))),
                None if self.is_shut_down => Poll::Ready(Err(None)),
                None => {
                    self.getters.push_back(id);
                    Poll::Pending
                }
            },
        };
        assert_eq!(answer, expected, "future {id} was {stage:?}");
        if expected.is_pending() {
            self.futures.get_mut(&id).unwrap().stage = Stage::InLine;
        } else {
            self.futures.remove(&id);
        }
    }

    fn drop_future(&mut self, id: usize) {
        let waiting = self.futures.remove(&id).unwrap();
        self.getters.retain(|&other| other != id);
        self.putters.retain(|&other| other != id);
        if waiting.stage == Stage::Called {
            let next = match waiting.item {
                Some(_) if !self.full() => self.putters.pop_front(),
                None if !self.items.is_empty() => self.getters.pop_front(),
                _ => None,
            };
            self.call(next);
        }
    }

    fn shut_down(&mut self, is_immediate: bool) {
        self.is_shut_down = true;
        if is_immediate {
            let rest: Vec<u32> = self.items.drain(..).collect();
            assert_eq!(self.queue.shutdown_now(), rest);
        } else {
            self.queue.shutdown();
        }
        let all: Vec<usize> = self.getters.drain(..).chain(self.putters.drain(..)).collect();
        all.into_iter().for_each(|id| self.call(Some(id)));
    }

    fn check(&self) {
        let queue = &self.queue;
        assert_eq!(queue.qsize(), self.items.len());
        assert_eq!((queue.full(), queue.empty()), (self.full(), self.items.is_empty()));
        assert_eq!(queue.getters.len(), self.getters.len());
        assert_eq!(queue.putters.len(), self.putters.len());
        let mut called = [false; 2];
        for (id, waiting) in &self.futures {
            assert_eq!(waiting.count.get(), waiting.wakes, "wakes of future {id}");
            called[usize::from(waiting.item.is_some())] |= waiting.stage == Stage::Called;
        }
        let is_forgotten = !self.items.is_empty() && !self.getters.is_empty() && !called[0];
        assert!(!is_forgotten, "there are items and getters wait, but none was called");
        let is_forgotten = !self.full() && !self.putters.is_empty() && !called[1];
        assert!(!is_forgotten, "there is room and putters wait, but none was called");
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
    for mut seed in 1..=150_u64 {
        let maxsize = xorshift(&mut seed) % 5;
        let mut world = World {
            queue: Rc::new(Queue::new(maxsize)),
            futures: BTreeMap::new(),
            next_id: 0,
            next_item: 0,
            items: VecDeque::new(),
            maxsize,
            is_shut_down: false,
            getters: VecDeque::new(),
            putters: VecDeque::new(),
        };
        for _ in 0..400 {
            let dice = xorshift(&mut seed);
            let pick = xorshift(&mut seed) % world.futures.len().max(1);
            let any = world.futures.keys().nth(pick).copied();
            match dice % 32 {
                0..=4 => world.start(true),
                5..=9 => world.start(false),
                10..=23 => any.into_iter().for_each(|id| world.poll(id)),
                24..=26 => any.into_iter().for_each(|id| world.drop_future(id)),
                27 | 28 => {
                    let item = world.item();
                    let is_refused = world.full() || world.is_shut_down;
                    assert_eq!(world.queue.put_nowait(item).is_err(), is_refused);
                    if !is_refused {
                        world.stored(item);
                    }
                }
                29 | 30 => assert_eq!(world.queue.get_nowait().ok(), world.taken()),
                _ if dice % 4096 > 4000 => world.shut_down(dice & 1 == 0),
                _ => {}
            }
            world.check();
        }
        // run what was called until nothing moves: whoever is left waits for a reason
        while let Some(id) = world.futures.iter().find(|(_, w)| w.stage == Stage::Called).map(|(&id, _)| id) {
            world.poll(id);
            world.check();
        }
    }
}
