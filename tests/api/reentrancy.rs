//! Foreign code inside of the loop: destructors, wakers, callbacks and handlers that use the loop in the
//! middle of what it does.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Poll, Waker};

use evloop::testing::{self, settle};
use evloop::time::secs;
use evloop::{
    Promise, Queue, Task, all_tasks, call_later, call_soon, create_task, current_task, get_running_loop, now,
    sleep, yield_now,
};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use crate::support::{Log, OnDrop, forever_with, reports, yields};

#[evloop::test(order = "fifo")]
async fn a_callback_of_the_running_batch_can_still_be_cancelled() {
    let log = Log::new();
    let slot = Rc::new(RefCell::new(None::<evloop::Handle>));
    let _ = call_soon({
        let (log, slot) = (log.clone(), slot.clone());
        move || {
            log.push("first");
            slot.take().unwrap().cancel();
        }
    });
    let guard = log.on_drop("second, dropped");
    slot.replace(Some(call_soon(move || unreachable!("{}", std::mem::size_of_val(&guard)))));
    let _ = call_soon(log.callback("third"));
    yield_now().await;
    assert_eq!(log.take(), ["first", "second, dropped", "third"]);
}

#[evloop::test(order = "fifo")]
async fn timers_of_one_instant_can_cancel_each_other() {
    let log = Log::new();
    let slot = Rc::new(RefCell::new(None::<evloop::TimerHandle>));
    let _ = call_later(secs(1), {
        let (log, slot) = (log.clone(), slot.clone());
        move || {
            log.push("first");
            slot.take().unwrap().cancel();
        }
    });
    slot.replace(Some(call_later(secs(1), || unreachable!("both were due, and it was cancelled in time"))));
    let _ = call_later(secs(1), log.callback("third"));
    sleep(secs(2)).await;
    assert_eq!(log.take(), ["first", "third"]);
}

#[evloop::test]
async fn a_callback_may_cancel_itself() {
    let slot = Rc::new(RefCell::new(None::<evloop::Handle>));
    let log = Log::new();
    let handle = call_soon({
        let (log, slot) = (log.clone(), slot.clone());
        let guard = log.on_drop("captured value dropped");
        move || {
            let handle = slot.take().unwrap();
            handle.cancel();
            log.push(format!("runs on; cancelled {}", handle.cancelled()));
            drop((guard, handle));
        }
    });
    slot.replace(Some(handle));
    settle().await;
    assert_eq!(log.take(), ["runs on; cancelled true", "captured value dropped"]);
}

#[evloop::test]
async fn a_timer_may_cancel_itself() {
    let slot = Rc::new(RefCell::new(None::<evloop::TimerHandle>));
    let ran = Rc::new(Cell::new(false));
    let timer = call_later(secs(1), {
        let (slot, ran) = (slot.clone(), ran.clone());
        move || {
            slot.take().unwrap().cancel();
            ran.set(true);
        }
    });
    slot.replace(Some(timer));
    sleep(secs(2)).await;
    assert!(ran.get());
}

#[evloop::test]
async fn a_callback_that_is_cancelled_may_cancel_its_own_handle_when_it_is_dropped() {
    let slot = Rc::new(RefCell::new(None::<Rc<evloop::Handle>>));
    let dropped = Rc::new(Cell::new(0));
    let guard = OnDrop::new({
        let (slot, dropped) = (slot.clone(), dropped.clone());
        move || {
            dropped.set(dropped.get() + 1);
            slot.take().unwrap().cancel();
        }
    });
    let handle = Rc::new(call_soon(move || drop(guard)));
    slot.replace(Some(handle.clone()));
    handle.cancel();
    yield_now().await;
    assert_eq!(dropped.get(), 1);
}

#[evloop::test]
async fn a_dropped_timer_callback_may_set_and_cancel_timers() {
    let log = Log::new();
    let other = call_later(secs(1), || unreachable!("cancelled by a destructor"));
    let guard = OnDrop::new({
        let log = log.clone();
        move || {
            other.cancel();
            let _ = call_later(secs(1), log.callback("set by a destructor"));
        }
    });
    call_later(secs(5), move || drop(guard)).cancel();
    sleep(secs(2)).await;
    assert_eq!(log.take(), ["set by a destructor"]);
}

