//! asyncio's order of events: the scenarios O01 to O38, ported from programs that ran on CPython 3.13.
//!
//! Each test is one scenario. It writes down what happens as `tick:event`, the tick being the number of
//! the loop's iteration, and asserts the whole list. The doc comment of a test says what the program does
//! and what CPython printed. The original programs are in `python/`, one file for each module here; running
//! one prints its traces. `python/ticks.py` counts iterations on CPython's selector loop as
//! [`LoopHandle::iterations`](evloop::LoopHandle::iterations) does here.
//!
//! In the ports, `asyncio.Future` is `Promise`, `sleep(0)` is `yield_now()`, and `except CancelledError` is
//! `catch_cancel`, or `on_cancel` where the handler awaits. Python writes `True` where the traces here have
//! `true`.
//!
//! # Where evloop deviates, all by design
//!
//! | scenario | CPython | here | why |
//! |---|---|---|---|
//! | O03 | equal deadlines fire in the order of a binary heap | first come, first served | deterministic; nobody can rely on the other order |
//! | O12 | a cancelled gather goes on after the first child that ends cancelled | it waits for all children | no cleanup runs on behind the back of code that goes on |
//! | O12, O19 | `cancel()` reaches the awaited child in the same tick | one tick later | `cancel()` only marks and wakes; the awaiter is offered the request in its own step and passes it on |
//! | O15, O24 | cancelling or timing out an await cancels the future | the promise stays as it is | other owners may wait for it; in Rust leaving off waiting changes nothing |
//! | O18 | a task that cancels itself and returns in that step ends cancelled | it keeps its value | a value that was computed is not thrown away |
//! | O24 | a timeout wins against a value of the same tick | the value wins | nothing is lost |
//! | O24, O28, O29 | a deadline requests a cancellation, delivered a tick later | it is acted on in the step that it wakes | one mechanism, one wake-up less; so a cancel that comes after the deadline, in the same tick, is too late |
//! | O28 | of equal nested deadlines the outer one reports | the inner one answers first, unless a cleanup runs inside | its error is a ready value |
//! | O28, O32 | `cancelling()` counts a deadline's or a group's request | only calls of `Task::cancel` | the count says what others asked for |
//! | O29 | wait_for with timeout 0 never starts a coroutine | it polls once | so a value that is there is found, whatever it comes from |
//! | O36 | a call from another thread stands before what is woken after it | behind it, and behind I/O, unless a callback or task is scheduled in between | a wake does not look into the letter box |
//! | O38 | a task in `sock_recv` goes on one tick after the event | in the tick of the event | the task reads in its own step, no callback does it for it |

mod callbacks;
mod cancellation;
mod deadlines;
#[cfg(unix)]
mod descriptors;
mod eager;
mod futures;
mod gathering;
mod groups;
mod queues;
mod running;
mod sync;
mod trace;
mod waiting;
