//! `linux.resources.hugepageLimits`.

use oci_spec::runtime::LinuxHugepageLimit;

use super::super::setting::{Available, IfAbsent, Place, Setting};
use super::super::{Error, Reason, refused};
use super::or_max;

pub(super) fn settings(
    available: &Available,
    limits: &[LinuxHugepageLimit],
    all: &mut Vec<Setting>,
) -> Result<(), Error> {
    for (index, limit) in limits.iter().enumerate() {
        let size = limit.page_size();
        let field = format!("linux.resources.hugepageLimits[{index}].pageSize");
        let number = size.trim_end_matches(['K', 'M', 'G', 'B']);
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) || !size.ends_with('B') {
            return Err(refused(
                field,
                Reason::Malformed {
                    value: size.clone(),
                    expected: "a size like `2MB`",
                },
            ));
        }
        let place = available.place("hugetlb", &field)?;
        // The reservation is limited too, where the kernel can, so that mmap fails instead of SIGBUS later.
        let (file, reservation, value) = match place {
            Place::V1(_) => (
                "limit_in_bytes",
                "rsvd.limit_in_bytes",
                limit.limit().max(-1).to_string(),
            ),
            Place::Unified => ("max", "rsvd.max", or_max(limit.limit())),
        };
        let setting = |file: &str| {
            Setting::new(
                field.clone(),
                place,
                "hugetlb",
                format!("hugetlb.{size}.{file}"),
                value.clone(),
            )
        };
        all.push(setting(file));
        all.push(setting(reservation).if_absent(IfAbsent::Holds));
    }
    Ok(())
}
