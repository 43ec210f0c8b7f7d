//! Dropped on another thread: out of the poller and closed there, freed at home.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;

use evloop::net::{TcpListener, TcpStream};
use evloop::{AsyncFd, create_task};

use super::{abroad, poll_read, wait_once, waiting_task, woken};
use crate::support::{
    in_time, on_every_kind, on_every_loop, registrations, settle, tcp_pair, unless_it_hangs, yields,
};

#[test]
fn a_stream_dropped_abroad_is_closed_there_and_its_slot_freed_at_home() {
    on_every_loop(|| async {
        let (ours, mut theirs) = tcp_pair();
        let (task, stream) = waiting_task(ours).await;
        assert_eq!(registrations(), (1, 1));
        abroad(move || {
            drop(stream);
            assert_eq!(theirs.read(&mut [0]).unwrap(), 0, "it is closed right there");
        });
        assert_eq!(registrations(), (1, 1), "slots are freed at home only, and the mail was not read yet");
        in_time(task).await.unwrap();
        assert_eq!(registrations(), (0, 0));
    });
}

#[test]
fn what_came_before_a_drop_abroad_disturbs_nobody() {
    on_every_loop(|| async {
        let (ours, mut theirs) = tcp_pair();
        let (task, stream) = waiting_task(ours).await;
        // The system has an event for it, which the loop has not heard of.
        theirs.write_all(b"!").unwrap();
        abroad(move || drop(stream));
        in_time(task).await.unwrap();
        settle().await;
        assert_eq!(registrations(), (0, 0));
    });
}

#[test]
fn a_stream_that_has_heard_of_an_event_can_be_dropped_abroad() {
    on_every_loop(|| async {
        let (ours, mut theirs) = tcp_pair();
        let (task, stream) = waiting_task(ours).await;
        theirs.write_all(b"!").unwrap();
        in_time(task).await.unwrap();
        assert_eq!(registrations(), (1, 0));
        abroad(move || drop(stream));
        settle().await;
        assert_eq!(registrations(), (0, 0));
    });
}

#[test]
fn a_listener_dropped_abroad_resets_who_stands_in_line() {
    on_every_loop(|| async {
        let mut listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pending = poll_fn(|cx| Poll::Ready(listener.poll_accept(cx).is_pending())).await;
        assert!(pending && registrations() == (1, 1));
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        abroad(move || {
            drop(listener);
            let reset = client.read(&mut [0]).unwrap_err();
            assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);
        });
        settle().await;
        assert_eq!(registrations(), (0, 0));
    });
}

#[test]
fn halves_dropped_abroad_close_the_connection_with_the_second() {
    on_every_loop(|| async {
        let (mut ours, mut theirs) = tcp_pair();
        wait_once(&mut ours).await;
        let (reads, writes) = ours.into_split();
        theirs = abroad(move || {
            drop(writes);
            assert_eq!(theirs.read(&mut [0]).unwrap(), 0, "the writing half shuts its direction down");
            theirs
        });
        settle().await;
        assert_eq!(registrations().0, 1, "the reading half is there");
        abroad(move || drop((reads, theirs)));
        settle().await;
        assert_eq!(registrations(), (0, 0));
    });
}

#[test]
fn what_is_taken_out_abroad_stays_open() {
    on_every_loop(|| async {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut fd = AsyncFd::new(ours);
        let nothing = poll_fn(|cx| Poll::Ready(fd.poll_read_with(cx, |mut io| io.read(&mut [0])))).await;
        assert!(nothing.is_pending() && registrations() == (1, 1));
        let mut ours = abroad(move || fd.into_inner());
        settle().await;
        assert_eq!(registrations(), (0, 0));
        (&theirs).write_all(b"!").unwrap();
        assert_eq!(ours.read(&mut [0]).unwrap(), 1);
    });
}

/// On Linux a thread can see that another has fallen asleep: so this one does not guess.
#[cfg(target_os = "linux")]
#[test]
fn a_drop_abroad_wakes_a_loop_that_sleeps() {
    unless_it_hangs(|| on_every_kind(a_drop_wakes));
}

#[cfg(target_os = "linux")]
fn a_drop_wakes(builder: evloop::Builder) {
    let mut event_loop = builder.build().unwrap();
    let handle = event_loop.handle();
    let this_thread = std::fs::read_link("/proc/thread-self").unwrap();
    let status = std::path::Path::new("/proc").join(this_thread).join("stat");
    for _ in 0..3 {
        let (mut ours, _theirs) = tcp_pair();
        let (give, take) = mpsc::channel::<TcpStream>();
        let other = thread::spawn({
            let status = status.clone();
            move || {
                let stream = take.recv().unwrap();
                // "number (name) state ..."
                let sleeps = || std::fs::read_to_string(&status).is_ok_and(|text| text.contains(") S "));
                while !sleeps() {
                    thread::yield_now();
                }
                drop(stream);
            }
        });
        let main = async {
            wait_once(&mut ours).await;
            give.send(ours).unwrap();
            // No timer, nothing else that is ready: only the freed slot goes on from here.
            woken().await;
        };
        event_loop.run_until_complete(main).unwrap();
        other.join().unwrap();
        assert_eq!(handle.registrations(), (0, 0));
    }
}

#[test]
fn many_dropped_abroad_at_once_are_all_freed() {
    on_every_loop(|| async {
        let mut theirs = Vec::new();
        let mut ours = Vec::new();
        for _ in 0..40 {
            let (mut stream, other) = tcp_pair();
            wait_once(&mut stream).await;
            ours.push(stream);
            theirs.push(other);
        }
        assert_eq!(registrations(), (40, 40));
        let droppers: Vec<_> = (0..4)
            .map(|_| {
                let share = ours.split_off(ours.len() - 10);
                thread::spawn(move || share.into_iter().for_each(drop))
            })
            .collect();
        // The loop goes on meanwhile, and registers others in the slots that are freed.
        let (mut busy, mut peer) = tcp_pair();
        let task = create_task(async move {
            for _ in 0..100 {
                let mut byte = [0];
                assert_eq!(busy.read(&mut byte).await.unwrap(), 1);
                let _ = poll_fn(|cx| Poll::Ready(poll_read(&mut busy, cx))).await;
            }
        });
        for _ in 0..100 {
            peer.write_all(b"!").unwrap();
            yields(2).await;
        }
        peer.write_all(&[0; 200]).unwrap();
        droppers.into_iter().for_each(|dropper| dropper.join().unwrap());
        in_time(task).await.unwrap();
        settle().await;
        assert_eq!(registrations(), (0, 0));
        assert!(theirs.iter_mut().all(|stream| stream.read(&mut [0]).unwrap() == 0));
    });
}
