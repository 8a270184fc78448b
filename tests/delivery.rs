//! Alerts from the outbox to a real receiver: what is tried again, what is given up, in which order and how fast. Time
//! passes on a clock that the test moves.

#[path = "support/post.rs"]
mod post;
mod support;

use std::time::Duration;

use post::{POLICY, Post, Receiver, Reply, SECOND, START, alert, ids, opened, webhook};
use support::process::wait_until;
use tidewatch::{anomaly::Alert, notifiers::Webhook, pipeline::DeliveryPolicy};
use tokio::net::TcpSocket;

// --- what is tried again ---

#[tokio::test(flavor = "multi_thread")]
async fn after_a_passing_failure_an_alert_is_delivered_once() {
    let receiver = Receiver::new([Reply::Status(503)]);
    let post = Post::start(webhook(receiver.listen().await), POLICY);
    post.store(vec![opened("shop-1")]).await;
    let row = post.waiting_after_attempts(1).await;
    assert_eq!(row.alert.id, "shop-1:0:1:opened:hook");
    post.look().await;
    assert_eq!(receiver.requests().len(), 1, "the clock stands, so the pause is not over");
    post.run_until_all_are("sent").await;
    post.look().await;
    assert_eq!(receiver.requests().len(), 2, "and not once more");
    assert_eq!(post.metrics(), [1, 1, 0]);
    post.until_nothing_waits().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_repeat_the_same_message_under_the_same_id() {
    let failures = [500, 502, 503, 504, 408, 425, 429, 500].map(Reply::Status);
    let receiver = Receiver::new(failures.clone());
    let webhook =
        Webhook::new(&format!("http://{}", receiver.listen().await), Some("s3cret"), Duration::from_secs(10));
    let post = Post::start(webhook.unwrap(), POLICY);
    post.store(vec![opened("shop-1")]).await;
    post.run_until_all_are("sent").await;
    let requests = receiver.requests();
    assert_eq!(requests.len(), failures.len() + 1);
    for request in &requests {
        assert_eq!((request.alert(), &request.body), (requests[0].alert(), &requests[0].body));
        let signature = "X-Tidewatch-Signature";
        assert_eq!(request.header(signature), requests[0].header(signature));
    }
    assert_eq!(post.metrics(), [1, failures.len() as u64, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_the_receiver_asks_for_is_waited_out() {
    let replies = [
        Reply::With(429, "retry-after", "1"),
        Reply::With(503, "retry-after", "20"),
        Reply::With(429, "retry-after", "86400"),
    ];
    let receiver = Receiver::new(replies);
    let post = Post::start(webhook(receiver.listen().await), POLICY);
    post.store(vec![opened("shop-1")]).await;
    let mut now = START;
    // The last pause is longer than the policy allows.
    for (attempts, pause) in [(1, SECOND), (2, 20 * SECOND), (3, 300 * SECOND)] {
        post.waiting_after_attempts(attempts).await;
        assert_eq!(post.num_due(now + pause - 1).await, 0, "attempt {attempts}");
        assert_eq!(post.num_due(now + pause).await, 1, "attempt {attempts}");
        post.clock.set(now + pause - 1);
        post.look().await;
        assert_eq!(receiver.requests().len(), attempts as usize);
        now += pause;
        post.clock.set(now);
        receiver.received(attempts as usize + 1).await;
    }
    post.until_all_are("sent").await;
    assert_eq!(post.metrics(), [1, 3, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn short_pauses_do_not_use_up_the_attempts() {
    let receiver = Receiver::new(std::iter::repeat_n(Reply::With(429, "retry-after", "0"), 8));
    let policy = DeliveryPolicy { pause_first: Duration::from_secs(1), ..POLICY };
    let post = Post::start(webhook(receiver.listen().await), policy);
    post.store(vec![opened("shop-1")]).await;
    let mut now = START;
    for attempts in 1..=8 {
        post.waiting_after_attempts(attempts).await;
        let pause = SECOND << (attempts - 1);
        assert_eq!(post.num_due(now + pause * 3 / 4 - 1).await, 0, "attempt {attempts}");
        now += pause * 5 / 4;
        assert_eq!(post.num_due(now).await, 1, "attempt {attempts}");
        post.clock.set(now);
    }
    post.until_all_are("sent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_is_tried_again_after_the_timeout() {
    let receiver = Receiver::new([Reply::Never]);
    let url = format!("http://{}/alerts", receiver.listen().await);
    let post = Post::start(Webhook::new(&url, None, Duration::from_millis(100)).unwrap(), POLICY);
    post.store(vec![opened("shop-1")]).await;
    post.waiting_after_attempts(1).await;
    post.run_until_all_are("sent").await;
    assert_eq!(ids(&receiver.requests()), ["shop-1:0:1:opened:hook"; 2]);
    assert_eq!(post.metrics(), [1, 1, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_down_is_tried_until_it_is_up() {
    // Bound and not listening: connections are refused, and nobody else gets the port.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let post = Post::start(webhook(address), POLICY);
    post.store(vec![opened("shop-1"), opened("shop-2")]).await;
    let mut now = START;
    wait_until("ten attempts", async || {
        now += SECOND;
        post.clock.set(now);
        (post.metric("failed") >= 10).then_some(())
    })
    .await;
    assert!(post.all_are("waiting"));
    let receiver = Receiver::default();
    receiver.serve(socket.listen(16).unwrap());
    wait_until("both alerts", async || {
        now += SECOND;
        post.clock.set(now);
        post.all_are("sent").then_some(())
    })
    .await;
    let requests = receiver.requests();
    let mut received = ids(&requests);
    received.sort_unstable();
    assert_eq!(received, ["shop-1:0:1:opened:hook", "shop-2:0:1:opened:hook"]);
    assert_eq!(post.metric("dropped"), 0);
}

// --- what is given up ---

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_given_up_at_once_counted_and_holds_up_nothing() {
    // A pause in a refusal changes nothing about it.
    let replies =
        [Reply::Status(400), Reply::With(410, "retry-after", "1"), Reply::Status(401), Reply::Status(422)];
    let receiver = Receiver::new(replies);
    let post = Post::start(webhook(receiver.listen().await), POLICY);
    post.store((1..=4).map(|number| opened(&format!("shop-{number}"))).collect()).await;
    post.until_all_are("given_up").await;
    post.store(vec![opened("shop-5")]).await;
    let requests = receiver.received(5).await;
    wait_until("the delivery", async || (post.metric("sent") == 1).then_some(())).await;
    post.clock.set(START + 600 * SECOND);
    post.look().await;
    assert_eq!(receiver.requests().len(), 5, "no refused alert is tried again");
    assert_eq!(requests[4].alert(), "shop-5:0:1:opened:hook");
    assert_eq!(post.metrics(), [1, 0, 4]);
    post.until_nothing_waits().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_dropped_and_counted_after_its_last_attempt() {
    let receiver = Receiver::new(std::iter::repeat_n(Reply::Status(500), 100));
    let policy = DeliveryPolicy { attempts_max: 3, ..POLICY };
    let post = Post::start(webhook(receiver.listen().await), policy);
    post.store(vec![opened("shop-1")]).await;
    post.run_until_all_are("given_up").await;
    assert_eq!(receiver.requests().len(), 3);
    assert_eq!(post.metrics(), [0, 2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_not_followed() {
    let elsewhere = Receiver::default();
    let target: &'static str = format!("http://{}/stolen", elsewhere.listen().await).leak();
    let receiver = Receiver::new([301, 302, 307, 308].map(|code| Reply::With(code, "location", target)));
    let post = Post::start(webhook(receiver.listen().await), POLICY);
    post.store((1..=4).map(|number| opened(&format!("shop-{number}"))).collect()).await;
    post.until_all_are("given_up").await;
    assert_eq!(receiver.requests().len(), 4);
    assert!(elsewhere.requests().is_empty());
    assert_eq!(post.metrics(), [0, 0, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_was_given_up_can_be_sent_again_under_its_id() {
    let receiver = Receiver::new([Reply::Status(400)]);
    let post = Post::start(webhook(receiver.listen().await), POLICY);
    post.store(vec![opened("shop-1")]).await;
    post.until_all_are("given_up").await;
    assert!(!post.store.resend("shop-9:0:1:opened:hook", START).unwrap(), "there is no such alert");
    assert!(post.store.resend("shop-1:0:1:opened:hook", START).unwrap());
    post.until_all_are("sent").await;
    assert_eq!(ids(&receiver.requests()), ["shop-1:0:1:opened:hook"; 2]);
}

// --- order and pace ---

#[tokio::test(flavor = "multi_thread")]
async fn alerts_are_sent_in_the_order_in_which_they_were_stored() {
    let receiver = Receiver::default();
    let post = Post::start(webhook(receiver.listen().await), POLICY);
    // More than the courier takes from the outbox at a time, and not in the order of their names.
    let alerts: Vec<Alert> = (0..120).map(|number| opened(&format!("shop-{}", number * 77 % 120))).collect();
    let stored: Vec<String> = alerts.iter().map(|alert| alert.id.clone()).collect();
    post.store(alerts).await;
    post.until_all_are("sent").await;
    assert_eq!(ids(&receiver.requests()), stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_told_in_order_while_retries_hold_up_no_other() {
    let receiver = Receiver::new([Reply::Status(503)]);
    let post = Post::start(webhook(receiver.listen().await), POLICY);
    let (one, two) = ("shop-1", "shop-2");
    post.store(vec![opened(one), alert(one, 2, "escalated"), opened(two), alert(one, 3, "closed")]).await;
    let requests = receiver.received(2).await;
    assert_eq!(ids(&requests), ["shop-1:0:1:opened:hook", "shop-2:0:1:opened:hook"]);
    post.look().await;
    assert_eq!(receiver.requests().len(), 2, "the rest waits for the first of its incident");
    post.run_until_all_are("sent").await;
    assert_eq!(
        ids(&receiver.requests())[2..],
        ["shop-1:0:1:opened:hook", "shop-1:0:2:escalated:hook", "shop-1:0:3:closed:hook"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_the_rate_of_a_notifier_waits() {
    let receiver = Receiver::default();
    let post = Post::limited(webhook(receiver.listen().await), POLICY, Some(3));
    post.store((1..=5).map(|number| opened(&format!("shop-{number}"))).collect()).await;
    receiver.received(3).await;
    post.look().await;
    assert_eq!(receiver.requests().len(), 3);
    assert!(post.telemetry.scrape().contains("tidewatch_alert_rate_limited_total{notifier=\"hook\"}"));
    post.clock.set(START + 60 * SECOND);
    post.until_all_are("sent").await;
    assert_eq!(receiver.requests().len(), 5);
}
