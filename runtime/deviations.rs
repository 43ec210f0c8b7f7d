//! Where evloop differs from asyncio, on purpose. Everything else that has asyncio's name has its
//! behaviour, down to the order in which things run; the project's tests hold it to traces that CPython
//! printed.
//!
//! # Because Rust is not Python
//! * **Errors are values.** A task's ordinary error is inside its output. What ends a task without a value
//!   is a cancellation or a panic: [`TaskError`](crate::TaskError). The first *failed* child of
//!   [`gather`](crate::gather()) is one that was cancelled or panicked; [`try_gather`](crate::try_gather)
//!   looks into `Result`s.
//! * **A request does not throw.** [`cancel`](crate::TaskRef::cancel) marks the task and wakes it. At its next
//!   step the request is offered while the task is polled, and the innermost scope takes it. So cancelling
//!   somebody who awaits a task reaches that task one iteration later than in asyncio, and along a chain of them each
//!   takes one: who stands in it may see what he awaits end for another reason first, which is a value to him. What
//!   was asked at one moment is one request all the same, wherever in the chain.
//! * **Dropping is the second way to cancel.** A future may be dropped at any await; it leaves its line, and
//!   passes on a turn it was already given. Nothing can await then: only cancelling waits for cleanups.
//! * **A group's body is cancelled by [`TaskGroup::cancel`](crate::TaskGroup::cancel) where the type has room for that**:
//!   in [`cancellable`](crate::TaskGroup::cancellable), which returns an `Option`. In
//!   [`scope`](crate::TaskGroup::scope) the body has a value to give, and only the children end.
//! * **A child's error goes to its group alone.** In asyncio whoever awaits the child gets it, too, and then fails with
//!   the same error once more; here the child's task ends as cancelled, with a message that says so. What leaves a
//!   group unwrapped (`KeyboardInterrupt` there) is a panic, of the body or of a child.
//! * **A block's deadline is in its body's hands.** [`Timeout`](crate::Timeout) is what the body of
//!   [`timeout`](crate::timeout()) gets; before and after, there is nothing that could be in a wrong state.
//! * **`FIRST_EXCEPTION` is two modes of [`wait`](crate::wait())**: [`FirstException`](crate::FirstException) for tasks that
//!   return `Result`, [`FirstPanic`](crate::FirstPanic) for all others.
//! * **[`wait`](crate::wait()) hands the tasks back** as they were given and in that order, not as sets.
//! * **[`shield`](crate::shield()) has no outer future** that could be cancelled: one drops it, or cancels whoever awaits
//!   it. That the inner task was cancelled is a value.
//! * **An `Err` that nobody sees** is reported where that was asked for:
//!   [`detach_reporting`](crate::Task::detach_reporting).
//! * **A [`Condition`](crate::Condition) is shown its lock's guard**, and a wait that was cancelled does not hold the lock: an
//!   [`on_cancel`](crate::on_cancel) handler acquires it.
//! * **A value that is there stands.** A task that cancels itself and then returns without suspending ends
//!   with its value; in asyncio the value is lost.
//! * **A task's [`context`](crate::TaskRef::context) is gone with its end**, once its [`Task`](crate::Task) is: values of the
//!   thread are not dropped elsewhere. For the same reason only variables whose values are `Send` and `Sync` travel to
//!   [`to_thread`](crate::to_thread) and by a [`LoopProxy`](crate::LoopProxy).
//! * **An output that nobody takes is dropped in its task's context**, as its future was; in asyncio in the loop's own.
//! * **[`Context::run`](crate::context::Context::run) notices a context that is current or in a `run`**, not one that an outer
//!   step further down the stack runs in; an eager task may be given its creator's.
//! * **A [`BoundedSemaphore`](crate::BoundedSemaphore) takes back only permits that were forgotten.** asyncio's accepts a
//!   release while somebody else holds a permit, and raises later, at the end of the holder's `async with`.
//! * **[`Task`](crate::Task) is awaited by value, once.** `(&task).await` clones the output, for as many
//!   awaiters as one likes. A task is `IntoFuture`, not a future, since otherwise `gather` could not take
//!   both tasks and futures; [`join`](crate::Task::join) gives the future.
//! * **Time is `Duration` and `Instant`.** A [`sleep`](crate::sleep())'s or
//!   [`wait_for`](crate::wait_for)'s time counts from the call; asyncio counts from the first await.
//!
//! # Because it is better
//! * **Timers with one deadline fire first come, first served.** asyncio's heap gives them no order.
//! * **A task that was started from another thread and cancelled before it came does not begin**, also on a loop of
//!   [eager tasks](crate::Builder::eager_tasks).
//! * **A ready value beats its timeout.** asyncio's [`wait_for`](crate::wait_for) raises although the value is
//!   there when both come in one iteration. With a timeout of zero the content is polled once; there it
//!   never starts.
//! * **A cancelled [`gather`](crate::gather()) waits for all its children.** asyncio's resumes its awaiter
//!   after the first one while others are still cleaning up.
//! * **[`TaskGroup`](crate::TaskGroup) passes every request on to its unfinished children**, asyncio's only the first: a
//!   child that swallowed one cannot make the group deaf. Children are cancelled in the order of their
//!   creation. A plain drop of the group asks them to end.
//! * **[`race`](crate::race()) and [`staggered_race`](crate::staggered_race()) run inline** and may borrow; losers are cancelled and
//!   waited for, and a cleanup that runs in one already is finished before that. asyncio has the second only, inside, over
//!   tasks, and interrupts cleanups. A request to a staggered race starts nothing more, and beats a winner whose losers
//!   still clean up.
//! * **Waiting calls of [`as_completed`](crate::as_completed())'s `next` are served strictly in their order**; after its
//!   timeout the error comes once.
//! * **Only a notified waiter of a [`Condition`](crate::Condition) passes a notification on.** A
//!   [`Barrier`](crate::Barrier) gives no index twice, and nobody overtakes those who wait for its next round.
//! * **Cancelling one awaiter of a [`Promise`](crate::Promise) leaves the promise alone.** In asyncio it
//!   cancels the future under everybody else who awaits it.
//! * **A deadline acts in the step that it wakes.** asyncio's only asks for a cancellation then, which comes an
//!   iteration later: a `cancel()` after the deadline in the same iteration still wins there, here it is too
//!   late. Of equal nested deadlines with nothing to clean up the inner one answers first.
//! * **[`cancelling`](crate::TaskRef::cancelling) counts `cancel()` calls only**, never the deliveries of
//!   deadlines and groups, so it need not be corrected by those who made them.
//! * **Nobody's task is forgotten.** The loop owns its tasks until they end; asyncio's only knows them
//!   weakly.
//! * **A variable may keep to its task**: [`not_inherited`](crate::ContextVar::not_inherited).
//! * **A slow step is told of while it runs**, and again when it is over; handles and promises always know where they
//!   were made. What a task waits for is asked of it by [`debug::waiting`](crate::debug::waiting), and is not in its `Debug`.
//! * **A wait for the other end of a [`channel::thread`](mod@crate::channel::thread)** lets virtual time pass at real pace, and
//!   is never taken for stuck.
//! * **Panics that nobody sees are reported**, when they happen or when the last one who could see them is
//!   gone, not at some garbage collection.
//! * **The end of a run waits for no blocking job.** It counts those that run, tells the exception handler and leaves
//!   them; asyncio waits 300 seconds.
//! * **Signals are heard on every thread, by any number of loops.** asyncio's `add_signal_handler` needs the main thread. A
//!   former handler function is still called, and put back after the last listener. A callback that was removed is
//!   not called, though it was due; asyncio still calls it.
//! * **A second Ctrl-C ends the run without waiting for cleanups**, and one that comes before the loop noticed the one
//!   before ends the process by the signal: Rust cannot raise an exception inside of code that is stuck. `run` then exits
//!   with code 130. A listener for SIGINT, in whatever loop, comes before the [`Runner`](crate::Runner).
//! * **Between batches the outside is asked less often while there is work**: after up to 64 steps rather
//!   than after each batch, always at a batch boundary.
//!   [`steps_per_look(1)`](crate::Builder::steps_per_look) is asyncio's way.
//! * **Sockets are tried first and registered when somebody has to wait**, once and for both directions, not for
//!   each wait; so a task that waits for a socket reads in the iteration of the event, asyncio's one later. A task
//!   that never has to wait is asked to let others run after 128 operations in one step;
//!   asyncio's would go on.
//! * **[`accept`](crate::net::TcpListener::accept) passes over connections that failed in line, and waits when
//!   descriptors run out**, closing those who have waited for a second. asyncio's `sock_accept` raises, and only its
//!   servers do something like it, without the closing.
//! * **Wakes from other threads are collected at a batch's end** or when something is scheduled by
//!   `call_soon` or `create_task`, so that these keep asyncio's order; a task that only yields may stand before
//!   what another thread scheduled a moment earlier.
//!
//! # Not there yet
//! Datagrams, Unix sockets, streams, servers and subprocesses.