#[evloop::test(order = "fifo")]
async fn a_done_callback_may_add_callbacks_and_drop_its_task() {
    let log = Log::new();
    let slot = Rc::new(RefCell::new(None::<Task<crate::support::LogsItsDrop>>));
    let output = log.on_drop("output dropped");
    let task = create_task(async move { output });
    task.add_done_callback({
        let (log, slot) = (log.clone(), slot.clone());
        move |task| {
            log.push_at("first");
            drop(slot.take());
            let sink = log.clone();
            task.add_done_callback(move |_| sink.push_at("added by the first"));
        }
    });
    let sink = log.clone();
    task.add_done_callback(move |_| sink.push_at("second"));
    slot.replace(Some(task));
    yields(4).await;
    assert_eq!(log.take(), ["3:first", "output dropped", "3:second", "4:added by the first"]);
}

#[evloop::test]
async fn a_task_may_drop_its_own_handle_and_cancel_itself_through_it() {
    let log = Log::new();
    let slot = Rc::new(RefCell::new(None::<Task<()>>));
    let task = create_task({
        let (log, slot) = (log.clone(), slot.clone());
        async move {
            drop(slot.take());
            log.push("detached by itself");
            yield_now().await;
            log.push("runs on");
            let own = current_task().unwrap();
            assert!(own.cancel());
            yield_now().await;
            unreachable!("cancelled");
        }
    });
    let task_ref = task.task_ref();
    slot.replace(Some(task));
    settle().await;
    assert_eq!(log.take(), ["detached by itself", "runs on"]);
    assert!(task_ref.cancelled());
}

#[evloop::test]
async fn many_wakes_in_one_step_are_one_step() {
    let log = Log::new();
    let task = create_task({
        let log = log.clone();
        std::future::poll_fn(move |cx| {
            log.push_at("polled");
            if crate::support::tick() < 4 {
                let copies: Vec<_> = (0..10).map(|_| cx.waker().clone()).collect();
                cx.waker().wake_by_ref();
                copies.into_iter().for_each(Waker::wake);
                return Poll::Pending;
            }
            Poll::Ready(())
        })
    });
    task.await.unwrap();
    assert_eq!(log.take(), ["2:polled", "3:polled", "4:polled"]);
}

#[evloop::test(order = "fifo")]
async fn a_wake_of_a_task_that_stands_in_the_running_batch_is_not_a_second_step() {
    let (log, slot) = (Log::new(), Rc::new(RefCell::new(None::<Waker>)));
    let parked = create_task({
        let (log, slot) = (log.clone(), slot.clone());
        std::future::poll_fn(move |cx| {
            log.push_at("polled");
            slot.replace(Some(cx.waker().clone()));
            Poll::<()>::Pending
        })
    });
    yield_now().await;
    let waker = slot.take().unwrap();
    let again = waker.clone();
    let _ = call_soon(move || again.wake());
    waker.wake();
    yields(3).await;
    // It stands behind the callback, which wakes what is queued already.
    assert_eq!(log.take(), ["2:polled", "3:polled"]);
    parked.cancel();
}

#[evloop::test(order = "fifo")]
async fn a_destructor_in_a_cancelled_task_may_use_the_loop() {
    let (log, promise) = (Log::new(), Promise::new());
    let guard = OnDrop::new({
        let (log, promise) = (log.clone(), promise.clone());
        move || {
            log.push(format!("tasks left: {}", all_tasks().len()));
            create_task({
                let log = log.clone();
                async move { log.push("a task of the destructor") }
            })
            .detach();
            let _ = call_soon(log.callback("a callback of the destructor"));
            promise.set_result("set by the destructor").unwrap();
        }
    });
    let task = create_task(forever_with(guard));
    yield_now().await;
    task.cancel();
    assert_eq!(promise.await.unwrap(), "set by the destructor");
    assert_eq!(
        log.take(),
        ["tasks left: 2", "a task of the destructor", "a callback of the destructor"],
        "main was woken last"
    );
    assert!(task.cancelled());
}

