//! What does it cost to hand an item to another task through a bounded queue?

mod workloads;

use criterion::{Criterion, criterion_group, criterion_main};

fn bench(c: &mut Criterion) {
    workloads::measure(c, workloads::queues::ALL);
}

criterion_group! { name = benches; config = workloads::short(); targets = bench }
criterion_main!(benches);
