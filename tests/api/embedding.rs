//! A loop inside of somebody else's loop: `run_once`, `next_deadline`, and the descriptor that becomes
//! readable whenever a turn is due for something other than a deadline.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Waker;
use std::thread;
use std::time::Duration;

use evloop::time::{millis, secs};
use evloop::{
    EventLoop, Promise, RunError, TaskGroup, finally, get_running_loop, now, sleep, to_thread, yield_now,
};

use crate::support::{Log, forever_with, pause, virtual_loop};

/// A turn that does not wait.
fn turn(event_loop: &mut EventLoop) {
    event_loop.run_once(Some(Duration::ZERO)).unwrap();
}

/// Whether something is due now, by the loop's own clock.
fn is_due(event_loop: &EventLoop) -> bool {
    event_loop.next_deadline().is_some_and(|deadline| deadline <= event_loop.handle().time())
}

#[cfg(unix)]
mod descriptor {
    //! What a host sees of the loop from outside.

    use std::os::fd::AsFd;
    use std::time::Duration;

    use evloop::EventLoop;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    /// Whether the loop's descriptor is or becomes readable within `timeout`.
    pub(super) fn readable_within(event_loop: &EventLoop, timeout: Duration) -> bool {
        let fd = event_loop.as_fd();
        let timeout = Timespec::try_from(timeout).unwrap();
        poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)).unwrap() == 1
    }

    pub(super) fn is_readable(event_loop: &EventLoop) -> bool {
        readable_within(event_loop, Duration::ZERO)
    }
}

#[cfg(unix)]
use descriptor::{is_readable, readable_within};

/// A task that keeps its waker where the test can reach it, and logs each of its steps.
fn keeps_its_waker(event_loop: &EventLoop, log: &Log) -> Rc<RefCell<Option<Waker>>> {
    let (slot, log) = (Rc::new(RefCell::new(None)), log.clone());
    let out = slot.clone();
    event_loop
        .handle()
        .create_task(std::future::poll_fn(move |cx| {
            log.push("polled");
            slot.replace(Some(cx.waker().clone()));
            std::task::Poll::<()>::Pending
        }))
        .detach();
    out
}

