//! What happens to all that is left when a loop is dropped, and to all that outlives it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Waker;
use std::thread;

use evloop::time::secs;
use evloop::{
    EventLoop, LoopClosed, Promise, Task, call_later, call_soon, catch_cancel, create_task, finally, gather,
    get_running_loop, now, on_cancel, sleep, try_run, wait_for,
};

use crate::support::{Log, OnDrop, forever_with, reports_of, virtual_loop};

fn turn(event_loop: &mut EventLoop) {
    event_loop.run_once(Some(std::time::Duration::ZERO)).unwrap();
}

#[test]
fn tasks_are_dropped_in_order_of_creation_and_nothing_runs() {
    let (mut event_loop, log) = (virtual_loop(), Log::new());
    let handle = event_loop.handle();
    let mut tasks: Vec<_> =
        (0..5).map(|n| handle.create_task(forever_with(log.on_drop(n.to_string())))).collect();
    // Some ended in between, so that places in the loop's table are used again.
    turn(&mut event_loop);
    tasks[1].cancel();
    tasks[3].cancel();
    turn(&mut event_loop);
    assert_eq!(log.take(), ["1", "3"]);
    tasks.extend((5..8).map(|n| handle.create_task(forever_with(log.on_drop(n.to_string())))));
    let soon = handle.call_soon(|| unreachable!("dropped"));
    let later = handle.call_later(secs(1), || unreachable!("dropped"));
    drop(event_loop);
    assert_eq!(log.take(), ["0", "2", "4", "5", "6", "7"]);
    assert!(soon.cancelled() && later.cancelled());
    for task in tasks {
        assert!(task.done() && task.cancelled());
        assert!(task.result().unwrap().unwrap_err().is_cancelled());
    }
}

#[test]
fn callbacks_and_timers_are_dropped_uncalled_after_the_tasks() {
    let (event_loop, log) = (virtual_loop(), Log::new());
    let handle = event_loop.handle();
    let (soon, later, task) = (log.on_drop("soon"), log.on_drop("later"), log.on_drop("task"));
    let _ = handle.call_later(secs(1), move || drop(later));
    let _ = handle.call_soon(move || drop(soon));
    handle.create_task(forever_with(task)).detach();
    drop(event_loop);
    assert_eq!(log.take(), ["task", "soon", "later"]);
}

#[test]
fn letters_of_other_threads_are_dropped_uncalled() {
    let (sender, dropped) = mpsc::channel();
    let event_loop = virtual_loop();
    let proxy = event_loop.handle().proxy();
    let thread = thread::spawn(move || {
        let guard = OnDrop::new(move || sender.send("dropped").unwrap());
        proxy.call_soon(move || drop(guard)).unwrap();
        proxy
    });
    let proxy = thread.join().unwrap();
    drop(event_loop);
    assert_eq!(dropped.try_recv(), Ok("dropped"));
    assert_eq!(proxy.call_soon(|| unreachable!("closed")), Err(LoopClosed));
}

#[test]
fn done_callbacks_are_dropped_uncalled() {
    let (mut event_loop, log) = (virtual_loop(), Log::new());
    let task = event_loop.handle().create_task(forever_with(()));
    let guard = log.on_drop("the callback was dropped");
    task.add_done_callback(move |_| unreachable!("{}", std::mem::size_of_val(&guard)));
    turn(&mut event_loop);
    drop(event_loop);
    assert_eq!(log.take(), ["the callback was dropped"]);
    let guard = log.on_drop("a late one, too");
    task.add_done_callback(move |_| unreachable!("{}", std::mem::size_of_val(&guard)));
    assert_eq!(log.take(), ["a late one, too"]);
}

