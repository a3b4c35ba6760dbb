//! Reading what the kernel and the files say: nothing is changed here.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use dm_multipath::DeviceNumber;
use dm_multipath::sys::DmControl;
use mpath_state::prkeys::PrKeysFile;
use mpath_state::record::RecordDir;
use mpathpersist::Host;

use super::ground::{UUID_PREFIX, read_map, read_maps, read_path, read_paths};
use super::{FoundMap, KeySource, ReadOrder, Tools};
use crate::event::{BooksRead, Event, MapLook, MapsRead, Scanned};
use crate::rules::Rules;

impl Tools {
    /// Carries out an order; what was read is the event.
    #[must_use]
    pub fn read(&self, order: ReadOrder) -> Event {
        let host = &*self.host;
        match order {
            ReadOrder::Rules => Event::RulesRead(Box::new(Rules::load(host, &self.files))),
            ReadOrder::Host(rules) => Event::Scanned(Box::new(scan(host, &rules))),
            ReadOrder::Path(device) => Event::PathRead {
                device,
                found: read_path(host, device).map(Box::new),
            },
            ReadOrder::Map(device) => Event::MapRead {
                device,
                look: read_map(host, device),
            },
            ReadOrder::Maps(known) => Event::MapsRead(Box::new(read_maps(host, &known))),
            ReadOrder::Books { wwid, key } => {
                Event::BooksRead(Box::new(read_books(host, &wwid, &key)))
            }
        }
    }
}

fn scan(host: &Host, rules: &Arc<Rules>) -> Scanned {
    let paths = read_paths(host);
    let maps = read_maps(host, &BTreeMap::new());
    let mut sources: BTreeMap<String, KeySource> = BTreeMap::new();
    for wwid in maps.changed.iter().filter_map(FoundMap::wwid) {
        sources.insert(wwid.to_owned(), source(rules, "", ""));
    }
    for path in &paths {
        if let Some(wwid) = &path.scsi.wwid {
            let source = source(rules, &path.scsi.vendor, &path.scsi.model);
            sources.insert(wwid.clone(), source);
        }
    }
    let books = sources
        .iter()
        .map(|(wwid, source)| read_books(host, wwid, source));
    let books = books.collect();
    Scanned { paths, maps, books }
}

fn source(rules: &Arc<Rules>, vendor: &str, product: &str) -> KeySource {
    KeySource {
        rules: Arc::clone(rules),
        vendor_product: (vendor.to_owned(), product.to_owned()),
    }
}

pub(super) fn read_kernel_maps(
    host: &Host,
    dm: &DmControl,
    known: &BTreeMap<DeviceNumber, u32>,
) -> MapsRead {
    let mut read = MapsRead::default();
    let listed = dm.list().unwrap_or_else(|error| {
        tracing::error!("{error}");
        Vec::new()
    });
    for listed in listed {
        let is_other = listed
            .uuid
            .as_ref()
            .is_some_and(|uuid| !uuid.starts_with(UUID_PREFIX));
        if is_other {
            continue;
        }
        let events = listed
            .event_nr
            .or_else(|| Some(dm.info(listed.device.into()).ok()?.event_nr));
        read.all.push(listed.device);
        if events.is_some() && known.get(&listed.device).copied() == events {
            continue;
        }
        match FoundMap::read(&host.roots, dm, listed.device) {
            Ok(found) => read.changed.push(found),
            // Other targets, where the list has no uuids; a map without a table, about to be made.
            Err(error) => tracing::debug!("{error}"),
        }
    }
    read
}

/// One map; what has another uuid is none.
pub(super) fn read_kernel_map(host: &Host, dm: &DmControl, device: DeviceNumber) -> MapLook {
    match dm.info(device.into()) {
        Err(error) if error.is_no_such_device() => return MapLook::Gone,
        Ok(info) if !info.uuid.starts_with(UUID_PREFIX) => return MapLook::Gone,
        _ => {}
    }
    match FoundMap::read(&host.roots, dm, device) {
        Ok(found) => MapLook::Found(Box::new(found)),
        // One without a table, about to be made.
        Err(error) => {
            tracing::debug!("{error}");
            MapLook::Failed
        }
    }
}

/// What is remembered of a map: its record, its key, and whether something was cut off.
pub(super) fn read_books(host: &Host, wwid: &str, key: &KeySource) -> BooksRead {
    let record = RecordDir::new(&host.run_dir)
        .peek(wwid)
        .unwrap_or_else(|error| {
            tracing::warn!("{wwid}: {error}");
            None
        });
    let (vendor, product) = &key.vendor_product;
    let vendor_product = (vendor.as_str(), product.as_str());
    let prkeys = PrKeysFile::new(&host.prkeys);
    let configured = key
        .rules
        .key(wwid, vendor_product, &prkeys)
        .unwrap_or_else(|error| {
            tracing::warn!("{wwid}: {error}");
            None
        });
    BooksRead {
        wwid: wwid.to_owned(),
        record,
        configured,
        has_leftover: has_leftover(&host.run_dir, wwid),
    }
}

/// A journal may also be of somebody at work: whoever gets the lock will see.
fn has_leftover(run_dir: &Path, wwid: &str) -> bool {
    RecordDir::journal_path(run_dir, wwid).is_some_and(|path| path.exists())
}
