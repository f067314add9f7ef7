use std::convert::Infallible;

use envoi_testkit::contract::Contract;
use http::{HeaderMap, HeaderValue, Request};
use tower::{ServiceBuilder, ServiceExt, service_fn};

use super::ExtraHeadersLayer;

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.append("x-a", HeaderValue::from_static("1"));
    headers.append("x-a", HeaderValue::from_static("2"));
    headers
}

/// AU-5: headers are set as given; what was there under the same name is replaced, the rest stays.
#[tokio::test]
async fn headers_replace_their_namesakes() {
    let service = ServiceBuilder::new()
        .layer(ExtraHeadersLayer::new(headers()))
        .service(service_fn(|request: Request<()>| async move { Ok::<_, Infallible>(request) }));
    let request = Request::builder().header("x-a", "0").header("x-b", "kept").body(()).unwrap();
    let seen = service.oneshot(request).await.unwrap();
    assert_eq!(seen.headers().get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(seen.headers()["x-b"], "kept");
}

#[tokio::test(start_paused = true)]
async fn the_layer_keeps_the_contract() {
    let layer = ExtraHeadersLayer::new(headers());
    Contract::exchange(layer).run().await.unwrap();
}
