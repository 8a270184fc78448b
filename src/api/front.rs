//! The end that listens. It outlives the routes behind it: a new configuration changes them in place, so that nobody
//! loses a connection. What changes something waits meanwhile at the gate; reading goes on.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::Method,
    response::Response,
};
use tokio::{
    net::TcpListener,
    sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::serve;

/// A listening server whose routes can be changed.
#[derive(Debug)]
pub struct Front {
    address: SocketAddr,
    routes: watch::Sender<Router>,
    gate: Arc<RwLock<()>>,
    serving: JoinHandle<io::Result<()>>,
    is_over: bool,
}

/// What a request shares with the front.
#[derive(Clone)]
struct Door {
    routes: watch::Receiver<Router>,
    gate: Arc<RwLock<()>>,
}

/// Lets a request that changes something be under way; new routes wait for it.
#[derive(Clone, Debug)]
pub struct Pass(Arc<Mutex<Option<OwnedRwLockReadGuard<()>>>>);

impl Pass {
    /// Lets new routes come although this request is under way: it waits for them itself.
    pub(super) fn let_go(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Front {
    /// Serves these routes until `stop` is cancelled.
    pub fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (routes, behind) = watch::channel(router);
        let gate = Arc::new(RwLock::new(()));
        let door = Door { routes: behind, gate: Arc::clone(&gate) };
        let outer = Router::new().fallback(enter).with_state(door);
        let serving = tokio::spawn(serve(listener, outer, stop));
        Ok(Self { address, routes, gate, serving, is_over: false })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Keeps requests that change something waiting for as long as the answer is held, once those under way have
    /// ended, or after this long without them.
    pub async fn close(&self, patience: Duration) -> Option<OwnedRwLockWriteGuard<()>> {
        tokio::time::timeout(patience, Arc::clone(&self.gate).write_owned()).await.ok()
    }

    /// Other routes from now on.
    pub fn change(&self, router: Router) {
        drop(self.routes.send_replace(router));
    }

    /// Whether serving has ended and was waited for.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Waits until serving has ended, once. Cancel-safe.
    pub async fn ended(&mut self) -> io::Result<()> {
        let outcome = (&mut self.serving).await;
        self.is_over = true;
        outcome.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

async fn enter(State(door): State<Door>, mut request: Request) -> Response {
    if changes(&request) {
        let held = Arc::clone(&door.gate).read_owned().await;
        request.extensions_mut().insert(Pass(Arc::new(Mutex::new(Some(held)))));
    }
    let pass = request.extensions().get::<Pass>().cloned();
    let router = door.routes.borrow().clone();
    let response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
    drop(pass);
    response
}

/// Whether a request hands something in. A page's pixel does so with a GET.
fn changes(request: &Request) -> bool {
    let is_reading = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    !is_reading || request.uri().path().starts_with("/v1/")
}

#[cfg(test)]
mod tests {
    use axum::{Extension, routing::post};
    use tokio::sync::Notify;

    use super::*;

    async fn front(router: Router) -> (Front, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stop = CancellationToken::new();
        (Front::serve(listener, router, stop.clone()).unwrap(), stop)
    }

    async fn ask(front: &Front, request: Request) -> String {
        let door = Door { routes: front.routes.subscribe(), gate: Arc::clone(&front.gate) };
        let response = enter(State(door), request).await;
        let body = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    fn request(method: Method) -> Request {
        Request::builder().method(method).uri("/x").body(axum::body::Body::empty()).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn routes_change_between_requests_and_changes_wait_meanwhile() {
        let (entered, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (signal, wait) = (Arc::clone(&entered), Arc::clone(&go));
        let slow = move || async move {
            signal.notify_one();
            wait.notified().await;
            "old"
        };
        let (front, stop) = front(Router::new().route("/x", post(slow).get(|| async { "old" }))).await;
        let front = Arc::new(front);
        let first = tokio::spawn({
            let front = Arc::clone(&front);
            async move { ask(&front, request(Method::POST)).await }
        });
        entered.notified().await;
        assert!(front.close(Duration::from_millis(20)).await.is_none(), "a post is under way");
        assert_eq!(ask(&front, request(Method::GET)).await, "old", "reading does not wait");
        go.notify_one();
        assert_eq!(first.await.unwrap(), "old");

        let closed = front.close(Duration::from_secs(5)).await.expect("nothing is under way");
        let second = tokio::spawn({
            let front = Arc::clone(&front);
            async move { ask(&front, request(Method::POST)).await }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!second.is_finished());
        front.change(Router::new().route("/x", post(|| async { "new" })));
        drop(closed);
        assert_eq!(second.await.unwrap(), "new");
        stop.cancel();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_request_may_let_the_gate_close() {
        let handler = |Extension(pass): Extension<Pass>| async move {
            pass.let_go();
            tokio::time::sleep(Duration::from_mins(1)).await;
        };
        let (front, stop) = front(Router::new().route("/x", post(handler))).await;
        let front = Arc::new(front);
        let waiting = tokio::spawn({
            let front = Arc::clone(&front);
            async move { ask(&front, request(Method::POST)).await }
        });
        assert!(front.close(Duration::from_secs(5)).await.is_some());
        waiting.abort();
        stop.cancel();
    }
}
