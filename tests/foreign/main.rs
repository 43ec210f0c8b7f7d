//! Several threads at once: wakers, proxies and blocking jobs in the hands of others while a task lives,
//! after it has ended, while its loop is dropped and after.
//!
//! What can go wrong here is a lost wake-up (the test hangs, or its watch says so), a future that is
//! touched or dropped on another thread (the probes say so), and memory that is freed twice, too early
//! or on two threads at once. The last is for AddressSanitizer, ThreadSanitizer and memcheck, under which
//! these tests run too; `loom.rs` in the library checks the hand-shakes in every order.

mod channels;
mod embedding;
mod jobs;
mod proxies;
mod support;
mod wakers;
