//! Threads that come when there is something to do, up to a bound, and go when there is not.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// A bounded number of threads.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Mutex<Shared>>,
    bound: usize,
    name: &'static str,
}

#[derive(Default)]
struct Shared {
    waiting: VecDeque<Job>,
    threads: usize,
}

type Job = Box<dyn FnOnce() + Send>;

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.name)
            .field("bound", &self.bound)
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// At most `bound` threads of this name.
    #[must_use]
    pub fn new(name: &'static str, bound: usize) -> Self {
        Self {
            shared: Arc::default(),
            bound,
            name,
        }
    }

    /// Has a thread do this, as soon as there is one; in order if the bound is one.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.waiting.push_back(Box::new(job));
        if shared.threads >= self.bound {
            return;
        }
        let others = Arc::clone(&self.shared);
        let thread = thread::Builder::new().name(self.name.to_owned());
        match thread.stack_size(STACK).spawn(move || work(&others)) {
            Ok(_) => shared.threads += 1,
            // Those that run will come to it; the next job tries again.
            Err(error) => tracing::error!("cannot start a thread: {error}"),
        }
    }
}

fn work(shared: &Mutex<Shared>) {
    loop {
        let job = {
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            match shared.waiting.pop_front() {
                Some(job) => job,
                None => {
                    shared.threads -= 1;
                    return;
                }
            }
        };
        job();
    }
}

/// Enough for the deepest work, which reads files and waits; address space, not memory.
const STACK: usize = 512 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn everything_is_done_and_one_thread_keeps_the_order() {
        let pool = Pool::new("test", 1);
        let (sender, receiver) = channel();
        for number in 0..100 {
            let sender = sender.clone();
            pool.run(move || sender.send(number).unwrap());
        }
        drop(sender);
        assert_eq!(
            receiver.iter().collect::<Vec<_>>(),
            (0..100).collect::<Vec<_>>()
        );
    }

    #[test]
    fn no_more_than_the_bound_run_at_once() {
        let pool = Pool::new("test", 2);
        let (started, starts) = channel();
        let (go, gate) = channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        for _ in 0..3 {
            let (started, gate) = (started.clone(), Arc::clone(&gate));
            pool.run(move || {
                started.send(()).unwrap();
                let _ = gate.lock().unwrap().recv();
            });
        }
        starts.recv().unwrap();
        starts.recv().unwrap();
        assert!(starts.try_recv().is_err());
        go.send(()).unwrap();
        starts.recv().unwrap();
        drop(go);
    }
}
