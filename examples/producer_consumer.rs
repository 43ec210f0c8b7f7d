//! A producer and a consumer with a bounded queue between them.
//!
//! A port of the asyncio program with `asyncio.Queue(maxsize=10)`, where `None` says that nothing more comes and
//! `q.join()` waits until every item was not only taken but done. Five items, one second each to make and one to use,
//! take six seconds and not ten: while one is used the next is made.
//!
//! Run it with `cargo run --example producer_consumer`.

use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;

use evloop::time::secs;
use evloop::{Clock, EventLoop, Queue, TaskError, create_task, gather, now, sleep};

/// Prints a line.
type Out = Rc<dyn Fn(&str)>;

/// `None` is the end, as in asyncio's program. `Queue::shutdown` would do without.
type Items = Rc<Queue<Option<u32>>>;

const OPEN: &str = "nobody shuts this queue down";

async fn consumer(queue: Items, out: Out) {
    out("consumer starts.");
    while let Some(item) = queue.get().await.expect(OPEN) {
        sleep(secs(1)).await; // what it takes to use one
        out(&format!("consume {item}"));
        queue.task_done();
    }
    queue.task_done(); // the `None` was an item too
    out("consumer ends.");
}

async fn producer(queue: Items, out: Out) {
    out("producer starts.");
    for item in 0..5 {
        sleep(secs(1)).await; // what it takes to make one
        out(&format!("produce {item}"));
        queue.put(Some(item)).await.expect(OPEN);
    }
    queue.put(None).await.expect(OPEN);
    queue.join().await;
    out("producer ends.");
}

async fn program(out: Out) -> Result<(), TaskError> {
    let queue = Rc::new(Queue::new(10));
    let producer = create_task(producer(queue.clone(), out.clone()));
    let consumer = create_task(consumer(queue, out));
    gather((producer, consumer)).await?;
    Ok(())
}

/// Runs the program, on the clock asked for; prints and returns how long that took by this clock.
pub(crate) fn demo(clock: Clock, out: Out) -> io::Result<Duration> {
    let mut event_loop = EventLoop::builder().clock(clock).build()?;
    let timed = async {
        let start = now();
        program(out.clone()).await.map_err(io::Error::other)?;
        let elapsed = now() - start;
        out(&format!("{:.1} s", elapsed.as_secs_f64()));
        Ok(elapsed)
    };
    event_loop.run_until_complete(timed).map_err(io::Error::other)?
}

fn main() -> io::Result<()> {
    // Not `println!`, which panics once nobody reads any more.
    let out = |line: &str| drop(writeln!(io::stdout(), "{line}"));
    demo(Clock::Monotonic, Rc::new(out)).map(drop)
}
