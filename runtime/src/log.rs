//! Where messages go: standard error, or a file for the program that called.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Attempt, Error, Result, at};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Error,
    Warning,
    Debug,
}

/// `--log`, `--log-format` and `--debug`.
#[derive(Debug, Default)]
pub(crate) struct Log {
    file: Option<PathBuf>,
    json: bool,
    pub(crate) debug: bool,
}

impl Log {
    pub(crate) fn set_file(&mut self, path: &Path) -> Result<()> {
        let mut options = std::fs::OpenOptions::new();
        options
            .create(true)
            .append(true)
            .open(path)
            .attempt(|| at("open log", path))?;
        self.file = Some(path.to_path_buf());
        Ok(())
    }

    pub(crate) fn set_format(&mut self, format: &str) -> Result<()> {
        self.json = match format {
            "json" => true,
            "text" => false,
            other => {
                return Err(Error::usage(format!(
                    "--log-format: `{other}` is neither `text` nor `json`"
                )));
            }
        };
        Ok(())
    }

    /// Writes one message. An error always reaches standard error as well.
    pub(crate) fn write(&self, level: Level, text: &str) {
        if level == Level::Debug && !self.debug {
            return;
        }
        let word = match level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Debug => "debug",
        };
        let plain = format!("{word}: {text}\n");
        let Some(file) = &self.file else {
            let _ = std::io::stderr().write_all(plain.as_bytes());
            return;
        };
        let time = timestamp();
        let line = if self.json {
            format!("{}\n", serde_json::json!({ "level": word, "msg": text, "time": time }))
        } else {
            format!("time=\"{time}\" level={word} msg={}\n", serde_json::Value::from(text))
        };
        let opened = std::fs::OpenOptions::new().create(true).append(true).open(file);
        let written = opened.and_then(|mut file| file.write_all(line.as_bytes()));
        if level == Level::Error || written.is_err() {
            let _ = std::io::stderr().write_all(plain.as_bytes());
        }
    }
}

fn timestamp() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    rfc3339(since.map_or(0, |d| d.as_secs()))
}

/// Seconds since 1970 as a date and time in UTC.
pub(crate) fn rfc3339(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Counted from the first of March of year 0, so that the leap day is the last of its year.
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn seconds_become_dates_across_leap_days() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_709_251_199), "2024-02-29T23:59:59Z");
        assert_eq!(rfc3339(1_709_251_200), "2024-03-01T00:00:00Z");
    }
}
