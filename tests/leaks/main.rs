//! Nothing is left behind: memory and descriptors are balanced once a loop and all that referred to it
//! are gone, however they went.
//!
//! Scenarios unwind by `resume_unwind`, which calls no panic hook: a hook prints, and the test harness
//! keeps what is printed.

mod alarms;
mod balance;
mod queues;

use std::cell::RefCell;
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use balance::{abroad, alive_around, balanced, counted};
use evloop::time::{millis, secs};
use evloop::{Clock, EventLoop, Promise, Queue, RunError, Task, TaskGroup, TaskRef, TryTaskGroup};

/// A panic that says nothing.
fn fail() -> ! {
    resume_unwind(Box::new("expected"))
}

/// Fails when it is dropped.
struct FailsWhenDropped;

impl Drop for FailsWhenDropped {
    fn drop(&mut self) {
        if !thread::panicking() {
            fail();
        }
    }
}

/// Calls a function when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn new_loop() -> EventLoop {
    let event_loop = EventLoop::builder().clock(Clock::Virtual).build().expect("there are descriptors left");
    event_loop.handle().set_exception_handler(|_| ());
    event_loop
}

/// Runs what is ready, a few times over.
fn turn(event_loop: &mut EventLoop) {
    for _ in 0..4 {
        event_loop.run_once(Some(Duration::ZERO)).expect("it is not running");
    }
}

#[test]
fn the_allocator_sees_what_is_left_behind() {
    let kept = RefCell::new(Vec::new());
    let (before, after) = alive_around(|| kept.borrow_mut().push(Box::new(1_u64)), Duration::ZERO);
    assert!(after.1 >= before.1 + 3, "{before:?} {after:?}");
}

#[test]
fn tasks_in_every_state_go_with_their_loop() {
    balanced(|| {
        let mut event_loop = new_loop();
        let handle = event_loop.handle();
        let mut kept: Vec<TaskRef> = Vec::new();
        let finished = handle.create_task(async { vec![1, 2, 3] });
        let waiting = handle.create_task(pending::<()>());
        let awaiting = handle.create_task(async move { waiting.await.is_err() });
        let panicked = handle.create_task(async { fail() });
        let named = handle.create_task(evloop::sleep(secs(5)));
        named.set_name("a name");
        named.add_done_callback(|_| ());
        handle.create_task(async { vec![0; 1000] }).detach();
        let cancelled = handle.create_task(evloop::sleep(secs(9)));
        cancelled.cancel_with("a message");
        kept.extend([finished.task_ref(), awaiting.task_ref(), panicked.task_ref(), named.task_ref()]);
        turn(&mut event_loop);
        let never_run = handle.create_task(async { vec![1] });
        kept.push(never_run.task_ref());
        drop(event_loop);
        assert!(kept.iter().all(TaskRef::done));
    });
}

#[test]
fn wakers_that_outlive_their_task_or_its_loop_free_the_rest() {
    balanced(|| {
        let mut event_loop = new_loop();
        let wakers: Rc<RefCell<Vec<Waker>>> = Rc::default();
        for ends in [true, false] {
            let wakers = wakers.clone();
            let future = poll_fn(move |cx| {
                wakers.borrow_mut().extend([cx.waker().clone(), cx.waker().clone(), cx.waker().clone()]);
                if ends { Poll::Ready(()) } else { Poll::Pending }
            });
            event_loop.handle().create_task(future).detach();
        }
        turn(&mut event_loop);
        let mut wakers = wakers.take();
        // One each is dropped at home outside of the turn, one abroad while the loop lives.
        drop((wakers.remove(0), wakers.remove(2)));
        let (for_abroad, later) = (vec![wakers.remove(0), wakers.remove(1)], wakers);
        abroad(move || for_abroad.into_iter().for_each(Waker::wake)).join().unwrap();
        // And the last one each after the loop.
        drop(event_loop);
        let mut later = later.into_iter();
        let (here, there) = (later.next(), later.next());
        drop(here);
        abroad(move || there.expect("two are left").wake()).join().unwrap();
    });
}

