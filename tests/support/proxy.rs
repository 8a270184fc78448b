//! A proxy between a client and a server of this machine, which can break every connection in the middle.

#![allow(dead_code, reason = "each test uses its own part")]

use std::{
    net::SocketAddr,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};

/// Listens while it exists; its connections end with it, as unclean as they are.
pub(crate) struct Proxy {
    task: AbortHandle,
    cuts: Arc<AtomicU64>,
}

impl Proxy {
    /// Passes everything on.
    pub(crate) async fn open(from: &str, to: &str) -> Self {
        Self::start(from, to, None).await
    }

    /// Breaks each connection after so many bytes from the server, wherever that is in a message.
    pub(crate) async fn cutting(from: &str, to: &str, after_bytes: Range<u64>) -> Self {
        Self::start(from, to, Some(after_bytes)).await
    }

    async fn start(from: &str, to: &str, after_bytes: Option<Range<u64>>) -> Self {
        let listener = TcpListener::bind(from).await.expect("the proxy's port is free");
        let to: SocketAddr = to.parse().expect("an address");
        let cuts = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&cuts);
        let accepting = async move {
            let mut connections = JoinSet::new();
            let mut random = 0x2545_f491_4f6c_dd1d_u64;
            while let Ok((client, _)) = listener.accept().await {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let limit = after_bytes
                    .as_ref()
                    .map_or(u64::MAX, |range| range.start + (random >> 20) % (range.end - range.start));
                let counter = Arc::clone(&counter);
                connections.spawn(async move {
                    if pass(client, to, limit).await == Some(limit) {
                        counter.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        };
        Self { task: tokio::spawn(accepting).abort_handle(), cuts }
    }

    /// Connections broken so far.
    pub(crate) fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Passes bytes both ways until `limit` came from the server or one side ends; how many came, where known.
async fn pass(client: TcpStream, to: SocketAddr, limit: u64) -> Option<u64> {
    let server = TcpStream::connect(to).await.ok()?;
    let (mut from_client, mut to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    let mut from_server = from_server.take(limit);
    tokio::select! {
        _ = tokio::io::copy(&mut from_client, &mut to_server) => None,
        copied = tokio::io::copy(&mut from_server, &mut to_client) => copied.ok(),
    }
}
