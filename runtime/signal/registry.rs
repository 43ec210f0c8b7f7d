//! Which signals somebody in this process listens to: our handler is installed with the first listener, and what
//! was there before is put back with the last.
//!
//! A listener here is a loop that listens, however many streams and callbacks it has. The lock is never taken
//! in the handler. `process` is this process's number: each run of a program comes here several times, and asks the
//! system for it once.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::post_box::PostBox;
use super::unix::{self, Action};

static TABLE: Mutex<Table> = Mutex::new(Table { process: 0, signals: BTreeMap::new() });

struct Table {
    /// Whose listeners these are. A forked child has a copy, and none of the listeners.
    process: u32,
    /// An entry stays when its last listener has left: our handler may be put back by somebody who has saved it.
    signals: BTreeMap<i32, Installed>,
}

struct Installed {
    listeners: usize,
    /// What to put back.
    former: Action,
    /// When the last listener left, somebody else's handler was in place, which may call ours: it must not be
    /// called by ours in its turn.
    below: bool,
}

fn table(process: u32) -> MutexGuard<'static, Table> {
    // No foreign code runs under this lock.
    let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    if table.process != process {
        table.process = process;
        table.signals.values_mut().for_each(|installed| installed.listeners = 0);
    }
    table
}

/// One more loop listens.
pub(super) fn listen(number: i32, process: u32) -> io::Result<()> {
    let mut table = table(process);
    match table.signals.get_mut(&number) {
        // It may be ours without a listener: in a forked child, and where somebody has put back what they had saved.
        Some(installed) if installed.listeners > 0 || Action::of(number)?.is_ours() => {
            installed.listeners += 1;
        }
        Some(installed) => {
            installed.former = unix::install(number, !installed.below)?;
            // Whoever was above us is gone, if there is no function at all.
            installed.below &= installed.former.is_function();
            installed.listeners = 1;
        }
        None => {
            let former = unix::install(number, true)?;
            table.signals.insert(number, Installed { listeners: 1, former, below: false });
        }
    }
    unix::listens_here(number, process);
    Ok(())
}

/// One loop less listens.
pub(super) fn leave(number: i32, process: u32) {
    let mut table = table(process);
    let Some(installed) = table.signals.get_mut(&number).filter(|installed| installed.listeners > 0) else {
        return;
    };
    installed.listeners -= 1;
    if installed.listeners == 0 {
        unix::nobody_listens(number);
        installed.below |= !unix::restore(number, &installed.former);
    }
}

/// Whether the signal does what it does by default, if nobody here listens.
pub(super) fn is_default(number: i32, process: u32) -> bool {
    let table = table(process);
    match Action::of(number) {
        Ok(action) if action.is_ours() => {
            table.signals.get(&number).is_some_and(|installed| installed.former.is_default())
        }
        Ok(action) => action.is_default(),
        Err(_) => false,
    }
}

/// A post box for a loop.
pub(super) fn take_post_box(process: u32) -> &'static PostBox {
    let _table = table(process);
    let mut next = unix::post_boxes();
    while let Some(post_box) = next {
        if !post_box.taken.load(Ordering::Relaxed) {
            post_box.taken.store(true, Ordering::Relaxed);
            return post_box;
        }
        next = post_box.next;
    }
    unix::add_post_box()
}

/// The loop does not need it any more. It is closed.
pub(super) fn give_post_box_back(post_box: &'static PostBox, process: u32) {
    let _table = table(process);
    post_box.taken.store(false, Ordering::Relaxed);
}
