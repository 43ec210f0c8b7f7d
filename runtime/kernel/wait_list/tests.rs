//! The line against a plain model, and foreign code that calls back into it.

use super::*;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Counter {
    fn pair() -> (Arc<Counter>, Waker) {
        let counter = Arc::new(Counter::default());
        (counter.clone(), Waker::from(counter))
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn xorshift(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

#[test]
fn random_operations_match_a_deque() {
    for mut seed in 1..=40_u64 {
        let list = WaitList::<u64>::new();
        let mut model: VecDeque<(WaitKey, u64)> = VecDeque::new();
        let mut gone: Vec<WaitKey> = Vec::new();
        let mut peak = 0;
        for step in 0..1_000 {
            let dice = xorshift(&mut seed);
            let at = (dice >> 16) as usize % model.len().max(1);
            match dice % 8 {
                0..=2 => model.push_back((list.push(step), step)),
                3 => {
                    let may_go = dice & 1 << 20 == 0;
                    let expected = if may_go { model.pop_front() } else { None };
                    let front = model.front().map(|(_, value)| *value);
                    let is_asked = |value: &u64| may_go || front != Some(*value);
                    assert_eq!(list.pop_front_if(is_asked), expected.map(|(_, value)| value));
                    gone.extend(expected.map(|(key, _)| key));
                }
                4 | 5 => {
                    if let Some((key, _)) = model.remove(at) {
                        assert!(list.remove(key));
                        gone.push(key);
                    }
                }
                6 => {
                    if let Some((key, value)) = model.get_mut(at) {
                        let is_current = |old: &u64| old == value;
                        assert!(list.refresh_with(*key, is_current, || unreachable!("it is")));
                        assert!(list.refresh_with(*key, |_| false, || step));
                        *value = step;
                    }
                }
                _ => {
                    if let Some(&key) = gone.get((dice >> 16) as usize % gone.len().max(1)) {
                        assert!(!list.remove(key));
                        assert!(!list.refresh_with(key, |_| true, || step));
                    }
                }
            }
            peak = peak.max(model.len());
            assert_eq!((list.len(), list.peak()), (model.len(), peak));
            assert_eq!(list.is_empty(), model.is_empty());
        }
        while let Some((_, value)) = model.pop_front() {
            assert_eq!(list.pop_front(), Some(value));
        }
        assert_eq!(list.pop_front(), None);
    }
}

#[test]
fn slots_are_reused_and_old_keys_stay_dead() {
    let list = WaitList::<u8>::new();
    let old = list.push(1);
    assert!(list.remove(old));
    for _ in 0..100 {
        let key = list.push(2);
        assert_ne!(key, old);
        assert!(!list.remove(old));
        assert!(list.remove(key));
    }
    assert_eq!((list.line.borrow().more.len(), list.peak()), (0, 1));
}

#[test]
fn refresh_replaces_only_a_waker_of_another_task() {
    let list = WaitList::new();
    let ((a, waker_a), (b, waker_b)) = (Counter::pair(), Counter::pair());
    let key = list.push(waker_a.clone());
    let references = Arc::strong_count(&a);
    assert!(list.refresh(key, &waker_a));
    assert_eq!(Arc::strong_count(&a), references);
    assert!(list.refresh(key, &waker_b));
    assert_eq!(Arc::strong_count(&a), references - 1);
    assert!(list.wake_one());
    assert_eq!((a.count(), b.count()), (0, 1));
    assert!(!list.refresh(key, &waker_b));
    assert!(!list.wake_one());
}

#[test]
fn a_place_is_outside_then_in_line_then_called_then_outside() {
    let list = WaitList::new();
    let (_, waker) = Counter::pair();
    let mut place = Place::new();
    assert_eq!(place.poll(&list, &waker), Standing::Outside);
    place.enter(&list, &waker);
    assert_eq!(place.poll(&list, &waker), Standing::InLine);
    assert!(list.wake_one());
    assert_eq!(place.poll(&list, &waker), Standing::Called);
    assert_eq!(place.poll(&list, &waker), Standing::Outside);
    place.enter(&list, &waker);
    assert_eq!(place.leave(&list), Standing::InLine);
    place.enter(&list, &waker);
    list.wake_all();
    assert_eq!(place.leave(&list), Standing::Called);
    assert_eq!(place.leave(&list), Standing::Outside);
    assert!(list.is_empty());
}

thread_local! {
    static LIST: Rc<WaitList> = Rc::new(WaitList::new());
}

/// A waker that uses the list whenever it is woken or dropped.
struct Meddler;

impl Meddler {
    fn meddle() {
        LIST.with(|list| {
            let key = list.push(Waker::noop().clone());
            assert!(list.refresh(key, Waker::noop()));
            assert!(list.remove(key));
        });
    }
}

impl Wake for Meddler {
    fn wake(self: Arc<Self>) {
        Meddler::meddle();
        LIST.with(|list| list.push(Waker::from(Arc::new(Meddler))));
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        Meddler::meddle();
    }
}

#[test]
fn wakers_may_use_the_list_while_they_are_woken_replaced_or_dropped() {
    let list = LIST.with(Rc::clone);
    let meddler = || Waker::from(Arc::new(Meddler));
    let key = list.push(meddler());
    assert!(list.refresh(key, &meddler()));
    assert!(list.remove(key));
    for _ in 0..3 {
        list.push(meddler());
    }
    list.wake_all(); // each joins again, which this call must not see
    assert_eq!(list.len(), 3);
    while list.pop_front().is_some() {}
}

struct Panicking(&'static str);

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        std::panic::panic_any(self.0);
    }
}

#[test]
fn wakers_that_panic_keep_nobody_in_line() {
    let (lines, (count, waker)) = ([WaitList::new(), WaitList::new()], Counter::pair());
    for (line, panic) in lines.iter().zip(["first", "second"]) {
        line.push(waker.clone());
        line.push(Waker::from(Arc::new(Panicking(panic))));
        line.push(waker.clone());
    }
    let woken = catch_unwind(AssertUnwindSafe(|| WaitList::wake_all_of(&[&lines[0], &lines[1]])));
    assert_eq!(woken.unwrap_err().downcast_ref(), Some(&"first"), "it goes on with the first panic");
    assert_eq!(count.count(), 4);
    assert!(lines.iter().all(WaitList::is_empty));

    lines[0].push(Waker::from(Arc::new(Panicking("alone"))));
    lines[0].push(waker);
    let woken = catch_unwind(AssertUnwindSafe(|| lines[0].wake_all()));
    assert_eq!(woken.unwrap_err().downcast_ref(), Some(&"alone"));
    assert_eq!((count.count(), lines[0].len()), (5, 0));
}

#[test]
fn what_is_asked_for_stays_when_the_waker_changes() {
    let list = WaitList::new();
    let ((a, waker_a), (b, waker_b)) = (Counter::pair(), Counter::pair());
    let mut places = [Place::new(), Place::new()];
    for (place, asked) in places.iter_mut().zip([7, 8]) {
        place.enter_as(&list, (waker_a.clone(), asked));
    }
    assert_eq!(places[0].poll(&list, &waker_b), Standing::InLine);
    assert!(list.pop_front_if(|&(_, asked)| asked == 8).is_none(), "only the first is asked");
    let (waker, asked) = list.pop_front_if(|&(_, asked)| asked == 7).unwrap();
    waker.wake();
    assert_eq!((asked, a.count(), b.count()), (7, 0, 1));
    assert_eq!(places.map(|mut place| place.leave(&list)), [Standing::Called, Standing::InLine]);
}

#[test]
fn as_many_are_called_as_there_is_something_for() {
    let (list, (count, waker)) = (WaitList::new(), Counter::pair());
    list.push(waker.clone());
    list.push(Waker::from(Arc::new(Panicking("a waker"))));
    list.push(waker.clone());
    list.push(waker);
    let left = Cell::new(3);
    let woken = catch_unwind(AssertUnwindSafe(|| {
        list.wake_while(|| {
            left.get() > 0 && {
                left.set(left.get() - 1);
                true
            }
        });
    }));
    assert_eq!(woken.unwrap_err().downcast_ref(), Some(&"a waker"));
    assert_eq!((count.count(), list.len(), left.get()), (2, 1, 0));
    left.set(3);
    list.wake_while(|| {
        left.set(left.get() - 1);
        true
    });
    assert_eq!((count.count(), list.len(), left.get()), (3, 0, 2), "nothing is asked when nobody waits");
}