#[test]
fn a_plain_drop_runs_destructors_only() {
    let (mut event_loop, log) = (virtual_loop(), Log::new());
    let handle = event_loop.handle();
    let body = |name: &'static str| forever_with(log.on_drop(name));
    handle.create_task(finally(body("finally"), async { unreachable!("a cleanup") })).detach();
    handle.create_task(on_cancel(body("on_cancel"), async |_| unreachable!("a handler"))).detach();
    handle
        .create_task({
            let body = body("catch_cancel");
            async move {
                let _ = catch_cancel(body).await;
                unreachable!("nothing follows");
            }
        })
        .detach();
    handle
        .create_task({
            let body = body("wait_for");
            async move { wait_for(body, secs(5)).await }
        })
        .detach();
    handle
        .create_task({
            let (a, b) = (body("gather a"), body("gather b"));
            async move { drop(gather((a, b)).await) }
        })
        .detach();
    turn(&mut event_loop);
    turn(&mut event_loop);
    drop(event_loop);
    assert_eq!(log.take(), ["finally", "on_cancel", "catch_cancel", "wait_for", "gather a", "gather b"]);
}

#[test]
fn destructors_may_schedule_more_which_is_dropped_too() {
    let (mut event_loop, log) = (virtual_loop(), Log::new());
    let reports = reports_of(&event_loop.handle());
    let guard = OnDrop::new({
        let log = log.clone();
        move || {
            let newborn = create_task(forever_with(log.on_drop("the newborn task")));
            assert!(newborn.done() && newborn.cancelled(), "born cancelled");
            let (soon, later) = (log.on_drop("soon"), log.on_drop("later"));
            assert!(call_soon(move || drop(soon)).cancelled());
            assert!(call_later(secs(1), move || drop(later)).cancelled());
            let letter = log.on_drop("by handle");
            assert!(get_running_loop().unwrap().call_soon(move || drop(letter)).cancelled());
            let refused = get_running_loop().unwrap().proxy().call_soon(|| unreachable!("closed"));
            log.push(format!("{refused:?}"));
            assert!(get_running_loop().unwrap().all_tasks().len() <= 2);
            log.push("the end of the destructor");
        }
    });
    event_loop.handle().create_task(forever_with(guard)).detach();
    event_loop.handle().create_task(forever_with(log.on_drop("the next task"))).detach();
    turn(&mut event_loop);
    drop(event_loop);
    assert_eq!(reports.take(), [""; 0]);
    assert_eq!(
        log.take(),
        [
            "the newborn task",
            "soon",
            "later",
            "by handle",
            "Err(LoopClosed)",
            "the end of the destructor",
            "the next task"
        ]
    );
}

