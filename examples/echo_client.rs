//! A load generator for `echo_server`: many connections, each with one request on its way at a time.
//!
//! Every answer is compared with what was sent. While it runs, it tells once a second how it goes, on standard error; at
//! its end come the number of requests, their rate and their latencies. The first thing that goes wrong ends it, and so
//! do ten seconds without any answer.
//!
//! Run it with `cargo run --release --example echo_client -- [ADDRESS [CONNECTIONS [AMOUNT [BYTES]]]]`, where the amount
//! is a number of requests or a time: `echo_client 127.0.0.1:5001 50 5s 64` lasts five seconds.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use evloop::net::{TcpStream, lookup_host};
use evloop::time::{interval, secs};
use evloop::{GatherError, TaskRef, create_task, now, try_gather, wait_for};

#[allow(dead_code, reason = "each program needs some of it")]
mod sockets;
use sockets::load::{Load, Run, USAGE};

const PATIENCE: Duration = secs(10);

/// What is sent before it is read back. Were it more than the buffers on the way can hold, both sides would wait for
/// each other to read.
const PIECE_BYTES: usize = 16 * 1024;

async fn connect(load: &Load) -> io::Result<Vec<TcpStream>> {
    let address = &load.address;
    let found = lookup_host(address).await;
    let found = found.map_err(|error| sockets::explain(format!("cannot find {address}"), &error))?;
    let connect_once = async || {
        let stream = wait_for(TcpStream::connect(&found), PATIENCE).await??;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    let mut streams = Vec::new();
    // One after another: all at once might be more than a server has room for in its line.
    for number in 1..=load.connections {
        streams.push(connect_once().await.map_err(|error| {
            let which = format!("connection {number} of {}", load.connections);
            sockets::explain(format!("cannot connect to {address} ({which})"), &error)
        })?);
    }
    Ok(streams)
}

async fn converse(stream: TcpStream, request: Vec<u8>, run: Rc<Run>) -> io::Result<()> {
    let mut answer = vec![0; PIECE_BYTES.min(request.len())];
    let mut begin = now();
    while run.take(begin) {
        for piece in request.chunks(PIECE_BYTES) {
            let answer = &mut answer[..piece.len()];
            stream.write_all(piece).await?;
            stream.read_exact(answer).await?;
            if *answer != *piece {
                return Err(io::Error::new(ErrorKind::InvalidData, "the answer is not what was sent"));
            }
        }
        let end = now();
        run.latencies.borrow_mut().add(end - begin);
        begin = end;
    }
    Ok(())
}

/// Tells how it goes; ends the conversations if it goes nowhere.
async fn watch(run: Rc<Run>, conversations: Vec<TaskRef>) {
    let mut ticks = interval(secs(1));
    let mut last = (0, ticks.tick().await);
    loop {
        let tick = ticks.tick().await;
        let count = run.latencies.borrow().count();
        sockets::complain(format!("{count} requests"));
        if count != last.0 {
            last = (count, tick);
        } else if tick - last.1 >= PATIENCE {
            for conversation in &conversations {
                conversation.cancel();
            }
        }
    }
}

async fn generate(load: Load) -> io::Result<()> {
    let streams = connect(&load).await?;
    let run = Rc::new(Run::of(&load));
    let start = |(number, stream)| {
        // No two connections send the same, so that an answer to another one would be noticed.
        let request = (number..number + load.bytes).map(|byte| (byte % 251) as u8).collect();
        create_task(converse(stream, request, run.clone()))
    };
    let conversations: Vec<_> = streams.into_iter().enumerate().map(start).collect();
    let watched = conversations.iter().map(|conversation| conversation.task_ref()).collect();
    create_task(watch(run.clone(), watched)).detach();
    let result = try_gather(conversations).await;
    // Also of a run that failed. Whoever has closed the pipe has seen enough.
    let _ = writeln!(io::stdout(), "{}", run.summary());
    result.map(drop).map_err(|error| match error {
        GatherError::Failed(error) => sockets::explain("a connection failed", &error),
        GatherError::Task(error) if error.is_cancelled() => {
            io::Error::new(ErrorKind::TimedOut, format!("there was no answer for {PATIENCE:?}"))
        }
        GatherError::Task(error) => io::Error::other(error),
    })
}

fn main() -> ExitCode {
    sockets::main(USAGE, Load::parse, |load| evloop::run(generate(load)))
}
