//! One thread plays all parts: what each end finds, who is called when, and what becomes of those who give up.

mod closed;

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use futures::StreamExt;

use super::{Receiver, SendError, Sender, Stats, TryRecvError, TrySendError, channel, unbounded};
use crate::kernel::with_current;
use crate::time::{millis, secs};
use crate::{EventLoop, create_task, now, sleep, yield_now};

/// Counts its calls.
#[derive(Default)]
struct Calls(AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A future polled by hand, and how often it was called.
struct Polled<F> {
    future: Pin<Box<F>>,
    calls: Arc<Calls>,
}

impl<F: Future> Polled<F> {
    fn new(future: F) -> Self {
        Self { future: Box::pin(future), calls: Arc::default() }
    }

    /// A new one, that waits.
    fn waiting(future: F) -> Self {
        let mut polled = Self::new(future);
        assert!(polled.poll().is_pending());
        polled
    }

    fn poll(&mut self) -> Poll<F::Output> {
        self.poll_with(&Waker::from(self.calls.clone()))
    }

    fn poll_with(&mut self, waker: &Waker) -> Poll<F::Output> {
        self.future.as_mut().poll(&mut Context::from_waker(waker))
    }

    fn calls(&self) -> usize {
        self.calls.0.load(Ordering::Relaxed)
    }
}

#[test]
fn ends_may_go_anywhere_if_their_items_may() {
    fn send<T: Send>(_: &T) {}
    fn sync<T: Sync>(_: &T) {}
    let (sender, mut receiver) = channel::<Cell<u8>>(1);
    send(&sender);
    sync(&sender);
    send(&sender.send(Cell::new(1)));
    send(&sender.closed());
    send(&receiver);
    send(&receiver.recv());
}

#[test]
fn items_come_in_order_and_what_was_sent_comes_before_the_end() {
    let (sender, mut receiver) = unbounded();
    let other = sender.clone();
    for n in 0..10 {
        if n % 2 == 0 { &sender } else { &other }.try_send(n).unwrap();
    }
    drop(sender);
    assert!(!receiver.is_closed());
    drop(other);
    assert!(receiver.is_closed());
    assert_eq!(receiver.len(), 10);
    let items: Vec<_> = std::iter::from_fn(|| receiver.blocking_recv()).collect();
    assert_eq!(items, Vec::from_iter(0..10));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn the_capacity_counts_what_was_not_received_wherever_it_is() {
    let (sender, mut receiver) = channel(3);
    for n in 0..3 {
        sender.try_send(n).unwrap();
    }
    assert_eq!(sender.try_send(9), Err(TrySendError::Full(9)));
    for n in 0..20 {
        // The receiver has taken all three at once; only one is received.
        assert_eq!(receiver.try_recv(), Ok(n));
        assert_eq!((sender.len(), receiver.len()), (2, 2));
        sender.try_send(n + 3).unwrap();
        assert_eq!(sender.try_send(9), Err(TrySendError::Full(9)));
    }
    assert_eq!((sender.capacity(), receiver.capacity()), (Some(3), Some(3)));
    assert_eq!(unbounded::<u8>().0.capacity(), None);
}

#[test]
#[should_panic(expected = "its capacity must be at least 1")]
fn there_is_no_channel_without_room() {
    let _ = channel::<u8>(0);
}

#[test]
fn a_thousand_sends_call_the_receiver_once() {
    for (sender, mut receiver) in [channel(1000), unbounded()] {
        let mut recv = Polled::waiting(receiver.recv());
        for n in 0..1000 {
            sender.try_send(n).unwrap();
        }
        assert_eq!(recv.calls(), 1);
        assert_eq!(recv.poll(), Poll::Ready(Some(0)));
    }
}

#[test]
fn a_recv_calls_back_by_the_waker_of_its_last_poll() {
    let (sender, mut receiver) = unbounded();
    let mut recv = Polled::waiting(receiver.recv());
    let last = Arc::new(Calls::default());
    assert!(recv.poll_with(&last.clone().into()).is_pending());
    sender.try_send(1).unwrap();
    assert_eq!((recv.calls(), last.0.load(Ordering::Relaxed)), (0, 1));
}

#[test]
fn a_dropped_recv_has_taken_nothing_and_is_not_called() {
    let (sender, mut receiver) = unbounded();
    let recv = Polled::waiting(receiver.recv());
    let calls = recv.calls.clone();
    drop(recv);
    assert!(!sender.stats().receiver_waits);
    assert_eq!(Arc::strong_count(&calls), 1, "the waker is gone, too");
    sender.try_send(1).unwrap();
    let recv = Polled::new(receiver.recv());
    drop(recv);
    assert_eq!(receiver.try_recv(), Ok(1));
}

#[test]
fn room_goes_to_those_who_wait_in_their_order_and_nobody_overtakes() {
    let (sender, mut receiver) = channel(1);
    sender.try_send(0).unwrap();
    let [mut one, mut two, mut three] = [1, 2, 3].map(|n| Polled::waiting(sender.send(n)));
    assert_eq!(sender.stats().waiting_senders, 3);
    for (n, send) in [&mut one, &mut two, &mut three].into_iter().enumerate() {
        assert_eq!(send.calls(), 0);
        assert_eq!(receiver.try_recv(), Ok(n));
        assert_eq!(send.calls(), 1);
        assert_eq!(sender.try_send(9), Err(TrySendError::Full(9)), "the room is promised");
        assert!(Polled::new(sender.send(9)).poll().is_pending());
        assert_eq!(send.poll(), Poll::Ready(Ok(())));
    }
    assert_eq!(receiver.try_recv(), Ok(3));
    assert_eq!(sender.try_send(4), Ok(()), "nobody waits");
}

#[test]
fn a_waiting_send_calls_back_by_the_waker_of_its_last_poll_and_keeps_its_place() {
    let (sender, mut receiver) = channel(1);
    sender.try_send(0).unwrap();
    let (mut one, two) = (Polled::waiting(sender.send(1)), Polled::waiting(sender.send(2)));
    let last = Arc::new(Calls::default());
    assert!(one.poll_with(&last.clone().into()).is_pending());
    receiver.try_recv().unwrap();
    assert_eq!((one.calls(), last.0.load(Ordering::Relaxed), two.calls()), (0, 1, 0));
}

#[test]
fn a_dropped_send_leaves_the_line_and_one_that_was_called_passes_the_room_on() {
    let (sender, mut receiver) = channel(1);
    sender.try_send(0).unwrap();
    let [one, two, three, mut four] = [1, 2, 3, 4].map(|n| Polled::waiting(sender.send(n)));
    drop(two);
    assert_eq!(receiver.try_recv(), Ok(0));
    assert_eq!((one.calls(), three.calls()), (1, 0));
    drop(one);
    assert_eq!((three.calls(), four.calls()), (1, 0));
    drop(three);
    assert_eq!(four.calls(), 1);
    assert_eq!(four.poll(), Poll::Ready(Ok(())));
    assert_eq!(receiver.try_recv(), Ok(4));
    let five = sender.send(5);
    drop(five);
    assert_eq!(sender.try_send(6), Ok(()), "no room was lost");
}

#[test]
fn what_cannot_be_delivered_comes_back() {
    let (sender, mut receiver) = channel(1);
    sender.try_send("sent").unwrap();
    let [mut one, mut two] = ["one", "two"].map(|text| Polled::waiting(sender.send(text)));
    assert!(!sender.is_closed());
    receiver.close();
    assert!(sender.is_closed() && receiver.is_closed());
    assert_eq!((one.calls(), two.calls()), (1, 1));
    assert_eq!(one.poll(), Poll::Ready(Err(SendError("one"))));
    assert_eq!(sender.try_send("late"), Err(TrySendError::Closed("late")));
    assert_eq!(sender.blocking_send("late"), Err(SendError("late")));
    assert_eq!(receiver.try_recv(), Ok("sent"));
    drop(receiver);
    assert_eq!(two.poll(), Poll::Ready(Err(SendError("two"))));
}

#[test]
fn a_close_meets_a_send_that_was_called() {
    let (sender, mut receiver) = channel(1);
    sender.try_send(0).unwrap();
    let mut send = Polled::waiting(sender.send(1));
    receiver.try_recv().unwrap();
    receiver.close();
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(send.poll(), Poll::Ready(Err(SendError(1))));
}

#[test]
fn a_close_is_heard_by_a_stream_that_was_polled_elsewhere() {
    let (_sender, mut receiver) = channel::<u8>(1);
    let calls = Arc::new(Calls::default());
    let waker = Waker::from(calls.clone());
    assert!(receiver.poll_next_unpin(&mut Context::from_waker(&waker)).is_pending());
    receiver.close();
    assert_eq!(calls.0.load(Ordering::Relaxed), 1);
}

#[test]
fn stats_tell_all() {
    let (sender, mut receiver) = channel(2);
    let other = sender.clone();
    sender.try_send('a').unwrap();
    sender.try_send('b').unwrap();
    let waits = Polled::waiting(other.send('c'));
    receiver.try_recv().unwrap();
    drop(waits);
    let expected = Stats {
        capacity: Some(2),
        len: 1,
        sent: 2,
        received: 1,
        senders: 2,
        waiting_senders: 0,
        receiver_waits: false,
    };
    assert_eq!(receiver.stats(), expected);
    drop(receiver);
    assert_eq!(other.stats(), Stats { len: 0, ..expected }, "what was dropped was not received");
    assert_eq!(
        format!("{other:?}"),
        "Sender { channel: Stats { capacity: Some(2), len: 0, sent: 2, received: 1, senders: 2, \
         waiting_senders: 0, receiver_waits: false } }"
    );
}

/// Looks at the channel whenever it is called or dropped: under the channel's lock it would wait for ever.
struct Meddler(Sender<Option<Arc<Meddler>>>, Mutex<Vec<&'static str>>);

impl Wake for Meddler {
    fn wake(self: Arc<Self>) {
        assert!(self.0.len() < 9);
        self.1.lock().unwrap().push("woken");
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        assert!(self.0.len() < 9);
    }
}

#[test]
fn foreign_code_finds_the_channel_unlocked() {
    let (sender, mut receiver) = channel(1);
    let meddler = || Arc::new(Meddler(sender.clone(), Mutex::default()));
    let (waits, receives) = (meddler(), meddler());
    let mut recv = Polled::new(receiver.recv());
    assert!(recv.poll_with(&receives.clone().into()).is_pending());
    sender.try_send(Some(meddler())).unwrap();
    assert!(recv.poll_with(Waker::noop()).is_ready());
    drop(recv);
    sender.try_send(Some(meddler())).unwrap();
    let mut send = Polled::new(sender.send(Some(meddler())));
    assert!(send.poll_with(&waits.clone().into()).is_pending());
    assert!(send.poll_with(&meddler().into()).is_pending());
    assert!(send.poll_with(&waits.clone().into()).is_pending());
    drop(receiver);
    assert_eq!(*waits.1.lock().unwrap(), ["woken"]);
    assert_eq!(*receives.1.lock().unwrap(), ["woken"]);
    drop(send);
}

#[test]
fn a_waker_that_panics_keeps_nobody_from_his_call() {
    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            panic!("expected: a waker panics");
        }
    }
    let (sender, mut receiver) = channel(1);
    sender.try_send(0).unwrap();
    let mut one = Polled::new(sender.send(1));
    assert!(one.poll_with(&Arc::new(Bomb).into()).is_pending());
    let two = Polled::waiting(sender.send(2));
    assert_eq!(receiver.try_recv(), Ok(0), "and the receiver from its item");
    drop(one);
    assert_eq!(two.calls(), 1);
    let mut three = Polled::new(sender.send(3));
    assert!(three.poll_with(&Arc::new(Bomb).into()).is_pending());
    let four = Polled::waiting(sender.send(4));
    receiver.close();
    assert_eq!(four.calls(), 1);
}

#[test]
fn large_buffers_are_given_back() {
    let (sender, mut receiver) = unbounded();
    for n in 0..100_000 {
        sender.try_send(n).unwrap();
    }
    while receiver.try_recv().is_ok() {}
    for _ in 0..3 {
        sender.try_send(1).unwrap();
        receiver.try_recv().unwrap();
    }
    assert!(receiver.batch.capacity() <= 2048, "{}", receiver.batch.capacity());
}

#[test]
fn a_thread_waits_no_longer_than_it_wants() {
    let (sender, mut receiver) = channel(1);
    assert!(receiver.blocking_recv_timeout(millis(1)).is_err());
    assert!(!sender.stats().receiver_waits);
    sender.try_send(1).unwrap();
    assert_eq!(receiver.blocking_recv_timeout(std::time::Duration::MAX), Ok(Some(1)));
    drop(sender);
    assert_eq!(receiver.blocking_recv_timeout(secs(0)), Ok(None));
}

#[test]
fn a_bare_executor_will_do() {
    let (sender, receiver) = channel(1);
    let thread = std::thread::spawn(move || futures::executor::block_on(receiver.collect::<Vec<_>>()));
    futures::executor::block_on(async {
        for n in 0..100 {
            sender.send(n).await.unwrap();
        }
        drop(sender);
    });
    assert_eq!(thread.join().unwrap(), Vec::from_iter(0..100));
}

/// What keeps the virtual time of the loop that runs from jumping.
fn proxies() -> usize {
    with_current(|block, _| block.shared().proxies.load(Ordering::Relaxed)).unwrap()
}

#[test]
fn a_virtual_clock_knows_who_waits_for_the_outside() {
    crate::__private::test(crate::Clock::Virtual, async {
        let (sender, mut receiver) = channel(1);
        let mut recv = Polled::waiting(receiver.recv());
        assert!(recv.poll().is_pending());
        assert_eq!(proxies(), 1);
        sender.try_send(0).unwrap();
        assert_eq!(proxies(), 1, "it does not know yet");
        assert!(recv.poll().is_ready());
        assert_eq!(proxies(), 0);
        drop(recv);
        let recv = Polled::waiting(receiver.recv());
        assert_eq!(proxies(), 1);
        drop(recv);
        assert_eq!(proxies(), 0);

        sender.try_send(0).unwrap();
        let (mut one, two) = (Polled::waiting(sender.send(1)), Polled::waiting(sender.send(2)));
        assert_eq!(proxies(), 2);
        drop(two);
        assert_eq!(proxies(), 1);
        receiver.try_recv().unwrap();
        assert!(one.poll().is_ready());
        assert_eq!(proxies(), 0);
        receiver.try_recv().unwrap();

        let mut recv = Polled::waiting(receiver.recv());
        drop(one);
        drop(sender);
        assert_eq!(recv.poll(), Poll::Ready(None));
        assert_eq!(proxies(), 0, "nothing can come");
        let start = now();
        sleep(secs(3600)).await;
        assert_eq!(now() - start, secs(3600), "at once");
    });
}

#[test]
fn a_real_clock_need_not_know_unless_debug_mode_wants_to() {
    crate::__private::test(crate::Clock::Monotonic, async {
        let event_loop = crate::get_running_loop().unwrap();
        event_loop.set_debug(false);
        let (_sender, mut receiver) = channel::<u8>(1);
        let mut recv = Polled::waiting(receiver.recv());
        assert_eq!(proxies(), 0);
        event_loop.set_debug(true);
        assert!(recv.poll().is_pending());
        assert_eq!(proxies(), 1);
        drop(recv);
        assert_eq!(proxies(), 0);
    });
}

#[test]
fn a_wait_that_moves_to_another_loop_counts_there() {
    let make = || EventLoop::builder().clock(crate::Clock::Virtual).build().unwrap();
    let (mut here, mut there) = (make(), make());
    let (_sender, mut receiver) = channel::<u8>(1);
    let mut recv = Polled::new(receiver.recv());
    let mut count_in = |event_loop: &mut EventLoop| {
        event_loop.run_until_complete(async {
            assert!(recv.poll().is_pending());
            proxies()
        })
    };
    assert_eq!(count_in(&mut here).unwrap(), 1);
    assert_eq!(count_in(&mut there).unwrap(), 1);
    assert_eq!(here.run_until_complete(async { proxies() }).unwrap(), 0);
}

#[test]
fn virtual_time_does_not_run_away_from_a_thread_that_will_send() {
    crate::__private::test(crate::Clock::Virtual, async {
        let (sender, mut receiver) = channel(1);
        let start = now();
        let hour = create_task(sleep(secs(3600)));
        let thread = std::thread::spawn(move || sender.blocking_send(7).unwrap());
        assert_eq!(receiver.recv().await, Some(7));
        assert!(now() - start < secs(3600));
        hour.await.unwrap();
        assert_eq!(now() - start, secs(3600));
        thread.join().unwrap();
    });
}

/// Who took a step, and how often in a row.
type Steps = Rc<RefCell<Vec<(&'static str, usize)>>>;

fn note(steps: &Steps, who: &'static str) {
    let mut steps = steps.borrow_mut();
    match steps.last_mut() {
        Some((last, count)) if *last == who => *count += 1,
        _ => steps.push((who, 1)),
    }
}

/// Yields until nobody else has the list.
async fn bystander(steps: Steps) {
    while Rc::strong_count(&steps) > 2 {
        note(&steps, "bystander");
        yield_now().await;
    }
}

#[test]
fn a_receiver_lets_others_run_after_128_items() {
    crate::__private::fifo_test(crate::Clock::Virtual, async {
        let (sender, mut receiver) = channel(300);
        for n in 0..300 {
            sender.try_send(n).unwrap();
        }
        drop(sender);
        let steps = Steps::default();
        let receiving = steps.clone();
        let receives = create_task(async move {
            while receiver.recv().await.is_some() {
                note(&receiving, "receiver");
            }
        });
        create_task(bystander(steps.clone())).await.unwrap();
        receives.await.unwrap();
        let steps = steps.take();
        assert_eq!(
            steps,
            [("receiver", 128), ("bystander", 1), ("receiver", 128), ("bystander", 1), ("receiver", 44)]
        );
    });
}

#[test]
fn a_sender_lets_others_run_after_128_items() {
    crate::__private::fifo_test(crate::Clock::Virtual, async {
        let (sender, receiver) = unbounded();
        let steps = Steps::default();
        let sending = steps.clone();
        let sends = create_task(async move {
            for n in 0..200 {
                sender.send(n).await.unwrap();
                note(&sending, "sender");
            }
        });
        create_task(bystander(steps.clone())).await.unwrap();
        sends.await.unwrap();
        assert_eq!(steps.take(), [("sender", 128), ("bystander", 1), ("sender", 72)]);
        assert_eq!(receiver.len(), 200);
    });
}

#[test]
fn nobody_blocks_a_loop() {
    crate::__private::test(crate::Clock::Virtual, async {
        fn text<R>(f: impl FnOnce() -> R) -> String {
            let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).err().unwrap();
            *payload.downcast::<String>().unwrap()
        }
        let (sender, mut receiver) = channel(1);
        assert_eq!(
            text(|| sender.blocking_send(1)),
            "blocking_send() would stop the event loop that runs on this thread; await send() there"
        );
        assert!(text(|| sender.blocking_closed()).contains("await closed()"));
        assert!(text(|| receiver.blocking_recv()).contains("await recv()"));
        assert!(text(|| receiver.blocking_recv_timeout(secs(1))).contains("await wait_for"));
        assert!(receiver.is_empty());
    });
}

#[test]
fn whatever_happens_items_come_in_order_and_room_is_not_lost() {
    // A model: what was sent and not received, and who waits.
    for seed in 1..200_u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut below = move |limit: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 16) % limit
        };
        let capacity = 1 + below(4) as usize;
        let (sender, mut receiver): (Sender<u64>, Receiver<u64>) = channel(capacity);
        let mut model = std::collections::VecDeque::new();
        let mut waiting = Vec::new();
        for n in 0..200 {
            match below(6) {
                0 => match sender.try_send(n) {
                    Ok(()) => model.push_back(n),
                    Err(error) => {
                        assert_eq!(error, TrySendError::Full(n));
                        assert!(model.len() + waiting.len() >= capacity, "there is room that nobody wants");
                    }
                },
                1 => {
                    let mut send = Polled::new(sender.send(n));
                    match send.poll() {
                        Poll::Ready(result) => {
                            result.unwrap();
                            model.push_back(n);
                        }
                        Poll::Pending => waiting.push((n, send)),
                    }
                }
                2 if !waiting.is_empty() => {
                    let at = below(waiting.len() as u64) as usize;
                    let (value, send) = &mut waiting[at];
                    let called = send.calls() > 0;
                    match send.poll() {
                        Poll::Ready(result) => {
                            result.unwrap();
                            assert!(called);
                            model.push_back(*value);
                            waiting.remove(at);
                        }
                        Poll::Pending => assert!(!called),
                    }
                }
                3 if !waiting.is_empty() => drop(waiting.remove(below(waiting.len() as u64) as usize)),
                _ => assert_eq!(receiver.try_recv().ok(), model.pop_front()),
            }
            assert!(model.len() <= capacity);
            assert_eq!(sender.len(), model.len());
            let called = waiting.iter().filter(|(_, send)| send.calls() > 0).count();
            assert_eq!(called, waiting.len().min(capacity - model.len()), "those who can be called are");
            assert!(waiting.iter().take(called).all(|(_, send)| send.calls() > 0), "in their order");
        }
    }
}
