//! Served on another loop than before: at no cost before the first wait, by `&mut` after it.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;

use evloop::net::{TcpListener, TcpStream};
use evloop::{AsyncFd, Builder, EventLoop, LoopProxy, create_task};
use futures::{AsyncReadExt, AsyncWriteExt};

use super::{abroad, wait_once};
use crate::support::{fill, in_time, on_every_kind, registrations, run_on, settle, tcp_pair};

const ELSEWHERE: &str = "has waited in another event loop";

/// A loop on a thread of its own, which ends it when told to.
struct Other {
    proxy: Option<LoopProxy>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Other {
    fn start(builder: Builder) -> Self {
        let (give, take) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut event_loop = builder.build().unwrap();
            give.send(event_loop.handle().proxy()).unwrap();
            event_loop.run_forever().unwrap();
            assert_eq!(event_loop.handle().registrations(), (0, 0), "left behind on the other loop");
        });
        Self { proxy: Some(take.recv().unwrap()), thread: Some(thread) }
    }

    /// Runs something there, and waits for it without blocking this loop.
    async fn run<T: Send + 'static, Fut: Future<Output = T> + 'static>(
        &self,
        work: impl FnOnce() -> Fut + Send + 'static,
    ) -> T {
        in_time(self.proxy.as_ref().unwrap().create_task(work)).await.unwrap()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // Behind all mail that is on its way there.
        self.proxy.take().unwrap().stop().unwrap();
        let ended = self.thread.take().unwrap().join();
        if !thread::panicking() {
            ended.unwrap();
        }
    }
}

fn on_two_loops<F: Future<Output = ()>>(test: impl Fn(Other) -> F) {
    on_every_kind(|builder| run_on(builder.clone(), test(Other::start(builder))));
}

#[test]
fn a_connection_accepted_here_is_served_there() {
    on_two_loops(|other| async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, may_end) = futures::channel::oneshot::channel();
        let client = create_task(async move {
            let stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"hello").await.unwrap();
            let mut reply = [0; 5];
            stream.read_exact(&mut reply).await.unwrap();
            may_end.await.unwrap();
            reply
        });
        let (stream, _) = in_time(listener.accept()).await.unwrap();
        drop(listener);
        let serve = move || async move {
            assert_eq!(registrations(), (0, 0), "it was never registered, so nothing has to move");
            let mut data = [0; 5];
            stream.read_exact(&mut data).await.unwrap();
            data.reverse();
            stream.write_all(&data).await.unwrap();
            // For the end it has to wait.
            let mut read = Box::pin(stream.read(&mut data));
            assert!(futures::poll!(&mut read).is_pending());
            assert_eq!(registrations(), (1, 1));
            end.send(()).unwrap();
            assert_eq!(read.await.unwrap(), 0);
        };
        other.run(serve).await;
        assert_eq!(&in_time(client).await.unwrap(), b"olleh");
        assert_eq!(registrations(), (0, 0));
    });
}

#[test]
fn a_stream_that_has_waited_is_refused_elsewhere_and_stays_usable_at_home() {
    on_two_loops(|other| async move {
        let (mut ours, mut theirs) = tcp_pair();
        wait_once(&mut ours).await;
        let ours = Arc::new(ours);
        let reads = create_task({
            let ours = ours.clone();
            async move {
                let mut byte = [0];
                ours.read_exact(&mut byte).await.unwrap();
                byte
            }
        });
        settle().await;
        let refused = {
            let ours = ours.clone();
            move || async move {
                let mut errors = vec![
                    ours.read(&mut [0]).await.unwrap_err(),
                    ours.write(&[0]).await.unwrap_err(),
                    ours.peek(&mut [0]).await.unwrap_err(),
                    ours.readable().await.unwrap_err(),
                    ours.writable().await.unwrap_err(),
                    ours.try_read(&mut [0]).unwrap_err(),
                    ours.try_write(&[0]).unwrap_err(),
                    AsyncReadExt::read(&mut &*ours, &mut [0]).await.unwrap_err(),
                ];
                errors.retain(|error| !error.to_string().contains(ELSEWHERE));
                assert_eq!(registrations(), (0, 0));
                errors
            }
        };
        assert!(other.run(refused).await.is_empty());
        theirs.write_all(b"!").unwrap();
        assert_eq!(&in_time(reads).await.unwrap(), b"!");
        in_time(ours.write_all(b"?")).await.unwrap();
        assert_eq!(theirs.read(&mut [0]).unwrap(), 1);
    });
}

