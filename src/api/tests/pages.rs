//! Events from a shop's pages: who may send them, and in which forms.

use axum::{
    body::{Body, to_bytes},
    http::{Method, Request, StatusCode},
};
use tower::ServiceExt;

use super::{Bench, START};
use crate::sources::HttpSourceConfig;

const SHOP: &str = "https://shop.example.com";

fn event() -> String {
    format!(r#"{{"time":{START},"country":"DE","total":5}}"#)
}

async fn bench(token: Option<&str>) -> Bench {
    let token = token.map(str::to_owned);
    Bench::running_with(HttpSourceConfig {
        origins: vec![SHOP.to_owned()],
        token,
        ..HttpSourceConfig::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_an_allowed_origin_needs_no_token() {
    let bench = bench(Some("s3cret")).await;
    let text = ("content-type", "text/plain;charset=UTF-8");
    let beacon = bench.post("?source=clicks", &[("origin", SHOP), text], event()).await;
    assert_eq!((beacon.status, beacon.header("access-control-allow-origin")), (StatusCode::OK, SHOP));
    let other = bench.post("?source=clicks", &[("origin", "https://evil.example"), text], event()).await;
    assert_eq!(other.status, StatusCode::FORBIDDEN);
    assert_eq!(other.header("access-control-allow-origin"), "");
    assert!(other.error().starts_with("pages of `https://evil.example` may not"), "{}", other.error());
    let program = bench.post("", &[("authorization", "Bearer s3cret")], event()).await;
    assert_eq!(program.status, StatusCode::OK);
    assert_eq!(bench.post("", &[], event()).await.status, StatusCode::UNAUTHORIZED);
    let wrong = bench.post("", &[("authorization", "Bearer other")], event()).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    let large = bench.post("", &[("origin", SHOP)], " ".repeat((64 << 10) + 1)).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_origins_pages_are_refused_and_programs_are_not() {
    let bench = Bench::running().await;
    assert_eq!(bench.post("", &[("origin", SHOP)], event()).await.status, StatusCode::FORBIDDEN);
    assert_eq!(bench.post("", &[], event()).await.status, StatusCode::OK);
    let pixel = bench.get("/v1/events?source=clicks&country=DE").await;
    assert_eq!(pixel.status, StatusCode::FORBIDDEN);
    assert!(pixel.error().contains("its key `origins` allows them"), "{}", pixel.error());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_may_ask_first() {
    let bench = bench(None).await;
    for (origin, allowed) in [(SHOP, SHOP), ("https://evil.example", "")] {
        let request = Request::builder()
            .method(Method::OPTIONS)
            .uri("/v1/events?source=clicks")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type,idempotency-key");
        let answer = bench.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("access-control-allow-origin"), allowed);
        assert!(answer.header("access-control-allow-headers").contains("idempotency-key"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_carries_one_event() {
    let bench = bench(None).await;
    let pixel = |query: &str, referer: &'static str| {
        let request = Request::get(format!("/v1/events?source=clicks&{query}")).header("referer", referer);
        let router = bench.router.clone();
        async move { router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap() }
    };
    let page = "https://shop.example.com/cart?x=1";
    let answer = pixel(&format!("time={START}&country=DE&total=9.5"), page).await;
    assert_eq!(
        (answer.status(), &answer.headers()["content-type"]),
        (StatusCode::OK, &"image/gif".parse().unwrap())
    );
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let image = to_bytes(answer.into_body(), 1_000).await.unwrap();
    assert_eq!((&image[..6], image.len()), (&b"GIF89a"[..], 43));
    assert_eq!(pixel("country=DE", page).await.status(), StatusCode::BAD_REQUEST, "no time");
    assert_eq!(pixel("", page).await.status(), StatusCode::BAD_REQUEST);
    let stranger = pixel(&format!("time={START}"), "https://shop.example.com.evil.example/").await;
    assert_eq!(stranger.status(), StatusCode::FORBIDDEN);
    bench.until(|bench| bench.board.monitor("shop").is_some_and(|shop| shop.totals.events == 2)).await;
    assert_eq!(bench.board.monitor("shop").unwrap().totals.counted, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_posts_are_told_to_come_back() {
    let config = HttpSourceConfig { posts_per_second: Some(1), ..HttpSourceConfig::default() };
    let bench = Bench::running_with(config).await;
    assert_eq!(bench.post("", &[], event()).await.status, StatusCode::OK);
    let refused = bench.post("", &[], event()).await;
    assert_eq!((refused.status, refused.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "1"));
    assert_eq!(refused.error(), "too many posts in a second; `posts_per_second` is 1");
}
