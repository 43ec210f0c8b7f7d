//! The futures of a queue: what `get`, `put` and `join` return.
//!
//! Each keeps its [`Place`] in one of the queue's lines. A poll that comes while the future is in
//! line changes nothing; a future that was called, or polled for the first time, looks at the queue
//! and joins the end of the line if it has to wait.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::base::BaseQueue;
use super::buffer::Buffer;
use super::error::{GetNowaitError, PutNowaitError, QueueShutDown};
use crate::kernel::{Place, Standing};

pub(super) struct Get<'a, T, B: Buffer<T>> {
    queue: &'a BaseQueue<T, B>,
    place: Place,
}

impl<'a, T, B: Buffer<T>> Get<'a, T, B> {
    pub(super) fn new(queue: &'a BaseQueue<T, B>) -> Self {
        Get { queue, place: Place::new() }
    }
}

impl<T, B: Buffer<T>> Future for Get<'_, T, B> {
    type Output = Result<T, QueueShutDown>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let queue = self.queue;
        if self.place.poll(&queue.getters, cx.waker()) == Standing::InLine {
            return Poll::Pending;
        }
        let mut waker = None;
        loop {
            match queue.get_nowait() {
                Ok(item) => return Poll::Ready(Ok(item)),
                Err(GetNowaitError::QueueShutDown) => return Poll::Ready(Err(QueueShutDown(()))),
                Err(GetNowaitError::QueueEmpty) => {}
            }
            match waker {
                // Foreign code, which may have put something in: looks again.
                None => waker = Some(cx.waker().clone()),
                Some(waker) => {
                    self.place.enter_as(&queue.getters, waker);
                    return Poll::Pending;
                }
            }
        }
    }
}

impl<T, B: Buffer<T>> Drop for Get<'_, T, B> {
    fn drop(&mut self) {
        if self.place.leave(&self.queue.getters) == Standing::Called && !self.queue.empty() {
            self.queue.getters.wake_one();
        }
    }
}

pub(super) struct Put<'a, T, B: Buffer<T>> {
    queue: &'a BaseQueue<T, B>,
    place: Place,
    item: Option<T>,
}

impl<'a, T, B: Buffer<T>> Put<'a, T, B> {
    pub(super) fn new(queue: &'a BaseQueue<T, B>, item: T) -> Self {
        Put { queue, place: Place::new(), item: Some(item) }
    }
}

// the item is only moved, never pinned
impl<T, B: Buffer<T>> Unpin for Put<'_, T, B> {}

impl<T, B: Buffer<T>> Future for Put<'_, T, B> {
    type Output = Result<(), QueueShutDown<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let queue = self.queue;
        if self.place.poll(&queue.putters, cx.waker()) == Standing::InLine {
            return Poll::Pending;
        }
        let mut waker = None;
        loop {
            let item = self.item.take().expect("put() is done: do not poll it again");
            match queue.put_nowait(item) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(PutNowaitError::QueueShutDown(item)) => return Poll::Ready(Err(QueueShutDown(item))),
                Err(PutNowaitError::QueueFull(item)) => self.item = Some(item),
            }
            match waker {
                // Foreign code, which may have taken something out: looks again.
                None => waker = Some(cx.waker().clone()),
                Some(waker) => {
                    self.place.enter_as(&queue.putters, waker);
                    return Poll::Pending;
                }
            }
        }
    }
}

impl<T, B: Buffer<T>> Drop for Put<'_, T, B> {
    fn drop(&mut self) {
        if self.place.leave(&self.queue.putters) == Standing::Called && !self.queue.full() {
            self.queue.putters.wake_one();
        }
    }
}

pub(super) struct Join<'a, T, B: Buffer<T>> {
    queue: &'a BaseQueue<T, B>,
    place: Place,
}

impl<'a, T, B: Buffer<T>> Join<'a, T, B> {
    pub(super) fn new(queue: &'a BaseQueue<T, B>) -> Self {
        Join { queue, place: Place::new() }
    }
}

impl<T, B: Buffer<T>> Future for Join<'_, T, B> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let queue = self.queue;
        match self.place.poll(&queue.joiners, cx.waker()) {
            Standing::InLine => Poll::Pending,
            Standing::Called => Poll::Ready(()), // all was done once, that is enough
            Standing::Outside if queue.unfinished.get() == 0 => Poll::Ready(()),
            Standing::Outside => {
                let waker = cx.waker().clone();
                // To clone it was foreign code, which may have done the last one.
                if queue.unfinished.get() == 0 {
                    return Poll::Ready(());
                }
                self.place.enter_as(&queue.joiners, waker);
                Poll::Pending
            }
        }
    }
}

impl<T, B: Buffer<T>> Drop for Join<'_, T, B> {
    fn drop(&mut self) {
        self.place.leave(&self.queue.joiners); // all were called, so there is nothing to pass on
    }
}
