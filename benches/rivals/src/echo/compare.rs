//! The parent's part: loads all servers in turn, round after round, and prints the table.
//!
//! All servers are up at once and have all their connections; a slice loads one of them while the others
//! sleep. Its CPU time is read from outside, before and after.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::MESSAGE;
use super::load::{Load, Until, Wait};
use super::servers::{REFERENCE, Server, TOKIO, wanted};
use crate::child::{self, Child};
use crate::cores::{Cores, pin};
use crate::cpu_clock::CpuClock;
use crate::options::Options;
use crate::stats::Series;

const CONNECTIONS: [usize; 3] = [1, 50, 1000];
/// Thousands of requests, and some slices a second.
const SLICE: Duration = Duration::from_millis(80);
const ROUNDS: usize = 31;
/// So long a server has to go to sleep after its last answer, before its clock is read.
const SETTLE: Duration = Duration::from_micros(500);

pub(crate) fn compare(options: &Options, cores: &Cores) -> io::Result<()> {
    let counts = options.connections.map_or(CONNECTIONS.to_vec(), |count| vec![count]);
    let counts: Vec<_> = counts.into_iter().filter(|&count| options.wants(&name(count))).collect();
    if counts.is_empty() {
        return Ok(());
    }
    child::raise_descriptors()?;
    if let Some(core) = cores.load {
        pin(core)?;
    }
    let wait = if options.parked { Wait::Parked } else { Wait::Spinning };
    let start = |server: &&'static Server| Up::start(server, cores);
    let servers = wanted(options.modes).iter().map(start).collect::<io::Result<Vec<_>>>()?;
    print_head(&servers, options);
    for count in counts {
        let mut row = Row::new(&servers, count, wait)?;
        // Once for nothing: memory is touched, and connections have been used.
        row.round(&servers, 0, options.slice(SLICE))?;
        row.forget();
        for round in 0..options.rounds(ROUNDS) {
            row.round(&servers, round, options.slice(SLICE))?;
        }
        row.print(&servers, &name(count));
    }
    Ok(())
}

fn name(connections: usize) -> String {
    let plural = if connections == 1 { "" } else { "s" };
    format!("TCP echo of {MESSAGE} bytes, {connections} connection{plural}")
}

/// A server that is up.
struct Up {
    server: &'static Server,
    address: SocketAddr,
    clock: CpuClock,
    /// Kept, since dropped it is killed.
    _child: Child,
}

impl Up {
    fn start(server: &'static Server, cores: &Cores) -> io::Result<Self> {
        let mut child = Child::start(&["serve", server.name], cores.children)?;
        let address = child.line()?.parse().map_err(io::Error::other)?;
        Ok(Self { server, address, clock: CpuClock::of(child.id())?, _child: child })
    }
}

/// One number of connections, to all servers.
struct Row {
    loads: Vec<Load>,
    figures: Vec<Figures>,
}

/// By round.
#[derive(Clone, Default)]
struct Figures {
    cpu_micros: Series,
    p50_micros: Series,
    p99_micros: Series,
    requests_per_second: Series,
}

impl Row {
    fn new(servers: &[Up], connections: usize, wait: Wait) -> io::Result<Self> {
        let connect = |up: &Up| Load::connect(up.address, connections, wait);
        let loads = servers.iter().map(connect).collect::<io::Result<_>>()?;
        Ok(Self { loads, figures: vec![Figures::default(); servers.len()] })
    }

    fn forget(&mut self) {
        self.figures.fill_with(Figures::default);
    }

    fn round(&mut self, servers: &[Up], round: usize, length: Duration) -> io::Result<()> {
        let count = servers.len();
        for i in 0..count {
            let turn = (round + i) % count;
            let (up, figures) = (&servers[turn], &mut self.figures[turn]);
            let told = |error| io::Error::other(format!("{}: {error}", up.server.name));
            let before = up.clock.read().map_err(told)?;
            let slice = self.loads[turn].run(Until::Elapsed(length)).map_err(told)?;
            std::thread::sleep(SETTLE);
            let cpu = up.clock.read().map_err(told)?.saturating_sub(before);
            figures.cpu_micros.push(micros(cpu) / slice.requests as f64);
            figures.p50_micros.push(micros(slice.p50));
            figures.p99_micros.push(micros(slice.p99));
            figures.requests_per_second.push(slice.requests as f64 / slice.took.as_secs_f64());
        }
        Ok(())
    }

    fn print(&self, servers: &[Up], name: &str) {
        println!(
            "\n{name}\n  {:<16} {:>7}   {:<23} {:<23} {:>7} {:>8} {:>10}",
            "server", "CPU µs", "times epoll's", "times tokio's", "p50 µs", "p99 µs", "requests/s",
        );
        for (up, figures) in servers.iter().zip(&self.figures) {
            let times = |base: usize| figures.cpu_micros.over(&self.figures[base].cpu_micros).to_string();
            println!(
                "  {:<16} {:>7.2}   {:<23} {:<23} {:>7.1} {:>8.1} {:>10.0}",
                up.server.name,
                figures.cpu_micros.median(),
                times(REFERENCE),
                times(TOKIO),
                figures.p50_micros.median(),
                figures.p99_micros.median(),
                figures.requests_per_second.median(),
            );
        }
    }
}

fn print_head(servers: &[Up], options: &Options) {
    println!(
        "TCP echo: µs of the server's CPU time for a request; how many times that of the bare loop and of tokio:\n\
         median over {} rounds of slices of {:?}, in brackets its 95 % interval; medians of the rest",
        options.rounds(ROUNDS),
        options.slice(SLICE),
    );
    for up in servers {
        println!("  {:<16} {}", up.server.name, up.server.setup);
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