#[test]
fn destructors_may_schedule_more_for_many_generations() {
    fn generation(n: u32, log: Log) -> OnDrop<impl FnOnce()> {
        OnDrop::new(move || {
            log.push(n.to_string());
            if n < 20 {
                let next: Box<dyn FnOnce()> = Box::new({
                    let log = log.clone();
                    move || drop(generation(n + 1, log))
                });
                let next = OnDrop::new(next);
                match n % 3 {
                    0 => create_task(forever_with(next)).detach(),
                    1 => drop(call_soon(move || drop(next))),
                    _ => drop(call_later(secs(1), move || drop(next))),
                }
            }
        })
    }
    let (event_loop, log) = (virtual_loop(), Log::new());
    event_loop.handle().create_task(forever_with(generation(0, log.clone()))).detach();
    drop(event_loop);
    assert_eq!(log.take(), (0..=20).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn destructors_may_wake_cancel_and_complete_others() {
    let (mut event_loop, log) = (virtual_loop(), Log::new());
    let reports = reports_of(&event_loop.handle());
    let handle = event_loop.handle();
    let promise = Promise::<()>::new();
    let wakers = Rc::new(RefCell::new(Vec::<Waker>::new()));
    let victim: Rc<RefCell<Option<Task<()>>>> = Rc::default();
    let guard = OnDrop::new({
        let (promise, wakers, victim, log) = (promise.clone(), wakers.clone(), victim.clone(), log.clone());
        move || {
            promise.set_result(()).unwrap();
            wakers.borrow_mut().drain(..).for_each(Waker::wake);
            let victim = victim.take().unwrap();
            assert!(victim.cancel() && !victim.done());
            drop(victim);
            log.push("destructor");
        }
    });
    handle.create_task(forever_with(guard)).detach();
    let waits = promise.clone();
    let watching = log.on_drop("the one that waited");
    handle
        .create_task(async move {
            let _watching = watching;
            waits.await.unwrap();
            unreachable!("woken, never polled");
        })
        .detach();
    let (sink, watching) = (wakers.clone(), log.on_drop("the one that was woken"));
    handle
        .create_task(std::future::poll_fn(move |cx| {
            let _ = &watching;
            sink.borrow_mut().push(cx.waker().clone());
            std::task::Poll::<()>::Pending
        }))
        .detach();
    victim.replace(Some(handle.create_task(forever_with(log.on_drop("the victim")))));
    turn(&mut event_loop);
    drop(event_loop);
    assert_eq!(log.take(), ["destructor", "the one that waited", "the one that was woken", "the victim"]);
    assert_eq!(reports.take(), [""; 0]);
}

#[test]
fn destructors_may_drop_handles_of_the_loop() {
    let (mut event_loop, log) = (virtual_loop(), Log::new());
    let handle = event_loop.handle();
    let later = handle.call_later(secs(1), || unreachable!("dropped"));
    let soon = handle.call_soon(|| unreachable!("dropped"));
    soon.cancel();
    let awaited = handle.create_task(forever_with(log.on_drop("inner")));
    let inner_ref = awaited.task_ref();
    let guard = OnDrop::new({
        let (handle, log) = (handle.clone(), log.clone());
        move || {
            later.cancel();
            assert!(later.cancelled());
            drop((later, soon, handle));
            log.push("handles dropped");
        }
    });
    handle
        .create_task(async move {
            let _guard = guard;
            drop(awaited.await);
        })
        .detach();
    turn(&mut event_loop);
    drop(handle);
    drop(event_loop);
    assert_eq!(log.take(), ["inner", "handles dropped"]);
    assert!(inner_ref.cancelled());
}

#[test]
fn destructors_that_panic_are_reported_and_the_others_run() {
    let (mut event_loop, log) = (virtual_loop(), Log::new());
    let handle = event_loop.handle();
    let reports = reports_of(&handle);
    for n in 0..3 {
        let guard = OnDrop::new({
            let log = log.clone();
            move || {
                log.push(format!("task {n}"));
                panic!("panic {n}");
            }
        });
        handle.create_task(forever_with(guard)).detach();
    }
    turn(&mut event_loop);
    let guard = OnDrop::new(|| panic!("callback"));
    let _ = handle.call_soon(move || drop(guard));
    drop(event_loop);
    assert_eq!(log.take(), ["task 0", "task 1", "task 2"]);
    assert_eq!(reports.take(), ["panic 0", "panic 1", "panic 2", "callback"]);
}

#[test]
fn the_exception_handler_goes_last() {
    let (mut event_loop, log) = (virtual_loop(), Log::new());
    let handler = log.on_drop("handler");
    event_loop.handle().set_exception_handler(move |_| unreachable!("{}", std::mem::size_of_val(&handler)));
    event_loop.handle().create_task(forever_with(log.on_drop("task"))).detach();
    turn(&mut event_loop);
    drop(event_loop);
    assert_eq!(log.take(), ["task", "handler"]);
}

#[test]
fn wakers_that_outlive_the_loop_do_nothing() {
    let wakers = Rc::new(RefCell::new(Vec::<Waker>::new()));
    let mut event_loop = virtual_loop();
    for _ in 0..4 {
        let wakers = wakers.clone();
        event_loop
            .handle()
            .create_task(std::future::poll_fn(move |cx| {
                wakers.borrow_mut().push(cx.waker().clone());
                std::task::Poll::<()>::Pending
            }))
            .detach();
    }
    turn(&mut event_loop);
    drop(event_loop);
    let [a, b, c, d]: [Waker; 4] = wakers.take().try_into().unwrap();
    a.wake_by_ref();
    assert!(a.will_wake(&a.clone()));
    a.wake();
    drop(b);
    thread::spawn(move || {
        c.wake_by_ref();
        let copy = c.clone();
        c.wake();
        drop((copy, d));
    })
    .join()
    .unwrap();
}

#[test]
fn a_wake_and_the_loops_end_may_race() {
    for round in 0..50 {
        let (sender, receiver) = mpsc::channel::<Waker>();
        let thread = thread::spawn(move || {
            let waker = receiver.recv().unwrap();
            for _ in 0..round {
                waker.wake_by_ref();
            }
            waker.wake();
        });
        let mut event_loop = EventLoop::new().unwrap();
        event_loop
            .handle()
            .create_task(std::future::poll_fn(move |cx| {
                let _ = sender.send(cx.waker().clone());
                std::task::Poll::<()>::Pending
            }))
            .detach();
        turn(&mut event_loop);
        drop(event_loop);
        thread.join().unwrap();
    }
}

#[test]
fn everything_that_outlives_the_loop_can_be_asked() {
    let mut event_loop = virtual_loop();
    let handle = event_loop.handle();
    let mut finished = handle.create_task(async { String::from("value") });
    let mut lost = handle.create_task(forever_with(()));
    lost.set_name("lost");
    turn(&mut event_loop);
    drop(event_loop);
    assert_eq!(finished.result().unwrap().unwrap(), "value");
    assert_eq!(finished.take_result().unwrap().unwrap(), "value");
    let lost_ref = lost.task_ref();
    assert!(!lost.cancel() && lost.location().is_none());
    assert_eq!((lost.uncancel(), lost.cancelling(), &*lost.name()), (0, 0, "lost"));
    assert_eq!(format!("{lost:?}"), "Task { name: \"lost\", state: \"cancelled\" }");
    assert!(lost.take_result().unwrap().unwrap_err().is_cancelled());
    drop((lost, finished));
    lost_ref.set_name("renamed");
    assert_eq!(&*lost_ref.name(), "renamed");
    assert!(lost_ref.clone().cancelled());
    assert!(handle.time() <= now());
    handle.reset_exception_handler();
    handle.set_exception_handler(|_| ());
}

#[test]
fn a_task_of_a_loop_that_ended_can_be_awaited_in_another() {
    let mut first = virtual_loop();
    let finished = first.handle().create_task(async { 7 });
    let lost = first.handle().create_task(forever_with(()));
    turn(&mut first);
    drop(first);
    let seen = virtual_loop()
        .run_until_complete(async { (finished.await.unwrap(), lost.await.unwrap_err().is_cancelled()) });
    assert_eq!(seen.unwrap(), (7, true));
}

#[test]
fn an_awaiter_in_another_loop_hears_of_the_end() {
    let (first, mut second) = (virtual_loop(), virtual_loop());
    let lost = first.handle().create_task(forever_with(()));
    let mut awaiter = second.handle().create_task(async move { lost.await.unwrap_err().is_cancelled() });
    turn(&mut second);
    drop(first);
    turn(&mut second);
    assert!(awaiter.take_result().unwrap().unwrap());
}

#[evloop::test]
async fn a_loop_may_be_dropped_inside_of_another_ones_task() {
    let log = Log::new();
    let mut guest = Some(virtual_loop());
    let handle = guest.as_ref().unwrap().handle();
    let here = evloop::current_task().unwrap();
    let guard = OnDrop::new({
        let log = log.clone();
        move || log.push(format!("in a task: {}", evloop::current_task().is_some()))
    });
    handle.create_task(forever_with(guard)).detach();
    let _ = handle.call_soon(|| unreachable!("dropped"));
    drop(guest.take());
    assert_eq!(log.take(), ["in a task: false"]);
    assert_eq!(evloop::current_task().unwrap(), here, "this loop is the current one again");
    let start = now();
    sleep(secs(1)).await;
    assert_eq!(now() - start, secs(1));
}

#[test]
fn a_loop_may_be_dropped_while_its_thread_panics() {
    let log = Log::new();
    let sink = log.clone();
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let event_loop = virtual_loop();
        event_loop.handle().create_task(forever_with(sink.on_drop("dropped"))).detach();
        let guard = OnDrop::new(|| panic!("in a destructor"));
        event_loop.handle().create_task(forever_with(guard)).detach();
        event_loop.handle().create_task(forever_with(sink.on_drop("dropped, too"))).detach();
        panic!("the host's");
    }));
    assert_eq!(crate::support::text(&*payload.unwrap_err()), "the host's");
    assert_eq!(log.take(), ["dropped", "dropped, too"]);
}

