//! The futures of a queue: what `get`, `put` and `join` return.
//!
//! Each keeps its [`Place`] in one of the queue's lines. A poll that comes while the future is in
//! line changes nothing; a future that was called, or polled for the first time, looks at the queue
//! and joins the end of the line if it has to wait.
//!
//! The first poll of `get` and `put`, which most often is the only one, is the one that is inlined where they are
//! awaited; what comes after a wait stands beside it.

use std::future::Future;
use std::mem;
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

impl<T, B: Buffer<T>> Get<'_, T, B> {
    #[inline(never)]
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, QueueShutDown>> {
        let queue = self.queue;
        match self.place.poll(&queue.getters, cx.waker()) {
            Standing::InLine => return Poll::Pending,
            Standing::Called => {
                if let Some(item) = queue.get_now() {
                    return Poll::Ready(Ok(item));
                }
            }
            Standing::Outside => {} // it has just looked
        }
        // Foreign code, which may have put something in: looks again.
        let waker = cx.waker().clone();
        match queue.get_nowait() {
            Ok(item) => Poll::Ready(Ok(item)),
            Err(GetNowaitError::QueueShutDown) => Poll::Ready(Err(QueueShutDown(()))),
            Err(GetNowaitError::QueueEmpty) => {
                self.place.enter_as(&queue.getters, waker);
                Poll::Pending
            }
        }
    }

    #[inline(never)]
    fn give_up(&mut self) {
        if self.place.leave(&self.queue.getters) == Standing::Called && !self.queue.empty() {
            self.queue.getters.wake_one();
        }
    }
}

impl<T, B: Buffer<T>> Future for Get<'_, T, B> {
    type Output = Result<T, QueueShutDown>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.place.is_outside()
            && let Some(item) = self.queue.get_now()
        {
            return Poll::Ready(Ok(item));
        }
        self.wait(cx)
    }
}

impl<T, B: Buffer<T>> Drop for Get<'_, T, B> {
    #[inline]
    fn drop(&mut self) {
        if !self.place.is_outside() {
            self.give_up();
        }
    }
}

pub(super) struct Put<'a, T, B: Buffer<T>> {
    queue: &'a BaseQueue<T, B>,
    stage: Stage<T>,
}

enum Stage<T> {
    Fresh(T),
    Waits(T, Place),
    Done,
}

impl<'a, T, B: Buffer<T>> Put<'a, T, B> {
    pub(super) fn new(queue: &'a BaseQueue<T, B>, item: T) -> Self {
        Put { queue, stage: Stage::Fresh(item) }
    }
}

// the item is only moved, never pinned
impl<T, B: Buffer<T>> Unpin for Put<'_, T, B> {}

impl<T, B: Buffer<T>> Put<'_, T, B> {
    /// With the item if it is fresh and has found no room.
    #[inline(never)]
    fn wait(&mut self, item: Option<T>, cx: &mut Context<'_>) -> Poll<Result<(), QueueShutDown<T>>> {
        let queue = self.queue;
        let item = match item {
            Some(item) => item,
            None => {
                let Stage::Waits(_, place) = &mut self.stage else {
                    panic!("put() is done: do not poll it again");
                };
                if place.poll(&queue.putters, cx.waker()) == Standing::InLine {
                    return Poll::Pending;
                }
                let Stage::Waits(item, _) = mem::replace(&mut self.stage, Stage::Done) else {
                    unreachable!("it was waiting a moment ago");
                };
                match queue.put_now(item) {
                    Ok(()) => return Poll::Ready(Ok(())),
                    Err(item) => item,
                }
            }
        };
        // Foreign code, which may have taken something out: looks again.
        let waker = cx.waker().clone();
        match queue.put_nowait(item) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(PutNowaitError::QueueShutDown(item)) => Poll::Ready(Err(QueueShutDown(item))),
            Err(PutNowaitError::QueueFull(item)) => {
                let mut place = Place::new();
                place.enter_as(&queue.putters, waker);
                self.stage = Stage::Waits(item, place);
                Poll::Pending
            }
        }
    }

    #[inline(never)]
    fn give_up(&mut self) {
        let Stage::Waits(_, place) = &mut self.stage else { return };
        if place.leave(&self.queue.putters) == Standing::Called && !self.queue.full() {
            self.queue.putters.wake_one();
        }
    }
}

impl<T, B: Buffer<T>> Future for Put<'_, T, B> {
    type Output = Result<(), QueueShutDown<T>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let put = &mut *self;
        if let Stage::Fresh(_) = put.stage {
            let Stage::Fresh(item) = mem::replace(&mut put.stage, Stage::Done) else { unreachable!() };
            return match put.queue.put_now(item) {
                Ok(()) => Poll::Ready(Ok(())),
                Err(item) => put.wait(Some(item), cx),
            };
        }
        put.wait(None, cx)
    }
}

impl<T, B: Buffer<T>> Drop for Put<'_, T, B> {
    #[inline]
    fn drop(&mut self) {
        if let Stage::Waits(..) = self.stage {
            self.give_up();
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
            Standing::Outside if queue.unfinished() == 0 => Poll::Ready(()),
            Standing::Outside => {
                let waker = cx.waker().clone();
                // To clone it was foreign code, which may have done the last one.
                if queue.unfinished() == 0 {
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
