//! `evloop::testing`: that `settle` waits for all and for no more, and that a seed decides the order.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use evloop::testing::{self, Scenario, cancel_everywhere, settle};
use evloop::time::secs;
use evloop::{
    Clock, EventLoop, LoopHandle, Queue, call_soon, create_task, gather, now, sleep, to_thread, yield_now,
};

use crate::support::{panic_of, yields};

fn shuffled(seed: Option<u64>) -> EventLoop {
    EventLoop::builder().clock(Clock::Virtual).shuffle(seed).build().unwrap()
}

#[evloop::test]
async fn settle_lets_a_long_chain_of_wakes_end() {
    let links: Vec<Rc<Queue<u32>>> = (0..50).map(|_| Rc::new(Queue::new(1))).collect();
    for pair in links.windows(2) {
        let (from, to) = (pair[0].clone(), pair[1].clone());
        create_task(async move { to.put(from.get().await.unwrap() + 1).await }).detach();
    }
    settle().await;
    links[0].put_nowait(0).unwrap();
    assert!(links[49].empty());
    settle().await;
    assert_eq!(links[49].get_nowait(), Ok(49));
}

#[evloop::test]
async fn settle_waits_for_callbacks_and_for_what_they_schedule() {
    let ran = Rc::new(Cell::new(false));
    call_soon({
        let ran = ran.clone();
        move || {
            call_soon(move || drop(call_soon(move || ran.set(true))));
        }
    });
    settle().await;
    assert!(ran.get());
}

#[evloop::test]
async fn no_time_passes_while_it_settles_but_what_is_due_comes() {
    let start = now();
    let at_once = create_task(async move { evloop::sleep_until(now()).await });
    let later = create_task(sleep(secs(1)));
    settle().await;
    assert_eq!((now(), at_once.done(), later.done()), (start, true, false));
    later.await.unwrap();
}

#[evloop::test]
async fn several_may_settle_at_once() {
    let ended = Rc::new(Cell::new(0));
    let settlers = (0..3_usize).map(|n| {
        let ended = ended.clone();
        async move {
            yields(n).await;
            settle().await;
            ended.set(ended.get() + 1);
        }
    });
    let busy = create_task(yields(20));
    let settled = create_task(gather(settlers.collect::<Vec<_>>()));
    yields(15).await;
    assert_eq!(ended.get(), 0, "one is busy still");
    settled.await.unwrap().unwrap();
    assert!(busy.done());
}

#[evloop::test]
async fn one_task_may_settle_twice_at_once() {
    let busy = create_task(yields(20));
    evloop::race((settle(), settle())).await;
    assert!(busy.done());
    settle().await;
}

#[test]
fn a_settle_that_is_dropped_holds_nobody_up() {
    cancel_everywhere(|| {
        let busy = create_task(yields(3));
        Scenario::new(settle()).check(async move |_| {
            settle().await;
            assert!(busy.done());
        })
    });
}

#[evloop::test]
async fn settle_does_not_wait_for_a_job() {
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let job = create_task(to_thread(move || wait.recv().is_err()));
    settle().await;
    assert!(!job.done());
    drop(release);
    assert!(job.await.unwrap());
}

#[test]
fn who_yields_for_ever_is_found_out() {
    let message = panic_of(|| {
        shuffled(None).run_until_complete(async {
            create_task(async {
                loop {
                    yield_now().await;
                }
            })
            .detach();
            settle().await;
        })
    });
    assert!(message.contains("yield for ever"), "{message}");
}

/// The order in which eight tasks and eight callbacks run, three times each.
fn order(seed: Option<u64>) -> Vec<usize> {
    let order = Rc::new(RefCell::new(Vec::new()));
    let result = shuffled(seed).run_until_complete(async {
        let tasks = (0..8).map(|n| {
            let order = order.clone();
            async move {
                for _ in 0..3 {
                    order.borrow_mut().push(n);
                    let noted = order.clone();
                    call_soon(move || noted.borrow_mut().push(n + 8));
                    yield_now().await;
                }
            }
        });
        gather(tasks.collect::<Vec<_>>()).await.unwrap();
        settle().await;
    });
    result.unwrap();
    order.take()
}

