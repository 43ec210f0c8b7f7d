//! A block with a deadline that can be moved from inside.
//!
//! The mechanism is that of [`wait_for`](super::wait_for()). What is more: the body gets its [`Timeout`] and may set another
//! time. That happens in a poll of the body, which is inside a poll of the block, so the block looks at the
//! time again after each poll of the body, and nobody has to be told.
//!
//! The time is kept as nanoseconds since the block was made, in an atomic: not because threads would share
//! it, but so that a block is `Send` when its body is.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Context;
use std::time::{Duration, Instant};

use super::deadline::poll_until;
use super::{Sleep, TimeoutError, now, sleep_until};
use crate::kernel::Scope;

/// No deadline.
const NEVER: u64 = u64::MAX;

/// The deadline of a [`timeout`] block, in the hands of the block's body.
///
/// # asyncio
/// `asyncio.Timeout`, as in `async with asyncio.timeout(10) as t:`. It cannot be used before the block is
/// entered, or after it was left.
pub struct Timeout {
    /// When the block was made.
    start: Instant,
    /// The deadline in nanoseconds after `start`, or [`NEVER`].
    after: AtomicU64,
    expired: AtomicBool,
}

impl Timeout {
    fn new(start: Instant, when: Option<Instant>) -> Self {
        let timeout = Self { start, after: AtomicU64::new(NEVER), expired: AtomicBool::new(false) };
        timeout.set(when);
        timeout
    }

    fn set(&self, when: Option<Instant>) {
        let after = match when {
            // Farther than `NEVER` is 580 years.
            Some(when) => {
                u64::try_from(when.saturating_duration_since(self.start).as_nanos()).unwrap_or(NEVER)
            }
            None => NEVER,
        };
        self.after.store(after, Ordering::Relaxed);
    }

    /// The deadline; `None` if there is none.
    ///
    /// # asyncio
    /// `t.when()`.
    #[must_use]
    pub fn when(&self) -> Option<Instant> {
        match self.after.load(Ordering::Relaxed) {
            NEVER => None,
            after => self.start.checked_add(Duration::from_nanos(after)),
        }
    }

    /// Whether the deadline has come. In the body that can only be seen by cleanup, or by code that has
    /// swallowed the deadline.
    ///
    /// # asyncio
    /// `t.expired()`.
    #[must_use]
    pub fn expired(&self) -> bool {
        self.expired.load(Ordering::Relaxed)
    }

    /// Sets another deadline, or none with `None`. One that has passed comes at the body's next
    /// suspension.
    ///
    /// # Errors
    /// [`TimeoutError`] if the deadline has come already: a block ends once.
    ///
    /// # asyncio
    /// `t.reschedule(when)`.
    ///
    /// # Examples
    /// ```
    /// use evloop::time::{millis, now, secs};
    ///
    /// evloop::run(async {
    ///     // As long as something arrives at least every ten seconds, this may take for ever.
    ///     let sum = evloop::timeout(secs(10), async |t| {
    ///         let mut sum = 0;
    ///         for chunk in [1, 2, 3] {
    ///             evloop::sleep(millis(1)).await; // a chunk arrives
    ///             t.reschedule(now() + secs(10)).unwrap();
    ///             sum += chunk;
    ///         }
    ///         sum
    ///     });
    ///     assert_eq!(sum.await, Ok(6));
    /// });
    /// ```
    pub fn reschedule(&self, when: impl Into<Option<Instant>>) -> Result<(), TimeoutError> {
        if self.expired() {
            return Err(TimeoutError);
        }
        self.set(when.into());
        Ok(())
    }
}

impl fmt::Debug for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout").field("when", &self.when()).field("expired", &self.expired()).finish()
    }
}

