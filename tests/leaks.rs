//! Nothing is left behind: memory and descriptors are balanced once a loop and all that referred to it
//! are gone, however they went.
//!
//! The global allocator counts what the threads of a scenario allocate, whichever thread frees it: each
//! block says in front of itself whether it is counted. So other tests of this binary do not disturb the
//! balance. They do take turns, because descriptors belong to the whole process.
//!
//! Scenarios unwind by `resume_unwind`, which calls no panic hook: a hook prints, and the test harness
//! keeps what is printed.

#![expect(unsafe_code, reason = "a global allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use evloop::time::{millis, secs};
use evloop::{Clock, EventLoop, Promise, Queue, RunError, TaskGroup, TaskRef, TryTaskGroup};

static BYTES: AtomicIsize = AtomicIsize::new(0);
static BLOCKS: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    static COUNTING: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

/// Room in front of a block for the mark, as much as keeps the block aligned.
fn room(layout: Layout) -> usize {
    layout.align().max(16)
}

fn with_room(layout: Layout) -> Option<Layout> {
    Layout::from_size_align(layout.size().checked_add(room(layout))?, room(layout)).ok()
}

// SAFETY: each block is one of `System`'s, larger by `room` in front; what is handed out lies inside, is
// aligned as asked since `room` is a multiple of the alignment, and goes back by the same arithmetic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(whole) = with_room(layout) else { return std::ptr::null_mut() };
        // SAFETY: the size is not zero, there is room in it.
        let block = unsafe { System.alloc(whole) };
        if block.is_null() {
            return block;
        }
        let counted = COUNTING.try_with(Cell::get).unwrap_or(false);
        if counted {
            BYTES.fetch_add(layout.size() as isize, Ordering::Relaxed);
            BLOCKS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: inside the block: there are at least 16 bytes of room.
        unsafe {
            block.write(u8::from(counted));
            block.add(room(layout))
        }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: `alloc` returned `memory` for this layout, so the block begins `room` before it.
        let block = unsafe { memory.sub(room(layout)) };
        // SAFETY: `alloc` wrote the mark.
        if unsafe { block.read() } == 1 {
            BYTES.fetch_sub(layout.size() as isize, Ordering::Relaxed);
            BLOCKS.fetch_sub(1, Ordering::Relaxed);
        }
        let whole = with_room(layout).expect("it was allocated with this layout");
        // SAFETY: `alloc` asked for exactly this.
        unsafe { System.dealloc(block, whole) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes, blocks, descriptors.
type Alive = (isize, isize, usize);

fn alive() -> Alive {
    (BYTES.load(Ordering::Relaxed), BLOCKS.load(Ordering::Relaxed), descriptors())
}

#[cfg(target_os = "linux")]
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("procfs is mounted").count()
}

#[cfg(not(target_os = "linux"))]
fn descriptors() -> usize {
    0
}

/// Runs a scenario, and again, and compares what is alive before and after.
fn balanced(scenario: impl Fn()) {
    let (before, after) = alive_around(scenario, Duration::from_secs(5));
    assert_eq!(after, before, "(bytes, blocks, descriptors) are not what they were");
}

/// What is alive before and after three runs of a scenario. It may take until `patience` ends: the threads
/// of a pool are not joined.
fn alive_around(scenario: impl Fn(), patience: Duration) -> (Alive, Alive) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // Once for what the standard library makes on first use.
    counted(&scenario);
    let mut before = alive();
    let mut same = 0;
    while same < 20 {
        thread::sleep(Duration::from_millis(1));
        same = if alive() == before { same + 1 } else { 0 };
        before = alive();
    }
    for _ in 0..3 {
        counted(&scenario);
    }
    let deadline = Instant::now() + patience;
    while alive() != before && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
    (before, alive())
}

fn counted<R>(f: impl FnOnce() -> R) -> R {
    COUNTING.set(true);
    let result = f();
    COUNTING.set(false);
    result
}

/// A thread of the scenario.
fn abroad<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> thread::JoinHandle<R> {
    thread::spawn(|| counted(f))
}

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