#[evloop::test]
async fn a_destructor_in_a_cancelled_task_may_cancel_and_watch_that_very_task() {
    let log = Log::new();
    let slot = Rc::new(RefCell::new(None::<evloop::TaskRef>));
    let guard = OnDrop::new({
        let (log, slot) = (log.clone(), slot.clone());
        move || {
            let own = slot.take().unwrap();
            log.push(format!("done {}, cancel {}", own.done(), own.cancel()));
            let sink = log.clone();
            own.add_done_callback(move |task| sink.push(format!("cancelled {}", task.cancelled())));
        }
    });
    let task = create_task(forever_with(guard));
    slot.replace(Some(task.task_ref()));
    yield_now().await;
    task.cancel();
    yields(3).await;
    assert_eq!(log.take(), ["done false, cancel true", "cancelled true"]);
    assert!(task.cancelled());
}

#[evloop::test]
async fn an_output_that_is_dropped_may_create_tasks() {
    let log = Log::new();
    let output = OnDrop::new({
        let log = log.clone();
        move || {
            create_task(async move { log.push("created by an output") }).detach();
        }
    });
    create_task(async move { output }).detach();
    settle().await;
    assert_eq!(log.take(), ["created by an output"]);
}

#[evloop::test(order = "fifo")]
async fn a_task_may_cancel_one_that_stands_behind_it_in_the_batch() {
    let log = Log::new();
    let victim = Rc::new(RefCell::new(None::<evloop::TaskRef>));
    create_task({
        let (log, victim) = (log.clone(), victim.clone());
        async move {
            assert!(victim.borrow().as_ref().unwrap().cancel());
            log.push("cancelled it");
        }
    })
    .detach();
    let task = create_task(forever_with(log.on_drop("dropped unpolled")));
    victim.replace(Some(task.task_ref()));
    yield_now().await;
    assert_eq!(log.take(), ["cancelled it", "dropped unpolled"]);
    assert!(task.cancelled());
}

#[evloop::test]
async fn combinators_with_wakers_of_their_own_work() {
    let start = now();
    let mut unordered: FuturesUnordered<_> = (1..=5)
        .rev()
        .map(|n| async move {
            sleep(secs(n)).await;
            create_task(async move { n }).await.unwrap()
        })
        .collect();
    let mut seen = Vec::new();
    while let Some(n) = unordered.next().await {
        seen.push(n);
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    assert_eq!(now() - start, secs(5));

    let queue = Rc::new(Queue::new(0));
    let (first, second, put) = futures::join!(queue.get(), queue.get(), async {
        sleep(secs(1)).await;
        queue.put("a").await.unwrap();
        queue.put("b").await.unwrap();
    });
    assert_eq!((first.unwrap(), second.unwrap(), put), ("a", "b", ()));

    let slow = create_task(sleep(secs(10)));
    let slow_ref = slow.task_ref();
    match futures::future::select(slow.join(), Box::pin(sleep(secs(1)))).await {
        futures::future::Either::Right(((), slow)) => drop(slow),
        futures::future::Either::Left(_) => unreachable!("it takes ten seconds"),
    }
    assert!(!slow_ref.done(), "dropping the await detached it");
}

#[evloop::test]
async fn a_join_that_moves_between_wakers_wakes_the_last_one() {
    let promise = Promise::new();
    let mut join = create_task(promise.clone()).join();
    assert!(futures::poll!(&mut join).is_pending());
    let mut unordered = FuturesUnordered::new();
    unordered.push(join);
    assert!(futures::poll!(unordered.next()).is_pending());
    let other = create_task(async move { unordered.next().await.unwrap().unwrap().unwrap() });
    yield_now().await;
    promise.set_result(5).unwrap();
    assert_eq!(other.await.unwrap(), 5);
}

#[evloop::test(order = "fifo")]
async fn several_awaiters_and_callbacks_of_a_task_come_in_order_of_registration() {
    // O08.
    let (log, promise) = (Log::new(), Promise::new());
    let child = Rc::new(create_task({
        let promise = promise.clone();
        async move { promise.await.unwrap() }
    }));
    yield_now().await;
    let callback = |name: &'static str| {
        let sink = log.clone();
        child.add_done_callback(move |_| sink.push(name));
    };
    let awaiter = |name: &'static str| {
        let (child, log) = (child.clone(), log.clone());
        create_task(async move {
            (&*child).await.unwrap();
            log.push(name);
        })
        .detach();
    };
    awaiter("p0");
    yield_now().await;
    callback("cb1");
    awaiter("p1");
    yield_now().await;
    callback("cb2");
    awaiter("p2");
    yield_now().await;
    promise.set_result(()).unwrap();
    yields(2).await;
    assert_eq!(log.take(), ["p0", "cb1", "p1", "cb2", "p2"]);
}

