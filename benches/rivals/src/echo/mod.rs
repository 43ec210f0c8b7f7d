//! TCP echo: what a request costs a server, in CPU time, instructions and system calls.
//!
//! Every server is a child process. The parent makes the load, one request under way on each connection,
//! and serves it to the servers in turn. Only their CPU time for a request, and that as a ratio within a
//! round, is a figure to trust: what the clock on the wall says depends on what else the machine does.

mod compare;
mod counted;
mod load;
mod quota;
mod servers;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

pub(crate) use compare::compare;
pub(crate) use counted::{instructions, syscalls};
use load::{Load, Until, Wait};
use servers::SERVERS;

use crate::options::Options;

/// The length of a request and of its answer.
const MESSAGE: usize = 64;
/// What each server reads into.
const BUFFER: usize = 1024;

/// The child's part: one server, which says its address first. It ends after so many requests, or never.
pub(crate) fn serve(name: &str, requests: Option<u64>) -> io::Result<()> {
    let Some(server) = SERVERS.iter().find(|known| known.name == name) else {
        let known: Vec<_> = SERVERS.iter().map(|server| server.name).collect();
        return Err(io::Error::other(format!("no server is called {name}; there are {}", known.join(", "))));
    };
    if let Some(requests) = requests {
        quota::set(requests);
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut output = io::stdout().lock();
    output.write_all(format!("{}\n", listener.local_addr()?).as_bytes())?;
    output.flush()?;
    drop(output);
    (server.run)(listener)
}

/// The load by itself, for a server that somebody started by hand. The greeting of each connection is a
/// request, too.
pub(crate) fn load(address: SocketAddr, options: &Options) -> io::Result<()> {
    crate::child::raise_descriptors()?;
    let connections = options.connections.unwrap_or(1);
    let requests = options.requests.unwrap_or(10_000);
    let greetings = connections as u64;
    let mut load = Load::connect(address, connections, Wait::Parked)?;
    let slice = load.run(Until::Requests(requests.saturating_sub(greetings)))?;
    println!("{requests} requests, of which {greetings} greetings; the others took {:?}", slice.took);
    Ok(())
}