/// Runs `body` for at most `delay`, counted from this call; `None`: no deadline yet. The body gets the
/// [`Timeout`], with which it may [move](Timeout::reschedule) the deadline.
///
/// When the deadline comes the body is cancelled, as by [`wait_for`](crate::wait_for): cleanups in it run to
/// their end before the error is returned; a value that is ready in that step beats the deadline; a body that
/// swallows the deadline and returns a value has its way. A deadline acts where the body is suspended: a
/// body that never is, is not interrupted.
///
/// # Errors
/// [`TimeoutError`] if the deadline ended the body. A cancellation from outside passes through: it is never
/// turned into this error.
///
/// # Panics
/// When awaited outside of a loop.
///
/// # Cancel safety
/// As the body.
///
/// # asyncio
/// `async with asyncio.timeout(delay) as t:`.
///
/// # Examples
/// ```
/// use evloop::time::{millis, secs};
///
/// evloop::run(async {
///     let late = evloop::timeout(millis(1), async |_| evloop::sleep(secs(3600)).await);
///     assert!(late.await.is_err());
///
///     let words = [String::from("no"), String::from("deadline")];
///     let said = evloop::timeout(None, async |t| {
///         assert_eq!(t.when(), None);
///         words.join(" ")
///     });
///     assert_eq!(said.await.unwrap(), "no deadline");
/// });
/// ```
pub fn timeout<R, B>(
    delay: impl Into<Option<Duration>>,
    body: B,
) -> impl Future<Output = Result<R, TimeoutError>>
where
    B: for<'a> AsyncFnOnce(&'a Timeout) -> R,
{
    let start = now();
    timed(Timeout::new(start, delay.into().and_then(|delay| start.checked_add(delay))), body)
}

/// As [`timeout`], with the deadline as a time of the loop's clock.
///
/// # Errors
/// As [`timeout`].
///
/// # Panics
/// When awaited outside of a loop.
///
/// # Cancel safety
/// As the body.
///
/// # asyncio
/// `async with asyncio.timeout_at(when) as t:`.
///
/// # Examples
/// ```
/// use evloop::time::{millis, now};
///
/// evloop::run(async {
///     let deadline = now() + millis(1); // for both together
///     let one = evloop::timeout_at(deadline, async |_| 1).await;
///     let other = evloop::timeout_at(deadline, async |_| std::future::pending::<u8>().await).await;
///     assert!(one.is_ok() && other.is_err());
/// });
/// ```
pub fn timeout_at<R, B>(
    when: impl Into<Option<Instant>>,
    body: B,
) -> impl Future<Output = Result<R, TimeoutError>>
where
    B: for<'a> AsyncFnOnce(&'a Timeout) -> R,
{
    timed(Timeout::new(now(), when.into()), body)
}

async fn timed<R, B>(timeout: Timeout, body: B) -> Result<R, TimeoutError>
where
    B: for<'a> AsyncFnOnce(&'a Timeout) -> R,
{
    let mut alarm = Alarm { set_to: NEVER, sleep: None };
    // Declared before what it contains: locals are dropped in reverse, so the scope goes last.
    let mut scope = Scope::new();
    let mut content = pin!(Some(body(&timeout)));
    std::future::poll_fn(|cx| poll_until(&mut scope, content.as_mut(), cx, |cx| alarm.comes(&timeout, cx)))
        .await
}

/// The timer of a block, which follows its deadline.
struct Alarm {
    /// As [`Timeout::after`].
    set_to: u64,
    sleep: Option<Sleep>,
}

impl Alarm {
    /// Whether the deadline has come; said once.
    fn comes(&mut self, timeout: &Timeout, cx: &mut Context<'_>) -> bool {
        if timeout.expired() {
            return false;
        }
        let after = timeout.after.load(Ordering::Relaxed);
        if after != self.set_to {
            self.set_to = after;
            let Some(when) = timeout.when() else {
                self.sleep = None;
                return false;
            };
            if when <= now() {
                return self.came(timeout);
            }
            self.sleep = Some(sleep_until(when));
        }
        let fired = self.sleep.as_mut().is_some_and(|sleep| Pin::new(sleep).poll(cx).is_ready());
        fired && self.came(timeout)
    }

    fn came(&mut self, timeout: &Timeout) -> bool {
        timeout.expired.store(true, Ordering::Relaxed);
        self.sleep = None;
        true
    }
}
