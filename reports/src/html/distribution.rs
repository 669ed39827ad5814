//! Distributions, as empirical cumulative distribution functions: each sample is a step, and no bin hides one.

use record::Seen;

use super::markup::Page;

/// Size of a drawing in its own units.
const SIZE: (f64, f64) = (480.0, 150.0);

/// Room for the axes, left and below.
const ROOM: (f64, f64) = (40.0, 22.0);

/// The samples of a check, if it has some.
pub(super) fn samples(page: &mut Page, seen: &Seen) {
    let Seen::Samples { values, unit, .. } = seen else {
        return;
    };
    // Shares of one are told in percent.
    let (factor, unit) = if unit == "%" {
        (100.0, " %")
    } else {
        (1.0, unit.as_str())
    };
    let mut sorted: Vec<f64> = values.iter().map(|value| value * factor).collect();
    sorted.retain(|value| value.is_finite());
    sorted.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (sorted.first().copied(), sorted.last().copied()) else {
        return;
    };
    let median = sorted[(sorted.len() - 1) / 2];
    let unit = if unit.starts_with(' ') {
        unit.to_owned()
    } else {
        format!(" {unit}")
    };
    let told = format!(
        "{} samples from {} to {}{unit}, median {}",
        sorted.len(),
        short(least),
        short(most),
        short(median)
    );
    page.raw("<figure><figcaption>");
    page.text(&told);
    page.raw("</figcaption>\n");
    if sorted.len() > 1 && most > least {
        curve(page, &sorted, &told, &unit);
    }
    page.raw("</figure>\n");
}

fn curve(page: &mut Page, sorted: &[f64], told: &str, unit: &str) {
    let (least, most) = (sorted[0], sorted[sorted.len() - 1]);
    let x = |value: f64| ROOM.0 + (SIZE.0 - ROOM.0 - 8.0) * (value - least) / (most - least);
    let y = |share: f64| 6.0 + (SIZE.1 - ROOM.1 - 6.0) * (1.0 - share);
    let mut path = format!("M{:.1} {:.1}", x(least), y(0.0));
    for (n, value) in sorted.iter().enumerate() {
        let share = (n + 1) as f64 / sorted.len() as f64;
        path.push_str(&format!("H{:.1}V{:.1}", x(*value), y(share)));
    }
    page.open(
        "svg",
        &[
            ("class", "ecdf"),
            ("viewBox", &format!("0 0 {} {}", SIZE.0, SIZE.1)),
            ("role", "img"),
            ("aria-label", &format!("cumulative distribution of {told}")),
        ],
    );
    for (share, name) in [(0.0, "0"), (0.5, "50 %"), (1.0, "100 %")] {
        let at = format!("{:.1}", y(share));
        let (left, right) = (format!("{}", ROOM.0), format!("{}", SIZE.0 - 8.0));
        page.open(
            "line",
            &[
                ("class", "grid"),
                ("x1", &left),
                ("x2", &right),
                ("y1", &at),
                ("y2", &at),
            ],
        );
        page.raw("</line>");
        let (left, down) = (format!("{}", ROOM.0 - 4.0), format!("{:.1}", y(share) + 4.0));
        page.element("text", &[("x", &left), ("y", &down), ("text-anchor", "end")], name);
    }
    for (value, anchor) in [(least, "start"), (most, "end")] {
        let at = format!("{:.1}", x(value));
        let down = format!("{}", SIZE.1 - 6.0);
        let text = format!("{}{unit}", short(value));
        page.element("text", &[("x", &at), ("y", &down), ("text-anchor", anchor)], &text);
    }
    page.open("path", &[("class", "curve"), ("d", &path)]);
    page.raw("</path></svg>\n");
}

/// A number with as many digits as a person compares.
fn short(value: f64) -> String {
    let size = value.abs();
    if size >= 1000.0 || size == 0.0 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else if size >= 0.01 {
        format!("{value:.3}")
    } else {
        format!("{value:.2e}")
    }
}