#[test]
fn a_seed_decides_the_order_and_nothing_else() {
    let fifo = order(None);
    assert_eq!(fifo[..8], [0, 1, 2, 3, 4, 5, 6, 7]);
    let one = order(Some(1));
    assert_eq!(one, order(Some(1)));
    assert_ne!(one, order(Some(2)));
    assert_ne!(one, fifo);
    let sorted = |mut order: Vec<usize>| {
        order.sort_unstable();
        order
    };
    assert_eq!(sorted(one), sorted(fifo));
}

/// Every order of three tasks comes up, and none much more often than the others.
#[test]
fn all_orders_are_possible() {
    let mut seen = std::collections::BTreeMap::new();
    for seed in 0..600 {
        let first: Vec<usize> = order(Some(seed)).into_iter().filter(|&n| n < 3).take(3).collect();
        if first.iter().collect::<std::collections::BTreeSet<_>>().len() == 3 {
            *seen.entry(first).or_insert(0) += 1;
        }
    }
    assert_eq!(seen.len(), 6, "{seen:?}");
    assert!(seen.values().all(|&times| times > 40), "{seen:?}");
}

#[test]
fn a_shuffled_loop_keeps_its_promises() {
    for seed in 0..20 {
        let mut event_loop = shuffled(Some(seed));
        let handle: LoopHandle = event_loop.handle();
        handle.call_soon({
            let handle = handle.clone();
            move || handle.stop()
        });
        event_loop.run_forever().unwrap();
        // A batch is all that was ready, and deadlines keep their order.
        let order = Rc::new(RefCell::new(Vec::new()));
        let result = event_loop.run_until_complete(async {
            for n in [3, 1, 2] {
                let order = order.clone();
                evloop::call_later(secs(n), move || order.borrow_mut().push(n));
            }
            sleep(secs(4)).await;
        });
        result.unwrap();
        assert_eq!(order.take(), [1, 2, 3]);
    }
}

#[evloop::test(order = "fifo")]
async fn a_test_of_the_order_is_left_alone() {
    let order = Rc::new(RefCell::new(Vec::new()));
    for n in 0..20 {
        let order = order.clone();
        call_soon(move || order.borrow_mut().push(n));
    }
    settle().await;
    assert_eq!(order.take(), (0..20).collect::<Vec<_>>());
}

#[test]
fn a_scenario_of_the_order_is_left_alone() {
    cancel_everywhere(|| {
        let order = Rc::new(RefCell::new(Vec::new()));
        for n in 0..20 {
            let order = order.clone();
            call_soon(move || order.borrow_mut().push(n));
        }
        let check = async move |_: testing::Run<()>| assert_eq!(order.take(), (0..20).collect::<Vec<_>>());
        Scenario::new(yields(2)).fifo().check(check)
    });
}

/// Runs in processes of its own, too, with other environments.
#[evloop::test]
async fn the_environment_is_read() {
    let expected = std::env::var("EVLOOP_TEST_SEED").ok().filter(|text| !text.is_empty());
    assert_eq!(testing::seed().map(|seed| seed.to_string()), expected);
    assert!(std::env::var("EVLOOP_TEST_FAIL").is_err(), "it is asked to fail");
}

/// Whether a test of this file passes with these variables, and what it prints.
fn in_another_environment(test: &str, variables: &[(&str, &str)]) -> (bool, String) {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("testing_order::{test}")]).env_remove("EVLOOP_TEST_SEED");
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.success(), said)
}

#[test]
fn a_seed_comes_from_the_environment() {
    let read = |variables: &[_]| in_another_environment("the_environment_is_read", variables);
    for fine in ["", "7"] {
        let (passed, said) = read(&[("EVLOOP_TEST_SEED", fine)]);
        assert!(passed, "{said}");
    }
    let (passed, said) = read(&[("EVLOOP_TEST_SEED", "seven")]);
    assert!(!passed && said.contains("EVLOOP_TEST_SEED is seven; set it to a number"), "{said}");
    let (passed, said) = read(&[("EVLOOP_TEST_SEED", "7"), ("EVLOOP_TEST_FAIL", "1")]);
    assert!(!passed && said.contains("EVLOOP_TEST_SEED=7 repeats it"), "{said}");
    for of_the_order in ["a_scenario_of_the_order_is_left_alone", "a_test_of_the_order_is_left_alone"] {
        let (passed, said) = in_another_environment(of_the_order, &[("EVLOOP_TEST_SEED", "7")]);
        assert!(passed && said.contains("1 passed"), "{said}");
    }
}
