//! What does a timer cost: one that is dropped in time, a timeout around something quick, and a million
//! that fire within a second?
//!
//! The million is run once per side and printed as it is: it takes seconds, and criterion wants many.

mod workloads;

use criterion::{Criterion, criterion_group};
use workloads::{measure, million, short, timers};

fn bench(c: &mut Criterion) {
    measure(c, timers::ALL);
}

criterion_group! { name = benches; config = short(); targets = bench }

fn main() {
    benches();
    // Without `--bench` cargo only wants to see that it works.
    let sleeps = if std::env::args().any(|arg| arg == "--bench") { million::SLEEPS } else { 1000 };
    println!("{sleeps} sleeps that end within a second");
    println!("  evloop    {}", million::evloop(sleeps));
    println!("  tokio     {}", million::tokio(sleeps));
    println!("  LocalSet  {}", million::local(sleeps));
    Criterion::default().configure_from_args().final_summary();
}
