//! What people do with incidents, and what they say of them, over a running shop whose Germany has gone silent.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Answer, Bench};

/// The open incident of the outage.
async fn outage(bench: &Bench) -> Value {
    bench.get("/api/v1/incidents?state=open&kind=deviation").await.json()["incidents"][0].clone()
}

async fn ask(bench: &Bench, path: &str, body: Value) -> Answer {
    bench.ask(Method::POST, path, &body).await
}

async fn done(bench: &Bench, path: &str, body: Value) -> Value {
    let answer = ask(bench, path, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
    answer.json()
}

fn ids(answer: &Value) -> Vec<&str> {
    answer["incidents"].as_array().unwrap().iter().map(|incident| incident["id"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn care_is_kept_and_listed() {
    let bench = Bench::with_history().await;
    let incident = outage(&bench).await;
    let path = format!("/api/v1/incidents/{}", incident["id"].as_str().unwrap());
    assert_eq!(ids(&bench.get("/api/v1/incidents?care=acknowledged").await.json()).len(), 0);
    let first = done(&bench, &format!("{path}/acknowledge"), json!({"by": "ana"})).await;
    assert_eq!(
        (&first["what"], &first["by"], &first["number"]),
        (&json!("acknowledge"), &json!("ana"), &json!(1))
    );
    done(&bench, &format!("{path}/assign"), json!({"to": "ben", "by": "ana"})).await;
    done(&bench, &format!("{path}/note"), json!({"text": " the card processor is down "})).await;
    done(&bench, &format!("{path}/mute"), json!({"windows": 3})).await;
    let detail = bench.get(&path).await.json();
    assert_eq!((&detail["acknowledged_by"], &detail["assigned_to"]), (&json!("ana"), &json!("ben")));
    let muted_until = detail["mute"]["until_millis"].as_i64().unwrap();
    assert_eq!(muted_until % 1000, 1, "the end of the third window is still quiet");
    let steps = detail["timeline"].as_array().unwrap();
    let what: Vec<&str> = steps.iter().map(|step| step["what"].as_str().unwrap()).collect();
    assert_eq!(what[0], "opened");
    for step in ["acknowledge", "assign", "note", "mute"] {
        assert!(what.contains(&step), "{step} in {what:?}");
    }
    let note = steps.iter().find(|step| step["what"] == "note").unwrap();
    assert_eq!((&note["text"], &note["by"]), (&json!("the card processor is down"), &json!("api")));
    let acknowledged = bench.get("/api/v1/incidents?care=acknowledged&assigned_to=ben").await.json();
    assert_eq!(ids(&acknowledged), [incident["id"].as_str().unwrap()]);
    assert_eq!(ids(&bench.get("/api/v1/incidents?assigned_to=ana").await.json()).len(), 0);
    done(&bench, &format!("{path}/mute"), json!({"off": true})).await;
    assert_eq!(bench.get(&path).await.json()["mute"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_filtered_by_series_and_paged() {
    let bench = Bench::with_history().await;
    let count = async |query: &str| ids(&bench.get(&format!("/api/v1/incidents{query}")).await.json()).len();
    assert!(count("?measure=orders&slice.country=DE&state=open").await >= 1);
    assert_eq!(count("?measure=views").await, 0);
    assert_eq!(count("?slice.country=IT").await, 0);
    let all = bench.get("/api/v1/incidents").await.json();
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = bench.get(&format!("/api/v1/incidents?limit=1{after}")).await.json();
        seen.extend(ids(&page).iter().map(|id| (*id).to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(seen, ids(&all));
    let answer = bench.get("/api/v1/incidents?after=x").await;
    assert!(answer.error().starts_with("parameter `after` is `x`"), "{}", answer.error());
}

#[tokio::test(flavor = "multi_thread")]
async fn feedback_is_previewed_given_and_taken_back() {
    let bench = Bench::with_history().await;
    let incident = outage(&bench).await;
    let id = incident["id"].as_str().unwrap();
    let path = format!("/api/v1/incidents/{id}/feedback");
    let body = json!({"label": "expected", "cause": "migration", "by": "ana"});
    let preview = done(&bench, &format!("{path}/preview"), body.clone()).await;
    let names = |key: &str| -> Vec<Value> {
        preview[key].as_array().unwrap().iter().map(|known| known["id"].clone()).collect()
    };
    assert!(names("silences").contains(&json!(id)), "{preview}");
    assert!(names("must_not").is_empty());
    assert!(preview["windows_with"].as_u64() < preview["windows_without"].as_u64(), "{preview}");
    let nothing_yet = bench.get("/api/v1/monitors/shop/feedback").await.json();
    assert_eq!(nothing_yet, json!({"feedback": []}), "a preview changes nothing");

    let confirmed = done(&bench, &path, json!({"label": "confirmed"})).await;
    let preview = done(&bench, &format!("{path}/preview"), body.clone()).await;
    assert_eq!(preview["must_not"][0]["id"], json!(id), "confirmed ones are named");
    let undo = |said: &Value| format!("/api/v1/monitors/shop/feedback/{}/undo", said["number"]);
    done(&bench, &undo(&confirmed), json!({})).await;

    let said = done(&bench, &path, body).await;
    assert_eq!((&said["label"], &said["cause"]), (&json!("expected"), &json!("migration")));
    assert!(said["num_series"].as_u64().unwrap() >= 1, "{said}");
    let detail = bench.get(&format!("/api/v1/incidents/{id}")).await.json();
    assert_eq!((&detail["label"], &detail["affected_by_feedback"]), (&json!("expected"), &json!(true)));
    assert_eq!(ids(&bench.get("/api/v1/incidents?care=expected").await.json()), [id]);
    done(&bench, &undo(&said), json!({"by": "ben"})).await;
    let detail = bench.get(&format!("/api/v1/incidents/{id}")).await.json();
    assert_eq!((&detail["label"], &detail["affected_by_feedback"]), (&Value::Null, &json!(false)));
    assert_eq!(detail["feedback"][0]["holds"], json!(false), "what was taken back is still told");
    let again = ask(&bench, &undo(&said), json!({})).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND, "{}", again.text);
    let metrics = bench.get("/metrics").await.text;
    assert!(
        metrics.contains("tidewatch_feedback_incidents{label=\"expected\",monitor=\"shop\"} 0"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_can_be_labelled_or_reported_as_missed() {
    let bench = Bench::with_history().await;
    let range = |more: Value| {
        let mut body = json!({
            "monitor": "shop", "measure": "orders", "slice": {"country": "FR"},
            "from": "2026-03-10T08:00:00Z", "to": "2026-03-10T12:00:00Z",
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let preview = done(&bench, "/api/v1/feedback/preview", range(json!({"label": "false_alarm"}))).await;
    assert_eq!(preview["num_series"], json!(1));
    let said = done(&bench, "/api/v1/feedback", range(json!({"label": "false_alarm"}))).await;
    assert_eq!(said["num_series"], json!(1));
    let missed =
        done(&bench, "/api/v1/missed", range(json!({"direction": "drop", "comment": "payment broke"}))).await;
    assert_eq!((&missed["what"], &missed["num_unlearned"]), (&json!("missed"), &json!(1)));
    let why = "/api/v1/explain?monitor=shop&measure=orders&slice.country=FR&time=2026-03-10T09:30:00Z";
    let why = bench.get(why).await.json();
    assert!(why["held_back"].to_string().contains("reported as missed"), "{why}");
    let listed = bench.get("/api/v1/monitors/shop/feedback").await.json();
    let what: Vec<&Value> = listed["feedback"].as_array().unwrap().iter().map(|row| &row["what"]).collect();
    assert_eq!(what, [&json!("missed"), &json!("feedback")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_window_can_be_explained() {
    let bench = Bench::with_history().await;
    let why =
        async |query: &str| bench.get(&format!("/api/v1/explain?monitor=shop&measure=orders&{query}")).await;
    let flagged = why("slice.country=DE&time=2026-03-22T21:10:00Z").await.json();
    assert_eq!((&flagged["flagged"], &flagged["value"]), (&json!(true), &json!(0.0)));
    assert!(flagged["text"].as_str().unwrap().starts_with("0 came where"), "{flagged}");
    let quiet = why("slice.country=FR&time=2026-03-15T12:00:00Z").await.json();
    assert_eq!((&quiet["flagged"], &quiet["from"]), (&json!(false), &json!("2026-03-15T12:00:00Z")));
    assert!(!quiet["comparisons"].as_array().unwrap().is_empty());
    let early = why("slice.country=FR&time=2026-03-02T03:00:00Z").await.json();
    assert!(early["text"].as_str().unwrap().contains("warms up"), "{early}");
    let severity = flagged["severity"].as_f64().unwrap();
    let observed = "/api/v1/monitors/shop/observations?measure=orders&slice.country=DE&from=2026-03-22T21:00:00Z&limit=1";
    let observed = bench.get(observed).await.json();
    assert_eq!(observed["observations"][0]["severity"].as_f64().unwrap(), severity);
    assert_eq!(why("time=2030-01-01T00:00:00Z").await.status, StatusCode::NOT_FOUND);
    assert!(why("time=noon").await.error().starts_with("parameter `time` is `noon`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_entered_shown_and_taken_back() {
    let bench = Bench::with_history().await;
    let sale = json!({
        "name": "spring sale", "kind": "promotion", "from": "2026-03-20T00:00:00Z", "to": "2026-03-21T00:00:00Z",
        "scope": {"country": ["FR"]}, "uplift": 1.5,
    });
    let entered = done(&bench, "/api/v1/monitors/shop/events", sale).await;
    let calendar = "/api/v1/monitors/shop/calendar?from=2026-03-19T00:00:00Z&to=2026-03-23T00:00:00Z";
    let listed = bench.get(calendar).await.json();
    assert_eq!(
        (&listed["times"][0]["origin"], &listed["times"][0]["number"]),
        (&json!("entered"), &entered["number"])
    );
    let drawn = async |country: &str| {
        let path =
            format!("/api/v1/monitors/shop/observations?measure=orders&slice.country={country}&limit=72");
        bench.get(&path).await.json()["events"].as_array().unwrap().len()
    };
    assert_eq!((drawn("FR").await, drawn("DE").await), (1, 0));
    let outage = json!({
        "name": "move", "kind": "outage", "from": "2026-03-12T00:00:00Z", "to": "2026-03-12T06:00:00Z",
    });
    let outage = done(&bench, "/api/v1/monitors/shop/events", outage).await;
    assert_eq!(outage["num_unlearned"], json!(6), "two measures of three slices");
    let path = format!("/api/v1/monitors/shop/events/{}", entered["number"]);
    let removed = bench.ask(Method::DELETE, &path, &json!({})).await;
    assert_eq!(removed.status, StatusCode::OK, "{}", removed.text);
    assert_eq!(drawn("FR").await, 0);
    assert_eq!(bench.ask(Method::DELETE, &path, &json!({})).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_refused_by_name() {
    let bench = Bench::with_history().await;
    let id = outage(&bench).await["id"].as_str().unwrap().to_owned();
    let of = |what: &str| format!("/api/v1/incidents/{id}/{what}");
    let events = "/api/v1/monitors/shop/events".to_owned();
    let cases = [
        (of("feedback"), json!({}), 400, "`label` is missing"),
        (of("feedback"), json!({"label": "wrong"}), 400, "`label` is `wrong`; it must be one of confirmed"),
        (of("feedback"), json!({"label": "expected", "scope": "all"}), 400, "`scope` is `all`"),
        (of("feedback"), json!({"lable": "expected"}), 400, "the body cannot be read: unknown field `lable`"),
        (
            of("feedback"),
            json!({"label": "confirmed", "expires_at": "2030-01-01T00:00:00Z"}),
            400,
            "`expires_at` means nothing with the label `confirmed`",
        ),
        (
            of("feedback"),
            json!({"label": "expected", "expires_at": "2020-01-01T00:00:00Z"}),
            400,
            "it would have expired before the next window",
        ),
        (of("mute"), json!({}), 400, "the body must hold one of `until`"),
        (of("note"), json!({"text": " "}), 400, "`text` is missing"),
        (of("note"), json!({"text": "x".repeat(4001)}), 400, "`text` has 4001 characters; at most 4000"),
        (
            "/api/v1/incidents/shop-99/acknowledge".to_owned(),
            json!({}),
            404,
            "there is no incident `shop-99`",
        ),
        ("/api/v1/missed".to_owned(), json!({"monitor": "shop"}), 400, "parameter `measure` is missing"),
        (events.clone(), json!({"kind": "party"}), 400, "`from` is missing"),
        (
            events,
            json!({"name": "x", "kind": "party", "from": "2026-03-20T00:00:00Z", "to": "2026-03-21T00:00:00Z"}),
            400,
            "`kind` is `party`; it must be one of holiday",
        ),
    ];
    for (path, body, status, error) in cases {
        let answer = ask(&bench, &path, body.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{path} {body}: {}", answer.text);
        assert!(answer.error().starts_with(error), "{path} {body}: {}", answer.error());
    }
    let plain = bench.send(axum::http::Request::post(of("acknowledge")).body("{}".into()).unwrap()).await;
    assert_eq!(plain.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "a form elsewhere cannot ask");
}