#[test]
fn callbacks_and_timers_that_never_came_go_with_the_loop() {
    balanced(|| {
        let mut event_loop = new_loop();
        let handle = event_loop.handle();
        let kept = (
            handle.call_soon(|| ()),
            handle.call_later(secs(1), || ()),
            handle.call_later(secs(2), || ()),
            handle.create_task(evloop::sleep(secs(3))),
        );
        turn(&mut event_loop);
        let never = handle.call_soon(|| unreachable!("the loop is dropped before"));
        kept.2.cancel();
        drop(event_loop);
        assert!(never.cancelled() && kept.1.cancelled());
    });
}

#[test]
fn panics_leave_nothing_behind() {
    balanced(|| {
        let mut event_loop = new_loop();
        let handle = event_loop.handle();
        // In the body, in a destructor after the body, in an unclaimed output, in a callback, in a closure
        // that is dropped, in a future that the end of the loop drops.
        let seen = handle.create_task(async { resume_unwind(Box::new(FailsWhenDropped)) });
        handle.create_task(async { fail() }).detach();
        let in_destructor = handle.create_task(async {
            let _late = FailsWhenDropped;
        });
        handle.create_task(async { FailsWhenDropped }).detach();
        let unclaimed = handle.create_task(async { FailsWhenDropped });
        handle.call_soon(|| fail());
        let captured = FailsWhenDropped;
        handle.call_soon(move || drop(captured)).cancel();
        handle
            .create_task(async {
                let _late = FailsWhenDropped;
                pending::<()>().await;
            })
            .detach();
        turn(&mut event_loop);
        assert!(in_destructor.result().expect("it ended").is_err());
        drop(unclaimed);
        // A payload that fails when it is dropped, of a panic that somebody has seen.
        assert!(seen.result().expect("it ended").is_err());
        drop(seen);
        drop(event_loop);
    });
}

#[test]
fn what_destructors_schedule_while_the_loop_ends_is_dropped_too() {
    balanced(|| {
        let mut event_loop = EventLoop::new().expect("there are descriptors left");
        let handle = event_loop.handle();
        let schedule = move || {
            if let Ok(handle) = evloop::get_running_loop() {
                handle.create_task(pending::<()>()).detach();
                handle.create_task(async { 5 }).task_ref().add_done_callback(|_| ());
                handle.call_soon(|| ());
                handle.call_later(secs(1), || ());
                let mut sleep = pin!(evloop::sleep(secs(1)));
                let _ = sleep.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            }
        };
        let in_future = OnDrop(schedule);
        handle
            .create_task(async move {
                let _schedules = in_future;
                pending::<()>().await;
            })
            .detach();
        let in_callback = OnDrop(schedule);
        handle.call_later(secs(5), move || drop(in_callback));
        // The handler goes last, after the FIFO was emptied.
        let in_handler = OnDrop(schedule);
        handle.set_exception_handler(move |_| {
            let _ = &in_handler;
        });
        turn(&mut event_loop);
        drop(event_loop);
    });
}

/// Something that must lie where few things do.
#[repr(align(128))]
struct Wide(Vec<u8>);

impl Wide {
    fn is_in_place(&self) -> bool {
        std::ptr::from_ref(self).addr().is_multiple_of(128)
    }
}

/// A task for each way to end: with a value, by a panic, by a request before and after its first step.
fn ends_of<T: 'static>(value: impl Fn() -> T + Copy + 'static) -> Vec<Task<T>> {
    let handle = evloop::get_running_loop().expect("this is one");
    let ends = |n: u32| {
        let holds = (value(), Wide(vec![1]));
        let task = handle.create_task(async move {
            assert!(holds.1.is_in_place());
            evloop::yield_now().await;
            match n {
                0 => value(),
                1 => fail(),
                _ => pending().await,
            }
        });
        if n == 2 {
            task.cancel_with("never begun");
        }
        task
    };
    let small = |n: u32| handle.create_task(async move { if n == 0 { value() } else { fail() } });
    (0..4).map(ends).chain((0..2).map(small)).collect()
}

/// Runs them, and leaves each end unseen, looks at it, or takes it.
async fn looked_at<T: 'static>(value: impl Fn() -> T + Copy + 'static, is_good: fn(&T) -> bool) {
    for way in 0..3 {
        let mut tasks = ends_of(value);
        evloop::sleep(secs(1)).await;
        tasks[3].cancel();
        evloop::sleep(secs(1)).await;
        assert!(tasks.iter().all(|task| task.done()));
        for (n, task) in tasks.iter_mut().enumerate() {
            let is_value = n == 0 || n == 4;
            match way {
                0 => {}
                1 => assert!(task.result().expect("it is there").map_or(!is_value, is_good)),
                _ => {
                    assert!(
                        task.take_result().expect("it is there").map_or(!is_value, |value| is_good(&value))
                    );
                    assert!(task.result().is_none());
                }
            }
        }
    }
}

