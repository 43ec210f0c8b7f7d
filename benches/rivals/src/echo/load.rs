//! The load: connections with one request under way on each, over bare epoll.
//!
//! A closed loop: an answer brings the next request. Requests carry their connection's number, and every
//! answer is compared with its request, so a server that mixes them up is found out.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use super::MESSAGE;

/// A server that says nothing for so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);
const EVENTS: usize = 1024;

/// What to do while no answer is there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wait {
    /// Look again at once. The server then need not wake this process, on another core and perhaps asleep,
    /// which costs it more than a request does and has nothing to do with it.
    Spinning,
    /// Sleep.
    Parked,
}

/// When a slice ends; requests that are under way are waited for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Until {
    Elapsed(Duration),
    /// Exactly so many.
    Requests(u64),
}

/// Between bursts: the server goes to sleep, also if a tool slows it down.
const PAUSE: Duration = Duration::from_micros(500);

/// What a slice was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slice {
    pub(super) requests: u64,
    pub(super) took: Duration,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
}

/// Connections to one server.
#[derive(Debug)]
pub(super) struct Load {
    epoll: OwnedFd,
    wait: Wait,
    connections: Vec<Connection>,
    /// Kept for its memory: times from request to answer.
    latencies: Vec<Duration>,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    request: [u8; MESSAGE],
    /// Of the answer, so far; all of it where no request is under way.
    received: usize,
    sent: Instant,
}

impl Load {
    /// Connects, and exchanges one request on each connection, so that the server knows them all.
    pub(super) fn connect(server: SocketAddr, connections: usize, wait: Wait) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let greeted = |number: usize| {
            let connection = Connection::greet(server, number)?;
            epoll::add(&epoll, &connection.stream, EventData::new_u64(number as u64), EventFlags::IN)?;
            Ok(connection)
        };
        let connections = (0..connections).map(greeted).collect::<io::Result<_>>()?;
        Ok(Self { epoll, wait, connections, latencies: Vec::new() })
    }

    pub(super) fn run(&mut self, until: Until) -> io::Result<Slice> {
        self.latencies.clear();
        let start = Instant::now();
        let mut budget = Budget::new(until, start);
        let mut under_way = 0;
        for connection in &mut self.connections {
            if !budget.take(start) {
                break;
            }
            connection.send(Instant::now())?;
            under_way += 1;
        }
        let (mut events, mut now) = (Vec::with_capacity(EVENTS), Instant::now());
        while under_way > 0 {
            now = self.wait_for_events(&mut events, now)?;
            for event in events.drain(..) {
                let data = event.data;
                let connection = &mut self.connections[data.u64() as usize];
                if !connection.receive()? {
                    continue;
                }
                now = Instant::now();
                self.latencies.push(now - connection.sent);
                if budget.take(now) {
                    connection.send(now)?;
                } else {
                    under_way -= 1;
                }
            }
        }
        let took = start.elapsed();
        self.latencies.sort_unstable();
        let latencies = &self.latencies;
        let quantile = |q: usize| latencies.get(latencies.len().saturating_sub(1) * q / 100).copied();
        let [p50, p99] = [50, 99].map(|q| quantile(q).unwrap_or_default());
        Ok(Slice { requests: latencies.len() as u64, took, p50, p99 })
    }

    /// So many times a request on each connection, each time after all have been answered and the server
    /// sleeps: what it does for a request then depends on no pace, neither its own nor that of the load.
    pub(super) fn bursts(&mut self, bursts: u64) -> io::Result<()> {
        for _ in 0..bursts {
            std::thread::sleep(PAUSE);
            self.run(Until::Requests(self.connections.len() as u64))?;
        }
        Ok(())
    }

    /// At least one event, or an error if none comes; `since` is when there was one.
    fn wait_for_events(&self, events: &mut Vec<Event>, since: Instant) -> io::Result<Instant> {
        let timeout = match self.wait {
            Wait::Spinning => Timespec::default(),
            Wait::Parked => Timespec::try_from(PATIENCE).expect("it is short"),
        };
        loop {
            match epoll::wait(&self.epoll, spare_capacity(events), Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let now = Instant::now();
            if !events.is_empty() {
                return Ok(now);
            }
            if now - since >= PATIENCE {
                return Err(io::Error::other("a server does not answer"));
            }
        }
    }
}

