//! Ways that have nothing on them: a bare pair of interfaces between two network namespaces, which every other way between
//! two of them costs more than, and a loopback interface.

use std::net::Ipv4Addr;

use super::{Ends, Error, Place, act};
use crate::links;

/// Addresses of its ends (RFC 5737, for documentation): nobody else is on the wire.
const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)];

/// Makes both namespaces and the pair. All of it is gone when the ends are dropped.
///
/// # Errors
/// [`Error::Act`], for want of privilege most of the time.
pub fn bare() -> Result<Ends, Error> {
    let made = || Place::new().map_err(act("make a network namespace"));
    let (near, far) = (made()?, made()?);
    let there = far
        .descriptor()
        .ok_or_else(|| Error::Lost("there is no other end".into()))?;
    let there = there.try_clone().map_err(act("keep a network namespace"))?;
    near.run(move || links::pair(there))
        .map_err(act("make a pair of interfaces"))?;
    for (place, address) in [&near, &far].into_iter().zip(ADDRESSES) {
        place
            .run(move || links::address(links::FIRST, address, 24).and_then(|()| links::up(links::FIRST)))
            .map_err(act(format!("set an interface up with the address {address}")))?;
    }
    Ok(Ends {
        from: near,
        to: far,
        port: 0,
        address: (ADDRESSES[1], 0).into(),
    })
}

/// Makes a namespace with nothing in it but a loopback interface, on which both ends are.
///
/// # Errors
/// As [`bare`].
pub fn alone() -> Result<Ends, Error> {
    let place = Place::new().map_err(act("make a network namespace"))?;
    place
        .run(|| links::up(links::LOOPBACK))
        .map_err(act("set a loopback interface up"))?;
    Ok(Ends {
        from: place.clone(),
        to: place,
        ..Ends::loopback()
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_wire_carries_bytes_requests_and_connections() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: network namespaces need root");
            return;
        }
        let wire = bare().unwrap();
        let carried = wire.throughput(Duration::from_millis(5)).unwrap();
        assert!(wire.to.taken_in().unwrap() >= carried.bytes);
        let alone = alone().unwrap();
        alone.throughput(Duration::from_millis(5)).unwrap();
        assert_eq!(alone.to.taken_in().unwrap(), 0);
        for ends in [wire, alone] {
            assert!(ends.round_trip().unwrap() > 0.0);
            assert!(ends.connection().unwrap() > 0.0);
        }
    }
}
