//! Counts the lines of an access log by client address: a pipeline of tasks with bounded queues between them.
//!
//! A port of the streaming system made of Python coroutines, `broadcast([map_(ip, reducer), …])`:
//!
//! ```text
//!                     ┌─> filter 83.149.9.216 ────┐
//! log ─> broadcast ───┼─> filter 93.114.45.13 ────┼─> reduce
//!                     └─> filter 207.241.237.101 ─┘
//! ```
//!
//! There, `send` calls the next stage; here, a stage that is faster than the next waits for room in its queue. The last
//! one to wait is the reader, which is why a log of any size needs little memory.
//!
//! Run it with `cargo run --example ip_count -- [LOG|-] [ADDRESS]...`; without arguments it counts three addresses in
//! `examples/data/access.log`, `-` is standard input.

use std::io;
use std::net::IpAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use evloop::{Clock, EventLoop, Queue, create_task, gather, now, to_thread};

mod ip_log;
use ip_log::{Answer, Arguments, Garbage, Log, LogReader};

/// Prints a line.
type Out = Rc<dyn Fn(&str)>;

/// Items on the way between two stages.
const DEPTH: usize = 64;

/// Reading blocks, so it is done by the thread pool, a chunk at a time and none ahead: the reader travels there and
/// back, and does not leave again before every line of the chunk has found room.
async fn feed(log: Log, next: &Queue<IpAddr>) -> io::Result<Garbage> {
    let mut reader = to_thread(move || LogReader::open(&log)).await?;
    loop {
        let read = to_thread(move || (reader.next_chunk(), reader)).await;
        reader = read.1;
        let Some(clients) = read.0? else {
            return Ok(reader.garbage);
        };
        for client in clients {
            next.put(client).await.map_err(io::Error::other)?;
        }
    }
}

/// A stage ends when the queue it reads was shut down and is empty.
async fn broadcast(clients: Rc<Queue<IpAddr>>, targets: Vec<Rc<Queue<IpAddr>>>) {
    while let Ok(client) = clients.get().await {
        for target in &targets {
            let _ = target.put(client).await; // fails only after a shutdown, and that is ours, below
        }
    }
    targets.iter().for_each(|target| target.shutdown());
}

/// Sends the place of the address in the user's list, not the address: it may be there twice.
async fn filter(place: usize, address: IpAddr, clients: Rc<Queue<IpAddr>>, next: Rc<Queue<usize>>) {
    while let Ok(client) = clients.get().await {
        if client == address {
            let _ = next.put(place).await;
        }
    }
}

async fn reduce(places: Rc<Queue<usize>>, mut counts: Vec<(IpAddr, u64)>) -> Vec<(IpAddr, u64)> {
    while let Ok(place) = places.get().await {
        counts[place].1 += 1;
    }
    counts
}

async fn count(arguments: Arguments) -> io::Result<Answer> {
    let (clients, places) = (Rc::new(Queue::new(DEPTH)), Rc::new(Queue::new(DEPTH)));
    let (mut targets, mut filters) = (Vec::new(), Vec::new());
    for (place, &address) in arguments.addresses.iter().enumerate() {
        let target = Rc::new(Queue::new(DEPTH));
        targets.push(target.clone());
        filters.push(create_task(filter(place, address, target, places.clone())));
    }
    let broadcast = create_task(broadcast(clients.clone(), targets));
    let zeros = arguments.addresses.iter().map(|&address| (address, 0));
    let reduce = create_task(reduce(places.clone(), zeros.collect()));

    let garbage = feed(arguments.log, &clients).await;
    // Closed from front to back, each stage only after the one before has ended, so that nothing on the way is lost.
    clients.shutdown();
    broadcast.await.map_err(io::Error::other)?;
    gather(filters).await.map_err(io::Error::other)?;
    places.shutdown();
    let counts = reduce.await.map_err(io::Error::other)?;
    let garbage = garbage?;
    Ok(Answer { counts, garbage })
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
    ip_log::main("ip_count", |arguments| evloop::run(count(arguments)))
}
