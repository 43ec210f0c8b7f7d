//! `AsyncFd`: pipes, sockets of the standard library and files, awaited, on loops of each kind.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write, pipe};
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;

use evloop::time::{millis, secs};
use evloop::{AsyncFd, create_task, get_running_loop, wait_for, yield_now};

use crate::support::{fill, in_time, iterations_while_idle, on_every_loop, registrations, settle, yields};

fn pair() -> (AsyncFd<UnixStream>, UnixStream) {
    let (a, b) = UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    (AsyncFd::new(a), b)
}

fn nonblocking_pipe() -> (AsyncFd<PipeReader>, AsyncFd<PipeWriter>) {
    let (reads, writes) = pipe().unwrap();
    rustix::io::ioctl_fionbio(&reads, true).unwrap();
    rustix::io::ioctl_fionbio(&writes, true).unwrap();
    (AsyncFd::new(reads), AsyncFd::new(writes))
}

async fn read<T: AsFd>(fd: &AsyncFd<T>) -> io::Result<Vec<u8>>
where
    for<'a> &'a T: Read,
{
    let mut buffer = [0; 64];
    let n = fd.read_with(|mut io| io.read(&mut buffer)).await?;
    Ok(buffer[..n].to_vec())
}

async fn write_all<T: AsFd>(fd: &AsyncFd<T>, mut data: &[u8]) -> io::Result<()>
where
    for<'a> &'a T: Write,
{
    while !data.is_empty() {
        let n = fd.write_with(|mut io| io.write(data)).await?;
        data = &data[n..];
    }
    Ok(())
}

#[test]
fn a_read_waits_for_data_and_ends_with_the_stream() {
    on_every_loop(|| async {
        let (ours, mut theirs) = pair();
        let reader = create_task(async move {
            let mut all = Vec::new();
            loop {
                match read(&ours).await.unwrap() {
                    data if data.is_empty() => return all,
                    data => all.push(data),
                }
            }
        });
        settle().await;
        assert_eq!(registrations(), (1, 1));
        for data in [b"one".as_slice(), b"two"] {
            theirs.write_all(data).unwrap();
            settle().await;
        }
        theirs.write_all(b"three").unwrap();
        drop(theirs);
        assert_eq!(in_time(reader).await.unwrap(), [b"one".as_slice(), b"two", b"three"]);
        assert_eq!(registrations(), (0, 0));
    });
}

#[test]
fn a_write_waits_for_room() {
    on_every_loop(|| async {
        let (ours, mut theirs) = pair();
        let data: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
        let expected = data.clone();
        let writer = create_task(async move { write_all(&ours, &data).await });
        settle().await;
        assert!(!writer.done(), "no buffer takes so much");
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).unwrap();
            all
        });
        in_time(writer).await.unwrap().unwrap();
        assert!(reader.join().unwrap() == expected);
    });
}

#[test]
fn a_pipe_carries_more_than_it_holds() {
    on_every_loop(|| async {
        let (reads, writes) = nonblocking_pipe();
        let data: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
        let expected = data.clone();
        let writer = create_task(async move { write_all(&writes, &data).await });
        let mut all = Vec::<u8>::new();
        loop {
            let mut buffer = [0; 4096];
            match in_time(reads.read_with(|mut io| io.read(&mut buffer))).await.unwrap() {
                0 => break,
                n => all.extend(&buffer[..n]),
            }
        }
        in_time(writer).await.unwrap().unwrap();
        assert!(all == expected);
    });
}

#[test]
fn the_end_of_a_pipe_ends_a_read_that_waits() {
    on_every_loop(|| async {
        let (reads, writes) = nonblocking_pipe();
        let reader = create_task(async move { read(&reads).await });
        settle().await;
        drop(writes);
        assert!(in_time(reader).await.unwrap().unwrap().is_empty());
    });
}

#[test]
fn the_last_data_of_a_pipe_come_before_its_end() {
    on_every_loop(|| async {
        let (reads, writes) = nonblocking_pipe();
        let reader = create_task(async move {
            let first = read(&reads).await.unwrap();
            (first, read(&reads).await.unwrap())
        });
        settle().await;
        write_all(&writes, b"last").await.unwrap();
        drop(writes);
        assert_eq!(in_time(reader).await.unwrap(), (b"last".to_vec(), Vec::new()));
    });
}

