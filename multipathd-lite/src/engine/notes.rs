//! What the engine keeps of maps and paths beside what is shown, and which of them were touched:
//! only for those the times in the agenda have to be found anew.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use dm_multipath::scsi::PortTimeouts;

use super::queueing::Stopped;
use crate::ask::ReplyTo;
use crate::tasks::Recover;

/// Notes by key. Whoever may have changed some, or what belongs to them, has touched them.
#[derive(Debug)]
pub(super) struct Notes<K, V> {
    entries: BTreeMap<K, V>,
    touched: BTreeSet<K>,
}

/// What the engine keeps of a map, beside what is shown.
#[derive(Debug, Default)]
pub(super) struct MapNotes {
    /// Somebody is at work on it.
    pub(super) is_busy: bool,
    /// So much of what clients have told is not written down yet: who works on the map goes by
    /// what is.
    pub(super) unwritten: usize,
    /// A killed process has left something behind.
    pub(super) has_leftover: bool,
    /// The work under way is to finish that.
    pub(super) is_recovery_ordered: bool,
    /// How often it could not be finished.
    pub(super) vain_recoveries: u32,
    /// The reservation is to be read.
    pub(super) look_for_holder: bool,
    /// Its table is to be loaded again, whatever it is.
    pub(super) is_reload_wanted: bool,
    /// The work under way is to load a table that differs.
    pub(super) is_assembly_ordered: bool,
    /// The work under way is to remove the map.
    pub(super) is_removal_ordered: bool,
    /// It is to go.
    pub(super) is_removal_wanted: bool,
    /// It has been looked after: it has had paths since the start.
    pub(super) is_ours: bool,
    /// It was removed by somebody: it is not made again by itself.
    pub(super) is_unwanted: bool,
    /// Not before then anything is done about it.
    pub(super) rest_until: Option<Instant>,
    /// Since when a better group than the one in use works.
    pub(super) better_since: Option<Instant>,
    /// The kernel has been told to use it.
    pub(super) is_switch_sent: bool,
    /// When the registrations were counted last.
    pub(super) counted_at: Option<Instant>,
    /// They are to be counted as soon as a path can be asked.
    pub(super) is_count_waiting: bool,
    /// How many there were with this node's key.
    pub(super) registrations: Option<usize>,
    /// It is looked at again then, if nothing happens before.
    pub(super) look_again_at: Option<Instant>,
    /// Who waits for the end of the work.
    pub(super) waiting: Vec<ReplyTo>,
    /// Since when no path works.
    pub(super) dead_since: Option<Instant>,
    /// No path of it can be used.
    pub(super) is_without_path: bool,
    /// Whether it has been told not to queue.
    pub(super) queueing: Stopped,
    /// It is to be compared as a whole with what is configured: it was made by somebody else, or
    /// the configuration is another one.
    pub(super) is_comparison_wanted: bool,
    /// Whether it has the name that is configured, as far as that is possible.
    pub(super) is_name_settled: bool,
    /// A group that had no working path has one again.
    pub(super) has_group_returned: bool,
}

impl MapNotes {
    /// What to do about a command that was cut off.
    pub(super) fn recover(&self) -> Recover {
        match self.vain_recoveries {
            ..MOST_VAIN_RECOVERIES => Recover::First,
            _ => Recover::IfPossible,
        }
    }
}

/// After so many the other paths are looked after as well: a path that could carry I/O does not
/// wait for one that never answers.
const MOST_VAIN_RECOVERIES: u32 = 3;

/// What the engine keeps of a path, beside what is shown.
#[derive(Debug)]
pub(super) struct PathNotes {
    /// When the check under way began.
    pub(super) checking: Option<Instant>,
    /// Unit attentions in a row.
    pub(super) attentions: u32,
    /// The hardware handler that the SCSI layer has attached.
    pub(super) handler: Option<String>,
    /// What the array calls the node behind its port.
    pub(super) node: String,
    /// How long its I/O was told to wait for its port.
    pub(super) limited: Option<PortTimeouts>,
    /// It is read again then: udev had not looked at it.
    pub(super) look_again_at: Option<Instant>,
    /// When it was found.
    pub(super) found_at: Instant,
    /// The kernel has been told that it does not work.
    pub(super) is_fail_sent: bool,
    /// The kernel has found that it does not work, after the last check.
    pub(super) is_doubtful: bool,
    /// It was told that it stays out although it answers.
    pub(super) is_kept_out: bool,
    /// Its check has not ended in time, and goes on.
    pub(super) is_stuck: bool,
}

impl<K: Ord, V> Notes<K, V> {
    pub(super) fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            touched: BTreeSet::new(),
        }
    }

    pub(super) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key)
    }

    pub(super) fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Ord + ToOwned<Owned = K> + ?Sized,
    {
        self.touch(key);
        self.entries.get_mut(key)
    }

    /// The same for what no other times follow from than those that the caller finds anew.
    pub(super) fn get_quietly<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.entries.get_mut(key)
    }

    /// The notes of this key, new ones if there are none.
    pub(super) fn of<Q>(&mut self, key: &Q) -> &mut V
    where
        K: Borrow<Q>,
        Q: Ord + ToOwned<Owned = K> + ?Sized,
        V: Default,
    {
        self.of_or(key, V::default)
    }

    /// The same for notes that cannot begin empty.
    pub(super) fn of_or<Q>(&mut self, key: &Q, new: impl FnOnce() -> V) -> &mut V
    where
        K: Borrow<Q>,
        Q: Ord + ToOwned<Owned = K> + ?Sized,
    {
        self.touch(key);
        self.entries.entry(key.to_owned()).or_insert_with(new)
    }

    pub(super) fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Ord + ToOwned<Owned = K> + ?Sized,
    {
        self.touch(key);
        self.entries.remove(key)
    }

    /// Something that belongs to these notes was changed.
    pub(super) fn touch<Q>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Ord + ToOwned<Owned = K> + ?Sized,
    {
        if !self.touched.contains(key) {
            self.touched.insert(key.to_owned());
        }
    }

    pub(super) fn is_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    pub(super) fn take_touched(&mut self) -> BTreeSet<K> {
        std::mem::take(&mut self.touched)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.keys()
    }
}

impl<K: Ord + Clone, V> Notes<K, V> {
    /// All of them, which are touched by this.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.touched.extend(self.entries.keys().cloned());
        self.entries.values_mut()
    }
}

impl PathNotes {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            checking: None,
            attentions: 0,
            handler: None,
            node: String::new(),
            limited: None,
            look_again_at: None,
            found_at: now,
            is_fail_sent: false,
            is_doubtful: false,
            is_kept_out: false,
            is_stuck: false,
        }
    }
}
