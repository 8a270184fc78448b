//! The emulator ferrokinesis inside the test's own process, and which operations it was asked for.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::Request,
    middleware::{Next, from_fn},
};
use ferrokinesis::{create_app, store::StoreOptions};

use crate::kinesis::{Kind, Stream};

/// Calls by operation.
type Calls = Arc<Mutex<BTreeMap<String, usize>>>;

pub(crate) struct Ferrokinesis {
    pub(crate) address: String,
    calls: Calls,
}

impl Ferrokinesis {
    pub(crate) async fn start(options: StoreOptions) -> Self {
        let calls = Calls::default();
        let (app, _) = create_app(StoreOptions {
            create_stream_ms: 20,
            delete_stream_ms: 20,
            update_stream_ms: 20,
            shard_limit: 100,
            ..options
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let app: Router = app.layer(from_fn({
            let calls = calls.clone();
            move |request: Request, next: Next| {
                count(&calls, &request);
                next.run(request)
            }
        }));
        tokio::spawn(async move { axum::serve(listener, app).await.expect("the emulator serves") });
        Self { address, calls }
    }

    pub(crate) async fn stream(&self, name: &str, shards: i32) -> Stream {
        Stream::made(Kind::Ferrokinesis, &self.address, name, shards).await
    }

    /// How often this operation was asked for.
    pub(crate) fn calls(&self, operation: &str) -> usize {
        self.calls.lock().expect("no panic").get(operation).copied().unwrap_or(0)
    }
}

fn count(calls: &Calls, request: &Request) {
    let target = request.headers().get("x-amz-target").and_then(|value| value.to_str().ok());
    let operation = target.and_then(|target| target.rsplit('.').next()).unwrap_or_default();
    *calls.lock().expect("no panic").entry(operation.to_owned()).or_default() += 1;
}
