//! Once, early at boot, before any daemon runs (`--settle`): completes or ends what killed
//! commands have left behind, first of all resumes maps that were left suspended.

use std::thread;
use std::time::Duration;

use mpath_state::record::RecordDir;
use mpathpersist::{Device, Host};

use crate::tasks::ground::Ground;

/// Settles every map that has a journal; gives back how many could not be settled.
///
/// # Errors
/// Device-mapper does not tell which maps there are.
pub fn settle_all(host: &Host) -> Result<usize, String> {
    let names = unfinished(host)?;
    // One each: a map that hangs must not keep the others suspended.
    let settled = thread::scope(|scope| {
        let threads: Vec<_> = names
            .iter()
            .map(|name| scope.spawn(move || settle(host, name)))
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .map(|settled| settled.unwrap_or(Settled::No))
            .collect::<Vec<_>>()
    });
    Ok(settled
        .iter()
        .filter(|settled| **settled == Settled::No)
        .count())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settled {
    Yes,
    No,
}

/// Names of the maps that have a journal.
fn unfinished(host: &Host) -> Result<Vec<String>, String> {
    let ground = Ground::open(host).map_err(|error| error.to_string())?;
    let named = ground.names().map_err(|error| error.to_string())?;
    let has_journal = |wwid: &str| {
        let path = RecordDir::journal_path(&host.run_dir, wwid);
        path.is_some_and(|path| path.exists())
    };
    let maps = named.into_iter().filter(|(_, wwid)| has_journal(wwid));
    Ok(maps.map(|(name, _)| name).collect())
}

fn settle(host: &Host, name: &str) -> Settled {
    match Device::open(host, name).and_then(|mut device| device.recover(LOCK_PATIENCE)) {
        Ok(None) => Settled::Yes,
        Ok(Some(report)) => {
            for note in &report.notes {
                tracing::warn!("{note}");
            }
            Settled::Yes
        }
        Err(failure) => {
            tracing::error!("{name}: {failure}");
            Settled::No
        }
    }
}

/// Whoever works on the map at boot is another command, which ends within its own deadline.
const LOCK_PATIENCE: Duration = Duration::from_secs(20);
