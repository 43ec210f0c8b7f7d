//! Sockets: TCP streams and listeners, and names.
//!
//! A socket is `Send` and `Sync` and belongs to no loop until somebody has to wait for it for the first time;
//! from then on it is used on that loop. Whoever has it alone may move it: the `poll_` methods, which take
//! `&mut self`, do that by themselves, and so does [`into_std`](TcpStream::into_std) with
//! [`from_std`](TcpStream::from_std). Off any loop, and on another than its own, an operation through `&self`
//! gives an error that says so. It may be dropped anywhere. (Two halves that lend one stream to each other, as those
//! of `futures::io::split`, would move it to and fro between two loops: use [`into_split`](TcpStream::into_split) and stay
//! on one.)
//!
//! Its operations take `&self`: one task may read while another writes, and several may wait to accept.
//! They try first and wait only if there is nothing. A task that never has to wait takes 128 things
//! in one step, and then lets the others run.
//!
//! On the [virtual clock](crate::Clock::Virtual) time passes at real pace while a task waits for a socket, a listener
//! included.
//!
//! # asyncio
//! The `loop.sock_` methods: `sock_connect`, `sock_accept`, `sock_recv`, `sock_sendall`.
//!
//! # Examples
//! ```
//! use evloop::net::{TcpListener, TcpStream};
//!
//! evloop::run(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let address = listener.local_addr()?;
//!     let server = evloop::create_task(async move {
//!         let (stream, _) = listener.accept().await?;
//!         let mut buffer = [0; 64];
//!         let n = stream.read(&mut buffer).await?;
//!         stream.write_all(&buffer[..n]).await
//!     });
//!     let stream = TcpStream::connect(address).await?;
//!     stream.write_all(b"ping").await?;
//!     let mut reply = [0; 4];
//!     stream.read_exact(&mut reply).await?;
//!     assert_eq!(&reply, b"ping");
//!     server.await.unwrap()
//! })
//! # .unwrap();
//! # Ok::<(), std::io::Error>(())
//! ```

mod address;
mod tcp;

pub use address::{ToSocketAddrs, lookup_host};
pub use tcp::{
    OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, TcpListener, TcpSocket, TcpStream, WriteHalf,
};
