//! Servers among all kinds of clients at once, and what is left of them afterwards: nothing.
//!
//! The servers of the examples run on one loop, hundreds of clients on another, in another thread. A client makes one
//! visit after the other: orderly ones, which must get what they ask for, and rude ones, which reset, vanish, stall, send
//! garbage or say nothing (`visits.rs`). When all have gone, the servers' loop must have no task, no registration, no
//! waiter and no scope node left, and the process no descriptor.
//!
//! `cargo test` soaks for a second. The whole bath is
//! `EVLOOP_SOAK_SECONDS=30 EVLOOP_SOAK_CONNECTIONS=2000 cargo test --release --test soak -- --nocapture`;
//! `EVLOOP_SOAK_SEED` chooses other visits: which ones depends on the seed alone, their order on the machine.
//! `EVLOOP_SOAK_LOOP` chooses how the loops wait: `edge`, `level`, `oneshot`, or `portable`.

#![cfg(unix)]
#![allow(clippy::duplicate_mod, reason = "programs share modules, and each must stand alone")]
#![allow(dead_code, reason = "the programs' own `main`s")]

#[path = "../../examples/echo_server.rs"]
mod echo_server;
#[path = "../../examples/hello_server.rs"]
mod hello_server;
mod random;
mod visits;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use evloop::net::TcpListener;
use evloop::time::{millis, secs};
use evloop::{
    Builder, EventLoop, LoopHandle, PollMode, create_task, gather, get_running_loop, now, sleep, wait_for,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use hello_server::Limits;
use random::Random;
use visits::{Host, Visit};

/// Nothing takes that long, on the slowest machine, unless it is stuck.
const PATIENCE: Duration = secs(30);

/// What is to be done, and on what loops.
#[derive(Clone, Debug)]
struct Plan {
    loops: Builder,
    connections: usize,
    time: Duration,
    seed: u64,
}

impl Plan {
    fn from_environment() -> Self {
        let number = |name: &str, default: u64| match std::env::var(name) {
            Err(_) => default,
            Ok(value) => value.parse().unwrap_or_else(|_| panic!("{name}: `{value}` is not a number")),
        };
        let loops = EventLoop::builder();
        let loops = match std::env::var("EVLOOP_SOAK_LOOP").as_deref() {
            Err(_) => loops,
            Ok("edge") => loops.poll_mode(PollMode::Edge),
            Ok("level") => loops.poll_mode(PollMode::Level),
            Ok("oneshot") => loops.poll_mode(PollMode::Oneshot),
            Ok("portable") => loops.portable_wait(true),
            Ok(other) => panic!("EVLOOP_SOAK_LOOP: `{other}` is none of edge, level, oneshot, portable"),
        };
        Plan {
            loops,
            connections: usize::try_from(number("EVLOOP_SOAK_CONNECTIONS", 200)).unwrap(),
            time: secs(number("EVLOOP_SOAK_SECONDS", 1)),
            seed: number("EVLOOP_SOAK_SEED", 1),
        }
    }

    /// Of the server that has limits. The more clients, the longer an orderly one waits for its turn.
    fn limits(&self) -> Limits {
        let silence = millis(300 + self.connections as u64);
        Limits { silence, total: 2 * silence }
    }
}

/// What has become of the visits.
#[derive(Debug, Default)]
struct Outcome {
    visits: BTreeMap<&'static str, u64>,
    failures: Vec<String>,
}

impl Outcome {
    fn check(&self, plan: &Plan) {
        for (visit, count) in &self.visits {
            println!("{count:8} {visit}");
        }
        let (count, first) = (self.failures.len(), &self.failures[..self.failures.len().min(10)]);
        assert_eq!(count, 0, "visits that failed, among them {first:#?}");
        let kinds = Visit::ALL.len().min(plan.connections);
        assert!(self.visits.len() >= kinds || plan.time.is_zero(), "some visits were never made");
    }
}

/// One client: visit after visit until the end.
async fn client(
    host: Host,
    mut visit: Visit,
    mut random: Random,
    end: Instant,
    outcome: Rc<RefCell<Outcome>>,
) {
    while now() < end {
        let result = wait_for(visit.make(&host, &mut random), PATIENCE).await;
        let outcome = &mut *outcome.borrow_mut();
        *outcome.visits.entry(visit.name()).or_default() += 1;
        match result {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => outcome.failures.push(format!("{}: {failure}", visit.name())),
            Err(_) => outcome.failures.push(format!("{}: stuck", visit.name())),
        }
        visit = Visit::choose(&mut random);
    }
}

/// All clients, on a loop of their own.
fn clients(plan: Plan, host: Host) -> Outcome {
    let mut event_loop = plan.loops.build().unwrap();
    let main = async {
        let outcome = Rc::new(RefCell::new(Outcome::default()));
        let end = now() + plan.time;
        // The first visits are of all kinds, whatever the seed.
        let first = Visit::ALL.into_iter().cycle().take(plan.connections);
        let clients = first.enumerate().map(|(number, visit)| {
            let random = Random::new(plan.seed, number as u64);
            client(host, visit, random, end, outcome.clone())
        });
        gather(clients).await.expect("a client panicked");
        outcome.take()
    };
    let outcome = event_loop.run_until_complete(main).unwrap();
    nothing_is_left(&event_loop.handle());
    outcome
}

/// Of a loop whose work is done.
fn nothing_is_left(event_loop: &LoopHandle) {
    assert!(event_loop.all_tasks().is_empty(), "tasks: {:?}", event_loop.all_tasks());
    assert_eq!(event_loop.registrations(), (0, 0), "registrations and waiters");
    assert_eq!(event_loop.scope_nodes(), 0, "scope nodes");
}

/// The servers, as long as there are clients, and a little longer.
async fn serve(plan: Plan) {
    let event_loop = get_running_loop().unwrap();
    let reports = Rc::new(RefCell::new(Vec::new()));
    event_loop.set_exception_handler({
        let reports = reports.clone();
        move |context| reports.borrow_mut().push(context.to_string())
    });
    let [echo, hello] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0"));
    let (echo, hello) = (echo.await.unwrap(), hello.await.unwrap());
    let host = Host { echo: echo.local_addr().unwrap(), hello: hello.local_addr().unwrap() };
    let servers =
        [create_task(echo_server::serve(echo)), create_task(hello_server::serve(hello, plan.limits()))];

    let clients = thread::spawn({
        let plan = plan.clone();
        move || clients(plan, host)
    });
    while !clients.is_finished() {
        sleep(millis(5)).await;
    }
    clients.join().unwrap_or_else(|panic| resume_unwind(panic)).check(&plan);

    // The clients are gone. The servers find that out one by one; what is left then is this task, and two that accept.
    let end = now() + PATIENCE;
    while (event_loop.all_tasks().len(), event_loop.registrations()) != (3, (2, 2)) && now() < end {
        sleep(millis(5)).await;
    }
    assert_eq!((event_loop.all_tasks().len(), event_loop.registrations()), (3, (2, 2)), "served for ever");
    for server in servers {
        server.cancel();
        assert!(server.await.unwrap_err().is_cancelled());
    }
    assert_eq!(*reports.borrow(), Vec::<String>::new(), "reported to the exception handler");
}

/// Both ends of each connection are in this process, and a few other things.
fn raise_the_limit_of_descriptors(plan: &Plan) {
    let needed = 2 * plan.connections as u64 + 100;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        // It fails if the hard limit is unlimited and the system has one that is not called so.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let connections = plan.connections;
    assert!(needed <= limit, "{connections} connections take {needed} descriptors, and {limit} may be had");
}

/// How many descriptors the process has open; 0 where that cannot be known.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

#[test]
fn the_orderly_are_served_and_nothing_of_the_rude_is_left() {
    let plan = Plan::from_environment();
    println!("{plan:?}");
    raise_the_limit_of_descriptors(&plan);
    let before = descriptors();
    let mut event_loop = plan.loops.clone().build().unwrap();
    event_loop.run_until_complete(serve(plan)).unwrap();
    nothing_is_left(&event_loop.handle());
    drop(event_loop);
    assert_eq!(descriptors(), before, "descriptors");
}
