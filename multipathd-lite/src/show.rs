//! What `show` answers: texts and JSON made of a snapshot, in the shapes that multipathd's
//! clients know.

mod columns;
mod json;
mod map_row;
mod path_row;
mod status;
mod topology;

use std::time::Instant;

use mpath_state::protocol::{Reply, Show};

use crate::model::Model;
use crate::tally::Tally;
use columns::{render, wildcards};
use map_row::MapRow;
use path_row::PathRow;

/// One question about one snapshot.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// What is shown.
    pub model: &'a Model,
    /// What clients asked so far.
    pub tally: &'a Tally,
    /// For times that are shown as "so long from now".
    pub now: Instant,
}

impl<'a> Shown<'a> {
    /// The answer.
    #[must_use]
    pub fn reply(&self, show: &Show) -> Reply {
        match self.text(show) {
            Some(text) => Reply::Text(text),
            None => Reply::Fail {
                detail: String::new(),
            },
        }
    }

    /// `None`: there is no such map or path.
    fn text(&self, show: &Show) -> Option<String> {
        Some(match show {
            Show::Paths => render(PATHS, Style::Table, self.paths()),
            Show::PathsFormat { raw, format } => render(format, style(*raw), self.paths()),
            Show::Path(path) => render(PATHS, Style::Table, [self.path(path)?]),
            Show::PathsJson => json::paths(self.model),
            Show::Maps => render(MAPS, Style::Table, self.maps()),
            Show::MapsStatus => render(MAPS_STATUS, Style::Table, self.maps()),
            Show::MapsStats => render(MAPS_STATS, Style::Table, self.maps()),
            Show::MapsFormat { raw, format } => render(format, style(*raw), self.maps()),
            Show::MapFormat { map, raw, format } => render(format, style(*raw), [self.map(map)?]),
            Show::MapsJson => json::maps(self.model),
            Show::MapJson(map) => json::map(self.model, self.model.map(map)?),
            Show::Topology => self.maps().map(|row| topology::of(&row)).collect(),
            Show::Map(map) => topology::of(&self.map(map)?),
            Show::Status => status::of(self.model, self.tally),
            Show::Daemon => format!("pid {} {}\n", std::process::id(), self.model.activity),
            Show::Config => self.model.config.to_string(),
            Show::Wildcards => [wildcards::<MapRow<'_>>(), wildcards::<PathRow<'_>>()].join("\n"),
        })
    }

    fn maps(self) -> impl Iterator<Item = MapRow<'a>> {
        let model = self.model;
        let mut maps: Vec<_> = model.maps.values().collect();
        maps.sort_by_key(|map| map.device.map(|device| device.minor));
        maps.into_iter().map(move |map| MapRow { model, map })
    }

    fn map(&self, name: &str) -> Option<MapRow<'a>> {
        let model = self.model;
        let map = model.map(name)?;
        Some(MapRow { model, map })
    }

    fn paths(self) -> impl Iterator<Item = PathRow<'a>> {
        let Self { model, now, .. } = self;
        let paths = model.paths.values();
        paths.map(move |path| PathRow { model, path, now })
    }

    fn path(&self, name: &str) -> Option<PathRow<'a>> {
        let Self { model, now, .. } = *self;
        let path = model.path(name)?;
        Some(PathRow { model, path, now })
    }
}

/// With a header line and padded columns, or bare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Table,
    Raw,
}

const fn style(is_raw: bool) -> Style {
    if is_raw { Style::Raw } else { Style::Table }
}

/// `show paths`
const PATHS: &str = "%i %d %D %p %t %T %o %C";
/// `show maps`
const MAPS: &str = "%n %d %w";
/// `show maps status`
const MAPS_STATUS: &str = "%n %F %Q %N %t %r";
/// `show maps stats`
const MAPS_STATS: &str = "%n %0 %1 %2 %3 %4";
