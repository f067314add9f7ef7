//! Traces and logs, through the batch processors of the SDK.

use std::time::Duration;

use envoi_http::{AuthLayer, CompressLayer, EncodeLayer, HttpClient, Policy, bearer};
use envoi_layers::breaker::{BreakerConfig, BreakerLayer, BreakerState};
use envoi_layers::retry::{RetryLayer, Schedule};
use envoi_opentelemetry::{Background, OtlpClient, OtlpCodec};
use http::Response;
use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::trace::{Tracer, TracerProvider};
use opentelemetry_otlp::{LogExporter, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use prost::Message;
use tower::ServiceBuilder;

use crate::sink::Sink;

fn tracers(client: &OtlpClient, sink: &Sink) -> SdkTracerProvider {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client.clone())
        .with_endpoint(sink.url("/v1/traces"))
        .with_retry_policy(RetryPolicy::default().with_max_retries(0))
        .build()
        .unwrap();
    SdkTracerProvider::builder().with_batch_exporter(exporter).build()
}

fn loggers(client: &OtlpClient, sink: &Sink) -> SdkLoggerProvider {
    let exporter = LogExporter::builder()
        .with_http()
        .with_http_client(client.clone())
        .with_endpoint(sink.url("/v1/logs"))
        .with_retry_policy(RetryPolicy::default().with_max_retries(0))
        .build()
        .unwrap();
    SdkLoggerProvider::builder().with_batch_exporter(exporter).build()
}

fn log(provider: &SdkLoggerProvider, words: &str) {
    let logger = provider.logger("test");
    let mut record = logger.create_log_record();
    record.set_severity_number(Severity::Info);
    record.set_body(AnyValue::from(words.to_owned()));
    logger.emit(record);
}

/// The names of the spans and the words of the logs that arrived, each sorted.
fn arrived(sink: &Sink) -> (Vec<String>, Vec<String>) {
    let (mut spans, mut logs) = (Vec::new(), Vec::new());
    for (head, body) in sink.requests() {
        match head.uri.path() {
            "/v1/traces" => {
                for resource in ExportTraceServiceRequest::decode(body).unwrap().resource_spans {
                    let scopes = resource.scope_spans.into_iter();
                    spans.extend(scopes.flat_map(|scope| scope.spans).map(|span| span.name));
                }
            }
            "/v1/logs" => {
                for resource in ExportLogsServiceRequest::decode(body).unwrap().resource_logs {
                    for record in resource.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
                        let Some(Value::StringValue(words)) = record.body.and_then(|body| body.value) else {
                            panic!("a log without words")
                        };
                        logs.push(words);
                    }
                }
            }
            other => panic!("{other}"),
        }
    }
    spans.sort();
    logs.sort();
    (spans, logs)
}

/// AU-8, CO-1: traces and logs of the real exporters, from their own threads, with our credentials and our compression.
#[test]
fn traces_and_logs_arrive_over_an_exchange() {
    let sink = Sink::start().unwrap();
    let exchange = ServiceBuilder::new()
        .layer(AuthLayer::new(bearer("s3cret").unwrap()))
        .layer(CompressLayer::gzip())
        .service(HttpClient::new_http());
    let client = OtlpClient::exchange(exchange, Background::spawn().unwrap());
    let (tracers, loggers) = (tracers(&client, &sink), loggers(&client, &sink));
    for number in 0..50 {
        tracers
            .tracer("test")
            .in_span(format!("span {number:02}"), |_| log(&loggers, &format!("log {number:02}")));
    }
    tracers.force_flush().unwrap();
    loggers.force_flush().unwrap();
    let (spans, logs) = arrived(&sink);
    assert_eq!(spans, (0..50).map(|number| format!("span {number:02}")).collect::<Vec<_>>());
    assert_eq!(logs, (0..50).map(|number| format!("log {number:02}")).collect::<Vec<_>>());
    for (head, _) in sink.requests() {
        assert_eq!(head.headers["authorization"], "Bearer s3cret");
        assert_eq!(head.headers["content-type"], "application/x-protobuf");
        assert_eq!(head.headers["content-encoding"], "gzip");
    }
    tracers.shutdown().unwrap();
    loggers.shutdown().unwrap();
}

/// BD-2: a server that fails once is tried again by our layer, and the exporter never knows; one that goes on failing
/// gives the exporter its own status.
#[test]
fn retries_are_those_of_the_stack() {
    let sink = Sink::start().unwrap();
    let failing = || Response::builder().status(503).body(Default::default()).unwrap();
    let schedule = Schedule::brief().base(Duration::from_millis(1));
    let stack = ServiceBuilder::new()
        .layer(RetryLayer::new(schedule))
        .layer(EncodeLayer::new(OtlpCodec).policy(Policy::at_least_once()))
        .timeout(Duration::from_secs(10))
        .service(HttpClient::new_http());
    let client = OtlpClient::delivery(stack, Background::spawn().unwrap());
    let loggers = loggers(&client, &sink);
    sink.answer([failing(), failing()]);
    log(&loggers, "the third time");
    loggers.force_flush().unwrap();
    assert_eq!(arrived(&sink).1, ["the third time"; 3]);
    sink.answer([failing(), failing(), failing()]);
    log(&loggers, "in vain");
    let error = loggers.force_flush().unwrap_err();
    assert!(error.to_string().contains("503"), "{error}");
    assert_eq!(sink.requests().len(), 6);
}

/// BD-4: a receiver that goes on failing is left alone: the exporter is refused without a request.
#[test]
fn an_open_breaker_spares_the_server() {
    let sink = Sink::start().unwrap();
    let breaker = BreakerLayer::new(BreakerConfig::new().failures(2));
    let stack = ServiceBuilder::new()
        .layer(breaker.clone())
        .layer(EncodeLayer::new(OtlpCodec).policy(Policy::at_least_once()))
        .service(HttpClient::new_http());
    let client = OtlpClient::delivery(stack, Background::spawn().unwrap());
    let tracers = tracers(&client, &sink);
    sink.answer((0..2).map(|_| Response::builder().status(502).body(Default::default()).unwrap()));
    for _ in 0..4 {
        tracers.tracer("test").in_span("span", |_| {});
        assert!(tracers.force_flush().is_err());
    }
    assert!(matches!(breaker.state(), BreakerState::Open { .. }));
    assert_eq!(sink.requests().len(), 2);
}

/// TR-1: the application's runtime serves as well as a thread of our own.
#[test]
fn the_runtime_of_the_application_serves_too() {
    let sink = Sink::start().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = OtlpClient::exchange(HttpClient::new_http(), runtime.handle().clone());
    let tracers = tracers(&client, &sink);
    tracers.tracer("test").in_span("only", |_| {});
    tracers.shutdown().unwrap();
    assert_eq!(arrived(&sink).0, ["only"]);
}
