use std::fmt;
use std::sync::Arc;

type Answer<Q, R, E> = dyn Fn(Q) -> Result<R, E> + Send + Sync;

/// What a [`Probe`](super::Probe) answers. Clones share the closures.
pub struct Answers<Q, R, E> {
    pub(super) answer: Arc<Answer<Q, R, E>>,
    pub(super) refuse: Arc<dyn Fn(Q) -> E + Send + Sync>,
    pub(super) down: Arc<dyn Fn() -> E + Send + Sync>,
}

impl<Q, R, E> Answers<Q, R, E> {
    /// Answers calls with `answer`, and readiness while the gate is failed with the error `down`. A refused call
    /// fails with `down` too, unless [`Answers::refusing`] says otherwise.
    #[must_use]
    pub fn new(
        answer: impl Fn(Q) -> Result<R, E> + Send + Sync + 'static,
        down: impl Fn() -> E + Send + Sync + 'static,
    ) -> Self
    where
        E: 'static,
    {
        let down: Arc<dyn Fn() -> E + Send + Sync> = Arc::new(down);
        Self {
            answer: Arc::new(answer),
            refuse: Arc::new({
                let down = Arc::clone(&down);
                move |_| down()
            }),
            down,
        }
    }

    /// The error of a refused call, made from its request.
    #[must_use]
    pub fn refusing(mut self, refuse: impl Fn(Q) -> E + Send + Sync + 'static) -> Self {
        self.refuse = Arc::new(refuse);
        self
    }
}

impl<Q, R, E> Clone for Answers<Q, R, E> {
    fn clone(&self) -> Self {
        Self {
            answer: Arc::clone(&self.answer),
            refuse: Arc::clone(&self.refuse),
            down: Arc::clone(&self.down),
        }
    }
}

impl<Q, R, E> fmt::Debug for Answers<Q, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").finish_non_exhaustive()
    }
}
