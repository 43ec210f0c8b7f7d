//! Letting everybody run until all of them wait.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::kernel::{current_task, with_current};

/// So many iterations, and somebody is ready again and again.
const ENDLESS: u64 = 100_000;

/// Lets all others run until everything in the loop waits: for each other, for a deadline in the future, for the
/// outside.
///
/// Then a test may look: what could happen has happened. No time passes on the virtual clock. What other threads,
/// descriptors and jobs of [`to_thread`](crate::to_thread) have to say counts once the loop has heard of it, and is not
/// waited for.
///
/// # Cancel safety
/// Safe.
///
/// # Panics
/// If it is polled by anything but a task of a running loop; if after a hundred thousand iterations something is
/// still ready, since a task that yields for ever never waits.
///
/// # asyncio
/// Tests there call `await asyncio.sleep(0)` as often as seems enough.
///
/// # Examples
/// ```
/// use evloop::{Queue, testing::settle};
/// use std::rc::Rc;
///
/// # #[evloop::main(clock = "virtual")] async fn main() { a_full_queue_holds_the_producer_back().await }
/// # /*
/// #[evloop::test]
/// # */
/// async fn a_full_queue_holds_the_producer_back() {
///     let queue = Rc::new(Queue::new(2));
///     let producer = evloop::create_task({
///         let queue = queue.clone();
///         async move {
///             for item in 0..5 {
///                 queue.put(item).await.unwrap();
///             }
///         }
///     });
///     settle().await;
///     assert!(queue.full() && !producer.done());
/// }
/// ```
pub fn settle() -> Settle {
    Settle { settling: None, task: 0, iterations: 0 }
}

/// The future of [`settle`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Settle {
    /// Set while this waits.
    settling: Option<Rc<Settling>>,
    task: u64,
    iterations: u64,
}

/// The tasks that settle in a loop: each of them stands in the FIFO all the time, and waits in truth.
#[derive(Debug, Default)]
struct Settling(RefCell<Vec<u64>>);

impl Settling {
    fn others_than(&self, task: u64) -> usize {
        let mut others: Vec<u64> = self.0.borrow().iter().copied().filter(|&other| other != task).collect();
        others.sort_unstable();
        others.dedup();
        others.len()
    }
}

impl Settle {
    fn enter(&mut self) {
        let found = with_current(|_, home| {
            let task = current_task(home).expect("settle() is awaited by a task");
            (home.extension(Settling::default), task.id())
        });
        let (settling, task) = found.expect("settle() is awaited inside of a running loop");
        settling.0.borrow_mut().push(task);
        (self.settling, self.task) = (Some(settling), task);
    }

    fn leave(&mut self) {
        if let Some(settling) = self.settling.take() {
            let mut all = settling.0.borrow_mut();
            let place = all.iter().position(|&task| task == self.task).expect("it entered");
            all.swap_remove(place);
        }
    }
}

impl Future for Settle {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let Some(settling) = &this.settling else {
            this.enter();
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        let others = settling.others_than(this.task);
        let all_wait = with_current(|block, home| {
            let due = home.timers.next_deadline().is_some_and(|deadline| deadline <= home.time.now_ns());
            !(due || block.shared().inbox.has_mail() || home.ready.holds_more_than(others))
        });
        if all_wait == Some(true) {
            this.leave();
            return Poll::Ready(());
        }
        this.iterations += 1;
        assert!(
            this.iterations < ENDLESS,
            "settle(): after {ENDLESS} iterations something is still ready; does a task yield for ever?"
        );
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Settle {
    fn drop(&mut self) {
        self.leave();
    }
}
