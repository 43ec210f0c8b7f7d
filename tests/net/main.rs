//! Sockets and other descriptors: real ones, on the loopback device.

mod async_fd;
mod debug;
mod readers;
mod rule_zero;
mod support;
mod tcp;
