//! What other threads ask of a loop, and how they wake it.
//!
//! A sender appends a letter under a lock and then rings the bell *only if the loop sleeps or is about
//! to*. The loop announces its sleep and then looks into the box once more. The two orders
//!
//! ```text
//! sender:  mail = true;      sleeping.swap(false) -> was it true? ring
//! loop:    sleeping = true;  mail?                -> is it true? do not sleep
//! ```
//!
//! are sequentially consistent, so at least one of the two sees the other: no letter is slept through,
//! and one sleep costs at most one ring. `loom.rs` checks exactly this. The box knows neither bell nor
//! letters: [`post`](Inbox::post) says whether to ring.

use std::mem;

use crate::kernel::atomic::{AtomicBool, Mutex, MutexGuard, Ordering};

/// See the module's description.
pub(crate) struct Inbox<M> {
    letters: Mutex<Letters<M>>,
    /// Whether `letters` holds something: one relaxed load per batch instead of a lock.
    mail: AtomicBool,
    /// Whether the loop sleeps, or left its turn to a host that watches the bell.
    sleeping: AtomicBool,
}

struct Letters<M> {
    queue: Vec<M>,
    closed: bool,
}

/// What the sender has to do after [`Inbox::post`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Posted {
    /// The loop is awake and will look.
    Awake,
    /// The loop sleeps: ring its bell.
    Ring,
}

impl<M> Inbox<M> {
    pub(crate) fn new() -> Self {
        Self {
            letters: Mutex::new(Letters { queue: Vec::new(), closed: false }),
            mail: AtomicBool::new(false),
            // A loop that is not turning is one that its host must be able to see: it "sleeps".
            sleeping: AtomicBool::new(true),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Letters<M>> {
        // Nothing under this lock can panic half-way, so a poisoned box is still a whole one.
        self.letters.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Appends a letter, on any thread. A closed box gives it back.
    pub(crate) fn post(&self, letter: M) -> Result<Posted, M> {
        {
            let mut letters = self.lock();
            if letters.closed {
                return Err(letter);
            }
            letters.queue.push(letter);
            self.mail.store(true, Ordering::SeqCst);
        }
        // A load first: while the loop is awake this costs no exclusive access to the cache line.
        if self.sleeping.load(Ordering::SeqCst) && self.sleeping.swap(false, Ordering::SeqCst) {
            Ok(Posted::Ring)
        } else {
            Ok(Posted::Awake)
        }
    }

    /// Whether there may be mail. Sees every letter whose posting happened before.
    #[inline]
    pub(crate) fn has_mail(&self) -> bool {
        self.mail.load(Ordering::Relaxed)
    }

    /// Moves all letters to `empty`, which becomes the box's next buffer: no allocation in steady state.
    pub(crate) fn collect(&self, empty: &mut Vec<M>) {
        debug_assert!(empty.is_empty());
        let mut letters = self.lock();
        self.mail.store(false, Ordering::Relaxed);
        mem::swap(&mut letters.queue, empty);
    }

    /// Announces a sleep. `false`: mail has come, do not sleep.
    pub(crate) fn fall_asleep(&self) -> bool {
        // Swaps on both sides, not stores: each change of the flag follows the one before it, so a sender
        // that took an earlier sleep's ring cannot seem to have taken this one's.
        self.sleeping.swap(true, Ordering::SeqCst);
        !self.mail.load(Ordering::SeqCst)
    }

    /// Ends a sleep. Late senders may still ring once; that costs a turn, nothing else.
    pub(crate) fn wake_up(&self) {
        self.sleeping.swap(false, Ordering::Relaxed);
    }

    /// Refuses letters from now on and returns those that wait.
    pub(crate) fn close(&self) -> Vec<M> {
        let mut letters = self.lock();
        letters.closed = true;
        self.mail.store(false, Ordering::Relaxed);
        mem::take(&mut letters.queue)
    }
}
