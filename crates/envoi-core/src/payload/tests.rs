use std::sync::Mutex;

use super::*;

/// TP-2: five lanes, 5:4:3:2:1, the most urgent first.
#[test]
fn lanes_are_ordered_by_urgency_with_falling_shares() {
    assert!(Lane::ALL.is_sorted_by(|one, next| one < next));
    for (position, lane) in Lane::ALL.into_iter().enumerate() {
        assert_eq!(lane.index(), position);
        assert_eq!(lane.default_weight() as usize, Lane::COUNT - position);
    }
    assert_eq!(Lane::ALL.map(Lane::as_str), ["critical", "high", "medium", "low", "lowest"]);
    assert_eq!(Lane::default(), Lane::Medium, "what has no better place");
}

/// A payload of lines, which carries the news that one other line was sampled out.
struct Lines(u64, bool);

impl Payload for Lines {
    fn weight(&self) -> Weight {
        Weight { items: 1, bytes: 1 }
    }
}

impl Itemized for Lines {
    type Category = &'static str;

    fn tally(&self, visit: &mut dyn FnMut(&&'static str, u64)) {
        visit(&"line", self.0);
    }

    fn shed(
        &mut self,
        limited: &mut dyn FnMut(&&'static str) -> bool,
        lost: &mut dyn FnMut(&&'static str, u64),
    ) {
        if limited(&"line") {
            lost(&"line", std::mem::take(&mut self.0));
        }
    }

    fn clear(&mut self, lost: &mut dyn FnMut(&&'static str, u64)) {
        self.shed(&mut |_| true, lost);
        self.1 = false;
    }

    fn is_held(&self, limited: &mut dyn FnMut(&&'static str) -> bool) -> bool {
        limited(&"line")
    }

    fn is_spent(&self) -> bool {
        self.0 == 0
    }

    fn carried_losses(&self, visit: &mut dyn FnMut(DiscardReason, &&'static str, u64)) {
        if self.1 {
            visit(DiscardReason::SampleRate, &"line", 1);
        }
    }
}

#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn write(&self, what: &str, reason: &DiscardReason, category: &str, quantity: u64) {
        self.0.lock().unwrap().push(format!("{what} {reason} {category} {quantity}"));
    }
}

impl LossSink<&'static str> for Told {
    fn lost(&self, reason: DiscardReason, category: &&'static str, quantity: u64) {
        self.write("lost", &reason, category, quantity);
    }

    fn restore(&self, reason: DiscardReason, category: &&'static str, quantity: u64) {
        self.write("restored", &reason, category, quantity);
    }
}

/// CR-1, CR-6: whoever destroys a payload records its items once and puts back, once, the losses that it carried.
#[test]
fn a_discarded_payload_is_recorded_once_and_carried_losses_are_put_back() {
    let told = Told::default();
    let mut lines = Lines(3, true);
    lines.discard(DiscardReason::BeforeSend, &told);
    assert!(lines.is_spent());
    lines.carried_losses(&mut |_, _, _| unreachable!("they were put back"));
    assert_eq!(*told.0.lock().unwrap(), ["restored sample_rate line 1", "lost before_send line 3"]);
}
