//! What waits, says for what: the ear for it.
//!
//! A task that waits is asked by one poll more than it needs, which every future has to bear. While this thread
//! [listens](Listening), a leaf future that stays pending in such a poll says what it waits for. It says so where it finds
//! that it waits *already*, so the first poll of a wait, which is the usual one, does not even look whether anybody listens.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};

thread_local! {
    static LISTENING: Cell<bool> = const { Cell::new(false) };
    static SAID: RefCell<Vec<Said>> = const { RefCell::new(Vec::new()) };
}

/// What a leaf has said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// The operation: `Queue::get`; empty if the tasks say it all.
    pub(crate) what: Cow<'static, str>,
    /// What those tasks are to it: `held by`, `the end of`.
    pub(crate) how: &'static str,
    /// Tasks that it depends on, by number.
    pub(crate) tasks: Vec<u64>,
}

/// While it lives, this thread listens.
pub(crate) struct Listening(());

impl Listening {
    pub(crate) fn start() -> Self {
        LISTENING.set(true);
        Self(())
    }

    /// What was said meanwhile, each thing once.
    pub(crate) fn heard(self) -> Vec<Said> {
        SAID.take()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        LISTENING.set(false);
        SAID.take();
    }
}

/// Whether somebody listens.
#[inline]
pub(crate) fn asked() -> bool {
    LISTENING.get()
}

/// Says what is waited for, if somebody listens.
#[inline]
pub(crate) fn waits_for(what: impl FnOnce() -> Cow<'static, str>) {
    if asked() {
        say(Said { what: what(), ..Said::default() });
    }
}

/// As [`waits_for`], with the tasks that it depends on: `gather of`, and those.
#[inline]
pub(crate) fn waits_for_tasks(how: &'static str, tasks: impl FnOnce() -> Vec<u64>) {
    if asked() {
        say(Said { how, tasks: tasks(), ..Said::default() });
    }
}

/// What was said last is in this task's hands: `held by`, and that.
#[inline]
pub(crate) fn in_hands_of(how: &'static str, task: u64) {
    if asked() {
        SAID.with_borrow_mut(|said| {
            if let Some(last) = said.last_mut() {
                last.how = how;
                last.tasks = vec![task];
            }
        });
    }
}

/// More about what was said last: `made at src/main.rs:3:5`.
#[inline]
pub(crate) fn of(what: impl FnOnce() -> String) {
    if asked() {
        SAID.with_borrow_mut(|said| {
            if let Some(last) = said.last_mut() {
                last.what = format!("{} {}", last.what, what()).into();
            }
        });
    }
}

#[cold]
fn say(new: Said) {
    SAID.with_borrow_mut(|said| {
        if !said.contains(&new) {
            said.push(new);
        }
    });
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_to_nobody() {
        waits_for(|| unreachable!("nobody listens"));
        let listening = Listening::start();
        waits_for(|| "Lock::acquire".into());
        in_hands_of("held by", 7);
        waits_for(|| "Event::wait".into());
        waits_for(|| "Event::wait".into());
        let heard = listening.heard();
        assert_eq!(heard.len(), 2, "each thing once");
        assert_eq!((&*heard[0].what, heard[0].how, &*heard[0].tasks), ("Lock::acquire", "held by", &[7][..]));
        assert!(!asked());
        drop(Listening::start());
        assert!(Listening::start().heard().is_empty());
    }
}
