use crate::Reply;

/// What became of a parcel whose responsibility was discharged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fate {
    /// The receiver confirmed it.
    Delivered,
    /// A queue holds it in memory and will answer for it.
    Queued,
    /// A durable store holds it and will answer for it.
    Stored,
    /// Nothing was left to deliver: every item was dropped on the way and recorded where it was dropped. No
    /// request was made.
    Spent,
}

/// The answer to a delivery: somebody else is responsible now.
#[derive(Debug)]
#[must_use = "a receipt says what became of the parcel"]
pub struct Receipt {
    fate: Fate,
    reply: Option<Box<Reply>>,
}

impl Receipt {
    /// A receipt without a reply.
    pub const fn new(fate: Fate) -> Self {
        Self { fate, reply: None }
    }

    /// The receiver has it.
    pub const fn delivered() -> Self {
        Self::new(Fate::Delivered)
    }

    /// Adds what the receiver said (TR-6).
    pub fn with_reply(mut self, reply: Reply) -> Self {
        self.reply = Some(Box::new(reply));
        self
    }

    /// What became of the parcel.
    #[must_use]
    pub const fn fate(&self) -> Fate {
        self.fate
    }

    /// What the receiver said, if a receiver was reached.
    #[must_use]
    pub fn reply(&self) -> Option<&Reply> {
        self.reply.as_deref()
    }

    /// The reply by value.
    #[must_use]
    pub fn into_reply(self) -> Option<Reply> {
        self.reply.map(|reply| *reply)
    }
}
