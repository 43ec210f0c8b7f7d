//! Wakers in the hands of other threads, and of the home thread outside of the loop's turn.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use evloop::{EventLoop, Task, TaskRef};

use crate::support::{Chance, Ledger, Watch, beside, lock};

/// Where wakers lie for anybody to take.
#[derive(Default)]
struct Pile {
    wakers: Mutex<Vec<Waker>>,
    over: AtomicBool,
}

impl Pile {
    fn put(&self, waker: Waker) {
        // Some are dropped by whoever overflows the pile, outside of the lock.
        let surplus = {
            let mut wakers = lock(&self.wakers);
            wakers.push(waker);
            (wakers.len() > 64).then(|| wakers.swap_remove(0))
        };
        drop(surplus);
    }

    fn take(&self, chance: &mut Chance) -> Option<Waker> {
        let mut wakers = lock(&self.wakers);
        let count = wakers.len() as u64;
        (count > 0).then(|| wakers.swap_remove(chance.below(count) as usize))
    }

    /// What other threads do with wakers until the end, and with what is left then.
    fn play(&self, number: u64) {
        let mut chance = Chance::new(number + 7);
        let mut kept = Vec::new();
        while !self.over.load(Ordering::Acquire) {
            let Some(waker) = self.take(&mut chance) else {
                std::thread::yield_now();
                continue;
            };
            match chance.below(6) {
                0 => waker.wake(),
                1 => drop(waker),
                2 => {
                    waker.wake_by_ref();
                    self.put(waker);
                }
                3 => {
                    self.put(waker.clone());
                    kept.push(waker);
                }
                4 => {
                    drop(waker.clone());
                    waker.wake();
                }
                _ => {
                    let clones = [waker.clone(), waker.clone(), waker];
                    clones.into_iter().for_each(|clone| self.put(clone));
                }
            }
            if kept.len() > 16 {
                kept.swap_remove(chance.below(16) as usize).wake();
            }
            chance.dawdle();
        }
        for waker in kept {
            if chance.below(2) == 0 { waker.wake() } else { drop(waker) }
        }
        while let Some(waker) = self.take(&mut chance) {
            waker.wake();
        }
    }
}

/// A task that puts its wakers on the pile and ends after some polls.
fn playing(event_loop: &EventLoop, pile: &Arc<Pile>, ledger: &Arc<Ledger>, polls: u64) -> Task<u64> {
    let (pile, probe) = (pile.clone(), ledger.at_home());
    let mut polled = 0;
    event_loop.handle().create_task(poll_fn(move |cx| {
        let _ = &probe;
        polled += 1;
        pile.put(cx.waker().clone());
        if polled % 3 == 0 {
            // From within the step, at home.
            pile.put(cx.waker().clone());
            cx.waker().wake_by_ref();
        }
        if polled >= polls { Poll::Ready(polled) } else { Poll::Pending }
    }))
}

#[test]
fn wakers_are_cloned_woken_and_dropped_anywhere_at_any_time() {
    let _watch = Watch::new("wakers");
    let (pile, ledger) = (Arc::new(Pile::default()), Arc::new(Ledger::default()));
    beside(
        3,
        |number| pile.play(number),
        || {
            let mut chance = Chance::new(1);
            let mut refs: Vec<TaskRef> = Vec::new();
            for round in 0..40 {
                let mut event_loop = EventLoop::new().unwrap();
                let tasks: Vec<_> =
                    (0..8).map(|_| playing(&event_loop, &pile, &ledger, 1 + chance.below(30))).collect();
                // The last ones never end by themselves: the loop is dropped with them.
                let endless: Vec<_> =
                    (0..3).map(|_| playing(&event_loop, &pile, &ledger, u64::MAX)).collect();
                refs.extend(tasks.iter().chain(&endless).map(|task| task.task_ref()));
                for _ in 0..chance.below(60) {
                    event_loop.run_once(Some(Duration::from_micros(chance.below(50)))).unwrap();
                    if chance.below(8) == 0 {
                        // The home thread, but outside of the turn.
                        let (first, second) = (pile.take(&mut chance), pile.take(&mut chance));
                        drop(first.clone());
                        drop(first);
                        second.into_iter().for_each(Waker::wake);
                    }
                }
                drop(tasks);
                if round % 2 == 0 {
                    drop(endless);
                    drop(event_loop);
                } else {
                    drop(event_loop);
                    assert!(endless.iter().all(|task| task.cancelled()));
                }
                assert_eq!(ledger.alive(), 0);
                refs.truncate(50);
            }
            assert!(refs.iter().all(TaskRef::done));
            pile.over.store(true, Ordering::Release);
        },
    );
    ledger.assert_balanced();
}