#[test]
fn a_stream_moves_by_a_unique_reference_there_and_back() {
    on_two_loops(|other| async move {
        let (mut ours, mut theirs) = tcp_pair();
        for _ in 0..3 {
            wait_once(&mut ours).await;
            assert_eq!(registrations().0, 1);
            let mut peer = theirs.try_clone().unwrap();
            ours = other
                .run(move || async move {
                    // It is registered here before anything comes.
                    wait_once(&mut ours).await;
                    assert_eq!(registrations().0, 1);
                    peer.write_all(b"there").unwrap();
                    let mut data = [0; 5];
                    AsyncReadExt::read_exact(&mut ours, &mut data).await.unwrap();
                    assert_eq!(&data, b"there");
                    ours.write_all(b"back").await.unwrap();
                    ours
                })
                .await;
            settle().await;
            assert_eq!(registrations(), (0, 0), "word of the move has come");
            let mut data = [0; 4];
            theirs.read_exact(&mut data).unwrap();
            assert_eq!(&data, b"back");
        }
        // Back for good.
        theirs.write_all(b"home").unwrap();
        let mut data = [0; 4];
        in_time(AsyncReadExt::read_exact(&mut ours, &mut data)).await.unwrap();
        assert_eq!(&data, b"home");
        drop(ours);
        other.run(settle).await;
    });
}

#[test]
fn a_stream_that_waits_to_write_moves_too() {
    on_two_loops(|other| async move {
        let (mut ours, mut theirs) = tcp_pair();
        // Nothing to read and no room to write; it waits for both here.
        let mut written = fill_stream(&ours);
        wait_once(&mut ours).await;
        // Until it waits: room comes belatedly where TCP is concerned.
        while let Poll::Ready(more) = futures::poll!(AsyncWriteExt::write(&mut ours, b"!")) {
            written += more.unwrap();
        }
        let sent = other.run(move || async move {
            AsyncWriteExt::write_all(&mut ours, b"the end").await.unwrap();
            AsyncWriteExt::close(&mut ours).await.unwrap();
        });
        let reader = thread::spawn(move || {
            let mut data = Vec::new();
            theirs.read_to_end(&mut data).unwrap();
            data
        });
        sent.await;
        let data = reader.join().unwrap();
        assert_eq!(data.len(), written + b"the end".len());
        assert!(data.ends_with(b"the end"));
        settle().await;
    });
}

fn fill_stream(stream: &TcpStream) -> usize {
    fill(std::net::TcpStream::from(stream.as_fd().try_clone_to_owned().unwrap()))
}

#[test]
fn a_listener_moves_by_poll_accept() {
    on_two_loops(|other| async move {
        let mut listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(std::future::poll_fn(|cx| Poll::Ready(listener.poll_accept(cx).is_pending())).await);
        let listener = other
            .run(move || async move {
                let error = listener.accept().await.unwrap_err();
                assert!(error.to_string().contains(ELSEWHERE), "{error}");
                let client = create_task(TcpStream::connect(address));
                std::future::poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
                client.await.unwrap().unwrap();
                listener
            })
            .await;
        settle().await;
        assert_eq!(registrations(), (0, 0));
        let _client = in_time(TcpStream::connect(address)).await.unwrap();
        let error = in_time(listener.accept()).await.unwrap_err();
        assert!(error.to_string().contains(ELSEWHERE), "{error}");
        let listener = TcpListener::from_std(listener.into_std()).unwrap();
        in_time(listener.accept()).await.unwrap();
        other.run(settle).await;
    });
}

