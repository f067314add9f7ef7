use envoi_core::{Fault, Segments};
use envoi_http::client::{Resend, TcpConnector};
use envoi_http::tls::{CaBundle, Identity, Tls, TlsConfig, TlsLayer};
use envoi_http::{HttpClient, classify};
use envoi_testkit::ingest::{IngestServer, Summary};
use envoi_testkit::tls::{Authority, Certificate, ServerTls};
use http::{Request, Response};
use hyper::body::Incoming;
use tower::{Layer, ServiceExt};

pub(crate) type Client = HttpClient<Tls<TcpConnector>>;

pub(crate) const ENVELOPE: &str =
    "{\"event_id\":\"9ec79c33ec9942ab8353589fcb2e04dc\"}\n{\"type\":\"event\"}\n{}\n";

/// Believes this authority and nobody else.
pub(crate) fn trusting(authority: &Authority) -> TlsConfig {
    TlsConfig::new().only_ca(CaBundle::from_pem(authority.pem()).unwrap())
}

pub(crate) fn identity(certificate: &Certificate) -> Identity {
    Identity::from_pem(certificate.pem(), certificate.key_pem()).unwrap()
}

pub(crate) fn client(config: &TlsConfig) -> Client {
    let connector = TlsLayer::new(config).unwrap().layer(TcpConnector::new().any_scheme());
    HttpClient::builder().connector(connector).resend(Resend::Stale).build()
}

pub(crate) async fn server(tls: ServerTls) -> IngestServer {
    IngestServer::builder().tls(tls).start().await.unwrap()
}

pub(crate) fn request(server: &IngestServer) -> Request<Segments> {
    to(&server.url())
}

pub(crate) fn to(url: &str) -> Request<Segments> {
    Request::post(url)
        .header("content-type", "application/x-sentry-envelope")
        .header("x-sentry-auth", "Sentry sentry_version=7, sentry_client=test/1, sentry_key=key")
        .header("user-agent", "test/1")
        .body(ENVELOPE.into())
        .unwrap()
}

pub(crate) async fn send(client: &Client, server: &IngestServer) -> Result<Response<Incoming>, Fault> {
    client.clone().oneshot(request(server)).await.map_err(|error| classify(error.into()))
}

/// Sends to a server with this setup, which must fail, and says how.
pub(crate) async fn failure(config: &TlsConfig, tls: ServerTls) -> (Fault, Summary) {
    let server = server(tls).await;
    let fault = send(&client(config), &server).await.expect_err("the handshake must fail");
    (fault, server.shutdown().await)
}