#[evloop::test]
async fn a_loop_that_never_ran_drops_what_it_was_given() {
    let (event_loop, log) = (virtual_loop(), Log::new());
    let task = event_loop.handle().create_task(forever_with(log.on_drop("task")));
    drop(event_loop);
    assert_eq!(log.take(), ["task"]);
    assert!(task.await.unwrap_err().is_cancelled());
}

#[test]
fn a_run_leaves_nothing_behind() {
    let value = Rc::new(());
    for _ in 0..3 {
        let held = value.clone();
        let ended = try_run(async {
            let promise = Promise::<()>::new();
            let (a, b, c, d) = (held.clone(), held.clone(), held.clone(), held);
            create_task(finally(sleep(secs(3600)), async move { drop(a) })).detach();
            let _ = call_later(secs(3600), move || drop(b));
            promise.add_done_callback(move |_| drop(c));
            // A circle: the task owns the promise that it waits for.
            create_task(async move {
                promise.wait_done().await;
                drop((promise, d));
            })
            .detach();
            evloop::yield_now().await;
        });
        assert!(ended.is_ok());
        assert_eq!(Rc::strong_count(&value), 1);
    }
}

#[test]
fn a_loop_that_a_task_of_another_loop_owns_goes_with_it() {
    let log = Log::new();
    let mut outer = virtual_loop();
    let inner = virtual_loop();
    inner.handle().create_task(forever_with(log.on_drop("a task of the inner loop"))).detach();
    outer.handle().create_task(forever_with((log.on_drop("before"), inner))).detach();
    outer.handle().create_task(forever_with(log.on_drop("a later task of the outer loop"))).detach();
    turn(&mut outer);
    drop(outer);
    assert_eq!(log.take(), ["before", "a task of the inner loop", "a later task of the outer loop"]);
}

