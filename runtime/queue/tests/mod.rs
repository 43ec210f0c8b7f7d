//! Queues: the behaviour of asyncio's own test-suite, the order of events, a random model.

mod basic;
mod model;
mod order;