#[test]
fn no_wake_up_is_lost_however_it_meets_the_loops_sleep() {
    const ROUNDS: usize = 3000;
    let _watch = Watch::new("ping");
    let (told, heard) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let slot: Mutex<Option<Waker>> = Mutex::new(None);
    beside(
        1,
        |_| {
            let mut chance = Chance::new(3);
            for round in 1..=ROUNDS {
                while heard.load(Ordering::Acquire) + 1 < round {
                    std::hint::spin_loop();
                }
                chance.dawdle();
                told.store(round, Ordering::Release);
                let waker = lock(&slot).take();
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
        },
        || {
            let mut expected = 1;
            let main = poll_fn(|cx| {
                loop {
                    let known = lock(&slot).replace(cx.waker().clone());
                    drop(known);
                    if told.load(Ordering::Acquire) < expected {
                        return Poll::Pending;
                    }
                    heard.store(expected, Ordering::Release);
                    expected += 1;
                    if expected > ROUNDS {
                        return Poll::Ready(());
                    }
                }
            });
            evloop::run(main);
        },
    );
}

#[test]
fn what_was_done_before_a_wake_is_seen_by_the_poll_after_it() {
    let _watch = Watch::new("publication");
    const THREADS: usize = 3;
    const NUMBERS: usize = 400;
    // Plain stores: the wake itself has to publish them, also where an earlier wake holds it back.
    let cells: Vec<AtomicUsize> = (0..THREADS).map(|_| AtomicUsize::new(0)).collect();
    let waker: Mutex<Option<Waker>> = Mutex::new(None);
    let ready = AtomicBool::new(false);
    beside(
        THREADS as u64,
        |number| {
            while !ready.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
            let waker = lock(&waker).clone().unwrap();
            for value in 1..=NUMBERS {
                cells[number as usize].store(value, Ordering::Relaxed);
                waker.wake_by_ref();
            }
        },
        || {
            evloop::run(poll_fn(|cx| {
                if !ready.load(Ordering::Relaxed) {
                    *lock(&waker) = Some(cx.waker().clone());
                    ready.store(true, Ordering::Release);
                }
                let all = cells.iter().all(|cell| cell.load(Ordering::Relaxed) == NUMBERS);
                if all { Poll::Ready(()) } else { Poll::Pending }
            }));
        },
    );
}

#[test]
fn a_waker_works_at_home_inside_of_the_turn_outside_of_it_and_in_another_loop() {
    let mut event_loop = EventLoop::new().unwrap();
    let polled = Rc::new(Cell::new(0));
    let slot = Rc::new(RefCell::new(None::<Waker>));
    let task = event_loop.handle().create_task({
        let (polled, slot) = (polled.clone(), slot.clone());
        poll_fn(move |cx| {
            polled.set(polled.get() + 1);
            *slot.borrow_mut() = Some(cx.waker().clone());
            if polled.get() < 5 { Poll::Pending } else { Poll::Ready(polled.get()) }
        })
    });
    let turn = |event_loop: &mut EventLoop| event_loop.run_once(Some(Duration::ZERO)).unwrap();
    turn(&mut event_loop);
    assert_eq!(polled.get(), 1);
    // Outside of the turn: cloned, dropped, woken.
    let waker = slot.borrow().clone().unwrap();
    drop(waker.clone());
    waker.wake_by_ref();
    assert!(event_loop.next_deadline().is_some(), "the host is told to make a turn now");
    turn(&mut event_loop);
    assert_eq!(polled.get(), 2);
    // Inside of it.
    event_loop.handle().call_soon({
        let waker = waker.clone();
        move || waker.wake()
    });
    turn(&mut event_loop);
    turn(&mut event_loop);
    assert_eq!(polled.get(), 3);
    // Inside of another loop on this thread.
    let outer = waker.clone();
    evloop::run(async move {
        drop(outer.clone());
        outer.wake();
    });
    turn(&mut event_loop);
    assert_eq!(polled.get(), 4);
    // The loop's own end, from inside of another one.
    waker.wake_by_ref();
    turn(&mut event_loop);
    assert_eq!(polled.get(), 5);
    evloop::run(async move {
        drop(event_loop);
        assert_eq!(*task.result().unwrap().unwrap(), 5);
        drop(task);
    });
    drop(slot.take());
    waker.wake();
}

#[test]
fn wakers_may_be_used_by_destructors_while_the_loop_ends() {
    struct Uses(Rc<RefCell<Vec<Waker>>>);
    impl Drop for Uses {
        fn drop(&mut self) {
            for waker in self.0.borrow().iter() {
                drop(waker.clone());
                waker.wake_by_ref();
            }
            let last = self.0.borrow_mut().pop();
            last.into_iter().for_each(Waker::wake);
        }
    }
    let wakers: Rc<RefCell<Vec<Waker>>> = Rc::default();
    let mut event_loop = EventLoop::new().unwrap();
    for _ in 0..5 {
        let (uses, wakers) = (Uses(wakers.clone()), wakers.clone());
        let future = async move {
            let _uses = uses;
            poll_fn(|cx| {
                wakers.borrow_mut().extend([cx.waker().clone(), cx.waker().clone()]);
                Poll::Ready(())
            })
            .await;
            pending::<()>().await;
        };
        event_loop.handle().create_task(future).detach();
    }
    event_loop.run_once(Some(Duration::ZERO)).unwrap();
    assert_eq!(wakers.borrow().len(), 10);
    drop(event_loop);
    assert_eq!(wakers.borrow().len(), 5);
    wakers.take().into_iter().for_each(Waker::wake);
}

#[test]
fn a_loop_may_be_dropped_by_the_output_of_one_of_its_tasks() {
    struct Ends {
        event_loop: Rc<RefCell<Option<EventLoop>>>,
        wakers: Rc<RefCell<Vec<Waker>>>,
        probe: Option<crate::support::AtHome>,
    }
    impl Drop for Ends {
        fn drop(&mut self) {
            let handle = evloop::get_running_loop().unwrap();
            drop(self.event_loop.take());
            // Still inside of it, though it is closed.
            assert!(handle.is_closed());
            self.wakers.take().into_iter().for_each(Waker::wake);
            let probe = self.probe.take();
            handle.call_soon(move || drop(probe));
        }
    }
    let ledger = Arc::new(Ledger::default());
    let slot = Rc::new(RefCell::new(Some(EventLoop::new().unwrap())));
    let handle = slot.borrow().as_ref().unwrap().handle();
    let wakers: Rc<RefCell<Vec<Waker>>> = Rc::default();
    let waiting = handle.create_task({
        let (probe, wakers) = (ledger.at_home(), wakers.clone());
        poll_fn(move |cx| {
            let _ = &probe;
            wakers.borrow_mut().push(cx.waker().clone());
            Poll::<()>::Pending
        })
    });
    let ends = Ends { event_loop: slot.clone(), wakers, probe: Some(ledger.at_home()) };
    let task = handle.create_task(async move { ends });
    slot.borrow_mut().as_mut().unwrap().run_once(Some(Duration::ZERO)).unwrap();
    drop(task);
    assert!(slot.borrow().is_none() && waiting.cancelled());
    ledger.assert_balanced();
}

#[test]
fn handles_and_wakers_may_die_with_their_thread() {
    thread_local! {
        static KEPT: RefCell<Vec<Box<dyn std::any::Any>>> = const { RefCell::new(Vec::new()) };
    }
    let ledger = Arc::new(Ledger::default());
    let thread = std::thread::spawn({
        let ledger = ledger.clone();
        move || {
            let mut event_loop = EventLoop::new().unwrap();
            let (handle, probe) = (event_loop.handle(), ledger.at_home());
            let slot = Rc::new(RefCell::new(None::<Waker>));
            let kept_waker = slot.clone();
            let task = handle.create_task(async move {
                let _probe = probe;
                poll_fn(|cx| {
                    *kept_waker.borrow_mut() = Some(cx.waker().clone());
                    Poll::<()>::Pending
                })
                .await;
            });
            let done = handle.create_task(async { String::from("never taken") });
            event_loop.run_once(Some(Duration::ZERO)).unwrap();
            // The loop goes in the middle of its handles, at the end of the thread.
            let timer = handle.call_later(Duration::from_secs(9), || ());
            let kept: [Box<dyn std::any::Any>; 6] = [
                Box::new(task),
                Box::new(timer),
                Box::new(event_loop),
                Box::new(done),
                Box::new(slot),
                Box::new(handle),
            ];
            KEPT.with_borrow_mut(|all| all.extend(kept));
        }
    });
    thread.join().unwrap();
    ledger.assert_balanced();
}
