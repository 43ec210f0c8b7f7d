//! What does a waker cost: to clone, and to wake a parked task with?

mod workloads;

use criterion::{Criterion, criterion_group, criterion_main};

fn bench(c: &mut Criterion) {
    workloads::measure(c, workloads::wakes::ALL);
}

criterion_group! { name = benches; config = workloads::short(); targets = bench }
criterion_main!(benches);
