//! `blacklist` and `blacklist_exceptions`: which devices are none of the daemon's business.
//!
//! A device is excluded if one of the criteria excludes it: a line of the blacklist matches, and
//! no line of the exceptions *of the same criterion* does. Properties work the other way round as
//! well: a device that has none of the properties that the exceptions name is excluded.

use std::fmt;

use super::pattern::Pattern;
use super::value::Place;

/// What identifies a path to the blacklists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathIdentity {
    /// `sda`
    pub devnode: String,
    /// The WWID; empty if it has none.
    pub wwid: String,
    /// The SCSI vendor, without trailing blanks.
    pub vendor: String,
    /// The SCSI product, without trailing blanks.
    pub product: String,
    /// `scsi:fcp`, `scsi:iscsi`, …
    pub protocol: String,
    /// Names of the udev properties; `None` where they are not known, and then no property rule
    /// applies.
    pub properties: Option<Vec<String>>,
}

/// Why a device is excluded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exclusion {
    /// `devnode`, `wwid`, `device`, `protocol` or `property`.
    pub criterion: &'static str,
    /// The line's pattern, or the properties that are missing.
    pub pattern: String,
    /// File and line, or `built in`.
    pub origin: String,
}

/// `blacklisted by devnode "^sda" (/etc/multipath.conf:3)`
impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            criterion,
            pattern,
            origin,
        } = self;
        write!(f, "blacklisted by {criterion} \"{pattern}\" ({origin})")
    }
}

/// The lines of one of the two sections.
#[derive(Clone, Debug, Default)]
pub(super) struct RuleSet {
    pub(super) devnode: Vec<Rule>,
    pub(super) wwid: Vec<Rule>,
    pub(super) property: Vec<Rule>,
    pub(super) protocol: Vec<Rule>,
    pub(super) device: Vec<DeviceRule>,
}

/// A line.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) pattern: Pattern,
    /// `None`: built in.
    pub(super) place: Option<Place>,
}

/// A `device` section; what it does not name matches all.
#[derive(Clone, Debug)]
pub(super) struct DeviceRule {
    pub(super) vendor: Option<Pattern>,
    pub(super) product: Option<Pattern>,
    pub(super) place: Option<Place>,
}

/// Both sections, with what is built in.
#[derive(Clone, Debug)]
pub(super) struct Blacklists {
    pub(super) blacklist: RuleSet,
    pub(super) exceptions: RuleSet,
}

impl Blacklists {
    /// Why the device is excluded, if it is.
    pub(super) fn exclusion(&self, path: &PathIdentity) -> Option<Exclusion> {
        self.excluded_by_property(path)
            .or_else(|| self.excluded_by("devnode", &path.devnode, |set| &set.devnode))
            .or_else(|| self.excluded_by_device(path))
            .or_else(|| self.excluded_by("protocol", &path.protocol, |set| &set.protocol))
            .or_else(|| self.excluded_by("wwid", &path.wwid, |set| &set.wwid))
    }

    /// The properties of which a device must have one: what is configured replaces what is built
    /// in.
    pub(super) fn wanted_properties(&self) -> Vec<&Rule> {
        let rules = &self.exceptions.property;
        let is_configured = rules.iter().any(|rule| rule.place.is_some());
        let counts = |rule: &&Rule| rule.place.is_some() == is_configured;
        rules.iter().filter(counts).collect()
    }

    fn excluded_by(
        &self,
        criterion: &'static str,
        text: &str,
        rules: impl Fn(&RuleSet) -> &Vec<Rule>,
    ) -> Option<Exclusion> {
        let is_match = |rule: &&Rule| rule.pattern.is_match(text);
        if text.is_empty() || rules(&self.exceptions).iter().any(|rule| is_match(&rule)) {
            return None;
        }
        let rule = rules(&self.blacklist).iter().find(is_match)?;
        Some(rule.exclusion(criterion))
    }

