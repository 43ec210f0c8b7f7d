//! Alarms that outlive whoever has set them.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use evloop::time::secs;

use crate::balance::{abroad, balanced};
use crate::{OnDrop, new_loop, turn};

/// A waker of nobody's task, which counts.
#[derive(Default)]
struct Woken(AtomicIsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Sets an alarm for that waker and leaves it where it is.
fn leave_alarm(after: Duration, waker: &Waker) {
    let mut sleep = ManuallyDrop::new(evloop::sleep(after));
    assert!(Pin::new(&mut *sleep).poll(&mut Context::from_waker(waker)).is_pending());
}

#[test]
fn alarms_that_nobody_takes_back_go_when_they_ring_or_with_the_loop() {
    balanced(|| {
        let woken = Arc::new(Woken::default());
        let foreign = Waker::from(woken.clone());
        let mut event_loop = new_loop();
        event_loop
            .run_until_complete(async {
                for seconds in [1, 9] {
                    // The alarm keeps what the task has left.
                    let leaves = poll_fn(move |cx| {
                        leave_alarm(secs(seconds), cx.waker());
                        Poll::Ready(())
                    });
                    evloop::create_task(leaves).await.expect("it ends at once");
                    leave_alarm(secs(seconds), &foreign);
                }
                // Taken back, and given to somebody else, of both kinds.
                let mut sleep = evloop::sleep(secs(1));
                for waker in [Waker::noop(), &foreign, Waker::noop()] {
                    assert!(Pin::new(&mut sleep).poll(&mut Context::from_waker(waker)).is_pending());
                }
                poll_fn(|cx| Pin::new(&mut sleep).poll(cx)).await;
                evloop::sleep(secs(1)).await;
            })
            .expect("nothing stops it");
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        drop(event_loop);
        assert_eq!(Arc::strong_count(&woken), 2, "this one and the waker");
    });
}

#[test]
fn an_alarm_wakes_a_task_of_another_loop() {
    balanced(|| {
        let (mut sleeper, mut clock) = (new_loop(), new_loop());
        let waker: Rc<RefCell<Option<Waker>>> = Rc::default();
        let steps = Rc::new(Cell::new(0));
        let task = sleeper.handle().create_task(poll_fn({
            let (waker, steps) = (waker.clone(), steps.clone());
            move |cx| {
                waker.replace(Some(cx.waker().clone()));
                steps.set(steps.get() + 1);
                if steps.get() == 2 { Poll::Ready(()) } else { Poll::Pending }
            }
        }));
        turn(&mut sleeper);
        let waker = waker.take().expect("it was polled");
        let two = async {
            leave_alarm(secs(1), &waker);
            leave_alarm(secs(9), &waker);
            evloop::sleep(secs(2)).await;
        };
        clock.run_until_complete(two).expect("nothing stops it");
        turn(&mut sleeper);
        assert!(task.done() && steps.get() == 2);
        drop(sleeper);
        drop(clock);
    });
}

#[test]
fn an_alarm_wakes_a_task_of_another_thread_whichever_loop_ends_first() {
    for ends_first in [true, false] {
        balanced(|| {
            let mut sleeper = new_loop();
            let (give, take) = mpsc::channel();
            let steps = Rc::new(Cell::new(0));
            let task = sleeper.handle().create_task(poll_fn({
                let steps = steps.clone();
                move |cx| {
                    give.send(cx.waker().clone()).expect("somebody listens");
                    steps.set(steps.get() + 1);
                    if steps.get() == 2 { Poll::Ready(()) } else { Poll::Pending }
                }
            }));
            turn(&mut sleeper);
            let waker = take.recv().expect("it was polled");
            let (woken, is_woken) = mpsc::channel();
            let (over, is_over) = mpsc::channel::<()>();
            let clock = abroad(move || {
                let mut clock = new_loop();
                let two = async {
                    leave_alarm(secs(1), &waker);
                    leave_alarm(secs(9), &waker);
                    evloop::sleep(secs(2)).await;
                };
                clock.run_until_complete(two).expect("nothing stops it");
                woken.send(()).expect("somebody listens");
                drop(waker);
                if ends_first {
                    is_over.recv().expect_err("nothing is sent");
                }
                drop(clock);
            });
            is_woken.recv().expect("it is sent");
            turn(&mut sleeper);
            assert!(task.done() && steps.get() == 2);
            drop((task, take));
            if !ends_first {
                clock.join().expect("it does not fail");
                return;
            }
            drop(sleeper);
            drop(over);
            clock.join().expect("it does not fail");
        });
    }
}

#[test]
fn alarms_that_are_set_while_the_loop_ends_go_with_it() {
    balanced(|| {
        let mut event_loop = new_loop();
        let handle = event_loop.handle();
        let woken = Arc::new(Woken::default());
        let foreign = Waker::from(woken.clone());
        let own: Rc<RefCell<Option<Waker>>> = Rc::default();
        let sets_alarms = || {
            let (own, foreign) = (own.clone(), foreign.clone());
            OnDrop(move || {
                leave_alarm(secs(1), &foreign);
                if let Some(own) = &*own.borrow() {
                    leave_alarm(secs(1), own);
                }
                if let Ok(handle) = evloop::get_running_loop() {
                    handle.call_later(secs(1), || ());
                }
            })
        };
        let in_future = sets_alarms();
        let task = handle.create_task({
            let own = own.clone();
            poll_fn(move |cx| {
                let _ = &in_future;
                own.replace(Some(cx.waker().clone()));
                Poll::<()>::Pending
            })
        });
        // The handler goes last: nobody looks for alarms after that.
        let in_handler = sets_alarms();
        handle.set_exception_handler(move |_| {
            let _ = &in_handler;
        });
        turn(&mut event_loop);
        drop((event_loop, handle));
        assert!(task.cancelled());
        drop((foreign, own));
        assert_eq!((Arc::strong_count(&woken), woken.0.load(Ordering::Relaxed)), (1, 0));
    });
}

/// A waker that sets an alarm of its own whatever is done to it.
#[derive(Default)]
struct Restless(AtomicIsize);

impl Restless {
    fn set_one(&self) {
        if self.0.fetch_add(1, Ordering::Relaxed) < 100 && evloop::get_running_loop().is_ok() {
            leave_alarm(secs(1), Waker::noop());
        }
    }
}

impl Wake for Restless {
    fn wake(self: Arc<Self>) {
        self.set_one();
    }
}

impl Drop for Restless {
    fn drop(&mut self) {
        self.set_one();
    }
}

#[test]
fn wakers_that_set_alarms_find_nothing_borrowed() {
    balanced(|| {
        let mut event_loop = new_loop();
        let restless = || Waker::from(Arc::new(Restless::default()));
        let run = async {
            leave_alarm(secs(1), &restless());
            leave_alarm(secs(60), &restless());
            let mut sleep = evloop::sleep(secs(1));
            for waker in [restless(), restless()] {
                assert!(Pin::new(&mut sleep).poll(&mut Context::from_waker(&waker)).is_pending());
            }
            poll_fn(|cx| Pin::new(&mut sleep).poll(cx)).await;
            evloop::sleep(secs(1)).await;
        };
        event_loop.run_until_complete(run).expect("nothing stops it");
    });
}
