//! Pairs of measurements.

/// Which direction is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Times, memory.
    Less,
    /// Throughput.
    More,
}

/// How much worse the subject is than the reference in one pair, as the logarithm of the ratio: `ln 1.05` for a time that is
/// 5 % longer, or a throughput of which 1.05 would be needed. None where one of them is no positive finite number, because
/// then there was no measurement.
#[must_use]
pub fn log_ratio(reference: f64, subject: f64, better: Better) -> Option<f64> {
    let usable = |value: f64| value.is_finite() && value > 0.0;
    let ratio = match better {
        Better::Less => subject / reference,
        Better::More => reference / subject,
    };
    (usable(reference) && usable(subject)).then(|| ratio.ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worse_is_positive_whichever_direction_is_better() {
        let near = |found: Option<f64>, wanted: f64| (found.unwrap() - wanted).abs() < 1e-12;
        assert!(near(log_ratio(2.0, 4.0, Better::Less), 2f64.ln()));
        assert!(near(log_ratio(4.0, 2.0, Better::More), 2f64.ln()));
        for (reference, subject) in [(0.0, 1.0), (1.0, -1.0), (f64::NAN, 1.0), (1.0, f64::INFINITY)] {
            assert_eq!(log_ratio(reference, subject, Better::Less), None);
        }
    }
}
