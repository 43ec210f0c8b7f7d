//! CPython's `test_unix_events`: what of it needs descriptors only.
//!
//! Not ported: children, pipes as transports, Unix servers, `sock_sendfile`: not there yet. Pipes as descriptors are
//! in `tests/net`, signals in `tests/signal`, fork in `tests/interrupts`.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use evloop::testing::settle;
use evloop::{AsyncFd, create_task, get_running_loop};

/// CPython refuses all four for the descriptor of a transport. Here what waits for the descriptor is an
/// `AsyncFd` or a socket; adding is refused, and there is nothing to remove.
#[evloop::test]
async fn test_add_reader_or_writer_transport_fd() {
    let handle = get_running_loop().unwrap();
    let (rsock, mut wsock) = UnixStream::pair().unwrap();
    rsock.set_nonblocking(true).unwrap();
    let transport = Rc::new(AsyncFd::new(rsock));
    let reads = create_task({
        let transport = transport.clone();
        async move { transport.read_with(|mut stream| stream.read(&mut [0; 8])).await }
    });
    settle().await;
    let refused = [
        handle.add_reader(&*transport, || unreachable!("refused")).unwrap_err(),
        handle.add_writer(&*transport, || unreachable!("refused")).unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(
            error.to_string().contains("this descriptor is watched in this event loop already"),
            "{error}"
        );
    }
    assert!(!handle.remove_reader(&*transport));
    assert!(!handle.remove_writer(&*transport));
    // The transport has not noticed.
    wsock.write_all(b"foo").unwrap();
    assert_eq!(reads.await.unwrap().unwrap(), 3);
}
