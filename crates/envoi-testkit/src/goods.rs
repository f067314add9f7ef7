use std::borrow::Cow;

use bytes::Bytes;
use envoi_core::{BoxError, DiscardReason, Durable, Itemized, Lane, Payload, Weight};
use serde_json::{Value, json};

use crate::{DropToken, Drops};

/// The category of [`Goods`]: any word.
pub type GoodsCategory = Cow<'static, str>;

/// One item of [`Goods`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GoodsItem {
    /// What it is counted under.
    pub category: GoodsCategory,
    /// How many it counts for.
    pub quantity: u64,
    /// How many bytes it weighs.
    pub bytes: usize,
}

/// A payload for tests of delivery layers and queues: items by category, without a protocol.
///
/// ```
/// use envoi_core::{Itemized, Lane, Payload};
/// use envoi_testkit::Goods;
/// let mut goods = Goods::new("error").and("attachment", 3).with_lane(Lane::Critical).with_id("a");
/// assert_eq!(goods.weight().items, 2);
/// let mut lost = Vec::new();
/// goods.shed(&mut |category| category == "attachment", &mut |category, quantity| lost.push((category.clone(), quantity)));
/// assert_eq!(lost, [("attachment".into(), 3)]);
/// assert!(!goods.is_spent());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Goods {
    id: Option<String>,
    lane: Lane,
    items: Vec<GoodsItem>,
    carried: Vec<(DiscardReason, GoodsCategory, u64)>,
    token: Option<DropToken>,
}

impl Goods {
    /// One item of 100 bytes, counted once, in the medium lane.
    #[must_use]
    pub fn new(category: impl Into<GoodsCategory>) -> Self {
        Self::default().and(category, 1)
    }

    /// Nothing: a spent payload.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Adds an item of 100 bytes that counts for `quantity`.
    #[must_use]
    pub fn and(self, category: impl Into<GoodsCategory>, quantity: u64) -> Self {
        self.and_item(category, quantity, 100)
    }

    /// Adds an item.
    #[must_use]
    pub fn and_item(mut self, category: impl Into<GoodsCategory>, quantity: u64, bytes: usize) -> Self {
        self.items.push(GoodsItem { category: category.into(), quantity, bytes });
        self
    }

    /// Names the payload: [`Payload::id`].
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Chooses the lane.
    #[must_use]
    pub fn with_lane(mut self, lane: Lane) -> Self {
        self.lane = lane;
        self
    }

    /// Makes the payload carry the news of a loss, as a client report does: [`Itemized::carried_losses`].
    #[must_use]
    pub fn carrying(
        mut self,
        reason: DiscardReason,
        category: impl Into<GoodsCategory>,
        quantity: u64,
    ) -> Self {
        self.carried.push((reason, category.into(), quantity));
        self
    }

    /// Lets `drops` see when the payload is dropped.
    #[must_use]
    pub fn tracked(mut self, drops: &Drops) -> Self {
        self.token = Some(drops.token());
        self
    }

    /// The items that are left.
    #[must_use]
    pub fn items(&self) -> &[GoodsItem] {
        &self.items
    }
}

/// Equal in content; whether they are tracked does not matter.
impl PartialEq for Goods {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
            && self.lane == other.lane
            && self.items == other.items
            && self.carried == other.carried
    }
}

impl Payload for Goods {
    fn weight(&self) -> Weight {
        Weight { items: self.items.len().max(1), bytes: self.items.iter().map(|item| item.bytes).sum() }
    }

    fn lane(&self) -> Lane {
        self.lane
    }

    fn id(&self) -> Option<Cow<'_, str>> {
        self.id.as_deref().map(Cow::Borrowed)
    }
}

impl Itemized for Goods {
    type Category = GoodsCategory;

    fn tally(&self, visit: &mut dyn FnMut(&GoodsCategory, u64)) {
        for item in &self.items {
            visit(&item.category, item.quantity);
        }
    }

    fn shed(
        &mut self,
        limited: &mut dyn FnMut(&GoodsCategory) -> bool,
        lost: &mut dyn FnMut(&GoodsCategory, u64),
    ) {
        self.items.retain(|item| {
            let keep = !limited(&item.category);
            if !keep {
                lost(&item.category, item.quantity);
            }
            keep
        });
    }

    fn clear(&mut self, lost: &mut dyn FnMut(&GoodsCategory, u64)) {
        self.shed(&mut |_| true, lost);
        self.carried.clear();
    }

    /// A report of its own has no items, and no category to be held by (RL-9).
    fn is_held(&self, limited: &mut dyn FnMut(&GoodsCategory) -> bool) -> bool {
        !self.items.is_empty() && self.items.iter().all(|item| limited(&item.category))
    }

    fn holders(&self, visit: &mut dyn FnMut(&[GoodsCategory])) -> bool {
        for item in &self.items {
            visit(std::slice::from_ref(&item.category));
        }
        true
    }

    fn is_spent(&self) -> bool {
        self.items.is_empty() && self.carried.is_empty()
    }

    fn carried_losses(&self, visit: &mut dyn FnMut(DiscardReason, &GoodsCategory, u64)) {
        for (reason, category, quantity) in &self.carried {
            visit(reason.clone(), category, *quantity);
        }
    }
}

/// As JSON. Carried losses and drop tracking do not rest on disk: reports are never persisted (decision 14).
impl Durable for Goods {
    fn freeze(&self) -> Result<Bytes, BoxError> {
        let items: Vec<Value> =
            self.items.iter().map(|item| json!([item.category, item.quantity, item.bytes])).collect();
        Ok(json!({ "id": self.id, "lane": self.lane.as_str(), "items": items }).to_string().into())
    }

    fn thaw(bytes: Bytes) -> Result<Self, BoxError> {
        let frozen: Value = serde_json::from_slice(&bytes)?;
        let lane = Lane::ALL
            .into_iter()
            .find(|lane| frozen["lane"] == lane.as_str())
            .ok_or("frozen goods without a known lane")?;
        let mut goods = Self { id: frozen["id"].as_str().map(str::to_owned), lane, ..Self::default() };
        for item in frozen["items"].as_array().ok_or("frozen goods without items")? {
            let (Some(category), Some(quantity), Some(bytes)) =
                (item[0].as_str(), item[1].as_u64(), item[2].as_u64())
            else {
                return Err("an item of frozen goods is not [category, quantity, bytes]".into());
            };
            goods = goods.and_item(category.to_owned(), quantity, usize::try_from(bytes)?);
        }
        Ok(goods)
    }

    /// A report of its own is not (decision 21).
    fn is_worth_storing(&self) -> bool {
        !self.items.is_empty() || self.carried.is_empty()
    }
}
