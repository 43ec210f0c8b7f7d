//! What the compiler says: which types and futures may leave their thread, and which may not.

use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;

use evloop::net::{
    OwnedReadHalf, OwnedWriteHalf, ReadHalf, TcpListener, TcpSocket, TcpStream, WriteHalf, lookup_host,
};
use evloop::time::{Sleep, secs};
use evloop::{
    AsyncFd, CancelledError, EventLoop, Handle, LifoQueue, Lock, LockGuard, LoopClosed, LoopHandle,
    LoopProxy, Panic, PriorityQueue, Promise, Queue, RemoteTask, Semaphore, Task, TaskError, TaskRef,
    TimeoutError, TimerHandle, catch_cancel, finally, on_cancel, sleep, wait_for,
};

const fn is_send<T: Send>() {}
const fn is_send_and_sync<T: Send + Sync>() {}

const _: () = {
    is_send_and_sync::<TcpStream>();
    is_send_and_sync::<TcpListener>();
    is_send_and_sync::<TcpSocket>();
    is_send_and_sync::<ReadHalf<'_>>();
    is_send_and_sync::<WriteHalf<'_>>();
    is_send_and_sync::<OwnedReadHalf>();
    is_send_and_sync::<OwnedWriteHalf>();
    is_send_and_sync::<AsyncFd<OwnedFd>>();
    is_send_and_sync::<AsyncFd<UnixStream>>();
    is_send_and_sync::<LoopProxy>();
    is_send_and_sync::<LoopClosed>();
    is_send_and_sync::<Sleep>();
    is_send::<RemoteTask<u8>>();
    is_send_and_sync::<CancelledError>();
    is_send_and_sync::<TaskError>();
    is_send_and_sync::<Panic>();
    is_send_and_sync::<TimeoutError>();
};

/// Whether a type has a trait: the inherent constant is found first, where its bound holds.
macro_rules! has {
    ($type:ty: $trait:ident) => {{
        #[allow(dead_code, reason = "a type with the trait does not come here")]
        trait Otherwise {
            const HAS: bool = false;
        }
        struct Type<T>(std::marker::PhantomData<T>);
        impl<T> Otherwise for Type<T> {}
        #[allow(dead_code, reason = "a type without the trait does not come here")]
        impl<T: $trait> Type<T> {
            const HAS: bool = true;
        }
        <Type<$type>>::HAS
    }};
}

const _: () = {
    assert!(has!(TcpStream: Send) && has!(TcpStream: Sync), "the macro finds what is there");
    assert!(!has!(Task<()>: Send) && !has!(Task<()>: Sync));
    assert!(!has!(TaskRef: Send) && !has!(TaskRef: Sync));
    assert!(!has!(Promise<u8>: Send) && !has!(Promise<u8>: Sync));
    assert!(!has!(LoopHandle: Send) && !has!(LoopHandle: Sync));
    assert!(!has!(EventLoop: Send) && !has!(EventLoop: Sync));
    assert!(!has!(Handle: Send) && !has!(Handle: Sync));
    assert!(!has!(TimerHandle: Send) && !has!(TimerHandle: Sync));
    assert!(!has!(LockGuard<'static, u8>: Send) && !has!(LockGuard<'static, u8>: Sync));
    assert!(!has!(Queue<u8>: Sync) && !has!(Lock<u8>: Sync) && !has!(Semaphore: Sync));
    // A wrapper is what its content is.
    assert!(!has!(AsyncFd<Rc<UnixStream>>: Send) && !has!(AsyncFd<Rc<UnixStream>>: Sync));
    assert!(has!(AsyncFd<Arc<UnixStream>>: Send) && has!(AsyncFd<Arc<UnixStream>>: Sync));
};

#[test]
fn what_tasks_share_stays_on_its_thread() {
    assert!(!has!(Queue<u8>: Send), "a Queue is Send");
    assert!(!has!(LifoQueue<u8>: Send), "a LifoQueue is Send");
    assert!(!has!(PriorityQueue<u8>: Send), "a PriorityQueue is Send");
    assert!(!has!(Lock<u8>: Send), "a Lock is Send");
    assert!(!has!(Semaphore: Send), "a Semaphore is Send");
}

fn sends<F: Future + Send>(_: F) {}

/// Never called: the compiler is the test.
#[expect(dead_code, reason = "it is compiled")]
fn the_futures_of_a_stream_are_send(stream: &TcpStream, buffer: &mut [u8], address: SocketAddr) {
    sends(stream.read(buffer));
    sends(stream.read_exact(buffer));
    sends(stream.read_vectored(&mut [IoSliceMut::new(buffer)]));
    sends(stream.peek(buffer));
    sends(stream.write(buffer));
    sends(stream.write_all(buffer));
    sends(stream.write_vectored(&[IoSlice::new(buffer)]));
    sends(stream.readable());
    sends(stream.writable());
    sends(TcpStream::connect(address));
    sends(TcpStream::connect("localhost:80"));
    sends(TcpStream::connect(("localhost", 80)));
    sends(lookup_host("localhost:80"));
}

#[expect(dead_code, reason = "it is compiled")]
fn the_futures_of_listeners_and_sockets_are_send(listener: &TcpListener, socket: TcpSocket, to: SocketAddr) {
    sends(listener.accept());
    sends(TcpListener::bind(to));
    sends(TcpListener::bind("localhost:0"));
    sends(socket.connect(to));
}

#[expect(dead_code, reason = "it is compiled")]
fn the_futures_of_the_halves_are_send(
    lent: (&mut ReadHalf<'_>, &mut WriteHalf<'_>),
    owned: (&mut OwnedReadHalf, &mut OwnedWriteHalf),
    buffer: &mut [u8],
) {
    sends(lent.0.read(buffer));
    sends(lent.0.read_exact(buffer));
    sends(lent.0.readable());
    sends(lent.1.write(buffer));
    sends(lent.1.write_all(buffer));
    sends(lent.1.writable());
    sends(owned.0.read(buffer));
    sends(owned.0.read_exact(buffer));
    sends(owned.0.readable());
    sends(owned.1.write(buffer));
    sends(owned.1.write_all(buffer));
    sends(owned.1.writable());
}

#[expect(dead_code, reason = "it is compiled")]
fn the_futures_of_an_async_fd_are_send(fd: &AsyncFd<OwnedFd>) {
    sends(fd.readable());
    sends(fd.writable());
    sends(fd.read_with(|_| Ok(())));
    sends(fd.write_with(|_| Ok(())));
}

#[expect(dead_code, reason = "it is compiled")]
fn what_wraps_a_send_future_is_send(stream: &TcpStream, buffer: &mut [u8]) {
    sends(sleep(secs(1)));
    sends(wait_for(stream.readable(), secs(1)));
    sends(catch_cancel(stream.readable()));
    sends(on_cancel(stream.readable(), async |c| c.rethrow().await));
    sends(finally(stream.readable(), sleep(secs(1))));
    sends(async move {
        let _ = wait_for(stream.read_exact(buffer), secs(1)).await;
        stream.write_all(buffer).await
    });
}

#[test]
fn the_futures_of_one_wait_need_no_pin() {
    fn unpin<F: Future + Unpin>(_: &F) {}
    let (stream, _theirs) = crate::support::tcp_pair();
    unpin(&stream.read(&mut [0]));
    unpin(&stream.write(&[0]));
}