#[test]
fn a_closed_reading_end_fails_a_write_that_waits() {
    on_every_loop(|| async {
        let (reads, writes) = nonblocking_pipe();
        fill(writes.get_ref());
        let writer = create_task(async move { write_all(&writes, b"!").await });
        settle().await;
        drop(reads);
        assert_eq!(in_time(writer).await.unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn the_writing_end_becomes_readable_when_the_reading_end_is_closed() {
    on_every_loop(|| async {
        let (reads, writes) = nonblocking_pipe();
        let watcher = create_task(async move { writes.readable().await });
        settle().await;
        assert!(!watcher.done());
        drop(reads);
        in_time(watcher).await.unwrap().unwrap();
    });
}

#[test]
fn what_nobody_waits_for_does_not_keep_the_loop_awake() {
    on_every_loop(|| async {
        let (reads, writes) = nonblocking_pipe();
        let (ours, mut theirs) = pair();
        assert!(futures::poll!(Box::pin(reads.readable())).is_pending());
        assert!(futures::poll!(Box::pin(writes.readable())).is_pending());
        assert!(futures::poll!(Box::pin(ours.readable())).is_pending());
        write_all(&writes, b"!").await.unwrap();
        theirs.write_all(b"!").unwrap();
        let iterations = iterations_while_idle().await;
        assert!(iterations <= 10, "{iterations} iterations beside data");
        drop((theirs, writes));
        let iterations = iterations_while_idle().await;
        assert!(iterations <= 10, "{iterations} iterations beside ends");
        // What has come is still there.
        assert_eq!(in_time(read(&reads)).await.unwrap(), b"!");
        assert!(in_time(read(&reads)).await.unwrap().is_empty());
        assert_eq!(in_time(read(&ours)).await.unwrap(), b"!");
        assert!(in_time(read(&ours)).await.unwrap().is_empty());
    });
}

#[test]
fn both_directions_are_awaited_at_once() {
    on_every_loop(|| async {
        let (ours, mut theirs) = pair();
        let filled = fill(ours.get_ref());
        let ours = Rc::new(ours);
        let reader = create_task({
            let ours = ours.clone();
            async move { read(&ours).await.unwrap() }
        });
        let writer = create_task(async move { write_all(&ours, b"the end").await });
        settle().await;
        assert_eq!(registrations(), (1, 2));
        theirs.write_all(b"hello").unwrap();
        assert_eq!(in_time(reader).await.unwrap(), b"hello");
        assert!(!writer.done() && registrations() == (1, 1));
        let mut rest = vec![0; filled];
        theirs.read_exact(&mut rest).unwrap();
        in_time(writer).await.unwrap().unwrap();
        let mut end = Vec::new();
        theirs.read_to_end(&mut end).unwrap();
        assert_eq!(end, b"the end");
    });
}

#[test]
fn all_who_wait_are_woken_first_come_first_served() {
    on_every_loop(|| async {
        let (ours, mut theirs) = pair();
        let (ours, order) = (Rc::new(ours), Rc::new(RefCell::new(Vec::new())));
        let tasks: Vec<_> = (0..5)
            .map(|i| {
                let (ours, order) = (ours.clone(), order.clone());
                create_task(async move {
                    let mut byte = [0];
                    ours.read_with(|mut io| io.read(&mut byte)).await.unwrap();
                    order.borrow_mut().push((i, byte[0]));
                })
            })
            .collect();
        yield_now().await;
        assert_eq!(registrations(), (1, 5));
        theirs.write_all(b"abc").unwrap();
        settle().await;
        assert_eq!(order.take(), [(0, b'a'), (1, b'b'), (2, b'c')]);
        assert_eq!(registrations(), (1, 2), "the others wait again");
        theirs.write_all(b"de").unwrap();
        for task in tasks {
            in_time(task).await.unwrap();
        }
        assert_eq!(order.take(), [(3, b'd'), (4, b'e')]);
    });
}

#[test]
fn readiness_lasts_until_an_attempt_has_failed() {
    on_every_loop(|| async {
        let (ours, mut theirs) = pair();
        let try_read = || ours.try_read_with(|mut io| io.read(&mut [0]));
        assert!(futures::poll!(Box::pin(ours.readable())).is_pending());
        theirs.write_all(b"12").unwrap();
        in_time(ours.readable()).await.unwrap();
        in_time(ours.readable()).await.unwrap();
        assert_eq!(try_read().unwrap(), 1);
        in_time(ours.readable()).await.unwrap();
        assert_eq!(try_read().unwrap(), 1);
        // Nobody knows yet that this was all.
        assert!(futures::poll!(Box::pin(ours.readable())).is_ready());
        assert_eq!(try_read().unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(futures::poll!(Box::pin(ours.readable())).is_pending());
        settle().await;
        assert_eq!(try_read().unwrap_err().kind(), ErrorKind::WouldBlock);
        theirs.write_all(b"3").unwrap();
        in_time(ours.readable()).await.unwrap();
        assert_eq!(try_read().unwrap(), 1);
    });
}

#[test]
fn an_attempt_that_may_not_wait_goes_by_what_the_loop_knows() {
    on_every_loop(|| async {
        let (ours, mut theirs) = pair();
        // Never registered: the system is asked.
        theirs.write_all(b"1").unwrap();
        assert_eq!(ours.try_read_with(|mut io| io.read(&mut [0])).unwrap(), 1);
        assert_eq!(registrations(), (0, 0));
        // Registered and not readable, as far as the loop has heard: the attempt is not made.
        assert!(futures::poll!(Box::pin(ours.readable())).is_pending());
        let made = Cell::new(false);
        let attempt = || {
            ours.try_read_with(|mut io| {
                made.set(true);
                io.read(&mut [0])
            })
        };
        assert_eq!(attempt().unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(!made.get());
        theirs.write_all(b"2").unwrap();
        settle().await;
        assert_eq!(attempt().unwrap(), 1);
        assert!(made.get());
        assert_eq!(ours.try_write_with(|mut io| io.write(b"!")).unwrap(), 1);
    });
}

#[test]
fn a_cancelled_read_takes_nothing_and_leaves_the_line() {
    on_every_loop(|| async {
        let (ours, mut theirs) = pair();
        let ours = Rc::new(ours);
        let start = || {
            let ours = ours.clone();
            create_task(async move { read(&ours).await.unwrap() })
        };
        let (first, second) = (start(), start());
        yield_now().await;
        first.cancel();
        assert!(in_time(first).await.unwrap_err().is_cancelled());
        assert_eq!(registrations(), (1, 1));
        theirs.write_all(b"data").unwrap();
        assert_eq!(in_time(second).await.unwrap(), b"data");
        // Woken and cancelled before its turn: the next finds what it has not read.
        let third = start();
        yield_now().await;
        theirs.write_all(b"more").unwrap();
        while registrations() == (1, 1) {
            yield_now().await;
        }
        third.cancel();
        let left = match in_time(third).await {
            Ok(data) => data,
            Err(_) => in_time(read(&ours)).await.unwrap(),
        };
        assert_eq!(left, b"more");
    });
}

#[test]
fn a_wait_that_times_out_leaves_the_line() {
    on_every_loop(|| async {
        let (ours, mut theirs) = pair();
        assert!(wait_for(read(&ours), millis(1)).await.is_err());
        assert!(wait_for(ours.readable(), millis(1)).await.is_err());
        assert_eq!(registrations(), (1, 0));
        theirs.write_all(b"!").unwrap();
        assert_eq!(in_time(read(&ours)).await.unwrap(), b"!");
    });
}

#[test]
fn what_comes_while_nobody_waits_is_found() {
    on_every_loop(|| async {
        let (ours, mut theirs) = pair();
        // Registered by a write that had to wait, so that nobody waits to read.
        let filled = fill(ours.get_ref());
        assert!(futures::poll!(Box::pin(ours.write_with(|mut io| io.write(b"!")))).is_pending());
        theirs.write_all(b"1").unwrap();
        settle().await;
        assert_eq!(in_time(read(&ours)).await.unwrap(), b"1");
        assert!(futures::poll!(Box::pin(read(&ours))).is_pending());
        settle().await;
        theirs.write_all(b"2").unwrap();
        settle().await;
        assert_eq!(in_time(read(&ours)).await.unwrap(), b"2");
        let mut rest = vec![0; filled];
        theirs.read_exact(&mut rest).unwrap();
        settle().await;
        in_time(write_all(&ours, b"!")).await.unwrap();
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        settle().await;
        assert!(in_time(read(&ours)).await.unwrap().is_empty());
    });
}

#[test]
fn what_the_operation_says_is_passed_on_and_interruptions_are_not() {
    on_every_loop(|| async {
        let (ours, mut theirs) = pair();
        let error = ours.read_with(|_| Err::<(), _>(io::Error::other("mine"))).await.unwrap_err();
        assert_eq!(error.to_string(), "mine");
        let calls = Cell::new(0);
        let reads = ours.read_with(|mut io| {
            calls.set(calls.get() + 1);
            if calls.get() % 2 == 1 { Err(ErrorKind::Interrupted.into()) } else { io.read(&mut [0]) }
        });
        let mut reads = Box::pin(reads);
        assert!(futures::poll!(&mut reads).is_pending());
        assert_eq!(calls.get(), 2);
        theirs.write_all(b"!").unwrap();
        assert_eq!(in_time(reads).await.unwrap(), 1);
        assert_eq!(calls.get(), 4, "a wake-up tries once, an interruption once more");
    });
}

#[test]
fn it_comes_out_as_it_went_in_and_wakes_who_waited() {
    on_every_loop(|| async {
        let (mut ours, mut theirs) = pair();
        let number = ours.as_raw_fd();
        assert_eq!((ours.as_fd().as_raw_fd(), ours.get_ref().as_raw_fd()), (number, number));
        assert!(format!("{ours:?}").starts_with("AsyncFd(UnixStream"), "{ours:?}");
        let (woken, waker) = crate::support::Woken::new();
        let mut cx = std::task::Context::from_waker(&waker);
        assert!(ours.poll_read_with(&mut cx, |mut io| io.read(&mut [0])).is_pending());
        let mut inner = ours.into_inner();
        assert_eq!((woken.times(), registrations()), (1, (0, 0)));
        assert_eq!(inner.as_raw_fd(), number);
        theirs.write_all(b"!").unwrap();
        assert_eq!(inner.read(&mut [0]).unwrap(), 1);
        // And in again.
        let again = AsyncFd::new(inner);
        theirs.write_all(b"?").unwrap();
        in_time(again.readable()).await.unwrap();
        assert_eq!(in_time(read(&again)).await.unwrap(), b"?");
    });
}

#[test]
fn it_takes_borrowed_shared_and_plain_descriptors() {
    on_every_loop(|| async {
        async fn wait<T: AsFd>(fd: AsyncFd<T>, peer: &UnixStream) {
            assert!(futures::poll!(Box::pin(fd.readable())).is_pending());
            let mut peer = peer;
            peer.write_all(b"!").unwrap();
            in_time(fd.readable()).await.unwrap();
            drop(fd);
            assert_eq!(registrations(), (0, 0));
        }

        fn read_one(mut stream: &UnixStream) {
            stream.read_exact(&mut [0]).unwrap();
        }

        let (a, b) = UnixStream::pair().unwrap();
        a.set_nonblocking(true).unwrap();
        wait::<&UnixStream>(AsyncFd::new(&a), &b).await;
        read_one(&a);
        wait::<BorrowedFd<'_>>(AsyncFd::new(a.as_fd()), &b).await;
        read_one(&a);
        let a = Arc::new(a);
        wait::<Arc<UnixStream>>(AsyncFd::new(a.clone()), &b).await;
        read_one(&a);
        let a = Rc::new(Arc::into_inner(a).unwrap());
        wait::<Rc<UnixStream>>(AsyncFd::new(a.clone()), &b).await;
        read_one(&a);
        let a = Box::new(Rc::into_inner(a).unwrap());
        wait::<OwnedFd>(AsyncFd::new(OwnedFd::from(*a)), &b).await;
    });
}

#[test]
fn the_poll_functions_do_as_the_futures() {
    on_every_loop(|| async {
        let (mut ours, mut theirs) = pair();
        let mut other = theirs.try_clone().unwrap();
        let writer = create_task(async move {
            yields(3).await;
            other.write_all(b"hello").unwrap();
        });
        let mut buffer = [0; 8];
        let n = in_time(poll_fn(|cx| ours.poll_read_with(cx, |mut io| io.read(&mut buffer)))).await.unwrap();
        assert_eq!(&buffer[..n], b"hello");
        in_time(writer).await.unwrap();
        let filled = fill(ours.get_ref());
        let waits = poll_fn(|cx| {
            std::task::Poll::Ready(ours.poll_write_with(cx, |mut io| io.write(b"!")).is_pending())
        });
        assert!(waits.await);
        let mut rest = vec![0; filled];
        theirs.read_exact(&mut rest).unwrap();
        in_time(poll_fn(|cx| ours.poll_write_with(cx, |mut io| io.write(b"!")))).await.unwrap();
    });
}

#[test]
fn regular_files_are_read_and_cannot_be_waited_for() {
    on_every_loop(|| async {
        let path = std::env::temp_dir().join(format!("evloop-async-fd-{}", std::process::id()));
        std::fs::write(&path, b"contents").unwrap();
        let file = AsyncFd::new(File::open(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read(&file).await.unwrap(), b"contents", "they never block");
        for error in [file.readable().await.unwrap_err(), file.writable().await.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "EPERM: {error}");
        }
        assert_eq!(registrations(), (0, 0));
    });
}

#[test]
fn each_datagram_is_one_operation() {
    on_every_loop(|| async {
        let (ours, theirs) =
            (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        ours.set_nonblocking(true).unwrap();
        let (address, ours) = (ours.local_addr().unwrap(), AsyncFd::new(ours));
        let receiver = create_task(async move {
            let mut got = Vec::new();
            while got.len() < 4 {
                let mut data = [0; 16];
                let n = ours.read_with(|io| io.recv(&mut data)).await.unwrap();
                got.push(data[..n].to_vec());
            }
            got
        });
        yield_now().await;
        let all = [b"one".as_slice(), b"", b"three", b"four"];
        for data in all {
            theirs.send_to(data, address).unwrap();
        }
        assert_eq!(in_time(receiver).await.unwrap(), all);
    });
}

#[test]
fn a_task_that_never_has_to_wait_lets_others_run() {
    on_every_loop(|| async {
        let handle = get_running_loop().unwrap();
        let zero = AsyncFd::new(File::open("/dev/zero").unwrap());
        let reader = create_task(async move {
            let before = handle.iterations();
            for _ in 0..1000 {
                assert_eq!(zero.read_with(|mut io| io.read(&mut [0])).await.unwrap(), 1);
            }
            handle.iterations() - before
        });
        // A step takes 128 things: seven times the task steps back.
        assert_eq!(in_time(reader).await.unwrap(), 7);

        // The same where the descriptor is registered.
        let (ours, mut theirs) = pair();
        assert!(futures::poll!(Box::pin(ours.readable())).is_pending());
        theirs.write_all(&[7; 1000]).unwrap();
        in_time(ours.readable()).await.unwrap();
        let handle = get_running_loop().unwrap();
        let reader = create_task(async move {
            let before = handle.iterations();
            for _ in 0..1000 {
                assert_eq!(ours.read_with(|mut io| io.read(&mut [0])).await.unwrap(), 1);
            }
            handle.iterations() - before
        });
        assert_eq!(in_time(reader).await.unwrap(), 7);
    });
}

/// On the virtual clock: it does not jump while somebody waits for a descriptor.
#[evloop::test]
async fn virtual_time_does_not_jump_over_what_a_descriptor_may_bring() {
    let (ours, mut theirs) = pair();
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let writer = std::thread::spawn(move || {
        may_go.recv().unwrap();
        theirs.write_all(b"!").unwrap();
        theirs
    });
    let reader = create_task(async move { wait_for(read(&ours), secs(60)).await });
    yield_now().await;
    go.send(()).unwrap();
    assert_eq!(reader.await.unwrap().expect("the clock has jumped").unwrap(), b"!");
    drop(writer.join().unwrap());
}

#[test]
fn an_operation_that_panics_ends_its_task_and_leaves_the_descriptor_as_it_was() {
    on_every_loop(|| async {
        let (fd, mut other) = pair();
        let fd = Rc::new(fd);
        for waits_first in [true, false] {
            let task = create_task({
                let fd = fd.clone();
                async move {
                    let mut calls = 0;
                    fd.read_with(|mut stream| {
                        calls += 1;
                        if calls == 2 || !waits_first {
                            std::panic::resume_unwind(Box::new("in an operation")); // prints nothing
                        }
                        stream.read(&mut [0])
                    })
                    .await
                }
            });
            settle().await;
            other.write_all(b"!").unwrap();
            assert!(matches!(task.await, Err(evloop::TaskError::Panicked(_))));
            assert_eq!(registrations().1, 0, "nobody waits");
            let mut byte = [0];
            assert_eq!(fd.read_with(|mut stream| stream.read(&mut byte)).await.unwrap(), 1);
            assert_eq!(&byte, b"!");
        }
    });
}