#[evloop::test]
async fn an_awaiter_that_leaves_does_not_disturb_the_others() {
    let promise = Promise::new();
    let child = Rc::new(create_task(promise.clone()));
    let awaiters = [0, 1, 2].map(|n| {
        let child = child.clone();
        create_task(async move {
            match futures::future::select((&*child).into_future(), Box::pin(sleep(secs(n + 1)))).await {
                futures::future::Either::Left((value, _)) => Some(value.unwrap().unwrap()),
                futures::future::Either::Right(_) => None,
            }
        })
    });
    sleep(std::time::Duration::from_millis(2500)).await;
    promise.set_result(9).unwrap();
    let [a, b, c] = awaiters;
    assert_eq!((a.await.unwrap(), b.await.unwrap(), c.await.unwrap()), (None, None, Some(9)));
}

#[evloop::test]
async fn the_loop_can_be_asked_from_everywhere() {
    let reports = reports();
    let log = Log::new();
    let ask = |log: &Log, place: &'static str| {
        let event_loop = get_running_loop().unwrap();
        assert!(event_loop.is_running() && !event_loop.is_closed());
        let _ = event_loop.all_tasks();
        let _ = event_loop.time();
        let _ = format!("{event_loop:?}");
        log.push(place);
    };
    let sink = log.clone();
    let _ = call_soon(move || ask(&sink, "callback"));
    let sink = log.clone();
    let guard = OnDrop::new(move || ask(&sink, "destructor of a callback"));
    call_soon(move || drop(guard)).cancel();
    let sink = log.clone();
    let task = create_task(async {});
    task.add_done_callback(move |_| ask(&sink, "done callback"));
    let sink = log.clone();
    drop(create_task(forever_with(OnDrop::new(move || ask(&sink, "destructor of a task")))));
    yields(3).await;
    all_tasks().last().unwrap().cancel();
    yields(2).await;
    assert_eq!(log.take(), ["destructor of a callback", "callback", "done callback", "destructor of a task"]);
    assert_eq!(reports.take(), [""; 0]);
}

#[evloop::test]
async fn deep_chains_of_tasks_end_without_recursion() {
    let mut task = create_task(async { 0_u32 });
    for _ in 0..20_000 {
        task = create_task(async move { task.await.unwrap() + 1 });
    }
    assert_eq!(task.await.unwrap(), 20_000);
}

#[evloop::test]
async fn deep_chains_of_tasks_are_cancelled_without_recursion() {
    let mut task = create_task(std::future::pending::<()>());
    for _ in 0..5_000 {
        task = create_task(async move { task.await.unwrap() });
    }
    yields(2).await;
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(all_tasks().len(), 1);
}

#[evloop::test]
async fn deep_chains_of_tasks_are_dropped_with_their_first_link() {
    let log = Log::new();
    let mut task = create_task(forever_with(log.on_drop("the last link")));
    // In another order each link is told again and again, when the loop ends.
    let links = if testing::seed().is_some() { 500 } else { 5_000 };
    for _ in 0..links {
        task = create_task(async move { task.await.unwrap() });
    }
    yields(2).await;
    drop(task);
    assert_eq!(all_tasks().len(), links + 2, "detached, they run on");
}
