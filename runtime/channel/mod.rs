//! Channels: values on their way from those who have them to those who wait for them.
//!
//! Between the tasks of one loop:
//!
//! | channel | a value goes to | senders | receivers | when nobody has received yet |
//! |---|---|---|---|---|
//! | [`mpsc::channel`] | the receiver | any number | one | `send` waits while it is full |
//! | [`mpsc::unbounded`] | the receiver | any number | one | it grows |
//! | [`oneshot::channel`] | the receiver, once | one | one | the value waits |
//! | [`broadcast::channel`] | every receiver | any number | any number | the oldest values are given up |
//! | [`watch::channel`] | whoever looks | any number | any number | only the latest value is kept |
//!
//! Beside them there are:
//!
//! * [`Queue`](crate::Queue), asyncio's: one shared object with any number of tasks on both ends, `task_done` and `join`,
//!   and an explicit `shutdown`. A channel of [`mpsc`] has two kinds of handles and ends by itself when those of one
//!   kind are gone; nobody overtakes a sender that waits.
//! * [`Promise`](crate::Promise), asyncio's `Future`: a value that any number of tasks wait for, with callbacks. A
//!   [`oneshot`] hands a value over to one task, is cheaper, and tells each side when the other has given up.
//! * [`Event`](crate::Event) for a flag and [`Condition`](crate::Condition) for anything else.
//!
//! All of these are `!Send` and count in plain cells; they know of no loop. To wake only queues a task: who sends goes on
//! first. What is in a channel is dropped with its last receiver.
//!
//! Between loops and threads there is [`thread`](mod@thread): both ends can be awaited on any loop, and block off the loops.
//!
//! # asyncio
//! No counterpart but `asyncio.Queue` and `asyncio.Future`.
//!
//! # Examples
//! A server as a task: requests by [`mpsc`], each with a [`oneshot`] for its reply.
//! ```
//! use evloop::channel::{mpsc, oneshot};
//!
//! evloop::run(async {
//!     let (requests, mut inbox) = mpsc::channel::<(u32, oneshot::Sender<u32>)>(16);
//!     let server = evloop::create_task(async move {
//!         while let Some((n, reply)) = inbox.recv().await {
//!             let _ = reply.send(n * n); // nobody may want it any more
//!         }
//!     });
//!     let (reply, answer) = oneshot::channel();
//!     requests.send((7, reply)).await.unwrap();
//!     assert_eq!(answer.await, Ok(49));
//!     drop(requests); // the server's loop ends
//!     server.await.unwrap();
//! });
//! ```

pub mod broadcast;
mod deserted;
mod error;
pub mod mpsc;
pub mod oneshot;
mod seat;
pub mod thread;
pub mod watch;

#[cfg(test)]
mod tests;
