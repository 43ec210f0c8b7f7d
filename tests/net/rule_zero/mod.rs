//! Sockets and other leaves are `Send` and `Sync`, and are used, moved and dropped on any thread.
//!
//! A socket is registered with a loop at its first wait. From then on its slot there is freed at home only:
//! by the loop itself, or by a letter to it. What other threads see is the descriptor, closed at once.

mod dropped;
mod ended;
mod foreign;
mod halfway;
mod moved;
mod numbers;
mod off_loop;
mod races;
mod sleeps;
mod types;
mod wakers;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::thread;

use evloop::net::TcpStream;
use evloop::{Task, create_task, yield_now};
use futures::AsyncRead;

/// `poll_read` into a buffer of one byte.
fn poll_read(stream: &mut TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    Pin::new(stream).poll_read(cx, &mut [0])
}

/// Registers a stream by a read that has nothing to read; the waker of the task that calls this waits.
async fn wait_once(stream: &mut TcpStream) {
    let pending = poll_fn(|cx| Poll::Ready(poll_read(stream, cx).is_pending())).await;
    assert!(pending, "there is nothing to read");
}

/// A task that has begun to read and has given the stream away; and the stream. The task ends when it is
/// woken.
async fn waiting_task(mut stream: TcpStream) -> (Task<()>, TcpStream) {
    let table = Rc::new(RefCell::new(None));
    let task = create_task({
        let table = table.clone();
        async move {
            wait_once(&mut stream).await;
            table.replace(Some(stream));
            woken().await;
        }
    });
    yield_now().await;
    let stream = table.take().expect("the task has had its first step");
    (task, stream)
}

/// Ends when the task that awaits it is woken, by whomever.
async fn woken() {
    let mut polled = false;
    poll_fn(|_| if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// Runs something on another thread to its end.
fn abroad<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    thread::spawn(f).join().expect("the other thread does not panic")
}
