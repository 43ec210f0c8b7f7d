//! A server that sends back what it gets, until the client ends.
//!
//! The least that a server can be: it accepts, starts a task for each connection, reads and writes. In steady state a
//! request costs two system calls, `recv` and `send`, and its share of a wait. Nothing is queued: a client that does not
//! read its echo is not read from either. There is no limit of time; `hello_server` has some.
//!
//! Run it with `cargo run --release --example echo_server -- [ADDRESS]`, and `echo_client` against it.

use std::io;
use std::process::ExitCode;

use evloop::net::{TcpListener, TcpStream};
use evloop::time::secs;
use evloop::{create_task, sleep};

#[allow(dead_code, reason = "each program needs some of it")]
mod sockets;

/// Holds most requests whole; larger ones are sent back in pieces.
const BUFFER_BYTES: usize = 16 * 1024;

async fn echo(stream: TcpStream) -> io::Result<()> {
    // Small answers go out at once instead of waiting for more to send.
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count]).await?,
        }
    }
}

/// Serves all who come, for ever.
pub(crate) async fn serve(listener: TcpListener) {
    loop {
        match listener.accept().await {
            // How a connection ends, in order or by a reset, concerns nobody else.
            Ok((stream, _)) => create_task(echo(stream)).detach(),
            // Nothing that one client did. Perhaps the network is down; in a while it may be better.
            Err(error) => {
                sockets::complain(format!("cannot accept: {error}"));
                sleep(secs(1)).await;
            }
        }
    }
}

fn main() -> ExitCode {
    let parse = |words: &mut sockets::Words| words.address("127.0.0.1:5001");
    sockets::main("echo_server [ADDRESS]", parse, |address| {
        evloop::run(async {
            let listener = sockets::listen(&address).await?;
            serve(listener).await;
            Ok(())
        })
    })
}
