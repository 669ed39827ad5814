//! Whatever the text: no panic, and no silence about what cannot be a spec.

use proptest::prelude::*;

const GOOD: &str = include_str!("good/everything.yaml");

fn told(text: &str) -> spec::Loaded {
    let loaded = spec::load(text, "any.yaml");
    for fault in loaded.faults.iter().chain(&loaded.lints) {
        fault.render(text, false);
        fault.render(text, true);
    }
    for document in &loaded.documents {
        for variant in document.variants() {
            let is_decoded = match document.kind {
                spec::Kind::Test => document.decode(&variant, None).is_ok(),
                spec::Kind::Benchmark => document.decode_benchmark(&variant, None).is_ok(),
            };
            assert!(is_decoded || !loaded.faults.is_empty());
        }
    }
    loaded
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_refused_without_a_panic(text in any::<String>()) {
        prop_assert!(!told(&text).faults.is_empty());
    }

    #[test]
    fn any_text_of_yaml_characters_is_refused_without_a_panic(text in "[-a-c0-9:{}\\[\\],&*!|>'\"%@`#?~ \t\n$.<]{0,80}") {
        prop_assert!(!told(&text).faults.is_empty());
    }

    #[test]
    fn a_good_spec_with_a_piece_cut_out_or_put_in_does_not_panic(
        at in 0..GOOD.len(), length in 0usize..40, piece in "[-a-z0-9:{}\\[\\],*&\"'~$ \n]{0,8}",
    ) {
        let mut text = GOOD.to_owned();
        let start = (0..=at).rev().find(|n| text.is_char_boundary(*n)).unwrap();
        let end = (start + length..).find(|n| *n >= text.len() || text.is_char_boundary(*n)).unwrap().min(text.len());
        text.replace_range(start..end, &piece);
        told(&text);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_placed(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let fault = spec::not_utf8(&bytes, "any.yaml");
        prop_assert_eq!(fault.is_none(), std::str::from_utf8(&bytes).is_ok());
        if let Some(fault) = fault {
            fault.render(&String::from_utf8_lossy(&bytes), false);
        }
    }
}
