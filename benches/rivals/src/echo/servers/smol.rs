//! smol: a `LocalExecutor` under `smol::block_on`, and std's sockets in async-io's `Async`.
//!
//! The listener has a task, too: what stands beside the executor in `block_on` is polled at each wake, and
//! would ask for connections at each request.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;

use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::{Async, LocalExecutor};

use crate::echo::{BUFFER, quota};

pub(super) fn run(listener: TcpListener) -> io::Result<()> {
    let executor = Rc::new(LocalExecutor::new());
    let server = executor.spawn(accept(listener, executor.clone()));
    smol::block_on(executor.run(server))
}

async fn accept(listener: TcpListener, executor: Rc<LocalExecutor<'static>>) -> io::Result<()> {
    let listener = Async::new(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        executor.spawn(echo(stream)).detach();
    }
}

async fn echo(mut stream: Async<TcpStream>) -> io::Result<()> {
    stream.get_ref().set_nodelay(true)?;
    let mut buffer = [0; BUFFER];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n]).await?;
        quota::answered();
    }
}
