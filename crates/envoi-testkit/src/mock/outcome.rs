use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use envoi_core::{Advice, Failure, Fate, Fault, Kind, Parcel, Receipt, Reply};

/// One step of a [`MockDeliver`](super::MockDeliver).
#[derive(Clone)]
#[must_use = "an outcome is given to a script"]
pub struct Outcome {
    delay: Duration,
    what: What,
}

#[derive(Clone)]
enum What {
    Receipt(Fate, Option<Reply>),
    Failure { fault: Arc<dyn Fn() -> Fault + Send + Sync>, with_parcel: bool },
    Never,
    Panic,
}

impl Outcome {
    const fn new(what: What) -> Self {
        Self { delay: Duration::ZERO, what }
    }

    /// A receipt: the mock takes the parcel and drops it.
    pub const fn receipt(fate: Fate) -> Self {
        Self::new(What::Receipt(fate, None))
    }

    /// The receiver has it.
    pub const fn delivered() -> Self {
        Self::receipt(Fate::Delivered)
    }

    /// A receipt with what the receiver said.
    pub const fn replied(reply: Reply) -> Self {
        Self::new(What::Receipt(Fate::Delivered, Some(reply)))
    }

    /// A failure of this kind, with the usual advice, that hands the parcel back.
    pub fn failure(kind: Kind) -> Self {
        Self::fault(move || Fault::new(kind))
    }

    /// A failure of this kind, with this advice, that hands the parcel back.
    pub fn advised(kind: Kind, advice: Advice) -> Self {
        Self::fault(move || Fault::new(kind).with_advice(advice))
    }

    /// A failure with any fault, that hands the parcel back.
    pub fn fault(fault: impl Fn() -> Fault + Send + Sync + 'static) -> Self {
        Self::new(What::Failure { fault: Arc::new(fault), with_parcel: true })
    }

    /// No answer, ever. The parcel is held until the future is dropped.
    pub const fn never() -> Self {
        Self::new(What::Never)
    }

    /// A panic, when the future is polled.
    pub const fn panic() -> Self {
        Self::new(What::Panic)
    }

    /// Makes a failure lose the parcel, as a foreign layer may.
    pub fn losing_the_parcel(mut self) -> Self {
        if let What::Failure { with_parcel, .. } = &mut self.what {
            *with_parcel = false;
        }
        self
    }

    /// Answers only after this, of tokio's time.
    pub const fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    #[expect(clippy::panic, reason = "the script asks for it")]
    pub(super) async fn play<P>(self, parcel: Parcel<P>) -> Result<Receipt, Failure<P>> {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        match self.what {
            What::Receipt(fate, reply) => {
                let receipt = Receipt::new(fate);
                Ok(match reply {
                    Some(reply) => receipt.with_reply(reply),
                    None => receipt,
                })
            }
            What::Failure { fault, with_parcel: true } => Err(Failure::new(fault(), parcel)),
            What::Failure { fault, with_parcel: false } => Err(Failure::without_parcel(fault())),
            What::Never => std::future::pending().await,
            What::Panic => panic!("scripted panic"),
        }
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what: &dyn fmt::Debug = match &self.what {
            What::Receipt(fate, _) => fate,
            What::Failure { fault, .. } => &fault().kind(),
            What::Never => &"never",
            What::Panic => &"panic",
        };
        f.debug_struct("Outcome").field("what", what).field("delay", &self.delay).finish()
    }
}
