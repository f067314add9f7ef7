use envoi_core::BoxError;
use http::Uri;
use hyper::rt::{Read, Write};
use hyper_util::client::legacy::connect::Connection;
use tower_service::Service;

/// A connector: the service at the connect level, one connection for an address. Implemented by every fitting
/// [`Service`]; never by hand.
pub trait Connect:
    Service<
        Uri,
        Response: Read + Write + Connection + Unpin + Send + 'static,
        Error: Into<BoxError>,
        Future: Unpin + Send,
    > + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Connect for S where
    S: Service<
            Uri,
            Response: Read + Write + Connection + Unpin + Send + 'static,
            Error: Into<BoxError>,
            Future: Unpin + Send,
        > + Clone
        + Send
        + Sync
        + 'static
{
}
