//! The servers that take part. A new one is a function that takes a bound listener, and a line here.
//!
//! All have the same shape, each in its own idiom: a task for each connection, which reads into 1 KiB and
//! writes all of that, `TCP_NODELAY` set. Only the reference has no tasks.

mod epoll;
mod evloop;
mod smol;
mod tokio;

use std::io;
use std::net::TcpListener;

/// A server by name.
pub(super) struct Server {
    pub(super) name: &'static str,
    pub(super) setup: &'static str,
    /// Whether it is a mode of another, shown when asked for.
    pub(super) is_mode: bool,
    /// Its child's whole life.
    pub(super) run: fn(TcpListener) -> io::Result<()>,
}

impl Server {
    const fn new(name: &'static str, setup: &'static str, run: fn(TcpListener) -> io::Result<()>) -> Self {
        Self { name, setup, is_mode: false, run }
    }

    const fn mode(name: &'static str, setup: &'static str, run: fn(TcpListener) -> io::Result<()>) -> Self {
        Self { name, setup, is_mode: true, run }
    }
}

/// The two that all are compared with stand first.
pub(super) const REFERENCE: usize = 0;
pub(super) const TOKIO: usize = 1;

pub(super) const SERVERS: &[Server] = &[
    Server::new("epoll-echo", "a loop over epoll_wait, level-triggered, no runtime", epoll::level),
    Server::new("tokio-echo", "current_thread, I/O and no timers, tasks by spawn", tokio::current_thread),
    Server::new("local-echo", "tokio's LocalRuntime, the same, tasks by spawn_local", tokio::local),
    Server::new("smol-echo", "LocalExecutor under async-io's block_on, Async<TcpStream>", smol::run),
    Server::new("evloop-echo", "as it comes", evloop::as_it_comes),
    Server::mode("epoll-edge", "the bare loop, edge-triggered", epoll::edge),
    Server::mode("evloop-edge", "PollMode::Edge", evloop::edge),
    Server::mode("evloop-level", "PollMode::Level", evloop::level),
    Server::mode("evloop-portable", "portable_wait(true)", evloop::portable),
];

pub(super) fn wanted(modes: bool) -> Vec<&'static Server> {
    SERVERS.iter().filter(|server| modes || !server.is_mode).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::{Ipv4Addr, SocketAddr, TcpStream};
    use std::thread;
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;
    use crate::echo::load::{Load, Until, Wait};

    /// More than the buffers of two sockets hold.
    const MANY: usize = 64 << 20;

    /// It runs for the rest of the process.
    fn start(server: &'static Server) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || (server.run)(listener));
        address
    }

    #[test]
    fn every_server_answers_every_request() {
        for server in SERVERS {
            let mut load = Load::connect(start(server), 3, Wait::Parked).unwrap();
            let slice = load.run(Until::Requests(100)).unwrap();
            assert_eq!(slice.requests, 100, "{}", server.name);
            load.bursts(2).unwrap();
        }
    }

    #[test]
    fn every_server_goes_on_after_a_connection_has_ended() {
        for server in SERVERS {
            let address = start(server);
            for _ in 0..2 {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(b"the last words").unwrap();
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).unwrap();
                assert_eq!(answer, b"the last words", "{}", server.name);
            }
        }
    }

    #[test]
    fn a_server_whose_client_does_not_read_keeps_what_is_under_way() {
        let message: Vec<u8> = (0..=255).cycle().take(MANY).collect();
        for server in SERVERS {
            let mut stream = TcpStream::connect(start(server)).unwrap();
            stream.set_nonblocking(true).unwrap();
            let mut sent = 0;
            while sent < message.len() {
                match stream.write(&message[sent..]) {
                    Ok(n) => sent += n,
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::WouldBlock);
                        // No room for so long: both directions are full, and the server is stuck.
                        let patience = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
                        if poll(&mut [PollFd::new(&stream, PollFlags::OUT)], Some(&patience)).unwrap() == 0 {
                            break;
                        }
                    }
                }
            }
            assert!(sent < message.len(), "so much fits into no two sockets");
            stream.set_nonblocking(false).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let mut answer = vec![0; sent];
            stream.read_exact(&mut answer).unwrap();
            assert!(answer == message[..sent], "{}", server.name);
        }
    }
}
