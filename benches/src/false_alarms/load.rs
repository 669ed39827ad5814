//! Load of one's own: processes that do nothing but want the CPU, and end with whoever started them.

use std::io::{self, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

/// Processes that burn. They end when this is dropped, or when this process ends in whatever way: the pipe that is their
/// standard input is closed then.
#[derive(Debug)]
pub struct Load {
    processes: Vec<Child>,
}

impl Load {
    /// Starts `count` processes of this executable with the one argument `word`, on which it calls [`burn`].
    ///
    /// # Errors
    /// A process that does not start.
    pub fn start(count: usize, word: &str) -> io::Result<Self> {
        let mut load = Self { processes: Vec::new() };
        let own = std::env::current_exe()?;
        for _ in 0..count {
            let mut command = Command::new(&own);
            let child = command.arg(word).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
            load.processes.push(child);
        }
        Ok(load)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.processes {
            drop(child.stdin.take());
            let _gone = child.wait();
        }
    }
}

/// Burns until standard input ends.
pub fn burn() {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let _end = io::stdin().read_to_end(&mut Vec::new());
        over.store(true, Ordering::Relaxed);
    });
}
