use super::*;

/// CR-7: switched off, reports are a no-op: nothing is attached, made or kept.
#[test]
fn unit_reports_nothing() {
    let mut payload = String::from("as it was");
    let off: Arc<dyn Reporter<String>> = Arc::new(());
    assert!(!off.is_pending());
    assert!(!off.attach(&mut payload));
    off.detach(&mut payload, true);
    assert!(off.standalone().is_none());
    assert_eq!(payload, "as it was");
    assert_eq!(size_of_val(&()), 0);
}
