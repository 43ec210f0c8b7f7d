//! The FIFO against a plain queue, under random operations.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ptr::NonNull;

use super::alarm::{Alarm, AlarmVtable, Alarmed};
use super::{Entry, EntryVtable, Letter, ReadyList};
use crate::kernel::debug::Step;

thread_local! {
    /// What became of entries, in order: run, or discarded.
    static LOG: RefCell<Vec<(u64, bool)>> = const { RefCell::new(Vec::new()) };
    /// What an entry pushes when it runs.
    static NEXT: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

#[repr(C)]
struct Probe {
    entry: Entry,
    id: u64,
    list: *const ReadyList,
}

static VTABLE: EntryVtable =
    EntryVtable { alarm: ALARM, run, discard, deliver, discard_abroad: discard, describe };
const ALARM: AlarmVtable = AlarmVtable { ring, give_up, wakes: |_, _| false, is_waker: false };

unsafe fn describe(_: NonNull<Entry>) -> Step {
    Step::Callback(None)
}

fn probe(id: u64, list: &ReadyList) -> NonNull<Entry> {
    // SAFETY: the vtable lives for ever and is made for `Probe`.
    let entry = unsafe { Entry::new(&raw const VTABLE) };
    NonNull::from(Box::leak(Box::new(Probe { entry, id, list }))).cast()
}

unsafe fn end(entry: NonNull<Entry>, ran: bool) -> Probe {
    // SAFETY: each entry of these tests is a leaked `Probe`, and the claim on it ends here.
    let probe = *unsafe { Box::from_raw(entry.cast::<Probe>().as_ptr()) };
    LOG.with_borrow_mut(|log| log.push((probe.id, ran)));
    probe
}

unsafe fn run(entry: NonNull<Entry>) {
    // SAFETY: the list's claim.
    let this = unsafe { end(entry, true) };
    if let Some(id) = NEXT.with_borrow_mut(Vec::pop) {
        // SAFETY: the list outlives its batch; the new entry is in no list and gives its claim away.
        unsafe { (*this.list).push(probe(id, &*this.list)) };
    }
}

unsafe fn discard(entry: NonNull<Entry>) {
    // SAFETY: the caller's claim.
    unsafe { end(entry, false) };
}

unsafe fn ring(this: NonNull<Alarmed>, ready: &ReadyList) {
    // SAFETY: the alarm's claim is passed on.
    unsafe { ready.push(this.cast()) };
}

unsafe fn give_up(this: NonNull<Alarmed>) {
    // SAFETY: the alarm's claim.
    unsafe { end(this.cast(), false) };
}

unsafe fn deliver(entry: NonNull<Entry>, ready: &ReadyList) {
    // SAFETY: the letter's claim is passed on.
    unsafe { ready.push(entry) };
}

#[test]
fn a_batch_is_what_was_ready_in_order_and_nothing_is_lost() {
    for seed in 1..200u64 {
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut below = |n: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % n
        };
        let list = ReadyList::new();
        let mut model = VecDeque::new();
        let mut id = 0;
        for _ in 0..100 {
            let action = below(8);
            if action <= 4 {
                id += 1;
                model.push_back(id);
                let entry = probe(id, &list);
                match action {
                    // SAFETY: at home, in no list, one claim that is given away.
                    0 => unsafe { Letter::new(entry).deliver(&list) },
                    // SAFETY: as above.
                    1 => unsafe { Alarm::new(entry.cast()) }.ring(&list),
                    // SAFETY: as above.
                    _ => unsafe { list.push(entry) },
                }
            } else if action == 5 {
                id += 1;
                // SAFETY: as above.
                drop(unsafe { Alarm::new(probe(id, &list).cast()) });
                assert_eq!(LOG.take(), [(id, false)], "an alarm that is dropped gives its claim up");
            } else {
                // Some of the entries push another one, which must wait for the next batch.
                let pushed: Vec<u64> = (0..below(3).min(model.len() as u64)).map(|n| id + 1 + n).collect();
                id += pushed.len() as u64;
                NEXT.set(pushed.iter().rev().copied().collect());
                let batch: Vec<(u64, bool)> = model.drain(..).map(|id| (id, true)).collect();
                assert_eq!(list.run_batch() as usize, batch.len());
                assert_eq!(LOG.take(), batch);
                model.extend(pushed);
            }
            assert_eq!(list.is_empty(), model.is_empty());
        }
        list.discard_all();
        let rest: Vec<(u64, bool)> = model.drain(..).map(|id| (id, false)).collect();
        assert_eq!(LOG.take(), rest);
        assert!(list.is_empty());
    }
}
