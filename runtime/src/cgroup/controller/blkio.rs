//! `linux.resources.blockIO`.

use oci_spec::runtime::LinuxBlockIo;

use super::super::setting::{Available, Place, Setting};
use super::super::{Error, Reason, refused};

const LEAST_WEIGHT: u16 = 10;
const GREATEST_WEIGHT: u16 = 1000;

/// The `io.weight` (1 to 10000) that stands for a weight of v1 (10 to 1000).
fn io_weight(weight: u16) -> u32 {
    1 + u32::from(weight - LEAST_WEIGHT) * 9999 / u32::from(GREATEST_WEIGHT - LEAST_WEIGHT)
}

fn checked(weight: u16, field: &str) -> Result<u16, Error> {
    if (LEAST_WEIGHT..=GREATEST_WEIGHT).contains(&weight) {
        return Ok(weight);
    }
    let (least, greatest) = (LEAST_WEIGHT.into(), GREATEST_WEIGHT.into());
    Err(refused(
        field,
        Reason::OutOfRange {
            value: weight.into(),
            least,
            greatest,
        },
    ))
}

pub(super) fn settings(available: &Available, block_io: &LinuxBlockIo, all: &mut Vec<Setting>) -> Result<(), Error> {
    const WEIGHT: &str = "linux.resources.blockIO.weight";
    const LEAF_WEIGHT: &str = "linux.resources.blockIO.leafWeight";
    if let Some(weight) = block_io.weight().filter(|&weight| weight != 0) {
        let weight = checked(weight, WEIGHT)?;
        all.push(match available.place("blkio", WEIGHT)? {
            place @ Place::V1(_) => Setting::new(WEIGHT, place, "blkio", "blkio.weight", weight.to_string())
                .or("blkio.bfq.weight", weight.to_string()),
            place @ Place::Unified => Setting::new(WEIGHT, place, "io", "io.bfq.weight", weight.to_string())
                .or("io.weight", io_weight(weight).to_string()),
        });
    }
    if let Some(weight) = block_io.leaf_weight().filter(|&weight| weight != 0) {
        let weight = checked(weight, LEAF_WEIGHT)?;
        match available.place("blkio", LEAF_WEIGHT)? {
            place @ Place::V1(_) => {
                all.push(Setting::new(
                    LEAF_WEIGHT,
                    place,
                    "blkio",
                    "blkio.leaf_weight",
                    weight.to_string(),
                ));
            }
            Place::Unified => return Err(refused(LEAF_WEIGHT, Reason::V1Only)),
        }
    }
    for (index, device) in block_io.weight_device().iter().flatten().enumerate() {
        let node = format!("{}:{}", device.major(), device.minor());
        if let Some(weight) = device.weight().filter(|&weight| weight != 0) {
            let field = format!("linux.resources.blockIO.weightDevice[{index}].weight");
            let weight = checked(weight, &field)?;
            let value = format!("{node} {weight}");
            all.push(match available.place("blkio", &field)? {
                place @ Place::V1(_) => Setting::new(field, place, "blkio", "blkio.weight_device", value.clone())
                    .or("blkio.bfq.weight_device", value),
                place @ Place::Unified => Setting::new(field, place, "io", "io.bfq.weight", value)
                    .or("io.weight", format!("{node} {}", io_weight(weight))),
            });
        }
        if let Some(weight) = device.leaf_weight().filter(|&weight| weight != 0) {
            let field = format!("linux.resources.blockIO.weightDevice[{index}].leafWeight");
            let weight = checked(weight, &field)?;
            match available.place("blkio", &field)? {
                place @ Place::V1(_) => {
                    let value = format!("{node} {weight}");
                    all.push(Setting::new(field, place, "blkio", "blkio.leaf_weight_device", value));
                }
                Place::Unified => return Err(refused(field, Reason::V1Only)),
            }
        }
    }
    for (name, devices, v1, v2) in [
        (
            "throttleReadBpsDevice",
            block_io.throttle_read_bps_device(),
            "blkio.throttle.read_bps_device",
            "rbps",
        ),
        (
            "throttleWriteBpsDevice",
            block_io.throttle_write_bps_device(),
            "blkio.throttle.write_bps_device",
            "wbps",
        ),
        (
            "throttleReadIOPSDevice",
            block_io.throttle_read_iops_device(),
            "blkio.throttle.read_iops_device",
            "riops",
        ),
        (
            "throttleWriteIOPSDevice",
            block_io.throttle_write_iops_device(),
            "blkio.throttle.write_iops_device",
            "wiops",
        ),
    ] {
        for (index, device) in devices.iter().flatten().enumerate() {
            let field = format!("linux.resources.blockIO.{name}[{index}]");
            let (node, rate) = (format!("{}:{}", device.major(), device.minor()), device.rate());
            all.push(match available.place("blkio", &field)? {
                // A rate of zero lifts the limit on v1.
                place @ Place::V1(_) => Setting::new(field, place, "blkio", v1, format!("{node} {rate}")),
                place @ Place::Unified if rate == 0 => {
                    Setting::new(field, place, "io", "io.max", format!("{node} {v2}=max"))
                }
                place @ Place::Unified => Setting::new(field, place, "io", "io.max", format!("{node} {v2}={rate}")),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::io_weight;

    #[test]
    fn both_ends_of_the_weights_meet() {
        assert_eq!([10, 100, 1000].map(io_weight), [1, 910, 10_000]);
    }
}