/// Says how often another request may be sent.
struct Budget {
    end: Option<Instant>,
    left: u64,
}

impl Budget {
    fn new(until: Until, start: Instant) -> Self {
        match until {
            Until::Elapsed(time) => Self { end: Some(start + time), left: u64::MAX },
            Until::Requests(left) => Self { end: None, left },
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        let may = self.left > 0 && self.end.is_none_or(|end| now < end);
        self.left -= u64::from(may);
        may
    }
}

impl Connection {
    fn greet(server: SocketAddr, number: usize) -> io::Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut request = [b'.'; MESSAGE];
        request[..8].copy_from_slice(&(number as u64).to_be_bytes());
        (&stream).write_all(&request)?;
        let mut answer = [0; MESSAGE];
        (&stream).read_exact(&mut answer)?;
        expect_echo(&request, &answer)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, request, received: MESSAGE, sent: Instant::now() })
    }

    fn send(&mut self, now: Instant) -> io::Result<()> {
        self.received = 0;
        self.sent = now;
        // Only one is under way, so there is room for it.
        let written = self.stream.write(&self.request)?;
        if written == MESSAGE { Ok(()) } else { Err(ErrorKind::WriteZero.into()) }
    }

    /// Reads what is there; says whether that completes the answer.
    fn receive(&mut self) -> io::Result<bool> {
        if self.received == MESSAGE {
            // Nothing is under way. A server that has answered its last request may hang up here while
            // answers on other connections are still to be read.
            return Ok(false);
        }
        // One more than is to come, to find out a server that says too much.
        let mut answer = [0; MESSAGE + 1];
        let n = match self.stream.read(&mut answer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        let expected = &self.request[self.received..];
        expect_echo(&expected[..n.min(expected.len())], &answer[..n])?;
        self.received += n;
        Ok(self.received == MESSAGE)
    }
}

fn expect_echo(request: &[u8], answer: &[u8]) -> io::Result<()> {
    if request == answer { Ok(()) } else { Err(io::Error::other("a server's answer is no echo")) }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread;

    use super::*;

    /// A server of two connections that greets them in turn and then does with them as it is told.
    fn server(then: impl FnOnce([TcpStream; 2]) + Send + 'static) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let greeted = [0, 1].map(|_| {
                let (stream, _) = listener.accept().unwrap();
                answer(&stream);
                stream
            });
            then(greeted);
        });
        address
    }

    fn answer(mut stream: &TcpStream) {
        let mut message = [0; MESSAGE];
        stream.read_exact(&mut message).unwrap();
        stream.write_all(&message).unwrap();
    }

    #[test]
    fn a_server_may_hang_up_where_it_has_answered() {
        let address = server(|[first, second]| {
            answer(&first);
            drop(first);
            // The load sees the end of the first before the second's answer.
            thread::sleep(Duration::from_millis(20));
            answer(&second);
        });
        let mut load = Load::connect(address, 2, Wait::Parked).unwrap();
        assert_eq!(load.run(Until::Requests(2)).unwrap().requests, 2);
    }

    #[test]
    fn a_server_that_hangs_up_on_a_request_is_an_error() {
        let mut load = Load::connect(server(drop), 2, Wait::Spinning).unwrap();
        load.run(Until::Requests(2)).unwrap_err();
    }

    #[test]
    fn an_answer_to_another_request_is_an_error() {
        let address = server(|[mut first, second]| {
            first.write_all(&[b'?'; MESSAGE]).unwrap();
            answer(&second);
        });
        let mut load = Load::connect(address, 2, Wait::Parked).unwrap();
        load.run(Until::Requests(2)).unwrap_err();
    }
}
