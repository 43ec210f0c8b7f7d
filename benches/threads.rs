//! What does it cost to hand an item from another thread to a task?

mod workloads;

use criterion::{Criterion, criterion_group, criterion_main};

fn bench(c: &mut Criterion) {
    workloads::measure(c, workloads::threads::ALL);
}

criterion_group! { name = benches; config = workloads::short(); targets = bench }
criterion_main!(benches);
