//! A process that writes to a disk all the time, past all caches: what a node that was shut out
//! must not succeed in, not even once.

use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use super::until;
use crate::error::{Context, Result};

/// A running writer; it ends when this is dropped.
#[derive(Debug)]
pub struct Writer {
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    done: AtomicU64,
    failed: AtomicU64,
    is_over: AtomicBool,
}

impl Writer {
    /// Writes the first block of a device again and again.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn start(device: &str) -> Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .custom_flags(O_DIRECT)
            .open(device)
            .context(|| format!("cannot open {device}"))?;
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        let thread = std::thread::spawn(move || {
            let memory = vec![0_u8; 2 * BLOCK];
            let start = memory.as_ptr().align_offset(BLOCK);
            let block = memory.get(start..start + BLOCK).unwrap_or_default();
            while !shared.is_over.load(Ordering::SeqCst) {
                shared.begun.fetch_add(1, Ordering::SeqCst);
                let written = file.write_all_at(block, 0);
                let count = if written.is_ok() {
                    &shared.done
                } else {
                    &shared.failed
                };
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Ok(Self {
            counts,
            thread: Some(thread),
        })
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
        self.counts.is_over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// `O_DIRECT` on x86 (`arch/x86/include/uapi/asm`, `include/uapi/asm-generic/fcntl.h`).
const O_DIRECT: i32 = 0o40000;

/// What such writes are aligned to.
const BLOCK: usize = 4096;
