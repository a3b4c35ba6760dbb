//! Somebody who writes to a disk all the time, past all caches: what a node that was shut out must
//! not succeed in, not even once, and what one that is let in must not be disturbed in.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::until;
use crate::error::{Context, Result};

/// A running writer; it ends when this is dropped.
#[derive(Debug)]
pub struct Writer {
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

/// What a writer has met.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    /// The writes that succeeded.
    pub done: u64,
    /// Those that did not.
    pub failed: u64,
    /// How long the longest of them took.
    pub longest: Duration,
}

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    done: AtomicU64,
    failed: AtomicU64,
    longest_us: AtomicU64,
    is_over: AtomicBool,
}

impl Writer {
    /// Writes the first block of a device again and again, with these pauses: one that never rests
    /// takes the emulated processors from all others.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn start(device: &str, pause: Duration) -> Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .custom_flags(O_DIRECT)
            .open(device)
            .context(|| format!("cannot open {device}"))?;
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        let thread = std::thread::spawn(move || write(&file, &shared, pause));
        Ok(Self {
            counts,
            thread: Some(thread),
        })
    }

    /// Ends it, and tells what it has met.
    #[must_use]
    pub fn stop(mut self) -> Written {
        self.end();
        let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        Written {
            done: count(&self.counts.done),
            failed: count(&self.counts.failed),
            longest: Duration::from_micros(count(&self.counts.longest_us)),
        }
    }

    fn end(&mut self) {
        self.counts.is_over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    /// How many writes have succeeded, once whatever was begun before this call has ended.
    ///
    /// # Errors
    /// If a write does not end.
    pub fn done(&self) -> Result<u64> {
        let begun = self.counts.begun.load(Ordering::SeqCst);
        until("a write to end", || {
            let done = self.counts.done.load(Ordering::SeqCst);
            let failed = self.counts.failed.load(Ordering::SeqCst);
            Ok((done + failed >= begun).then_some(done))
        })
    }

    /// Waits until a write has failed since this call.
    ///
    /// # Errors
    /// If none does.
    pub fn await_failure(&self) -> Result {
        let before = self.counts.failed.load(Ordering::SeqCst);
        until("a write to fail", || {
            let failed = self.counts.failed.load(Ordering::SeqCst);
            Ok((failed > before + 1).then_some(()))
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end();
    }
}

fn write(file: &File, counts: &Counts, pause: Duration) {
    let memory = vec![0_u8; 2 * BLOCK];
    let start = memory.as_ptr().align_offset(BLOCK);
    let block = memory.get(start..start + BLOCK).unwrap_or_default();
    while !counts.is_over.load(Ordering::SeqCst) {
        counts.begun.fetch_add(1, Ordering::SeqCst);
        let began = Instant::now();
        let written = file.write_all_at(block, 0);
        let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        counts.longest_us.fetch_max(took, Ordering::SeqCst);
        let count = if written.is_ok() {
            &counts.done
        } else {
            &counts.failed
        };
        count.fetch_add(1, Ordering::SeqCst);
        if !pause.is_zero() {
            std::thread::park_timeout(pause);
        }
    }
}

/// `O_DIRECT` on x86 (`arch/x86/include/uapi/asm`, `include/uapi/asm-generic/fcntl.h`).
const O_DIRECT: i32 = 0o40000;

/// What such writes are aligned to.
const BLOCK: usize = 4096;
