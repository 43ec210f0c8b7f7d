//! TCP streams and listeners: CPython's tests of them under their own names, and claims of ours.
//!
//! Where readiness matters, a test runs on loops of each kind.

mod connecting;
mod ending;
mod futures_io;
mod halves;
mod loops;
mod low_level;
mod names;
mod options;
mod peers;
mod random;
mod readiness;
mod serving;
mod sharing;
mod transfer;
mod turns;
#[cfg(target_os = "linux")]
mod urgent;

use evloop::net::{TcpListener, TcpStream};

use peers::on_every_loop;

#[test]
fn what_is_sent_comes_back() {
    on_every_loop(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = evloop::create_task(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 1000];
            loop {
                match stream.read(&mut buffer).await.unwrap() {
                    0 => break,
                    n => stream.write_all(&buffer[..n]).await.unwrap(),
                }
            }
        });
        let (mut reads, mut writes) = TcpStream::connect(address).await.unwrap().into_split();
        let data = vec![7; 1_000_000];
        let writer = evloop::create_task(async move { writes.write_all(&data).await.unwrap() });
        let mut back = vec![0; 1_000_000];
        reads.read_exact(&mut back).await.unwrap();
        writer.await.unwrap();
        assert!(back.iter().all(|byte| *byte == 7));
        assert_eq!(reads.read(&mut back).await.unwrap(), 0);
        server.await.unwrap();
    });
}
