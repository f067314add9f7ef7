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
