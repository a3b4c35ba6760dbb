//! Waiting for the kernel and udev: polling with a bound, in the lab only.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// Calls `probe` until it gives a value, but not longer than a minute; `what` is to happen.
///
/// # Errors
/// The probe's own, or [`Error::Timeout`].
pub fn until<T>(what: &str, probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    until_within((LIMIT, POLL), what, probe)
}

/// As [`until`], with another limit, and looking less often where that costs.
pub(super) fn until_within<T>(
    (limit, poll): (Duration, Duration),
    what: &str,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = probe()? {
            return Ok(value);
        }
        if start.elapsed() > limit {
            return Err(Error::Timeout {
                what: what.to_owned(),
                seconds: limit.as_secs(),
            });
        }
        std::thread::sleep(poll);
    }
}

/// The emulated guest is 10 to 30 times slower than a machine, and others use it too.
const LIMIT: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(20);
