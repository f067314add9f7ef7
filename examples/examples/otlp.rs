//! Traces and logs of the OpenTelemetry crates, sent to the OTLP endpoints of a Sentry project through our stack: the
//! credentials of a DSN, compression, retries and a circuit breaker.
//!
//! ```console
//! $ cargo run -p envoi-examples --example otlp
//! ```
#![allow(clippy::unwrap_used, reason = "the embedded server is that of the tests")]

use std::error::Error;
use std::time::Duration;

use envoi::Dsn;
use envoi::http::{AuthLayer, CompressLayer, EncodeLayer, HeaderAuth, HttpClient, Policy};
use envoi::layers::breaker::{BreakerConfig, BreakerLayer};
use envoi::layers::retry::{RetryLayer, Schedule};
use envoi_opentelemetry::{Background, OtlpClient, OtlpCodec};
use http::{HeaderName, Response};
use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::trace::{Tracer, TracerProvider};
use opentelemetry_otlp::{LogExporter, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tower::ServiceBuilder;

// The embedded server: it takes OTLP and keeps it.
#[path = "../../crates/envoi-opentelemetry/tests/otlp/sink.rs"]
mod sink;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let server = sink::Sink::start()?;
    let dsn = Dsn::parse(&server.url("/42").replace("://", "://public@"))?;
    // Where a project takes OTLP.
    let endpoint = |signal: &str| {
        let envelopes = dsn.envelope_url().to_string();
        envelopes.replace("/envelope/", &format!("/integration/otlp/v1/{signal}"))
    };

    let auth = HeaderAuth::new(HeaderName::from_static("x-sentry-auth"), dsn.auth_header("my-app/1.0"));
    let breaker = BreakerLayer::new(BreakerConfig::new());
    let stack = ServiceBuilder::new()
        // delivery: Parcel<OtlpRequest> -> Receipt
        .layer(breaker.clone())
        .layer(RetryLayer::new(Schedule::brief()))
        .layer(EncodeLayer::new(OtlpCodec).policy(Policy::at_least_once()))
        // exchange: http::Request -> http::Response
        .timeout(Duration::from_secs(10))
        .layer(AuthLayer::new(auth))
        .layer(CompressLayer::gzip())
        .service(HttpClient::new_http());
    let client = OtlpClient::delivery(stack, Background::spawn()?);

    // The stack retries, so the exporters need not.
    let once = || RetryPolicy::default().with_max_retries(0);
    let spans = SpanExporter::builder().with_http().with_http_client(client.clone());
    let spans = spans.with_endpoint(endpoint("traces")).with_retry_policy(once()).build()?;
    let logs = LogExporter::builder().with_http().with_http_client(client);
    let logs = logs.with_endpoint(endpoint("logs")).with_retry_policy(once()).build()?;
    let tracers = SdkTracerProvider::builder().with_batch_exporter(spans).build();
    let loggers = SdkLoggerProvider::builder().with_batch_exporter(logs).build();

    // The server is busy at first.
    server.answer([Response::builder().status(503).header("retry-after", "0").body("busy".into())?]);
    tracers.tracer("example").in_span("checkout", |_| {
        let logger = loggers.logger("example");
        let mut record = logger.create_log_record();
        record.set_severity_number(Severity::Warn);
        record.set_body(AnyValue::from("the cart was empty"));
        logger.emit(record);
    });
    tracers.shutdown()?;
    loggers.shutdown()?;

    let requests = server.requests();
    for (head, body) in &requests {
        println!("{} {}: {} bytes of protobuf", head.method, head.uri.path(), body.len());
        assert!(head.headers["x-sentry-auth"].to_str()?.contains("sentry_key=public"));
    }
    let holds = |path: &str, words: &str| {
        let mut bodies = requests.iter().filter(|(head, _)| head.uri.path() == path).map(|(_, body)| body);
        bodies.any(|body| body.windows(words.len()).any(|window| window == words.as_bytes()))
    };
    assert!(holds("/api/42/integration/otlp/v1/traces", "checkout"));
    assert!(holds("/api/42/integration/otlp/v1/logs", "the cart was empty"));
    assert_eq!(requests.len(), 3, "two, and one again");
    println!("the circuit is {:?}", breaker.state());
    Ok(())
}
