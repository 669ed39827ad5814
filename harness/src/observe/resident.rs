//! Memory of processes that are there because of a container: its own, and what its runtime left beside it.

use std::collections::BTreeSet;

/// All processes of the guard.
pub fn processes() -> BTreeSet<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// The memory of all processes that were not there before, KiB: the sum of their proportional set sizes.
pub fn since(before: &BTreeSet<i32>) -> f64 {
    processes().difference(before).filter_map(size).sum()
}

fn size(pid: &i32) -> Option<f64> {
    // One that is just ending has none.
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    proportional(&text)
}

/// `Pss` of a `smaps_rollup` (`proc(5)`), KiB.
fn proportional(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proportional_size_is_read_in_kib() {
        let text = "00400000-7ffd1000 ---p 00000000 00:00 0   [rollup]\nRss:  884 kB\nPss:  385 kB\nPss_Anon: 1 kB\n";
        assert_eq!(proportional(text), Some(385.0));
        assert_eq!(proportional("Rss: 1 kB\n"), None);
    }

    #[test]
    fn this_process_is_among_all() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(processes().contains(&own));
        let others: BTreeSet<i32> = processes().into_iter().filter(|pid| *pid != own).collect();
        assert!(since(&others) > 0.0);
    }
}
