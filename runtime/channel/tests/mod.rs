//! Channels against a random model, and wakers and values whose own code uses the channel or panics.

mod foreign;
mod model;
