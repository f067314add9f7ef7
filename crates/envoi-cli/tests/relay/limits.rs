//! Rate limits of the upstream: per DSN, handed on to clients, and accounted for.

use envoi::DataCategory;
use envoi::DiscardReason;
use envoi_testkit::ingest::{IngestServer, Step};
use http::{HeaderName, HeaderValue};

use crate::client::{Relay, STUCK, event, post};

fn limiting(value: &'static str) -> Step {
    Step::judge().header(HeaderName::from_static("x-sentry-rate-limits"), HeaderValue::from_static(value))
}

/// RL-1, RL-8, RL-12, CR-3: clients are told the limits with every answer; what is limited as a whole is answered 429, so that
/// the client does not report it, and the relay does; the rest of an envelope goes on.
#[tokio::test]
async fn limits_are_handed_on_and_what_they_cost_is_reported() {
    let server = IngestServer::start().await.unwrap();
    server.script([limiting("600:error;default:organization:quota")]);
    let relay = Relay::start(&["--upstream", &server.dsn()]).await;
    assert_eq!(relay.post(event(1)).await.status, 200);
    server.wait_for(1, STUCK).await.unwrap();
    relay.until(|status| status["destinations"][0]["limits"][0]["category"] == "error").await;

    let refused = relay.post(event(2)).await;
    assert_eq!(refused.status, 429, "{refused:?}");
    assert!(refused.header("x-sentry-rate-limits").unwrap().ends_with(":error:key"), "{refused:?}");
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((500..=600).contains(&seconds));

    let both = "{}\n{\"type\":\"event\"}\n{}\n{\"type\":\"session\"}\n{\"sid\":\"1\"}\n";
    let taken = relay.post(both).await;
    assert_eq!(taken.status, 200, "{taken:?}");
    assert!(taken.header("x-sentry-rate-limits").is_some());
    let arrived = server.wait_for(2, STUCK).await.unwrap();
    let types: Vec<_> = arrived[1].items().iter().map(|item| item.item_type().as_str()).collect();
    assert_eq!(types, ["session", "client_report"]);
    let (run, summary) = relay.stop().await;
    assert_eq!(run.code, 0, "{summary}");
    let reported = server.reported_losses();
    assert_eq!(reported[&(DiscardReason::RatelimitBackoff, DataCategory::Error)], 2);
    let errors = summary["ledger"].as_array().unwrap().iter().find(|row| row["category"] == "error").unwrap();
    assert_eq!((&errors["posted"], &errors["delivered"]), (&3.into(), &1.into()), "{errors}");
}

/// RL-7: a limit on one key is not one on another.
#[tokio::test]
async fn limits_are_kept_per_dsn() {
    let server = IngestServer::start().await.unwrap();
    server.on_request(|_, head| {
        let auth = head.headers.get("x-sentry-auth").unwrap().to_str().unwrap();
        auth.contains("sentry_key=greedy").then(|| limiting("600::key"))
    });
    let host = format!("http://{}", server.address());
    let relay = Relay::start(&["--upstream", &host]).await;
    let send = async |key: &str, number| {
        let auth = format!("x-sentry-auth: Sentry sentry_key={key}");
        relay.send(post("/api/7/envelope/", &[&auth], event(number))).await
    };
    assert_eq!(send("greedy", 1).await.status, 200);
    assert_eq!(send("modest", 2).await.status, 200);
    server.wait_for(2, STUCK).await.unwrap();
    relay
        .until(|status| {
            let all = status["destinations"].as_array().unwrap();
            all.iter().any(|one| one["limits"].as_array().is_some_and(|limits| !limits.is_empty()))
        })
        .await;
    let refused = send("greedy", 3).await;
    assert_eq!((refused.status, refused.header("retry-after").is_some()), (429, true), "{refused:?}");
    let taken = send("modest", 4).await;
    assert_eq!((taken.status, taken.header("x-sentry-rate-limits")), (200, None), "{taken:?}");
    server.wait_for(3, STUCK).await.unwrap();
}

/// TR-7, CR-3: what the upstream refuses is shown in its own words, and reported.
#[tokio::test]
async fn refusals_are_shown_in_the_words_of_the_server() {
    let server = IngestServer::start().await.unwrap();
    let step = Step::reply(http::StatusCode::FORBIDDEN).header(
        HeaderName::from_static("x-sentry-error"),
        HeaderValue::from_static("no <b>such</b> project"),
    );
    server.script([step]);
    let relay = Relay::start(&["--upstream", &server.dsn()]).await;
    assert_eq!(relay.post(event(1)).await.status, 200, "the client has long gone");
    let status = relay.until(|status| status["destinations"][0]["troubles"][0]["status"] == 403).await;
    let message = status["destinations"][0]["troubles"][0]["message"].as_str().unwrap();
    assert!(message.contains("no <b>such</b> project"), "{message}");
    let page = relay.get("/").await.body;
    assert!(page.contains("no &lt;b&gt;such&lt;/b&gt; project"), "{page}");
    let (run, summary) = relay.stop().await;
    assert_eq!(run.code, 0, "{summary}");
    assert_eq!(server.reported_losses()[&(DiscardReason::SendError, DataCategory::Error)], 1);
}
