//! CPython's `test_queues`: the plain queue's basics here, the rest by subject.
//!
//! Not ported: `test_repr`, `test_str`, `test_format` and `test_generic_alias` (texts and type objects of
//! Python), `test_float_maxsize` (a bound is a `usize`). Where the original looks into `_getters` and
//! `_putters`, these tests read the lengths in `Debug`'s text.

mod get;
mod kinds;
mod put;

use std::cell::RefCell;
use std::rc::Rc;

use evloop::testing::settle;
use evloop::{Queue, create_task};

/// What `Debug` says of the two lines: how many getters and putters wait.
fn waiting<T, B>(queue: &evloop::queue::BaseQueue<T, B>) -> (usize, usize)
where
    evloop::queue::BaseQueue<T, B>: std::fmt::Debug,
{
    let text = format!("{queue:?}");
    let number = |name: &str| -> usize {
        let rest = text.split_once(name).expect("Debug names both lines").1;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().expect("a number")
    };
    (number("getters: "), number("putters: "))
}

#[evloop::test]
async fn test_empty() {
    let queue = Queue::new(0);
    assert!(queue.empty());
    queue.put(1).await.unwrap();
    assert!(!queue.empty());
    assert_eq!(queue.get().await.unwrap(), 1);
    assert!(queue.empty());
}

#[evloop::test]
async fn test_full() {
    let unbounded = Queue::new(0);
    assert!(!unbounded.full());
    for item in 0..1000 {
        unbounded.put_nowait(item).unwrap();
    }
    assert!(!unbounded.full());

    let queue = Queue::new(1);
    assert!(!queue.full());
    queue.put(1).await.unwrap();
    assert!(queue.full());
}

#[evloop::test]
async fn test_order() {
    let queue = Queue::new(0);
    for item in [1, 3, 2] {
        queue.put_nowait(item).unwrap();
    }
    let taken = [queue.get_nowait(), queue.get_nowait(), queue.get_nowait()];
    assert_eq!(taken, [Ok(1), Ok(3), Ok(2)]);
}

#[evloop::test]
async fn test_maxsize() {
    let queue = Rc::new(Queue::new(2));
    assert_eq!(queue.maxsize(), 2);
    let have_been_put = Rc::new(RefCell::new(Vec::new()));
    let putter = create_task({
        let (queue, have_been_put) = (queue.clone(), have_been_put.clone());
        async move {
            for item in 0..3 {
                queue.put(item).await.unwrap();
                have_been_put.borrow_mut().push(item);
            }
        }
    });
    settle().await;
    assert_eq!(*have_been_put.borrow(), [0, 1], "two fit, the third waits");
    assert_eq!(queue.get().await.unwrap(), 0);
    settle().await;
    assert_eq!(*have_been_put.borrow(), [0, 1, 2], "there was room for it");
    assert_eq!(queue.get().await.unwrap(), 1);
    assert_eq!(queue.get().await.unwrap(), 2);
    assert!(putter.done());
    assert!(matches!(putter.result(), Some(Ok(()))));
}