#[test]
fn a_destructor_may_make_a_loop_of_its_own_but_not_run_it() {
    let (mut event_loop, log) = (virtual_loop(), Log::new());
    let guard = OnDrop::new({
        let log = log.clone();
        move || {
            log.push(format!("{:?}", try_run(async {}).unwrap_err()));
            let other = virtual_loop();
            other.handle().create_task(forever_with(log.on_drop("its task"))).detach();
            drop(other);
            assert!(create_task(async {}).cancelled(), "back in the loop that ends");
        }
    });
    event_loop.handle().create_task(forever_with(guard)).detach();
    turn(&mut event_loop);
    drop(event_loop);
    assert_eq!(log.take(), ["AlreadyRunning", "its task"]);
    assert!(get_running_loop().is_err());
}

#[test]
fn a_loop_in_a_thread_local_ends_with_its_thread() {
    thread_local! {
        static LOOP: RefCell<Option<EventLoop>> = const { RefCell::new(None) };
    }
    let (sender, dropped) = mpsc::channel();
    let waker = thread::spawn(move || {
        let slot = Rc::new(RefCell::new(None));
        let mut event_loop = virtual_loop();
        let guard = OnDrop::new(move || sender.send("dropped").unwrap());
        let out = slot.clone();
        let keeps = std::future::poll_fn(move |cx| {
            let _ = &guard;
            out.replace(Some(cx.waker().clone()));
            std::task::Poll::<()>::Pending
        });
        event_loop.handle().create_task(keeps).detach();
        turn(&mut event_loop);
        LOOP.with(|place| place.replace(Some(event_loop)));
        slot.take().unwrap()
    });
    let waker = waker.join().unwrap();
    assert_eq!(dropped.recv(), Ok("dropped"));
    waker.wake();
}
