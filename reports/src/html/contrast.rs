//! Whether the page's colours can be told apart by who sees little (WCAG 2.2, 1.4.3).

use std::collections::BTreeMap;

/// Least contrast of text (level AA).
const LEAST: f64 = 4.5;

/// The colours of each scheme, in the order of the style sheet.
fn schemes(style: &str) -> Vec<BTreeMap<String, [f64; 3]>> {
    let blocks = style.split(":root {").skip(1);
    blocks
        .map(|block| {
            let block = block.split('}').next().unwrap();
            let pairs = block.split(';').filter_map(|line| line.trim().split_once(": #"));
            pairs.map(|(name, hex)| (name.to_owned(), colour(hex))).collect()
        })
        .collect()
}

fn colour(hex: &str) -> [f64; 3] {
    [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0)
}

/// Relative luminance (WCAG 2.2, glossary).
fn luminance(colour: [f64; 3]) -> f64 {
    let [red, green, blue] = colour.map(|part| {
        if part <= 0.04045 {
            part / 12.92
        } else {
            ((part + 0.055) / 1.055).powf(2.4)
        }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn text_can_be_read_on_paper_in_each_scheme() {
    let schemes = schemes(super::STYLE);
    assert_eq!(schemes.len(), 3, "light, dark and printed");
    for (number, scheme) in schemes.iter().enumerate() {
        for ground in ["--paper", "--raised"] {
            for text in [
                "--ink", "--faint", "--link", "--pass", "--fail", "--known", "--open", "--skip", "--step",
            ] {
                let found = contrast(scheme[text], scheme[ground]);
                assert!(found >= LEAST, "scheme {number}: {text} on {ground} has {found:.2}");
            }
        }
    }
}

#[test]
fn black_on_white_has_the_greatest_contrast() {
    assert!((contrast(colour("000000"), colour("ffffff")) - 21.0).abs() < 0.01);
}
