//! Counts the lines of an access log by client address, every stage of the pipeline on a thread of its own.
//!
//! A port of the streaming system with `threading.Thread` and `queue.Queue`, `broadcast_threaded([map_threaded(…), …])`.
//! That program printed `{}`: it looked at the result while the threads were still at work, and nothing in it said that
//! there was something to wait for. Here the answer is the *return value* of the pipeline, so it cannot be had too
//! early: the loop awaits it, free for other tasks meanwhile, and it is complete every time.
//!
//! Run it with `cargo run --example threaded_ip_count -- [LOG|-] [ADDRESS]...`, as `ip_count`.

use std::io;
use std::net::IpAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Duration;

use evloop::{Clock, EventLoop, now, to_thread};

mod ip_log;
use ip_log::{Answer, Arguments, Garbage, LogReader};

/// Prints a line.
type Out = Rc<dyn Fn(&str)>;

/// Items on the way between two stages. Python's `Queue()` has no bound: there a fast reader fills the memory.
const DEPTH: usize = 64;

fn feed(mut reader: LogReader, next: SyncSender<IpAddr>) -> io::Result<Garbage> {
    while let Some(clients) = reader.next_chunk()? {
        for client in clients {
            next.send(client).map_err(io::Error::other)?;
        }
    }
    Ok(reader.garbage)
}

/// A stage ends when all that could send to it are gone, which is why each one owns its senders.
fn broadcast(clients: Receiver<IpAddr>, targets: Vec<SyncSender<IpAddr>>) {
    for client in clients {
        for target in &targets {
            let _ = target.send(client); // fails only if that filter panicked; then the scope panics too
        }
    }
}

/// Sends the place of the address in the user's list, not the address: it may be there twice.
fn filter(place: usize, address: IpAddr, clients: Receiver<IpAddr>, next: SyncSender<usize>) {
    for client in clients {
        if client == address {
            let _ = next.send(place);
        }
    }
}

fn reduce(places: Receiver<usize>, mut counts: Vec<(IpAddr, u64)>) -> Vec<(IpAddr, u64)> {
    for place in places {
        counts[place].1 += 1;
    }
    counts
}

/// `Scope::spawn` panics if the system has no thread left; an address too many on the command line is no reason to.
fn start<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    stage: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, T>> {
    let started = thread::Builder::new().spawn_scoped(scope, stage);
    started.map_err(|error| io::Error::new(error.kind(), format!("cannot start a thread: {error}")))
}

fn count_with_threads(arguments: Arguments) -> io::Result<Answer> {
    let reader = LogReader::open(&arguments.log)?;
    // A scope returns when all its threads have ended, also if one of them cannot be started: the `?` drops the senders.
    thread::scope(|scope| {
        let (to_reduce, places) = sync_channel(DEPTH);
        let mut targets = Vec::new();
        for (place, &address) in arguments.addresses.iter().enumerate() {
            let (target, clients) = sync_channel(DEPTH);
            let next = to_reduce.clone();
            start(scope, move || filter(place, address, clients, next))?;
            targets.push(target);
        }
        drop(to_reduce); // from now on only the filters hold one
        let zeros = arguments.addresses.iter().map(|&address| (address, 0));
        let zeros = zeros.collect();
        let reduce = start(scope, move || reduce(places, zeros))?;
        let (to_broadcast, clients) = sync_channel(DEPTH);
        start(scope, move || broadcast(clients, targets))?;

        let garbage = feed(reader, to_broadcast)?;
        let counts = reduce.join().expect("adding does not panic");
        Ok(Answer { counts, garbage })
    })
}

/// One job of the pool waits for all the threads. One job *per stage* could wait forever: a pool has only so many
/// threads, and every stage needs the next to be running.
async fn count(arguments: Arguments) -> io::Result<Answer> {
    to_thread(move || count_with_threads(arguments)).await
}

/// Counts the default addresses in the default log and tells how long that took by the clock asked for.
#[allow(dead_code, reason = "for the tour; this program itself has a command line")]
pub(crate) fn demo(clock: Clock, out: Out) -> io::Result<Duration> {
    let mut event_loop = EventLoop::builder().clock(clock).build()?;
    let timed = async {
        let start = now();
        let answer = count(Arguments::default()).await?;
        answer.lines().for_each(|line| out(&line));
        answer.report_garbage();
        Ok(now() - start)
    };
    event_loop.run_until_complete(timed).map_err(io::Error::other)?
}

fn main() -> ExitCode {
    ip_log::main("threaded_ip_count", |arguments| evloop::run(count(arguments)))
}