#[test]
fn values_and_errors_of_every_shape_find_room_and_leave_it() {
    balanced(|| {
        let mut event_loop = new_loop();
        let all = async {
            looked_at(|| (), |()| true).await;
            looked_at(|| 7_u8, |value| *value == 7).await;
            looked_at(|| vec![1_u8, 2], |value| *value == [1, 2]).await;
            looked_at(|| Wide(vec![3]), |value| value.is_in_place() && value.0 == [3]).await;
            looked_at(
                || std::array::from_fn::<_, 100, _>(|_| Some(Box::new(4))),
                |value| value[99] == Some(Box::new(4)),
            )
            .await;
        };
        event_loop.run_until_complete(all).expect("nothing stops it");
        assert_eq!(event_loop.handle().all_tasks().len(), 0);
    });
}

#[test]
fn promises_and_queues_with_waiters_go_with_the_loop() {
    balanced(|| {
        let mut event_loop = new_loop();
        let handle = event_loop.handle();
        let promise = Promise::<Vec<u8>>::new();
        let queue = Rc::new(Queue::<Vec<u8>>::new(1));
        let waiting = [
            handle.create_task({
                let promise = promise.clone();
                async move { promise.await.is_ok() }
            }),
            handle.create_task({
                let queue = queue.clone();
                async move { queue.put(vec![1]).await.is_ok() && queue.put(vec![2]).await.is_ok() }
            }),
        ];
        promise.add_done_callback(|_| ());
        turn(&mut event_loop);
        drop(event_loop);
        assert!(waiting.iter().all(|task| task.done()));
        assert!(!promise.done());
    });
}

#[test]
fn scopes_of_cancelled_and_forgotten_tasks_are_removed() {
    balanced(|| {
        let mut event_loop = new_loop();
        let handle = event_loop.handle();
        let result = event_loop.run_until_complete(async {
            let deadline =
                evloop::wait_for(evloop::gather([evloop::sleep(secs(2)), evloop::sleep(secs(3))]), secs(1));
            assert!(deadline.await.is_err());
            let caught = evloop::catch_cancel(async {
                evloop::current_task().expect("this is one").cancel();
                evloop::sleep(secs(1)).await;
            });
            caught.await.expect_err("it was cancelled").rethrow::<()>().await
        });
        assert!(matches!(result, Err(RunError::Cancelled(_))));
        assert_eq!(handle.scope_nodes(), 0);
        let waits = evloop::wait_for(evloop::sleep(secs(2)), secs(1));
        handle.create_task(async { waits.await.is_ok() }).detach();
        turn(&mut event_loop);
    });
}

#[test]
fn remote_tasks_and_proxies_that_outlive_the_loop_free_it() {
    balanced(|| {
        let mut event_loop = new_loop();
        let proxy = event_loop.handle().proxy();
        let (give, take) = mpsc::channel();
        let remote = abroad(move || {
            let ended = proxy.create_task(|| async { vec![1] });
            let cut_off = proxy.create_task(pending::<Vec<u8>>);
            proxy.create_task(pending::<()>).cancel();
            drop(proxy.create_task(|| async { vec![2] }));
            proxy.call_soon(|| ()).expect("the loop is still there");
            give.send(()).expect("it waits");
            assert_eq!(ended.join().expect("it ended"), [1]);
            assert!(cut_off.join().is_err());
            assert!(proxy.call_soon(|| ()).is_err());
            proxy
        });
        take.recv().expect("the thread sends");
        turn(&mut event_loop);
        drop(event_loop);
        let proxy = remote.join().unwrap();
        assert!(proxy.create_task(|| async {}).join().is_err());
    });
}

#[test]
fn jobs_that_were_awaited_abandoned_or_never_begun_leave_nothing() {
    balanced(|| {
        evloop::run(async {
            assert_eq!(evloop::to_thread(|| counted(|| vec![1])).await, [1]);
            let abandoned =
                evloop::wait_for(evloop::to_thread(|| thread::sleep(Duration::from_millis(20))), millis(1));
            assert!(abandoned.await.is_err());
            let never_polled = evloop::to_thread(|| unreachable!("it is not submitted"));
            drop(never_polled);
        });
    });
}

