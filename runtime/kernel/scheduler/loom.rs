//! Models of the inbox (`inbox.rs`): senders against the loop's sleep and end, in every order of threads
//! and under every reordering that the memory model allows.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release --lib loom`
//!
//! The bell here is a locked flag: rung before or while somebody waits for it, it ends one wait. A letter
//! that is slept through leaves home waiting for ever, which loom reports. The loops of home are those of
//! `event_loop.rs` in short.
//!
//! What stands in std atomics is bookkeeping of the model itself: invisible to loom, which runs one
//! thread at a time.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use loom::sync::{Condvar, Mutex};
use loom::thread::{self, JoinHandle};

use super::inbox::{Inbox, Posted};
use crate::kernel::atomic::{AtomicBool, Ordering};

/// Number of its sender, number among the sender's letters.
type Letter = (usize, usize);

struct Model {
    inbox: Inbox<Letter>,
    rung: Mutex<bool>,
    rings: Condvar,
    /// Rings since home last fell asleep.
    rings_this_sleep: AtomicUsize,
    /// Letters that a closed box gave back to their senders.
    refused: AtomicUsize,
}

impl Model {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            inbox: Inbox::new(),
            rung: Mutex::new(false),
            rings: Condvar::new(),
            rings_this_sleep: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        })
    }

    /// Threads that post so many letters each.
    fn send(self: &Arc<Self>, letters_per_sender: &[usize]) -> Vec<JoinHandle<()>> {
        let sender = |(sender, &letters)| {
            let model = self.clone();
            thread::spawn(move || (0..letters).for_each(|n| model.post((sender, n))))
        };
        letters_per_sender.iter().enumerate().map(sender).collect()
    }

    fn post(&self, letter: Letter) {
        match self.inbox.post(letter) {
            Ok(Posted::Awake) => {}
            Ok(Posted::Ring) => {
                let before = self.rings_this_sleep.fetch_add(1, Ordering::Relaxed);
                assert_eq!(before, 0, "rung twice for one sleep");
                self.ring();
            }
            Err(returned) => {
                assert_eq!(returned, letter);
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.rings.notify_one();
    }

    fn wait_for_bell(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.rings.wait(rung).unwrap();
        }
        *rung = false;
    }

    fn fall_asleep(&self) -> bool {
        self.rings_this_sleep.store(0, Ordering::Relaxed);
        self.inbox.fall_asleep()
    }

    /// Adds what the box holds to `got`, as a turn does.
    fn collect(&self, got: &mut Vec<Letter>) {
        if self.inbox.has_mail() {
            let mut letters = Vec::new();
            self.inbox.collect(&mut letters);
            got.append(&mut letters);
        }
    }
}

/// Explores all executions with up to three preemptions: switches away from a thread that could go on. Known
/// failures of such protocols need two at most, and the time grows tenfold with each.
fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut bounded = loom::model::Builder::new();
    bounded.preemption_bound = Some(3);
    bounded.check(model);
}

/// Fails unless these are all letters of all senders, those of one sender in the order of posting.
fn assert_complete(got: &[Letter], letters_per_sender: &[usize]) {
    for (sender, &letters) in letters_per_sender.iter().enumerate() {
        let numbers = got.iter().filter(|letter| letter.0 == sender).map(|letter| letter.1);
        assert!(numbers.eq(0..letters), "{got:?}");
    }
}

/// The loop itself sleeps, until it has all letters.
fn sleep_and_collect(letters_per_sender: &'static [usize]) {
    explore(move || {
        let model = Model::new();
        let senders = model.send(letters_per_sender);
        let mut got = Vec::new();
        model.inbox.wake_up();
        while got.len() < letters_per_sender.iter().sum() {
            if model.fall_asleep() {
                model.wait_for_bell();
            }
            model.inbox.wake_up();
            model.collect(&mut got);
        }
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        assert_complete(&got, letters_per_sender);
    });
}

/// A host waits for the bell, and lets the loop make one turn each time it rings.
fn watch_and_collect(letters_per_sender: &'static [usize]) {
    explore(move || {
        let model = Model::new();
        let senders = model.send(letters_per_sender);
        let mut got = Vec::new();
        while got.len() < letters_per_sender.iter().sum() {
            model.wait_for_bell();
            model.inbox.wake_up();
            model.collect(&mut got);
            if !model.fall_asleep() {
                model.ring();
            }
        }
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        assert_complete(&got, letters_per_sender);
    });
}

/// What the inbox rests on, and what loom by itself denies: it takes `SeqCst` accesses for `AcqRel` and
/// reports orders of events that the language excludes. `kernel/atomic.rs` makes up for it.
#[test]
fn the_facade_keeps_the_order_of_seq_cst_accesses() {
    loom::model(|| {
        let flags = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        let other = thread::spawn({
            let flags = flags.clone();
            move || {
                flags[0].store(true, Ordering::SeqCst);
                flags[1].load(Ordering::SeqCst)
            }
        });
        flags[1].store(true, Ordering::SeqCst);
        let seen = flags[0].load(Ordering::SeqCst);
        let seen_by_other = other.join().unwrap();
        assert!(seen || seen_by_other, "each stored and neither saw the other: no `SeqCst` allows that");
    });
}

#[test]
fn a_sleeping_loop_misses_no_letter_of_one_sender() {
    sleep_and_collect(&[2]);
}

#[test]
fn a_sleeping_loop_misses_no_letter_of_two_senders() {
    sleep_and_collect(&[1, 1]);
}

#[test]
fn a_host_that_watches_the_bell_misses_no_letter_of_one_sender() {
    watch_and_collect(&[2]);
}

#[test]
fn a_host_that_watches_the_bell_misses_no_letter_of_two_senders() {
    watch_and_collect(&[1, 1]);
}

#[test]
fn mail_that_was_posted_before_is_seen_without_sleeping() {
    explore(|| {
        let model = Model::new();
        model.inbox.wake_up();
        let senders = model.send(&[1, 1]);
        let mut got = Vec::new();
        model.collect(&mut got);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        model.collect(&mut got);
        assert_complete(&got, &[1, 1]);
        assert!(!model.inbox.has_mail());
    });
}

#[test]
fn a_closed_box_gives_letters_back_and_loses_none() {
    explore(|| {
        let model = Model::new();
        let senders = model.send(&[1, 2]);
        let mut got = Vec::new();
        model.inbox.wake_up();
        model.collect(&mut got);
        let left = model.inbox.close();
        let ended = got.len() + left.len();
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        assert_eq!(ended + model.refused.load(Ordering::Relaxed), 3);
        assert!(!model.inbox.has_mail(), "nothing comes any more");
        assert_eq!(model.inbox.close(), []);
    });
}
