//! A logical unit as a person sees it: who reaches it by which paths, which are registered, who
//! holds the reservation, and who can write.

use scsi_pr::Reservation;
use scsi_pr::device_server::Registration;

use super::profile_name;
use super::san::{Condition, InMap, Lun, San, SanNode, SanPath};
use crate::paint::{self, Paint, Span, Style, shown};

/// One logical unit of a sandbox.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    san: &'a San,
    at: usize,
    lun: &'a Lun,
}

impl<'a> Table<'a> {
    /// One table for each logical unit.
    pub fn all(san: &'a San) -> impl Iterator<Item = Self> {
        let luns = san.luns.iter().enumerate();
        luns.map(move |(at, lun)| Self { san, at, lun })
    }

    /// Head and table, each line ended.
    #[must_use]
    pub fn render(&self, paint: Paint) -> String {
        let mut text = String::new();
        for line in [self.head(), self.reservation()] {
            text += &shown(&line, paint);
            text.push('\n');
        }
        text += &paint::table(&self.rows(), GAP, paint);
        for stray in self.strays() {
            text += &shown(&stray, paint);
            text.push('\n');
        }
        text
    }

    fn head(&self) -> Vec<Span> {
        let unit = &self.lun.unit;
        let array = profile_name(unit.profile());
        let generation = unit.generation();
        vec![
            Span(Style::Bold, self.lun.map.clone()),
            Span(
                Style::Faint,
                format!("  array: {array}, generation {generation}"),
            ),
        ]
    }

    fn reservation(&self) -> Vec<Span> {
        let Some(reservation) = self.lun.unit.reservation() else {
            return vec![Span(Style::Faint, "no reservation".to_owned())];
        };
        let held = reservation.reservation_type;
        vec![
            Span(Style::Mark, HOLDER.to_owned()),
            Span(Style::Plain, format!(" {held}, held by ")),
            Span(Style::Bold, self.holder(&reservation)),
        ]
    }

    fn holder(&self, reservation: &Reservation) -> String {
        if reservation.reservation_type.is_all_registrants() {
            return "all registrants".to_owned();
        }
        let key = reservation.key;
        let held = self.san.nodes.iter().find_map(|node| {
            let path = self
                .paths(node)
                .find(|path| self.lun.unit.is_holder(&path.nexus()))?;
            Some(format!("{} ({key}) through {}", node.name, path.device))
        });
        held.unwrap_or_else(|| format!("{key}, which is no path of these nodes"))
    }

    fn rows(&self) -> Vec<Vec<Vec<Span>>> {
        let mut rows = vec![self.header()];
        rows.extend(self.san.nodes.iter().map(|node| self.row(node)));
        rows
    }

    fn header(&self) -> Vec<Vec<Span>> {
        let first = self.san.nodes.first();
        let devices = first.into_iter().flat_map(|node| self.paths(node));
        let mut row = vec![Vec::new()];
        row.extend(devices.map(|path| vec![Span(Style::Faint, path.device.clone())]));
        row.push(vec![Span(Style::Faint, "I/O".to_owned())]);
        row
    }

    fn row(&self, node: &SanNode) -> Vec<Vec<Span>> {
        let mut row = vec![vec![Span(Style::Bold, node.name.clone())]];
        row.extend(self.paths(node).map(|path| self.cell(path)));
        row.push(vec![self.access(node)]);
        row
    }

    /// Key, holder's mark, and what is the matter with the path.
    fn cell(&self, path: &SanPath) -> Vec<Span> {
        let nexus = path.nexus();
        let mut cell = vec![match self.lun.unit.registered_key(&nexus) {
            Some(key) if path.carries_io() => Span(Style::Good, format!("{:x}", key.0)),
            Some(key) => Span(Style::Plain, format!("{:x}", key.0)),
            None => Span(Style::Faint, "-".to_owned()),
        }];
        if self.lun.unit.is_holder(&nexus) {
            cell.push(Span(Style::Mark, format!(" {HOLDER}")));
        }
        let matter = match (path.condition, path.in_map) {
            (Condition::Up, InMap::Active) => return cell,
            (Condition::Up, InMap::Failed) => "kept out",
            (condition, _) => condition.word(),
        };
        cell.push(Span(Style::Bad, format!(" {matter}")));
        cell
    }

    /// What the node's I/O meets on the paths that its map uses.
    fn access(&self, node: &SanNode) -> Span {
        let unit = &self.lun.unit;
        let used: Vec<_> = self.paths(node).filter(|path| path.carries_io()).collect();
        let writes = used
            .iter()
            .filter(|path| unit.may_write(&path.nexus()))
            .count();
        let reads = used
            .iter()
            .filter(|path| unit.may_read(&path.nexus()))
            .count();
        match used.len() {
            0 => Span(Style::Bad, "no path".to_owned()),
            all if writes == all => Span(Style::Good, "reads and writes".to_owned()),
            _ if writes > 0 => Span(Style::Bad, format!("writes by {writes} of {}", used.len())),
            _ if reads > 0 => Span(Style::Bad, "reads only".to_owned()),
            _ => Span(Style::Bad, "shut out".to_owned()),
        }
    }

    /// Registrations of nexuses that no path is.
    fn strays(&self) -> Vec<Vec<Span>> {
        let paths = self.san.nodes.iter().flat_map(|node| self.paths(node));
        let known: Vec<_> = paths.map(SanPath::nexus).collect();
        let is_stray = |found: &Registration<'_>| !known.contains(found.nexus);
        let strays = self.lun.unit.registrations().filter(is_stray);
        let text = |found: Registration<'_>| {
            let (port, key) = (&found.nexus.initiator_port, found.key);
            let target = found.nexus.relative_target_port;
            format!("also registered: {key} for {port} at target port {target}")
        };
        strays
            .map(|found| vec![Span(Style::Plain, text(found))])
            .collect()
    }

    fn paths<'b>(&self, node: &'b SanNode) -> impl Iterator<Item = &'b SanPath> + use<'b> {
        node.paths_to(self.at)
    }
}

const HOLDER: &str = "●";
const GAP: usize = 3;