#[test]
fn a_borrowed_main_leaves_nothing_however_it_ends() {
    balanced(|| {
        let words = vec![String::from("borrowed"); 3];
        let first = evloop::run(async { &words[0] });
        assert_eq!(first, "borrowed");
        let mut event_loop = new_loop();
        let handle = event_loop.handle();
        let kept: RefCell<Option<(TaskRef, Waker)>> = RefCell::new(None);
        let stopped = event_loop.run_until_complete(async {
            let task = evloop::current_task().expect("this is one");
            let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
            kept.replace(Some((task, waker)));
            handle.stop();
            pending::<()>().await;
            words.len()
        });
        assert!(matches!(stopped, Err(RunError::Stopped)));
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            event_loop.run_until_complete(async {
                let _borrowed = &words;
                fail()
            })
        }));
        assert!(panicked.is_err());
        drop(event_loop);
        let (task, waker) = kept.take().expect("main left them");
        assert!(task.cancelled() && !task.cancel());
        abroad(move || waker.wake()).join().unwrap();
    });
}

/// A group with a limit, errors that hold it, a scope whose children hold it, races and waits.
async fn much_at_once(kept: Rc<RefCell<Vec<TryTaskGroup<Failed>>>>) {
    let group = TaskGroup::builder().limit(2).try_scope::<(), Failed>(async |tg| {
        kept.borrow_mut().push(tg.clone());
        for n in 0..4 {
            let own = tg.clone();
            let _ = tg.create_task(evloop::finally(
                async move {
                    evloop::sleep(millis(n)).await;
                    Err::<(), _>(Failed { _group: own, _name: "a child".into() })
                },
                evloop::sleep(millis(1)),
            ));
        }
        pending().await
    });
    let tasks = [1, 2, 3].map(|n| evloop::create_task(evloop::sleep(millis(n))));
    let (first, all) = (&tasks[0], &tasks);
    let borrows = evloop::scope(async |s| {
        let own = s.clone();
        let first = s.spawn(async move { evloop::shield(first).await.is_ok() });
        s.spawn(async move {
            own.spawn(first);
            let _ = evloop::wait(all, evloop::AllCompleted, millis(2)).await;
            let completed = evloop::as_completed([2, 9].map(|n| evloop::sleep(millis(n)))).timeout(millis(2));
            while let Some(Ok(_)) = completed.next().await {}
        });
    });
    let late = evloop::timeout(millis(2), async |_| evloop::race((pending::<()>(), pending())).await);
    let attempts = [secs(5), secs(6)].map(|time| {
        async move || {
            evloop::finally(evloop::sleep(time), evloop::yield_now()).await;
            Err::<(), _>(vec![1])
        }
    });
    let contest = evloop::race((evloop::finally(late, evloop::yield_now()), async {
        evloop::staggered_race(attempts, millis(1)).await;
        Ok(())
    }));
    futures::join!(group, borrows, contest).0.unwrap_err();
}

/// An error that holds its group.
struct Failed {
    _group: TryTaskGroup<Self>,
    _name: String,
}

impl std::fmt::Debug for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Failed")
    }
}

#[test]
fn groups_scopes_races_and_waits_go_with_the_loop_or_with_their_future() {
    for turns in 0..12 {
        balanced(|| {
            let kept = Rc::default();
            let mut event_loop = new_loop();
            let handle = event_loop.handle();
            handle.create_task(much_at_once(Rc::clone(&kept))).detach();
            let asked = handle.create_task(much_at_once(Rc::clone(&kept)));
            // One whose future is dropped while the loop goes on.
            let dropped = Box::pin(much_at_once(Rc::clone(&kept)));
            handle
                .create_task(async move {
                    let _ = futures::future::select(dropped, Box::pin(evloop::sleep(millis(1)))).await;
                })
                .detach();
            for turn in 0..turns {
                event_loop.run_once(Some(millis(1))).expect("it is not running");
                if turn == 4 {
                    asked.cancel();
                }
            }
            // Handles that go before the loop, and such as go after it.
            if turns % 2 == 0 {
                kept.borrow_mut().clear();
            }
            drop(event_loop);
            for group in kept.take() {
                group.cancel();
                assert_eq!(group.len(), 0);
            }
        });
    }
}
