//! What clients do, in order and otherwise.

use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use evloop::net::TcpStream;
use evloop::time::millis;
use evloop::{create_task, sleep, yield_now};
use socket2::SockRef;

use crate::random::Random;

/// Where the servers are.
#[derive(Clone, Copy)]
pub(crate) struct Host {
    pub(crate) echo: SocketAddr,
    pub(crate) hello: SocketAddr,
}

/// A kind of visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visit {
    /// Requests and their echoes, one after the other.
    Echo,
    /// One request, an end of the writing side, and then the echo.
    EchoHalfClosed,
    /// More than fits on the way: another task writes.
    EchoMuch,
    /// Sends much, maybe until the server stops reading, pauses, and then reads everything.
    EchoLate,
    /// Sends until the server stops reading, pauses, and goes.
    StallAndGo,
    /// In the midst of an exchange.
    Reset,
    /// Sends, and is gone.
    SendAndGo,
    /// A byte out of band, and garbage.
    Urgent,
    /// Says nothing to a server that waits for ever.
    SilentAndGo,
    /// Resets as soon as it is connected.
    ResetAtOnce,
    /// A name in pieces, and the greeting.
    Hello,
    /// A name that is too long, and the refusal.
    HelloTooLong,
    /// Half a name and the end: no answer.
    HelloHalf,
    /// Says nothing until the server closes.
    HelloSilent,
    /// A byte now and then until the server closes.
    HelloSlow,
    HelloGarbage,
    /// A name, and is gone.
    HelloAndGo,
}

impl Visit {
    pub(crate) const ALL: [Visit; 17] = [
        Self::Echo,
        Self::EchoHalfClosed,
        Self::EchoMuch,
        Self::EchoLate,
        Self::StallAndGo,
        Self::Reset,
        Self::SendAndGo,
        Self::Urgent,
        Self::SilentAndGo,
        Self::ResetAtOnce,
        Self::Hello,
        Self::HelloTooLong,
        Self::HelloHalf,
        Self::HelloSilent,
        Self::HelloSlow,
        Self::HelloGarbage,
        Self::HelloAndGo,
    ];

