//! What does it cost to start a task and await its end: in batches of 1000, and one at a time?

mod workloads;

use criterion::{Criterion, criterion_group, criterion_main};

fn bench(c: &mut Criterion) {
    workloads::measure(c, workloads::spawns::ALL);
}

criterion_group! { name = benches; config = workloads::short(); targets = bench }
criterion_main!(benches);