    fn excluded_by_device(&self, path: &PathIdentity) -> Option<Exclusion> {
        let is_match = |rule: &&DeviceRule| rule.is_match(path);
        if self.exceptions.device.iter().any(|rule| is_match(&rule)) {
            return None;
        }
        let rule = self.blacklist.device.iter().find(is_match)?;
        Some(Exclusion {
            criterion: "device",
            pattern: rule.to_string(),
            origin: origin(rule.place.as_ref()),
        })
    }

    fn excluded_by_property(&self, path: &PathIdentity) -> Option<Exclusion> {
        let properties = path.properties.as_ref()?;
        let is_match = |rule: &&Rule| properties.iter().any(|name| rule.pattern.is_match(name));
        let wanted = self.wanted_properties();
        let found = wanted.iter().find(|rule| is_match(rule));
        // Nearly every disk has what is built in: that is no exception from a rule.
        if found.is_some_and(|rule| rule.place.is_some()) {
            return None;
        }
        let unwanted = self.blacklist.property.iter().find(is_match);
        let missing = wanted.first().copied().filter(|_| found.is_none());
        Some(unwanted.or(missing)?.exclusion("property"))
    }
}

impl Rule {
    fn exclusion(&self, criterion: &'static str) -> Exclusion {
        Exclusion {
            criterion,
            pattern: self.pattern.to_string(),
            origin: origin(self.place.as_ref()),
        }
    }
}

impl DeviceRule {
    fn is_match(&self, path: &PathIdentity) -> bool {
        let fits = |pattern: &Option<Pattern>, text: &str| {
            pattern
                .as_ref()
                .is_none_or(|pattern| pattern.is_match(text))
        };
        fits(&self.vendor, &path.vendor) && fits(&self.product, &path.product)
    }
}

/// Vendor and product; `.*` for what is not named.
impl fmt::Display for DeviceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |pattern: &Option<Pattern>| {
            pattern
                .as_ref()
                .map_or_else(|| ".*".to_owned(), Pattern::to_string)
        };
        write!(f, "{} {}", shown(&self.vendor), shown(&self.product))
    }
}

fn origin(place: Option<&Place>) -> String {
    place.map_or_else(
        || "built in".to_owned(),
        |place| format!("{}:{}", place.file.display(), place.line),
    )
}

/// What is built in.
impl Default for Blacklists {
    fn default() -> Self {
        let rule = |text: &str| {
            let pattern = Pattern::rule(text).ok()?;
            Some(Rule {
                pattern,
                place: None,
            })
        };
        let device = |(vendor, product): &(&str, &str)| {
            Some(DeviceRule {
                vendor: Some(Pattern::rule(vendor).ok()?),
                product: Some(Pattern::rule(product).ok()?),
                place: None,
            })
        };
        let blacklist = RuleSet {
            devnode: rule(DEVNODES).into_iter().collect(),
            device: CONTROL_LUNS.iter().filter_map(device).collect(),
            ..RuleSet::default()
        };
        let exceptions = RuleSet {
            property: rule(PROPERTIES).into_iter().collect(),
            ..RuleSet::default()
        };
        Self {
            blacklist,
            exceptions,
        }
    }
}

/// SCSI disks; nothing else is a path here.
const DEVNODES: &str = "!^sd[a-z]";

/// A device that udev has found no identity of is none.
const PROPERTIES: &str = "(SCSI_IDENT_|ID_WWN)";

/// Management LUNs of arrays: disks by their type, without anything to store on.
const CONTROL_LUNS: [(&str, &str); 7] = [
    ("^(SGI|DELL|FUJITSU|IBM|LENOVO|STK|SUN)", "^Universal Xport"),
    ("^(NETAPP|LSI|ENGENIO)", "^Universal Xport"),
    ("^(DGC|EMC)", "^LUNZ"),
    ("^IBM", "^S/390"),
    ("^(Intel|INTEL)", "^VTrak V-LUN"),
    ("^Promise", "^VTrak V-LUN"),
    ("^Promise", "^Vess V-LUN"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_built_in_is_well_formed() {
        let lists = Blacklists::default();
        assert_eq!(lists.blacklist.devnode.len(), 1);
        assert_eq!(lists.blacklist.device.len(), CONTROL_LUNS.len());
        assert_eq!(lists.wanted_properties().len(), 1);
    }
}