#[test]
fn an_async_fd_moves_by_poll_read_with_and_poll_write_with() {
    on_two_loops(|other| async move {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut fd = AsyncFd::new(ours);
        let pending = std::future::poll_fn(|cx| {
            Poll::Ready(fd.poll_read_with(cx, |mut io| io.read(&mut [0])).is_pending())
        });
        assert!(pending.await);
        let mut fd = other
            .run(move || async move {
                let error = fd.readable().await.unwrap_err();
                assert!(error.to_string().contains(ELSEWHERE), "{error}");
                std::future::poll_fn(|cx| fd.poll_write_with(cx, |mut io| io.write(b"!"))).await.unwrap();
                // Writing did not have to wait, so it is registered nowhere now; here it waits.
                (&theirs).write_all(b"?").unwrap();
                fd.readable().await.unwrap();
                fd
            })
            .await;
        let mut byte = [0];
        let read = std::future::poll_fn(|cx| fd.poll_read_with(cx, |mut io| io.read(&mut byte)));
        assert_eq!(in_time(read).await.unwrap(), 1);
        assert_eq!(&byte, b"?");
        settle().await;
        assert_eq!(registrations(), (0, 0));
        other.run(settle).await;
    });
}

#[test]
fn halves_do_not_move_and_a_reunited_stream_does() {
    on_two_loops(|other| async move {
        let (mut ours, mut theirs) = tcp_pair();
        wait_once(&mut ours).await;
        let (mut reads, mut writes) = ours.into_split();
        theirs.write_all(b"!").unwrap();
        let stream = other.run(move || async move {
            let mut byte = [0];
            let errors = [
                reads.read(&mut byte).await.unwrap_err(),
                AsyncReadExt::read(&mut reads, &mut byte).await.unwrap_err(),
                writes.write(&byte).await.unwrap_err(),
                AsyncWriteExt::write(&mut writes, &byte).await.unwrap_err(),
            ];
            assert!(errors.iter().all(|error| error.to_string().contains(ELSEWHERE)), "{errors:?}");
            let mut stream = reads.reunite(writes).unwrap();
            AsyncReadExt::read_exact(&mut stream, &mut byte).await.unwrap();
            stream.readable().await.unwrap_or_else(|error| panic!("it has moved: {error}"));
            stream
        });
        // The end of the stream, for the wait there.
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        drop(stream.await);
        settle().await;
        assert_eq!(registrations(), (0, 0));
        other.run(settle).await;
    });
}

#[test]
fn two_loops_of_one_thread_are_two_loops() {
    on_every_kind(|builder| {
        let new = || builder.clone().build().unwrap();
        let (mut one, mut two): (EventLoop, EventLoop) = (new(), new());
        let (mut ours, mut theirs) = tcp_pair();
        one.run_until_complete(wait_once(&mut ours)).unwrap();
        theirs.write_all(b"123").unwrap();
        let mut byte = [0];
        let error = two.run_until_complete(ours.read(&mut byte)).unwrap().unwrap_err();
        assert!(error.to_string().contains(ELSEWHERE), "{error}");
        one.run_until_complete(in_time(ours.read_exact(&mut byte))).unwrap().unwrap();
        two.run_until_complete(in_time(AsyncReadExt::read_exact(&mut ours, &mut byte))).unwrap().unwrap();
        one.run_until_complete(settle()).unwrap();
        assert_eq!(one.handle().registrations(), (0, 0));
        one.run_until_complete(in_time(ours.read_exact(&mut byte))).unwrap().unwrap();
        assert_eq!(&byte, b"3");
        one.run_until_complete(wait_once(&mut ours)).unwrap();
        assert_eq!(one.handle().registrations().0, 1);
        // Dropped while another loop of the thread runs: its own hears of it by mail.
        two.run_until_complete(async { drop(ours) }).unwrap();
        assert_eq!(one.handle().registrations().0, 1);
        one.run_until_complete(settle()).unwrap();
        assert_eq!(one.handle().registrations(), (0, 0));
    });
}

#[test]
fn a_move_to_a_thread_without_a_loop_ends_the_registration() {
    on_every_kind(|builder| {
        run_on(builder, async {
            let (mut ours, mut theirs) = tcp_pair();
            wait_once(&mut ours).await;
            ours = abroad(move || {
                let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
                let Poll::Ready(Err(error)) = super::poll_read(&mut ours, &mut cx) else {
                    panic!("there is no loop")
                };
                assert!(error.to_string().contains("no event loop runs on this thread"), "{error}");
                ours
            });
            theirs.write_all(b"!").unwrap();
            assert_eq!(in_time(ours.read(&mut [0])).await.unwrap(), 1);
            settle().await;
            drop(ours);
        });
    });
}
