//! Many Services.

use std::net::Ipv4Addr;
use std::time::Instant;

use serde_json::json;

use crate::lab::{Lab, service, slice};

const SERVICES: u16 = 1000;
const BACKENDS: u8 = 3;

fn address(number: u16) -> Ipv4Addr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(10, 96, 16 + high, low)
}

fn backends(number: u16) -> Vec<Ipv4Addr> {
    let [high, low] = number.to_be_bytes();
    (0..BACKENDS)
        .map(|place| Ipv4Addr::new(10, 128 + place, high, low))
        .collect()
}

#[test]
fn a_thousand_services_are_one_transaction_and_a_change_touches_one() {
    let Some(mut lab) = Lab::new(2, &[]) else { return };
    lab.pods[0].serve("a", 8080);
    for number in 0..SERVICES {
        let spec = json!({"clusterIP": address(number).to_string(), "ports": [{"port": 80}]});
        lab.tables.put_service(service(&format!("s{number}"), spec).into());
        lab.tables
            .put_slice(slice(&format!("s{number}"), &backends(number), 8080, "one"), None);
    }
    let begun = Instant::now();
    lab.tables.sync().unwrap();
    let whole = begun.elapsed();
    let rules = lab.tables.rules().unwrap();
    // One that leads to each backend.
    let of_services = usize::from(SERVICES) * usize::from(BACKENDS);
    assert!(rules > of_services && rules < of_services + 100, "{rules}");

    let mut slowest = std::time::Duration::ZERO;
    for number in 0..20 {
        let begun = Instant::now();
        lab.endpoints(&format!("s{number}"), &[(0, 8080)]);
        slowest = slowest.max(begun.elapsed());
        let answer = lab.pods[1].dial(address(number), 80).unwrap();
        assert!(answer.starts_with("a "), "{answer}");
    }
    eprintln!("{SERVICES} Services with {BACKENDS} backends: {whole:?}; the slowest of 20 changes: {slowest:?}");
}