    pub(crate) fn choose(random: &mut Random) -> Self {
        let visit = Self::ALL[random.below(Self::ALL.len())];
        let is_long = matches!(visit, Self::HelloSilent | Self::HelloSlow);
        // Else everybody would be silent most of the time.
        if is_long && random.below(4) > 0 { Self::Hello } else { visit }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::EchoHalfClosed => "echo, half-closed",
            Self::EchoMuch => "echo, much",
            Self::EchoLate => "echo, read late",
            Self::StallAndGo => "stall and go",
            Self::Reset => "reset",
            Self::SendAndGo => "send and go",
            Self::Urgent => "urgent garbage",
            Self::SilentAndGo => "silent and go",
            Self::ResetAtOnce => "reset at once",
            Self::Hello => "hello",
            Self::HelloTooLong => "hello, too long",
            Self::HelloHalf => "hello, half a name",
            Self::HelloSilent => "hello, silent",
            Self::HelloSlow => "hello, slow",
            Self::HelloGarbage => "hello, garbage",
            Self::HelloAndGo => "hello and go",
        }
    }

    /// Makes the visit. An error is a failure of the server.
    pub(crate) async fn make(self, host: &Host, random: &mut Random) -> io::Result<()> {
        match self {
            Self::Echo => echo(connect(host.echo).await?, random).await,
            Self::EchoHalfClosed => echo_half_closed(connect(host.echo).await?, random).await,
            Self::EchoMuch => echo_much(connect(host.echo).await?, random).await,
            Self::EchoLate => echo_late(connect(host.echo).await?, random).await,
            Self::Hello => hello(connect(host.hello).await?, random).await,
            Self::HelloTooLong => {
                let stream = connect(host.hello).await?;
                stream.write_all(&vec![b'x'; 1028 + random.below(5000)]).await?;
                expect(&rest(&stream).await?, b"Sorry, that name is too long\n")
            }
            Self::HelloHalf => {
                let stream = connect(host.hello).await?;
                stream.write_all(&b"Ann\r\n\r"[..random.below(7)]).await?;
                stream.shutdown(Shutdown::Write)?;
                expect(&rest(&stream).await?, b"")
            }
            Self::HelloSilent => expect(&rest(&connect(host.hello).await?).await?, b""),
            Self::HelloSlow => hello_slow(connect(host.hello).await?).await,
            // What becomes of the others is their own business. But connecting must work.
            rude => {
                let is_hello = matches!(rude, Self::HelloGarbage | Self::HelloAndGo);
                let stream = connect(if is_hello { host.hello } else { host.echo }).await?;
                if rude == Self::ResetAtOnce || is_hello && random.coin() {
                    stream.set_linger(Some(Duration::ZERO))?;
                }
                let _ = rude.be_rude(stream, random).await;
                Ok(())
            }
        }
    }

    async fn be_rude(self, stream: TcpStream, random: &mut Random) -> io::Result<()> {
        match self {
            Self::StallAndGo => {
                // Little fits at this end, so the server soon has to stop.
                stream.set_recv_buffer_size(4096)?;
                clog(&stream, 4 << 20).await?;
                pause(random).await;
            }
            Self::Reset => {
                stream.set_linger(Some(Duration::ZERO))?;
                let request = random.bytes(2000);
                stream.write_all(&request).await?;
                let some = random.below(request.len());
                stream.read_exact(&mut vec![0; some]).await?;
            }
            Self::SendAndGo => stream.write_all(&random.bytes(20_000)).await?,
            Self::Urgent => {
                SockRef::from(&stream).send_out_of_band(b"!")?;
                stream.write_all(&random.bytes(100)).await?;
                pause(random).await;
            }
            Self::SilentAndGo => pause(random).await,
            Self::HelloGarbage => {
                stream.write_all(&random.bytes(2000)).await?;
                pause(random).await;
            }
            Self::HelloAndGo => stream.write_all(b"Ann\n\n").await?,
            _ => {}
        }
        Ok(())
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    loop {
        match TcpStream::connect(address).await {
            // The ports of connections that are over rest for a while; there are 28000 of them.
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => sleep(millis(100)).await,
            result => {
                let stream = result?;
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
        }
    }
}

async fn pause(random: &mut Random) {
    sleep(millis(random.below(50) as u64)).await;
}

fn expect(found: &[u8], expected: &[u8]) -> io::Result<()> {
    if found == expected {
        return Ok(());
    }
    let equal = found.iter().zip(expected).take_while(|(a, b)| a == b).count();
    let (found, expected) = (found.len(), expected.len());
    Err(io::Error::other(format!(
        "{found} bytes instead of {expected}, of which the first {equal} are as expected"
    )))
}

/// All that comes up to the end of the stream.
async fn rest(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let (mut all, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        match stream.read(&mut piece).await? {
            0 => return Ok(all),
            count => all.extend_from_slice(&piece[..count]),
        }
    }
}

async fn echo(stream: TcpStream, random: &mut Random) -> io::Result<()> {
    for _ in 0..1 + random.below(5) {
        let most = if random.below(10) == 0 { 16_000 } else { 200 };
        let request = random.bytes(most);
        stream.write_all(&request).await?;
        let mut answer = vec![0; request.len()];
        stream.read_exact(&mut answer).await?;
        expect(&answer, &request)?;
    }
    Ok(())
}

async fn echo_half_closed(stream: TcpStream, random: &mut Random) -> io::Result<()> {
    let request = random.bytes(16_000);
    stream.write_all(&request).await?;
    stream.shutdown(Shutdown::Write)?;
    expect(&rest(&stream).await?, &request)
}

async fn echo_much(stream: TcpStream, random: &mut Random) -> io::Result<()> {
    let request = random.bytes(100).repeat(random.below(5000));
    let (reading, mut writing) = stream.into_split();
    let sent = request.clone();
    // Its half is dropped at the end, which ends the stream.
    let writer = create_task(async move { writing.write_all(&sent).await });
    expect(&rest(reading.as_ref()).await?, &request)?;
    writer.await.map_err(io::Error::other)?
}

async fn echo_late(stream: TcpStream, random: &mut Random) -> io::Result<()> {
    // It takes megabytes to make the server stop, too much memory for all at once.
    let most = if random.below(8) == 0 { 16 << 20 } else { 300_000 };
    let sent = clog(&stream, most).await?;
    pause(random).await;
    stream.shutdown(Shutdown::Write)?;
    expect(&rest(&stream).await?, &vec![b'x'; sent])
}

/// Sends without reading until nothing more is taken; says how much it was.
async fn clog(stream: &TcpStream, most: usize) -> io::Result<usize> {
    let data = vec![b'x'; 64 * 1024];
    let (mut sent, mut refused) = (0, 0);
    while refused < 3 && sent < most {
        match stream.try_write(&data) {
            Ok(count) => (sent, refused) = (sent + count, 0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                refused += 1;
                sleep(millis(5)).await;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

async fn hello(stream: TcpStream, random: &mut Random) -> io::Result<()> {
    let name: Vec<_> = random.bytes(200).iter().map(|byte| b'a' + byte % 26).collect();
    let request = [&name[..], if random.coin() { b"\n\n" } else { b"\r\n\r\n" }].concat();
    let mut left = &request[..];
    while !left.is_empty() {
        let (piece, others) = left.split_at(1 + random.below(left.len()));
        stream.write_all(piece).await?;
        left = others;
        match random.below(4) {
            0 => sleep(millis(random.below(10) as u64)).await,
            1 => yield_now().await,
            _ => {}
        }
    }
    if random.coin() {
        stream.shutdown(Shutdown::Write)?;
    }
    expect(&rest(&stream).await?, &[b"Hello ", &name[..]].concat())
}

/// The server closes it in the end, which may be by a reset: it has not read everything.
async fn hello_slow(stream: TcpStream) -> io::Result<()> {
    while stream.write(b"x").await.is_ok() {
        match stream.try_read(&mut [0]) {
            Ok(0) => return Ok(()),
            Ok(_) => return Err(io::Error::other("half a name was answered")),
            Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(millis(20)).await,
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}