/// Everything that makes a loop need a turn from its own thread, outside of a turn, by name.
type Nudge = (&'static str, Box<dyn FnOnce(&mut EventLoop)>);

fn nudges() -> Vec<Nudge> {
    fn nudge(name: &'static str, f: impl FnOnce(&mut EventLoop) + 'static) -> Nudge {
        (name, Box::new(f))
    }
    vec![
        nudge("create_task", |l| l.handle().create_task(async {}).detach()),
        nudge("call_soon", |l| drop(l.handle().call_soon(|| ()))),
        nudge("stop", |l| l.handle().stop()),
        nudge("proxy.call_soon", |l| l.handle().proxy().call_soon(|| ()).unwrap()),
        nudge("cancel", |l| {
            let task = l.handle().create_task(forever_with(()));
            turn(l);
            task.cancel();
            task.detach();
        }),
        nudge("set_result", |l| {
            let promise = Promise::new();
            let waiting = promise.clone();
            l.handle().create_task(async move { waiting.await.unwrap() }).detach();
            turn(l);
            promise.set_result(()).unwrap();
        }),
        nudge("wake", |l| {
            let slot = keeps_its_waker(l, &Log::new());
            turn(l);
            slot.take().unwrap().wake();
        }),
        nudge("callback on a done task", |l| {
            let task = l.handle().create_task(async {});
            turn(l);
            task.add_done_callback(|_| ());
        }),
        nudge("abort of an awaited task", |l| {
            let inner = l.handle().create_task(forever_with(()));
            let inner_ref = inner.task_ref();
            l.handle().create_task(async move { drop(inner.await) }).detach();
            turn(l);
            inner_ref.cancel();
        }),
    ]
}

#[test]
fn next_deadline_is_now_while_anything_is_ready_and_none_without_work() {
    for (name, nudge) in nudges() {
        let mut event_loop = EventLoop::new().unwrap();
        assert_eq!(event_loop.next_deadline(), None);
        nudge(&mut event_loop);
        assert!(is_due(&event_loop), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn whatever_becomes_ready_between_turns_makes_the_descriptor_readable() {
    for (name, nudge) in nudges() {
        let mut event_loop = EventLoop::new().unwrap();
        turn(&mut event_loop);
        assert!(!is_readable(&event_loop), "{name}");
        nudge(&mut event_loop);
        assert!(is_readable(&event_loop), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn the_descriptor_of_a_loop_that_has_caught_up_is_not_readable() {
    for portable in [false, true] {
        for (name, nudge) in nudges() {
            if name == "stop" {
                continue; // see the test below
            }
            let mut event_loop = EventLoop::builder().portable_wait(portable).build().unwrap();
            nudge(&mut event_loop);
            let mut turns = 0;
            while is_due(&event_loop) {
                turn(&mut event_loop);
                turns += 1;
                assert!(turns < 10, "{name}: the host spins");
            }
            // A late ring costs one turn, no more.
            turn(&mut event_loop);
            assert!(!is_readable(&event_loop), "{name}, portable {portable}: the host spins");
        }
    }
}

#[test]
fn a_stop_does_not_make_a_stepped_loop_spin() {
    let mut event_loop = virtual_loop();
    event_loop.handle().stop();
    turn(&mut event_loop);
    assert_eq!(event_loop.next_deadline(), None, "nothing is ready and no timer is set");
}

#[cfg(unix)]
#[test]
fn what_a_turn_leaves_ready_makes_the_descriptor_readable() {
    let mut event_loop = EventLoop::builder().steps_per_look(1).build().unwrap();
    let busy = event_loop.handle().create_task(async {
        for _ in 0..3 {
            yield_now().await;
        }
    });
    let mut turns = 0;
    while !busy.done() {
        assert!(is_readable(&event_loop) && is_due(&event_loop), "after {turns} turns");
        turn(&mut event_loop);
        turns += 1;
    }
    assert_eq!(turns, 4);
}

#[cfg(unix)]
#[test]
fn a_call_from_another_thread_makes_the_descriptor_readable() {
    for portable in [false, true] {
        let mut event_loop = EventLoop::builder().portable_wait(portable).build().unwrap();
        let proxy = event_loop.handle().proxy();
        turn(&mut event_loop);
        for round in 0..3 {
            assert!(!is_readable(&event_loop), "round {round}");
            let (sender, called) = mpsc::channel();
            let proxy = proxy.clone();
            let caller = thread::spawn(move || proxy.call_soon(move || sender.send(()).unwrap()).unwrap());
            assert!(readable_within(&event_loop, secs(10)), "round {round}");
            assert!(is_due(&event_loop));
            turn(&mut event_loop);
            assert!(called.try_recv().is_ok(), "round {round}");
            caller.join().unwrap();
            turn(&mut event_loop);
        }
    }
}

#[cfg(unix)]
#[test]
fn a_waker_that_is_woken_on_another_thread_makes_the_descriptor_readable() {
    for portable in [false, true] {
        let mut event_loop = EventLoop::builder().portable_wait(portable).build().unwrap();
        let log = Log::new();
        let slot = keeps_its_waker(&event_loop, &log);
        turn(&mut event_loop);
        turn(&mut event_loop);
        assert_eq!(log.take(), ["polled"]);
        for round in 0..3 {
            assert!(!is_readable(&event_loop), "round {round}");
            let waker = slot.take().unwrap();
            let by_value = round == 1;
            let thread = thread::spawn(move || if by_value { waker.wake() } else { waker.wake_by_ref() });
            assert!(readable_within(&event_loop, secs(10)), "round {round}");
            turn(&mut event_loop);
            assert_eq!(log.take(), ["polled"], "round {round}");
            thread.join().unwrap();
            turn(&mut event_loop);
            assert_eq!(log.take(), [""; 0], "once per wake");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_timer_that_is_set_between_turns_tells_the_host_to_ask_again() {
    let mut event_loop = EventLoop::new().unwrap();
    turn(&mut event_loop);
    let timer = event_loop.handle().call_later(secs(5), || ());
    assert!(is_readable(&event_loop), "a host that sleeps until an older deadline must hear of it");
    turn(&mut event_loop);
    assert!(!is_readable(&event_loop));
    assert_eq!(event_loop.next_deadline(), Some(timer.when()));
}

#[cfg(unix)]
#[test]
fn a_host_that_watches_descriptor_and_deadline_misses_nothing() {
    let mut event_loop = EventLoop::new().unwrap();
    let proxy = event_loop.handle().proxy();
    let (sender, receiver) = futures::channel::oneshot::channel();
    let thread = thread::spawn(move || {
        pause(millis(3));
        sender.send("waker").unwrap();
        pause(millis(3));
        proxy.create_task(|| async { sleep(millis(2)).await }).join().unwrap();
    });
    let log = Log::new();
    let done = event_loop.handle().create_task({
        let log = log.clone();
        async move {
            log.push(receiver.await.unwrap());
            sleep(millis(5)).await;
            log.push(to_thread(|| "job").await);
            yield_now().await;
            log.push("end");
        }
    });
    let mut turns = 0;
    while !done.done() || !thread.is_finished() {
        let timeout = match event_loop.next_deadline() {
            Some(deadline) => deadline.saturating_duration_since(event_loop.handle().time()),
            // The other thread's end itself rings nothing.
            None => millis(50),
        };
        readable_within(&event_loop, timeout);
        event_loop.run_once(Some(Duration::ZERO)).unwrap();
        turns += 1;
        assert!(turns < 1000, "the host spins");
    }
    thread.join().unwrap();
    assert_eq!(log.take(), ["waker", "job", "end"]);
}

#[test]
fn run_once_of_zero_never_blocks() {
    let began = now();
    for mut event_loop in [virtual_loop(), EventLoop::new().unwrap()] {
        let handle = event_loop.handle();
        let start = handle.time();
        turn(&mut event_loop);
        handle.create_task(forever_with(())).detach();
        handle.create_task(async { sleep(secs(3600)).await }).detach();
        for _ in 0..3 {
            turn(&mut event_loop);
        }
        assert!(handle.time() - start < secs(5), "a virtual clock stands still, too");
        let proxy = handle.proxy();
        for _ in 0..3 {
            turn(&mut event_loop);
        }
        drop(proxy);
        // While a blocking job runs.
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let job = handle.create_task(to_thread(move || may_go_on.recv().is_err()));
        for _ in 0..3 {
            turn(&mut event_loop);
        }
        assert!(!job.done());
        drop(go_on);
        assert!(event_loop.run_until_complete(job).unwrap().unwrap());
    }
    assert!(began.elapsed() < secs(5), "{:?}", began.elapsed());
}

#[test]
fn run_once_waits_no_longer_than_it_is_told_to() {
    let mut event_loop = EventLoop::new().unwrap();
    event_loop.handle().create_task(sleep(secs(3600))).detach();
    turn(&mut event_loop);
    let began = now();
    event_loop.run_once(Some(millis(5))).unwrap();
    let took = began.elapsed();
    assert!(took >= millis(5) && took < secs(5), "{took:?}");
}

#[test]
fn run_once_without_limit_waits_for_the_next_thing() {
    let (mut event_loop, log) = (EventLoop::new().unwrap(), Log::new());
    let start = event_loop.handle().time();
    let _ = event_loop.handle().call_later(millis(5), log.callback("timer"));
    // Setting the timer from outside of a turn rang the bell; the first turn may be for that.
    event_loop.run_once(None).unwrap();
    if log.is_empty() {
        event_loop.run_once(None).unwrap();
    }
    assert_eq!(log.take(), ["timer"]);
    assert!(event_loop.handle().time() - start >= millis(5));
    let proxy = event_loop.handle().proxy();
    let (sender, called) = mpsc::channel();
    let thread = thread::spawn(move || {
        pause(millis(5));
        proxy.call_soon(move || sender.send(()).unwrap()).unwrap();
    });
    while called.try_recv().is_err() {
        event_loop.run_once(None).unwrap();
    }
    thread.join().unwrap();
}

#[test]
fn a_virtual_clock_moves_as_far_as_run_once_may_wait() {
    let (mut event_loop, log) = (virtual_loop(), Log::new());
    let handle = event_loop.handle();
    let start = handle.time();
    let _ = handle.call_later(secs(10), log.callback("ten"));
    event_loop.run_once(Some(secs(4))).unwrap();
    assert_eq!((handle.time() - start, log.take().len()), (secs(4), 0));
    event_loop.run_once(Some(secs(6))).unwrap();
    assert_eq!((handle.time() - start, log.take().len()), (secs(10), 1));
    let _ = handle.call_later(secs(1), log.callback("eleven"));
    event_loop.run_once(Some(secs(100))).unwrap();
    assert_eq!((handle.time() - start, log.take().len()), (secs(11), 1), "no further than the timer");
    event_loop.run_once(Some(secs(100))).unwrap();
    assert_eq!(handle.time() - start, secs(111), "nothing can come");
}

#[test]
fn tasks_that_are_made_between_turns_run_in_the_next_one() {
    let (mut event_loop, log) = (virtual_loop(), Log::new());
    let handle = event_loop.handle();
    let task = handle.create_task({
        let log = log.clone();
        async move {
            log.push("first step");
            yield_now().await;
            log.push("second step");
            "value"
        }
    });
    let _ = handle.call_soon(log.callback("callback"));
    assert_eq!(log.take(), [""; 0]);
    turn(&mut event_loop);
    assert_eq!(log.take(), ["first step", "callback"]);
    turn(&mut event_loop);
    assert_eq!(log.take(), ["second step"]);
    assert!(matches!(task.result(), Some(Ok(&"value"))));
}

#[test]
fn a_loop_that_is_not_in_its_turn_is_not_running() {
    let mut event_loop = virtual_loop();
    let handle = event_loop.handle();
    let seen = Rc::new(Cell::new(false));
    let sink = seen.clone();
    let _ = handle.call_soon(move || sink.set(get_running_loop().unwrap().is_running()));
    assert!(!handle.is_running() && get_running_loop().is_err());
    turn(&mut event_loop);
    assert!(seen.get());
    assert!(!handle.is_running() && get_running_loop().is_err());
}

#[test]
fn two_loops_take_turns_on_one_thread() {
    let mut loops = [virtual_loop(), virtual_loop()];
    let log = Log::new();
    let (ping, pong) = (Promise::new(), Promise::new());
    loops[0]
        .handle()
        .create_task({
            let (log, ping, pong) = (log.clone(), ping.clone(), pong.clone());
            async move {
                log.push("loop 0 pings");
                ping.set_result(()).unwrap();
                pong.await.unwrap();
                log.push("loop 0 has its answer");
            }
        })
        .detach();
    loops[1]
        .handle()
        .create_task({
            let log = log.clone();
            async move {
                ping.await.unwrap();
                log.push("loop 1 pongs");
                pong.set_result(()).unwrap();
            }
        })
        .detach();
    for _ in 0..3 {
        for event_loop in &mut loops {
            turn(event_loop);
        }
    }
    assert_eq!(log.take(), ["loop 0 pings", "loop 1 pongs", "loop 0 has its answer"]);
}

#[evloop::test]
async fn a_turn_inside_of_a_turn_is_refused() {
    let mut other = virtual_loop();
    other.handle().create_task(forever_with(())).detach();
    let nested = other.run_once(Some(Duration::ZERO));
    assert!(matches!(nested, Err(RunError::AlreadyRunning)));
    assert!(RunError::AlreadyRunning.to_string().contains("await the future there"));
    // Nothing is broken on either side.
    assert_eq!(other.handle().all_tasks().len(), 1);
    let start = now();
    sleep(secs(1)).await;
    assert_eq!(now() - start, secs(1));
}

#[test]
fn a_wake_in_the_middle_of_a_turn_by_another_thread_is_not_lost() {
    // A callback keeps the turn busy while the other thread wakes a task of this loop.
    let (mut event_loop, log) = (EventLoop::new().unwrap(), Log::new());
    let slot = keeps_its_waker(&event_loop, &log);
    turn(&mut event_loop);
    log.take();
    let waker = slot.take().unwrap();
    let _ = event_loop.handle().call_soon(move || {
        thread::spawn(move || waker.wake()).join().unwrap();
    });
    turn(&mut event_loop);
    assert!(is_due(&event_loop) || log.take() == ["polled"]);
    turn(&mut event_loop);
}

#[test]
fn a_loop_can_be_stepped_and_run_by_turns() {
    let (mut event_loop, log) = (virtual_loop(), Log::new());
    let handle = event_loop.handle();
    let ticker = handle.create_task({
        let log = log.clone();
        async move {
            for n in 0.. {
                log.push(n.to_string());
                sleep(secs(1)).await;
            }
        }
    });
    turn(&mut event_loop);
    event_loop.run_until_complete(async { sleep(millis(1500)).await }).unwrap();
    event_loop.run_once(Some(secs(10))).unwrap();
    let _ = handle.call_later(millis(1500), {
        let handle = handle.clone();
        move || handle.stop()
    });
    event_loop.run_forever().unwrap();
    assert_eq!(log.take(), ["0", "1", "2", "3"]);
    ticker.cancel();
    event_loop.cancel_all_tasks().unwrap();
    assert!(ticker.cancelled());
}

#[test]
fn a_group_may_have_children_in_several_loops_of_its_thread() {
    let log = Log::new();
    let (mut ours, mut other) = (virtual_loop(), virtual_loop());
    let place = Rc::new(RefCell::new(None));
    let group = ours.handle().create_task({
        let (log, place) = (log.clone(), place.clone());
        async move {
            TaskGroup::cancellable(async |tg| {
                *place.borrow_mut() = Some(tg.clone());
                let _ = tg.create_task(forever_with(log.on_drop("ours")));
                std::future::pending::<()>().await;
            })
            .await;
            log.push("the group");
        }
    });
    turn(&mut ours);
    let tg = place.take().unwrap();
    let children = other.run_until_complete(async {
        let ends = tg.create_task(finally(forever_with(()), yield_now())).unwrap();
        let stays = tg.create_task(forever_with(log.on_drop("the other loop's"))).unwrap();
        yield_now().await;
        (ends, stays)
    });
    let (ends, stays) = children.unwrap();
    // From outside of both.
    tg.cancel();
    (0..4).for_each(|_| turn(&mut ours));
    assert_eq!((log.take(), tg.len()), (vec!["ours".to_string()], 2));
    assert!(!ends.done() && !stays.done() && !group.done(), "it waits for the other loop's");
    // They end with their loop.
    drop(other);
    assert_eq!((log.take(), tg.len()), (vec!["the other loop's".to_string()], 0));
    assert!(ends.cancelled() && stays.cancelled());
    (0..4).for_each(|_| turn(&mut ours));
    assert_eq!(log.take(), ["the group"]);
    assert!(group.done());
}
