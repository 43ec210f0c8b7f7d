//! A server that greets: it reads a name up to an empty line, answers `Hello ` and the name, and closes.
//!
//! A port of the server of a coroutine tutorial, which takes packets for messages: there, what a packet border cuts in
//! two is lost, and one silent client keeps all others waiting. Here each client has a task of its own, and
//!
//! * wherever the packets begin and end, also in the midst of the empty line, the greeting is the same;
//! * an empty line is `\n\n` or `\r\n\r\n`; what comes after the first one is read and ignored;
//! * a name of more than 1024 bytes gets a polite no instead of a greeting;
//! * who says nothing for 10 seconds, or is not done after 30 in all, is left without an answer; and so is
//! * who ends before the empty line: the name may have been cut off, and half a name is no name;
//! * a client that resets, vanishes or talks garbage concerns nobody else.
//!
//! Run it with `cargo run --example hello_server -- [ADDRESS [SILENCE_SECONDS [TOTAL_SECONDS]]]`, and then
//! `printf 'Ann\n\n' | nc -q1 127.0.0.1 5000`.

use std::io;
use std::net::Shutdown;
use std::process::ExitCode;
use std::time::Duration;

use evloop::net::{TcpListener, TcpStream};
use evloop::time::secs;
use evloop::{create_task, sleep, wait_for};

#[allow(dead_code, reason = "each program needs some of it")]
mod sockets;

const MAX_NAME_BYTES: usize = 1024;

#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// How long a client may say nothing.
    pub(crate) silence: Duration,
    /// How long a client may take in all. Without it, a byte now and then would keep a connection for ever.
    pub(crate) total: Duration,
}

/// What stands before the first empty line, once there is one.
fn name_in(received: &[u8]) -> Option<&[u8]> {
    let is_last_line_end = |&at: &usize| {
        let rest = &received[at..];
        rest.starts_with(b"\n\n") || rest.starts_with(b"\n\r\n")
    };
    let name = &received[..(0..received.len()).find(is_last_line_end)?];
    Some(name.strip_suffix(b"\r").unwrap_or(name))
}

/// Reads until the name is complete; `None` if it is too long.
async fn read_name(stream: &TcpStream, silence: Duration) -> io::Result<Option<Vec<u8>>> {
    let mut received = Vec::new();
    let mut piece = [0; 512];
    loop {
        let count = wait_for(stream.read(&mut piece), silence).await??;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        received.extend_from_slice(&piece[..count]);
        if let Some(name) = name_in(&received) {
            return Ok((name.len() <= MAX_NAME_BYTES).then(|| name.to_vec()));
        }
        if received.len() > MAX_NAME_BYTES + b"\r\n\r".len() {
            return Ok(None);
        }
    }
}

async fn greet(stream: &TcpStream, silence: Duration) -> io::Result<()> {
    let answer = match read_name(stream, silence).await? {
        Some(name) => [b"Hello ", &name[..]].concat(),
        None => b"Sorry, that name is too long\n".to_vec(),
    };
    stream.write_all(&answer).await?;
    // A connection that is closed with something unread in it is reset, and a reset may overtake the answer. So this
    // side only says that it is done, and reads until the other is.
    stream.shutdown(Shutdown::Write)?;
    let mut ignored = [0; 512];
    while wait_for(stream.read(&mut ignored), silence).await?? > 0 {}
    Ok(())
}

/// Greets all who come, for ever.
pub(crate) async fn serve(listener: TcpListener, limits: Limits) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let greeting = async move { greet(&stream, limits.silence).await };
                // Whatever goes wrong is this client's doing: its connection is closed, and that is all.
                create_task(wait_for(greeting, limits.total)).detach();
            }
            // Nothing that one client did. Perhaps the network is down; in a while it may be better.
            Err(error) => {
                sockets::complain(format!("cannot accept: {error}"));
                sleep(secs(1)).await;
            }
        }
    }
}

fn main() -> ExitCode {
    let usage = "hello_server [ADDRESS [SILENCE_SECONDS [TOTAL_SECONDS]]]";
    let parse = |words: &mut sockets::Words| {
        let address = words.address("127.0.0.1:5000")?;
        let silence = words.seconds(secs(10))?;
        Ok((address, Limits { silence, total: words.seconds(secs(30))? }))
    };
    sockets::main(usage, parse, |(address, limits)| {
        evloop::run(async {
            let listener = sockets::listen(&address).await?;
            serve(listener, limits).await;
            Ok(())
        })
    })
}
