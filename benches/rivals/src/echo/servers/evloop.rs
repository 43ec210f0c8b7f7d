//! evloop: as it comes, and in the modes that it can be set to.

use std::io;

use evloop::net::{TcpListener, TcpStream};
use evloop::{Builder, EventLoop, PollMode};

use crate::echo::{BUFFER, quota};

pub(super) fn as_it_comes(listener: std::net::TcpListener) -> io::Result<()> {
    run(EventLoop::builder(), listener)
}

pub(super) fn edge(listener: std::net::TcpListener) -> io::Result<()> {
    run(EventLoop::builder().poll_mode(PollMode::Edge), listener)
}

pub(super) fn level(listener: std::net::TcpListener) -> io::Result<()> {
    run(EventLoop::builder().poll_mode(PollMode::Level), listener)
}

pub(super) fn portable(listener: std::net::TcpListener) -> io::Result<()> {
    run(EventLoop::builder().portable_wait(true), listener)
}

fn run(builder: Builder, listener: std::net::TcpListener) -> io::Result<()> {
    let server = async {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            drop(evloop::create_task(echo(stream)));
        }
    };
    builder.build()?.run_until_complete(server).map_err(io::Error::other)?
}

async fn echo(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
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
