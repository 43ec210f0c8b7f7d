//! A task that waits for a lock that it holds itself.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use evloop::time::secs;
use evloop::{Lock, create_task, current_task, wait_for, yield_now};

use super::{texts, told_virtually};

#[test]
fn a_task_that_acquires_its_own_lock_is_told_of_at_once() {
    let (mut event_loop, told) = told_virtually();
    let main = event_loop.run_until_complete(async {
        current_task().unwrap().set_name("twice");
        let lock = Lock::new(());
        let _held = lock.acquire().await;
        // The deadline ends what would be for ever.
        let late = wait_for(async { drop(lock.acquire().await) }, secs(1)).await;
        assert!(late.is_err());
        current_task().unwrap().location().unwrap()
    });
    let place = main.unwrap();
    let expected = format!(
        "task twice created at {place} waits in Lock::acquire for a lock that it holds itself: for ever, unless another \
         part of this very task (a branch of a join or a select) lets it go"
    );
    assert_eq!(texts(&told), [expected]);
}

#[test]
fn another_branch_may_let_it_go_as_the_report_says() {
    let (mut event_loop, told) = told_virtually();
    let value = event_loop.run_until_complete(async {
        let lock = Lock::new(7);
        let mut held = Some(lock.acquire().await);
        let mut branch = pin!(lock.acquire());
        poll_fn(|cx| match branch.as_mut().poll(cx) {
            Poll::Ready(guard) => Poll::Ready(*guard),
            Poll::Pending => {
                held = None;
                Poll::Pending
            }
        })
        .await
    });
    assert_eq!(value.unwrap(), 7);
    assert_eq!(texts(&told).len(), 1);
}

#[test]
fn a_lock_of_another_task_is_nothing_to_tell() {
    let (mut event_loop, told) = told_virtually();
    event_loop
        .run_until_complete(async {
            let lock = Rc::new(Lock::new(()));
            let holder = create_task({
                let lock = lock.clone();
                async move {
                    let _held = lock.acquire().await;
                    yield_now().await;
                }
            });
            yield_now().await;
            drop(lock.acquire().await);
            drop(lock.acquire().await); // it has had it before, and it is free
            holder.await.unwrap();
        })
        .unwrap();
    assert_eq!(texts(&told), [""; 0]);
}
