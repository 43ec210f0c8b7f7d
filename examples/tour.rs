//! All the ports of asyncio programs one after the other, on the virtual clock.
//!
//! Time jumps to the next deadline whenever there is nothing else to do, so what sleeps for 21 seconds in Python is
//! over in milliseconds, and the output is the same on every run, except for its last line, which tells the real time.
//!
//! Run it with `cargo run --example tour`.

#![allow(clippy::duplicate_mod, reason = "two of the programs share `ip_log`, and each must stand alone")]
#![allow(dead_code, reason = "the programs' own `main`s")]

use std::io::{self, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use evloop::Clock;

#[path = "call_later.rs"]
mod call_later;
#[path = "eternity.rs"]
mod eternity;
#[path = "ip_count.rs"]
mod ip_count;
#[path = "producer_consumer.rs"]
mod producer_consumer;
#[path = "say_after.rs"]
mod say_after;
#[path = "threaded_ip_count.rs"]
mod threaded_ip_count;

/// Prints a line.
type Out = Rc<dyn Fn(&str)>;

struct Stop {
    name: &'static str,
    shows: &'static str,
    ports: &'static str,
    demo: fn(Clock, Out) -> io::Result<Duration>,
}

const STOPS: [Stop; 6] = [
    Stop {
        name: "say_after",
        shows: "two sleeps one after the other, then two at the same time",
        ports: "asyncio.run, asyncio.sleep, asyncio.create_task",
        demo: say_after::demo,
    },
    Stop {
        name: "eternity",
        shows: "one second of patience for something that takes an hour",
        ports: "asyncio.wait_for, asyncio.TimeoutError",
        demo: eternity::demo,
    },
    Stop {
        name: "call_later",
        shows: "the loop without tasks: callbacks that call one another",
        ports: "loop.call_soon, loop.call_later, loop.time, loop.run_forever, loop.stop",
        demo: call_later::demo,
    },
    Stop {
        name: "producer_consumer",
        shows: "a bounded queue between two tasks, and its end",
        ports: "asyncio.Queue with join and task_done, asyncio.gather",
        demo: producer_consumer::demo,
    },
    Stop {
        name: "ip_count",
        shows: "a log through a pipeline of tasks, read by the thread pool",
        ports: "the streaming system of coroutines: broadcast, map_, reduce_",
        demo: ip_count::demo,
    },
    Stop {
        name: "threaded_ip_count",
        shows: "the same with a thread per stage, and an answer that is awaited",
        ports: "the streaming system of threads, which printed {}",
        demo: threaded_ip_count::demo,
    },
];

fn main() -> ExitCode {
    // Not `println!`, which panics once nobody reads any more (`… | head -1`).
    let out: Out = Rc::new(|line| drop(writeln!(io::stdout(), "{line}")));
    let start = Instant::now();
    let mut passed = Duration::ZERO;
    for stop in STOPS {
        out(&format!("== {}: {}", stop.name, stop.shows));
        out(&format!("   ports {}", stop.ports));
        match (stop.demo)(Clock::Virtual, out.clone()) {
            Ok(took) => passed += took,
            Err(error) => {
                let _ = writeln!(io::stderr(), "{}: {error}", stop.name);
                return ExitCode::FAILURE;
            }
        }
        out("");
    }
    out(&format!("{passed:?} passed on the virtual clock,"));
    out(&format!("{:.1?} in the real world.", start.elapsed()));
    ExitCode::SUCCESS
}
