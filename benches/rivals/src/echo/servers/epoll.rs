//! The reference: what an echo server costs that is nothing but its system calls.
//!
//! One epoll over all connections, level-triggered. A connection is read once for each event, without a
//! second read that finds nothing, and answered at once. What the socket does not take is kept, and the
//! connection then waits for room before it reads on.
//!
//! The other way, edge-triggered, registers both interests once and for all. It spares the kernel a second
//! look at each socket that was ready, and has to know by itself when a socket is drained: after a read that
//! left room in the buffer, unless the other side has hung up, for that would not be told again.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use crate::echo::{BUFFER, quota};

/// The key of the listener; those of connections are their places.
const LISTENER: u64 = u64::MAX;
/// Events taken at once, as many as the runtimes take.
const EVENTS: usize = 1024;

#[derive(Clone, Copy, PartialEq)]
enum Trigger {
    Level,
    Edge,
}

struct Server {
    epoll: OwnedFd,
    trigger: Trigger,
    listener: TcpListener,
    /// Places of those that have gone stay empty: a load does not come and go.
    connections: Vec<Option<Connection>>,
    buffer: [u8; BUFFER],
}

struct Connection {
    stream: TcpStream,
    /// What the socket did not take yet.
    rest: Vec<u8>,
}

/// What a read and a write came to.
enum Step {
    /// There may be more to read.
    More,
    /// Nothing is left to read, or no room to answer.
    Wait,
    /// The other side is done.
    End,
}

pub(super) fn level(listener: TcpListener) -> io::Result<()> {
    run(listener, Trigger::Level)
}

pub(super) fn edge(listener: TcpListener) -> io::Result<()> {
    run(listener, Trigger::Edge)
}

fn run(listener: TcpListener, trigger: Trigger) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut server = Server { epoll, trigger, listener, connections: Vec::new(), buffer: [0; BUFFER] };
    let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
    loop {
        match epoll::wait(&server.epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            let (data, flags) = (event.data, event.flags);
            if data.u64() == LISTENER {
                server.accept()?;
            } else {
                server.serve(data.u64() as usize, flags)?;
            }
        }
    }
}

impl Server {
    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => self.add(stream)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn add(&mut self, stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let interest = match self.trigger {
            Trigger::Level => EventFlags::IN,
            Trigger::Edge => EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET,
        };
        let place = self.connections.len() as u64;
        epoll::add(&self.epoll, &stream, EventData::new_u64(place), interest)?;
        self.connections.push(Some(Connection { stream, rest: Vec::new() }));
        Ok(())
    }

    /// Does what an event of a connection makes possible; forgets the connection at its end.
    fn serve(&mut self, place: usize, flags: EventFlags) -> io::Result<()> {
        let Some(connection) = &mut self.connections[place] else { return Ok(()) };
        let was_stuck = !connection.rest.is_empty();
        let hung_up = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        let goes_on = match self.trigger {
            Trigger::Level => connection.once(&mut self.buffer),
            Trigger::Edge => connection.until_drained(&mut self.buffer, hung_up),
        };
        // An error of a connection is its end and nobody else's.
        if !matches!(goes_on, Ok(true)) {
            self.connections[place] = None;
            return Ok(());
        }
        let is_stuck = !connection.rest.is_empty();
        if self.trigger == Trigger::Level && is_stuck != was_stuck {
            let interest = if is_stuck { EventFlags::OUT } else { EventFlags::IN };
            epoll::modify(&self.epoll, &connection.stream, EventData::new_u64(place as u64), interest)?;
        }
        Ok(())
    }
}

impl Connection {
    /// One step, to read or to write; says whether the connection goes on.
    fn once(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        if !self.rest.is_empty() {
            return self.write_rest().map(|()| true);
        }
        Ok(!matches!(self.echo(buffer, false)?, Step::End))
    }

    /// All that can be done until the next edge; says whether the connection goes on.
    fn until_drained(&mut self, buffer: &mut [u8], hung_up: bool) -> io::Result<bool> {
        self.write_rest()?;
        while self.rest.is_empty() {
            match self.echo(buffer, hung_up)? {
                Step::More => {}
                Step::Wait => return Ok(true),
                Step::End => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Reads once and writes that back.
    fn echo(&mut self, buffer: &mut [u8], hung_up: bool) -> io::Result<Step> {
        let n = match self.stream.read(buffer) {
            Ok(0) => return Ok(Step::End),
            Ok(n) => n,
            Err(error) => return too_early(error).map(|()| Step::Wait),
        };
        match self.stream.write(&buffer[..n]) {
            Ok(written) => self.rest.extend(&buffer[written..n]),
            Err(error) => {
                too_early(error)?;
                self.rest.extend(&buffer[..n]);
            }
        }
        if self.rest.is_empty() {
            quota::answered();
        }
        Ok(if n == buffer.len() || hung_up { Step::More } else { Step::Wait })
    }

    fn write_rest(&mut self) -> io::Result<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        match self.stream.write(&self.rest) {
            Ok(written) => drop(self.rest.drain(..written)),
            Err(error) => too_early(error)?,
        }
        if self.rest.is_empty() {
            quota::answered();
        }
        Ok(())
    }
}

/// Lets pass what only says that it is too early.
fn too_early(error: io::Error) -> io::Result<()> {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(()),
        _ => Err(error),
    }
}
