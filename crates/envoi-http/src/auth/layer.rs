use std::fmt;

use envoi_core::Fault;
use http::request::Parts;
use tower_layer::Layer;

use super::Auth;

/// Puts credentials on a request.
pub trait Authorize: Clone {
    /// Changes the head of one request. Called once per attempt, must not block.
    ///
    /// # Errors
    /// When there are no credentials now. The request is not sent, and the fault goes up as it is: its kind and
    /// advice are yours to choose ([`Kind::Unauthorized`](envoi_core::Kind::Unauthorized) may switch the
    /// transport off for good, BD-5).
    fn authorize(&self, parts: &mut Parts) -> Result<(), Fault>;
}

/// The [`Layer`](tower_layer::Layer) of [`Auth`]. See the module documentation.
#[derive(Clone)]
pub struct AuthLayer<A> {
    authorize: A,
}

impl<A> AuthLayer<A> {
    /// Authorizes every request with `authorize`.
    #[must_use]
    pub const fn new(authorize: A) -> Self {
        Self { authorize }
    }
}

// Not derived: `A` may hold a secret and be careless about it (AU-7).
impl<A> fmt::Debug for AuthLayer<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthLayer").finish_non_exhaustive()
    }
}

impl<S, A: Clone> Layer<S> for AuthLayer<A> {
    type Service = Auth<S, A>;

    fn layer(&self, inner: S) -> Self::Service {
        Auth::new(inner, self.authorize.clone())
    }
}
