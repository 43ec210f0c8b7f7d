//! How many times faster than tokio is evloop, and is it as fast as we want it?
//!
//! No criterion here: short slices of all sides take turns, round after round, so that a machine that
//! drifts does it to all of them, and only CPU time counts, so that other programs may run meanwhile. What
//! decides is the median of the ratios of single rounds, with the 95 % interval of that median.
//!
//! `cargo bench --bench versus`; with `-- WORD …`, only the workloads whose names contain one of the words.

mod workloads;

use std::time::{Duration, Instant};

use workloads::million::{self, Outcome};
use workloads::sides::Sides;
use workloads::{Run, Workload, all};

/// How long a slice is: many looks outside, and many slices a second.
const SLICE: Duration = Duration::from_millis(4);
const ROUNDS: usize = 41;
/// The million takes seconds.
const MILLION_ROUNDS: usize = 2;

fn main() {
    // Without `--bench` cargo only wants to see that it works.
    let in_earnest = std::env::args().any(|arg| arg == "--bench");
    let words: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let (rounds, slice) = if in_earnest { (ROUNDS, SLICE) } else { (3, SLICE / 100) };

    println!(
        "{rounds} rounds of slices of {slice:?}, in turn; tokio 1.54, current_thread, without I/O driver"
    );
    println!(
        "ns of CPU time; ratio: median over the rounds of rival / evloop, in brackets its 95 % interval\n"
    );
    println!(
        "{:<33} {:<19} {:>9} {:>9} {:>7}  {:<15} {:>6}",
        "workload", "rival", "evloop ns", "rival ns", "ratio", "", "target"
    );
    let mut sides = Sides::new();
    let mut rows: Vec<Rows> =
        all().filter(|w| wanted(w.name)).map(|w| Rows::new(w, &mut sides, slice)).collect();
    for round in 0..rounds {
        for row in &mut rows {
            row.round(&mut sides, round);
        }
    }
    for row in &rows {
        row.print();
    }
    if wanted("1M sleeps") {
        print_million(if in_earnest { million::SLEEPS } else { 1000 });
    }
}

/// A workload's sides, evloop first.
struct Rows {
    workload: &'static Workload,
    sides: Vec<Side>,
}

struct Side {
    run: Run,
    /// Operations in a slice.
    n: u64,
    /// Nanoseconds for each, by round.
    ns: Vec<f64>,
}

impl Rows {
    fn new(workload: &'static Workload, sides: &mut Sides, slice: Duration) -> Self {
        let runs = std::iter::once(workload.evloop).chain(workload.rivals.iter().map(|(_, run)| *run));
        Self { workload, sides: runs.map(|run| Side::new(run, sides, slice)).collect() }
    }

    fn round(&mut self, sides: &mut Sides, round: usize) {
        // Every side comes first, second and last equally often.
        let count = self.sides.len();
        for i in 0..count {
            let side = &mut self.sides[(round + i) % count];
            let took = (side.run)(sides, side.n);
            side.ns.push(took.as_secs_f64() * 1e9 / side.n as f64);
        }
    }

    fn print(&self) {
        let (ours, theirs) = self.sides.split_first().expect("evloop is there");
        for (i, ((rival, _), side)) in self.workload.rivals.iter().zip(theirs).enumerate() {
            let ratios = sorted(side.ns.iter().zip(&ours.ns).map(|(theirs, ours)| theirs / ours));
            let (low, high) = interval(&ratios);
            let ratio = median(&ratios);
            print!(
                "{:<33} {rival:<19} {:>9.1} {:>9.1} {ratio:>7.2}  [{low:>5.2}, {high:>5.2}]",
                if i == 0 { self.workload.name } else { "" },
                median(&sorted(ours.ns.iter().copied())),
                median(&sorted(side.ns.iter().copied())),
            );
            let target = self.workload.target.filter(|_| i == 0);
            println!("{}", target.map(|t| verdict(t, low, high)).unwrap_or_default());
        }
    }
}

impl Side {
    /// Finds out how many operations fill a slice.
    fn new(run: Run, sides: &mut Sides, slice: Duration) -> Self {
        let mut n: u64 = 16;
        loop {
            let began = Instant::now();
            let took = run(sides, n);
            // The whole of it, too: some workloads do more around what they time, or more than asked.
            if took * 2 >= slice || began.elapsed() > slice {
                let n = (n as f64 * slice.as_secs_f64() / took.as_secs_f64()).max(1.0) as u64;
                return Self { run, n, ns: Vec::new() };
            }
            n *= 2;
        }
    }
}

fn print_million(sleeps: u64) {
    let mut ratios = Vec::new();
    let (mut ours, mut theirs): (Vec<Outcome>, Vec<Outcome>) = (Vec::new(), Vec::new());
    for _ in 0..MILLION_ROUNDS {
        let (evloop, tokio) = (million::evloop(sleeps), million::tokio(sleeps));
        ratios.push(tokio.cpu.as_secs_f64() / evloop.cpu.as_secs_f64());
        ours.push(evloop);
        theirs.push(tokio);
    }
    let ratios = sorted(ratios.into_iter());
    let each = |outcomes: &[Outcome]| {
        median(&sorted(outcomes.iter().map(|o| o.cpu.as_secs_f64() * 1e9 / sleeps as f64)))
    };
    let (low, high) = (ratios[0], ratios[ratios.len() - 1]);
    print!(
        "{:<33} {:<19} {:>9.1} {:>9.1} {:>7.2}  [{low:>5.2}, {high:>5.2}]",
        "1M sleeps in a second, CPU each",
        "tokio",
        each(&ours),
        each(&theirs),
        median(&ratios),
    );
    let in_order = ours.iter().all(|outcome| outcome.inversions == 0);
    println!("{}{}", verdict(1.7, low, high), if in_order { "" } else { ", but out of order" });
    for (name, outcomes) in [("evloop", ours), ("tokio", theirs)] {
        for outcome in outcomes {
            println!("  {name:<8} {outcome}");
        }
    }
}

/// A target counts as met when the whole interval lies above it.
fn verdict(target: f64, low: f64, high: f64) -> String {
    let word = match () {
        () if low >= target => "met",
        () if high >= target => "on the line",
        () => "missed",
    };
    format!(" {target:>6.1}  {word}")
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> f64 {
    let n = sorted.len();
    (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0
}

/// The 95 % interval of the median: the order statistics that the normal approximation of the binomial
/// distribution names.
fn interval(sorted: &[f64]) -> (f64, f64) {
    let n = sorted.len() as f64;
    let low = ((n - 1.96 * n.sqrt()) / 2.0).floor().max(0.0) as usize;
    (sorted[low], sorted[sorted.len() - 1 - low])
}
