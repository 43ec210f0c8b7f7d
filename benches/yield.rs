//! What does it cost a task to let the others run: when it is alone, and among a thousand?

mod workloads;

use criterion::{Criterion, criterion_group, criterion_main};

fn bench(c: &mut Criterion) {
    workloads::measure(c, workloads::yields::ALL);
}

criterion_group! { name = benches; config = workloads::short(); targets = bench }
criterion_main!(benches);
