//! A model of the gate: handlers that write to a pipe against its owner, who closes it, in every order of threads.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release --lib loom`
//!
//! The pipe is a number: 0 if it is closed. A write is a read-modify-write, so it meets what the pipe is at that moment,
//! not what it was.

use std::sync::Arc;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::gate::Gate;

const CLOSED: usize = 0;
const OPEN: usize = 100;

struct Model {
    gate: Gate,
    pipe: AtomicUsize,
}

impl Model {
    fn new() -> Arc<Self> {
        Arc::new(Self { gate: Gate::new(), pipe: AtomicUsize::new(CLOSED) })
    }

    /// What the handler does.
    fn handle(&self) {
        if let Some(_inside) = self.gate.enter() {
            let before = self.pipe.fetch_add(1, Ordering::Relaxed);
            assert!(before >= OPEN, "written to after it was closed, or before it was there");
        }
    }

    fn open(&self) {
        self.pipe.store(OPEN, Ordering::Relaxed);
        self.gate.open();
    }

    fn close(&self) {
        self.gate.close();
        self.pipe.store(CLOSED, Ordering::Relaxed);
    }

    fn handler(self: &Arc<Self>) -> thread::JoinHandle<()> {
        let model = self.clone();
        thread::spawn(move || model.handle())
    }
}

#[test]
fn nobody_writes_to_a_pipe_that_is_closed() {
    loom::model(|| {
        let model = Model::new();
        model.open();
        let handlers = [model.handler(), model.handler()];
        model.close();
        handlers.into_iter().for_each(|handler| handler.join().unwrap());
    });
}

#[test]
fn a_box_that_is_used_again_is_met_open_or_not_at_all() {
    loom::model(|| {
        let model = Model::new();
        let handler = model.handler();
        model.open();
        model.close();
        model.open();
        handler.join().unwrap();
    });
}
