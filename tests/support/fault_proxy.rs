//! A proxy that spoils connections before a real server: each takes the next fault of a list, and passes
//! everything on when none is left.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

/// What happens to a connection once its first request was read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// This status and body, and an end.
    Answer(u16, &'static str),
    /// No answer, and an end.
    Drop,
}

/// The list, and what is behind the proxy.
#[derive(Clone)]
pub(crate) struct FaultProxy {
    upstream: SocketAddr,
    faults: Arc<Mutex<VecDeque<Fault>>>,
}

impl FaultProxy {
    /// Listens on a free port.
    pub(crate) async fn before(
        upstream: SocketAddr,
        faults: impl IntoIterator<Item = Fault>,
    ) -> (Self, SocketAddr) {
        let proxy = Self { upstream, faults: Arc::new(Mutex::new(faults.into_iter().collect())) };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let accepting = proxy.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().serve(stream));
            }
        });
        (proxy, address)
    }

    /// Faults that no connection has met yet.
    pub(crate) fn num_left(&self) -> usize {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    async fn serve(self, mut stream: TcpStream) -> io::Result<()> {
        let request = read_request(&mut stream).await?;
        let fault = self.faults.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        match fault {
            Some(Fault::Drop) => Ok(()),
            Some(Fault::Answer(status, body)) => {
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} Spoilt\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
                );
                stream.write_all((head + body).as_bytes()).await?;
                stream.shutdown().await
            }
            None => {
                let mut upstream = TcpStream::connect(self.upstream).await?;
                upstream.write_all(&request).await?;
                copy_bidirectional(&mut stream, &mut upstream).await.map(drop)
            }
        }
    }
}

/// Head and body of the first request.
async fn read_request(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(request);
        }
        let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        if request.len() >= end + 4 + length.unwrap_or(0_usize) {
            return Ok(request);
        }
    }
}
