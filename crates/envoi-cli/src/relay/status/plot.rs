//! Throughput as a small plot: one inline SVG, coloured by the style sheet.

use std::fmt::Write;

use super::history::SAMPLES;
use super::view::RateView;

const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 120.0;
/// Room for the line at its peak.
const MARGIN: f64 = 6.0;

/// The plot and its words.
pub(super) fn plot(rates: &[RateView], interval_seconds: u64) -> String {
    let peak = rates.iter().flat_map(|rate| [rate.accepted, rate.forwarded]).fold(0.0, f64::max);
    let minutes = (rates.len() as u64 * interval_seconds).div_ceil(60);
    let (accepted, forwarded) = rates.last().map_or((0.0, 0.0), |rate| (rate.accepted, rate.forwarded));
    let mut svg = String::new();
    // Writing to a string does not fail.
    let _ = write!(
        svg,
        "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"Envelopes per second over the last {minutes} min: {accepted:.1} accepted and {forwarded:.1} \
         forwarded now, {peak:.1} at most\">"
    );
    if rates.len() > 1 {
        line(&mut svg, "accepted", rates, peak, |rate| rate.accepted);
        line(&mut svg, "forwarded", rates, peak, |rate| rate.forwarded);
    }
    svg.push_str("</svg>");
    svg
}

/// Positions of 150 samples are far from where a float has gaps.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn line(svg: &mut String, class: &str, rates: &[RateView], peak: f64, of: impl Fn(&RateView) -> f64) {
    // Now is at the right, and a sample has its width however many there are.
    let step = WIDTH / ((SAMPLES - 1) as f64);
    let first = WIDTH - step * (rates.len().saturating_sub(1) as f64);
    let scale = if peak > 0.0 { (HEIGHT - 2.0 * MARGIN) / peak } else { 0.0 };
    let _ = write!(svg, "<polyline class=\"{class}\" points=\"");
    for (position, rate) in rates.iter().enumerate() {
        let (x, y) = (first + position as f64 * step, HEIGHT - MARGIN - of(rate) * scale);
        let _ = write!(svg, "{}{x:.1},{y:.1}", if position == 0 { "" } else { " " });
    }
    svg.push_str("\"/>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_stays_within_its_frame_and_says_its_peak() {
        let rates: Vec<_> =
            [0.0, 5.0, 10.0].map(|rate| RateView { accepted: rate, forwarded: rate / 2.0 }).into();
        let svg = plot(&rates, 2);
        assert!(svg.contains("points=\"591.9,114.0 596.0,60.0 600.0,6.0\""), "{svg}");
        assert!(svg.contains("10.0 at most"), "{svg}");
        for empty in [&[][..], &rates[..1]] {
            let svg = plot(empty, 2);
            assert!(!svg.contains("NaN") && !svg.contains("polyline"), "{svg}");
        }
        let still = [RateView { accepted: 0.0, forwarded: 0.0 }; 3];
        assert!(!plot(&still, 2).contains("NaN"));
    }
}
