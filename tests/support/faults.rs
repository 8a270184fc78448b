//! Between a client and an emulator: a proxy that answers some calls with errors, late or not at all, and a wire
//! that can be cut.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

type Answer = (StatusCode, [(axum::http::HeaderName, String); 1], Bytes);

/// What a call gets instead of its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// 400 with this code, as the service says it.
    Refuse(&'static str),
    /// 500 without a word.
    Fail,
    /// The answer, this much later.
    Slow(Duration),
}

/// Which calls get which faults, and what was seen.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    upstream: String,
    /// Every third call of an operation gets the next of these, again and again.
    faults: Mutex<Vec<Fault>>,
    /// Every call gets this.
    always: Option<Fault>,
    /// Asks for pages of two shards.
    small_pages: bool,
    calls: Mutex<BTreeMap<String, u64>>,
    given: AtomicU64,
}

impl Plan {
    pub(crate) fn new(upstream: String, faults: Vec<Fault>) -> Self {
        Self { upstream, faults: Mutex::new(faults), ..Self::default() }
    }

    pub(crate) fn refusing(upstream: String, code: &'static str) -> Self {
        Self { upstream, always: Some(Fault::Refuse(code)), ..Self::default() }
    }

    pub(crate) fn with_small_pages(upstream: String) -> Self {
        Self { upstream, small_pages: true, ..Self::default() }
    }

    /// No more faults.
    pub(crate) fn calm(&self) {
        self.faults.lock().expect("nobody panicked").clear();
    }

    /// Faults so far.
    pub(crate) fn given(&self) -> u64 {
        self.given.load(Ordering::Relaxed)
    }

    /// Calls of an operation so far.
    pub(crate) fn calls(&self, operation: &str) -> u64 {
        self.calls.lock().expect("nobody panicked").get(operation).copied().unwrap_or(0)
    }

    fn fault(&self, operation: &str) -> Option<Fault> {
        let mut calls = self.calls.lock().expect("nobody panicked");
        let call = calls.entry(operation.to_owned()).or_default();
        *call += 1;
        if self.always.is_some() {
            return self.always;
        }
        let faults = self.faults.lock().expect("nobody panicked");
        if *call % 3 != 2 || faults.is_empty() {
            return None;
        }
        let given = self.given.fetch_add(1, Ordering::Relaxed);
        Some(faults[given as usize % faults.len()])
    }

    /// Starts the proxy.
    pub(crate) async fn serve(self: &Arc<Self>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let router = Router::new().fallback(pass).with_state(Arc::clone(self));
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }
}

async fn pass(State(plan): State<Arc<Plan>>, headers: HeaderMap, body: Bytes) -> Answer {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let target = text("x-amz-target");
    let operation = target.rsplit('.').next().unwrap_or_default();
    let json = [(CONTENT_TYPE, "application/x-amz-json-1.1".to_owned())];
    match plan.fault(operation) {
        Some(Fault::Refuse(code)) => {
            return (
                StatusCode::BAD_REQUEST,
                json,
                format!("{{\"__type\":\"{code}\",\"message\":\"no\"}}").into(),
            );
        }
        Some(Fault::Fail) => return (StatusCode::INTERNAL_SERVER_ERROR, json, Bytes::new()),
        Some(Fault::Slow(pause)) => tokio::time::sleep(pause).await,
        None => {}
    }
    let mut body = body;
    if plan.small_pages && operation == "ListShards" {
        let mut request: serde_json::Value = serde_json::from_slice(&body).expect("a JSON request");
        request["MaxResults"] = 2.into();
        body = request.to_string().into();
    }
    let request = reqwest::Client::new().post(format!("http://{}/", plan.upstream)).body(body);
    let request = ["x-amz-target", "content-type", "authorization", "x-amz-date", "x-amz-security-token"]
        .into_iter()
        .filter(|name| headers.contains_key(*name))
        .fold(request, |request, name| request.header(name, text(name)));
    let Ok(answer) = request.send().await else { return (StatusCode::BAD_GATEWAY, json, Bytes::new()) };
    let status = StatusCode::from_u16(answer.status().as_u16()).expect("a status");
    (status, json, answer.bytes().await.unwrap_or_default())
}

/// Passes bytes on until it is cut.
pub(crate) struct Wire {
    pub(crate) address: SocketAddr,
    cuts: watch::Sender<()>,
    is_down: Arc<AtomicBool>,
    refused: Arc<AtomicU64>,
}

impl Wire {
    pub(crate) async fn to(upstream: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let wire = Self {
            address: listener.local_addr().expect("bound"),
            cuts: watch::Sender::new(()),
            is_down: Arc::default(),
            refused: Arc::default(),
        };
        let (cuts, is_down, refused) =
            (wire.cuts.subscribe(), Arc::clone(&wire.is_down), Arc::clone(&wire.refused));
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                if is_down.load(Ordering::Relaxed) {
                    refused.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                let (upstream, mut cuts) = (upstream.clone(), cuts.clone());
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(upstream).await else { return };
                    cuts.mark_unchanged();
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        wire
    }

    /// Ends every connection there is.
    pub(crate) fn cut(&self) {
        self.cuts.send_replace(());
    }

    /// Takes no connections while it is down.
    pub(crate) fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::Relaxed);
        self.cut();
    }

    /// Connections that it did not take.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}
