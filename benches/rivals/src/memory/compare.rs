//! The parent's part: asks the children in turn for slices and prints the table.
//!
//! Slices are short, some milliseconds; a round is one slice of each side, and who comes first changes from
//! round to round.

use std::io;
use std::time::{Duration, Instant};

use super::bytes;
use super::million::{self, Outcome};
use super::sides::SIDES;
use super::workloads;
use crate::child::Child;
use crate::cores::Cores;
use crate::options::Options;
use crate::stats::Series;

/// How long a slice is: many looks outside, and many slices a second.
const SLICE: Duration = Duration::from_millis(4);
const ROUNDS: usize = 41;
/// The million takes seconds.
const MILLION_ROUNDS: usize = 3;

pub(crate) fn compare(options: &Options, cores: &Cores) -> io::Result<()> {
    // The names are the same for every runtime.
    let names = workloads::all::<super::sides::First>().into_iter().map(|workload| workload.name);
    let wanted: Vec<_> = names.enumerate().filter(|(_, name)| options.wants(name)).collect();
    let wants_million = options.wants(million::NAME);
    compare_bytes(options, cores)?;
    if wanted.is_empty() && !wants_million {
        return Ok(());
    }
    print_head(options);
    let start = |side: &super::sides::Side| Child::start(&["play", side.name], cores.children);
    let mut children = SIDES.iter().map(start).collect::<io::Result<Vec<_>>>()?;
    for (number, name) in wanted {
        let mut row = Row::new(&mut children, number, options.slice(SLICE))?;
        for round in 0..options.rounds(ROUNDS) {
            row.round(&mut children, round)?;
        }
        print_row(name, &row.sides.iter().map(|side| &side.nanos).collect::<Vec<_>>());
    }
    if wants_million {
        print_million(&mut children, options)?;
    }
    println!();
    Ok(())
}

/// Each figure by a process of its own.
fn compare_bytes(options: &Options, cores: &Cores) -> io::Result<()> {
    let wanted: Vec<_> = bytes::ROWS.iter().filter(|(name, _)| options.wants(name)).collect();
    let tasks = if options.quick { bytes::TASKS / 10 } else { bytes::TASKS };
    if wanted.is_empty() {
        return Ok(());
    }
    println!("Memory: resident bytes for one of {tasks} tasks; times evloop's");
    for (name, kind) in wanted {
        let mut series = Vec::new();
        for side in SIDES {
            let answer =
                Child::start(&["play", side.name], cores.children)?.ask(&format!("{kind} {tasks}"))?;
            let mut of_side = Series::default();
            of_side.push(answer.parse().map_err(io::Error::other)?);
            series.push(of_side);
        }
        print_row(name, &series.iter().collect::<Vec<_>>());
    }
    println!();
    Ok(())
}

fn print_head(options: &Options) {
    println!(
        "In memory: ns of CPU time for one; times evloop's: median over {} rounds, in brackets its 95 % interval",
        options.rounds(ROUNDS),
    );
    for side in SIDES {
        println!("  {:<13} {}", side.name, side.setup);
    }
    println!("\n{:<34} {:<13} {:>9}   times evloop's", "workload", "side", "ns");
}

/// The sides of one workload, all at the same number in each child.
struct Row {
    number: usize,
    sides: Vec<Side>,
}

struct Side {
    /// Operations in a slice.
    n: u64,
    /// Nanoseconds for each, by round.
    nanos: Series,
}

impl Row {
    fn new(children: &mut [Child], number: usize, slice: Duration) -> io::Result<Self> {
        let fill = |child| Ok(Side { n: fill(child, number, slice)?, nanos: Series::default() });
        let sides = children.iter_mut().map(fill).collect::<io::Result<_>>()?;
        Ok(Self { number, sides })
    }

    fn round(&mut self, children: &mut [Child], round: usize) -> io::Result<()> {
        let count = self.sides.len();
        for i in 0..count {
            let turn = (round + i) % count;
            let side = &mut self.sides[turn];
            let took = run(&mut children[turn], self.number, side.n)?;
            side.nanos.push(took.as_secs_f64() * 1e9 / side.n as f64);
        }
        Ok(())
    }
}

/// Has a child run a workload.
fn run(child: &mut Child, number: usize, n: u64) -> io::Result<Duration> {
    let answer = child.ask(&format!("{number} {n}"))?;
    answer.parse().map(Duration::from_nanos).map_err(io::Error::other)
}

/// Finds out how many operations fill a slice.
fn fill(child: &mut Child, number: usize, slice: Duration) -> io::Result<u64> {
    let mut n = 16;
    loop {
        let began = Instant::now();
        let took = run(child, number, n)?;
        // The whole of it, too: some workloads do more than asked, and some time passes around them.
        if took * 2 >= slice || began.elapsed() > slice * 2 {
            return Ok((n as f64 * slice.as_secs_f64() / took.as_secs_f64()).max(1.0) as u64);
        }
        n *= 2;
    }
}

/// A workload's lines, one for each side, in the order of `SIDES`.
fn print_row(name: &str, nanos: &[&Series]) {
    for (i, (side, nanos_of_side)) in SIDES.iter().zip(nanos).enumerate() {
        let name = if i == 0 { name } else { "" };
        print!("{name:<34} {:<13} {:>9.1}", side.name, nanos_of_side.median());
        if i > 0 {
            print!("   {}", nanos_of_side.over(nanos[0]));
        }
        println!();
    }
}

fn print_million(children: &mut [Child], options: &Options) -> io::Result<()> {
    let sleeps = if options.quick { million::SLEEPS / 100 } else { million::SLEEPS };
    let mut outcomes: Vec<Vec<Outcome>> = vec![Vec::new(); children.len()];
    for round in 0..options.rounds(MILLION_ROUNDS).min(MILLION_ROUNDS) {
        for i in 0..children.len() {
            let turn = (round + i) % children.len();
            let answer = children[turn].ask(&format!("million {sleeps}"))?;
            outcomes[turn].push(Outcome::from_line(&answer)?);
        }
    }
    let series = |outcomes: &Vec<Outcome>| {
        let mut nanos = Series::default();
        outcomes.iter().for_each(|o| nanos.push(o.cpu.as_secs_f64() * 1e9 / sleeps as f64));
        nanos
    };
    let nanos: Vec<_> = outcomes.iter().map(series).collect();
    print_row(million::NAME, &nanos.iter().collect::<Vec<_>>());
    for (side, outcomes) in SIDES.iter().zip(outcomes) {
        for outcome in outcomes {
            println!("  {:<13} {outcome}", side.name);
        }
    }
    Ok(())
}
