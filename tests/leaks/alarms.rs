//! Alarms that outlive whoever has set them.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use evloop::time::secs;

use crate::balance::balanced;
use crate::{new_loop, turn};

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
