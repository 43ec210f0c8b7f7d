//! `Barrier`: random parties, who come, leave, are woken in any order, abort and reset.

use super::{Count, a_waker_panics_in, panicking_waker, poll};
use crate::sync::{Barrier, BrokenBarrierError};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, Waker};

type Waiting<'a> = Pin<Box<dyn Future<Output = Result<usize, BrokenBarrierError>> + 'a>>;

/// Somebody who waits, and what woke him since he was polled.
struct Party<'a> {
    wait: Waiting<'a>,
    count: Arc<Count>,
    waker: Waker,
    seen: usize,
}

impl<'a> Party<'a> {
    fn new(barrier: &'a Barrier) -> Self {
        let (count, waker) = Count::pair();
        Party { wait: Box::pin(barrier.wait()), count, waker, seen: 0 }
    }

    fn is_woken(&self) -> bool {
        self.count.get() > self.seen
    }

    fn poll(&mut self) -> Poll<Result<usize, BrokenBarrierError>> {
        self.seen = self.count.get();
        poll(&mut self.wait, &self.waker)
    }
}

fn xorshift(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed >> 8
}

/// The indices that the parties of a round got, and how many rounds there were.
#[derive(Default)]
struct Rounds {
    indices: BTreeSet<usize>,
    begun: usize,
}

impl Rounds {
    /// Polls a party; gives it back if it still waits.
    fn poll<'a>(&mut self, barrier: &Barrier, mut party: Party<'a>) -> Option<Party<'a>> {
        let fills = format!("{barrier:?}").contains("Filling");
        match party.poll() {
            Poll::Pending => return Some(party),
            Poll::Ready(Err(BrokenBarrierError)) => {}
            Poll::Ready(Ok(index)) => {
                if fills {
                    // It was the last to arrive.
                    self.indices.clear();
                    self.begun += 1;
                }
                assert!(index < barrier.parties());
                assert!(self.indices.insert(index), "{index} twice in a round");
            }
        }
        None
    }
}

fn play(mut seed: u64, parties: usize) -> usize {
    let barrier = Barrier::new(parties);
    let mut waiting: Vec<Party<'_>> = Vec::new();
    let mut rounds = Rounds::default();
    for _ in 0..2_000 {
        let dice = xorshift(&mut seed);
        let any = (dice >> 8) as usize % waiting.len().max(1);
        match dice % 64 {
            0..24 => waiting.extend(rounds.poll(&barrier, Party::new(&barrier))),
            24..56 => {
                // One who was woken, but not always the first.
                let woken = |at: &usize| waiting[*at].is_woken();
                let Some(at) = (any..waiting.len()).chain(0..any).find(woken) else { continue };
                let party = waiting.remove(at);
                if let Some(party) = rounds.poll(&barrier, party) {
                    waiting.insert(at, party);
                }
            }
            56..60 if !waiting.is_empty() => drop(waiting.remove(any)),
            60 if !waiting.is_empty() && !waiting[any].is_woken() => {
                assert!(waiting[any].poll().is_pending(), "a poll that nobody asked for changes nothing");
            }
            61 => barrier.abort(),
            62 => barrier.reset(),
            63 => {
                while let Some(at) = waiting.iter().position(Party::is_woken) {
                    let party = waiting.remove(at);
                    waiting.extend(rounds.poll(&barrier, party));
                }
                // Nobody is on his way, and nobody stands before a barrier that has room.
                let text = format!("{barrier:?}");
                assert!(text.contains("Filling") || text.contains("Broken"), "{text}");
                assert_eq!(waiting.len(), barrier.n_waiting(), "{text}");
                assert!(waiting.len() < parties);
            }
            _ => {}
        }
    }
    rounds.begun
}

#[test]
fn whatever_happens_nobody_is_left_waiting_and_no_index_comes_twice() {
    let rounds: usize =
        (1..=100).map(|seed: u64| play(seed << 32 | 0x9E37_79B9, 1 + seed as usize % 4)).sum();
    assert!(rounds > 1_000, "{rounds}");
}

#[test]
fn the_index_of_one_who_left_goes_to_the_next_to_arrive() {
    let barrier = Barrier::new(4);
    let mut parties: Vec<_> = (0..3).map(|_| Party::new(&barrier)).collect();
    parties.iter_mut().for_each(|party| assert!(party.poll().is_pending()));
    drop(parties.remove(1));
    let mut last = [Party::new(&barrier), Party::new(&barrier)];
    assert!(last[0].poll().is_pending());
    assert_eq!(last[1].poll(), Poll::Ready(Ok(3)));
    assert_eq!(last[0].poll(), Poll::Ready(Ok(1)));
    assert_eq!(
        parties.iter_mut().map(Party::poll).collect::<Vec<_>>(),
        [Poll::Ready(Ok(0)), Poll::Ready(Ok(2))]
    );
}

#[test]
fn a_waker_that_panics_keeps_nobody_outside() {
    let barrier = Barrier::new(2);
    let (count, waker) = Count::pair();
    let [mut first, mut last, mut third, mut fourth] = [(); 4].map(|()| Box::pin(barrier.wait()));
    assert!(poll(&mut first, Waker::noop()).is_pending());
    assert_eq!(poll(&mut last, Waker::noop()), Poll::Ready(Ok(1)));
    assert!(poll(&mut third, &panicking_waker()).is_pending());
    assert!(poll(&mut fourth, &waker).is_pending());
    assert!(a_waker_panics_in(|| _ = poll(&mut first, Waker::noop())));
    assert_eq!(count.get(), 1);
    assert!(poll(&mut fourth, Waker::noop()).is_pending());
    assert_eq!(poll(&mut third, Waker::noop()), Poll::Ready(Ok(1)));
}
