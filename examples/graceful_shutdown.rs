//! A server that ends well: on Ctrl-C it accepts nobody any more, finishes the requests that it has, says goodbye to each
//! client, and gives all that a deadline.
//!
//! Each line is a request that takes a while; the answer is the line in capitals. The server is a task group, so the
//! program cannot end before its connections have. On Ctrl-C the group is cancelled. That ends the accepting at once; a
//! connection takes it in a cleanup that may await: it answers what it has begun, says goodbye and closes. What has not
//! ended at the deadline is cancelled once more, and that is not waited for. A second Ctrl-C cancels the program itself.
//!
//! Run it with `cargo run --example graceful_shutdown -- [ADDRESS [REQUEST_SECONDS [DEADLINE_SECONDS]]]`, talk to it with
//! `nc 127.0.0.1 5002`, and press Ctrl-C.

use std::io;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use evloop::net::{TcpListener, TcpStream};
use evloop::signal::{Signal, Signals, signal};
use evloop::time::{now, secs};
use evloop::{AllCompleted, TaskGroup, create_task, on_cancel, sleep, timeout, wait};

#[allow(dead_code, reason = "each program needs some of it")]
mod sockets;

/// The next line, without its end; `None` if the client has none, or one that never ends.
async fn next_line(stream: &TcpStream, received: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    loop {
        if let Some(end) = received.iter().position(|&byte| byte == b'\n') {
            let line = received.drain(..=end).take(end).collect();
            return Ok(Some(line));
        }
        let mut piece = [0; 1024];
        match stream.read(&mut piece).await? {
            0 => return Ok(None),
            count if received.len() < 64 * 1024 => received.extend_from_slice(&piece[..count]),
            _ => return Ok(None),
        }
    }
}

async fn answer(stream: Rc<TcpStream>, line: Vec<u8>, takes: Duration) -> io::Result<()> {
    sleep(takes).await; // The work.
    stream.write_all(&[line.to_ascii_uppercase(), b"\n".to_vec()].concat()).await
}

/// Serves a client until one of both sides ends. The server's end is a cancellation.
async fn serve(stream: TcpStream, takes: Duration) -> io::Result<()> {
    let (stream, mut received) = (Rc::new(stream), Vec::new());
    let goodbye = async || stream.write_all(b"goodbye\n").await;
    loop {
        // Nothing is going on: goodbye at once.
        let line =
            on_cancel(next_line(&stream, &mut received), async |_| goodbye().await.map(|()| None)).await?;
        let Some(line) = line else { return Ok(()) };
        // A task of its own, which the cancellation does not reach: first its end, then goodbye.
        let answering = create_task(answer(stream.clone(), line, takes));
        let answered = async {
            wait([&answering], AllCompleted, None).await;
            false
        };
        let told_to_end = on_cancel(answered, async |_| true).await;
        answering.await.unwrap_or(Ok(()))?;
        if told_to_end {
            return goodbye().await;
        }
    }
}

/// Starts a task of the group for each client.
async fn accept(listener: TcpListener, clients: TaskGroup, takes: Duration) {
    loop {
        match listener.accept().await {
            // How a connection ends concerns nobody else. When the group is ending, it is closed.
            Ok((stream, _)) => drop(clients.create_task(serve(stream, takes))),
            Err(error) => {
                sockets::complain(format!("cannot accept: {error}"));
                sleep(secs(1)).await;
            }
        }
    }
}

async fn run(
    listener: TcpListener,
    mut ctrl_c: Signals,
    takes: Duration,
    patience: Duration,
) -> io::Result<()> {
    let served = timeout(None, async |deadline| {
        TaskGroup::scope(async |clients| {
            let _ = clients.create_task(accept(listener, clients.clone(), takes));
            ctrl_c.recv().await;
            sockets::say(format!("ending, {} clients", clients.len() - 1));
            let _ = deadline.reschedule(now() + patience);
            clients.cancel();
        })
        .await
    });
    match served.await {
        Ok(()) => {
            sockets::say("all clients have been told");
            Ok(())
        }
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "not all clients could be told in time")),
    }
}

fn main() -> ExitCode {
    let usage = "graceful_shutdown [ADDRESS [REQUEST_SECONDS [DEADLINE_SECONDS]]]";
    let parse = |words: &mut sockets::Words| {
        let address = words.address("127.0.0.1:5002")?;
        Ok((address, words.seconds(Duration::from_millis(200))?, words.seconds(secs(5))?))
    };
    sockets::main(usage, parse, |(address, takes, patience)| {
        evloop::run(async {
            // Listened for from here on: once the address is printed, a Ctrl-C is the server's.
            let ctrl_c = signal(Signal::SIGINT)?;
            let listener = sockets::listen(&address).await?;
            run(listener, ctrl_c, takes, patience).await
        })
    })
}
