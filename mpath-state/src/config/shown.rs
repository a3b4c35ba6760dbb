//! The configuration in force as the text of a configuration file: what `show config` answers.

use std::fmt::{self, Write};

use super::blacklist::{DeviceRule, Rule, RuleSet};
use super::keyword_value::KeywordValue;
use super::value::Attributes;
use super::{Config, FindMultipaths, MapIdentity};

/// Everything that counts, with what is built in; it can be read again.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("defaults {\n")?;
        write_words(f, 1, &self.all_defaults())?;
        f.write_str("}\nblacklist {\n")?;
        write_rules(f, &self.lists.blacklist, &self.lists.blacklist.property)?;
        f.write_str("}\nblacklist_exceptions {\n")?;
        let wanted: Vec<Rule> = self
            .lists
            .wanted_properties()
            .into_iter()
            .cloned()
            .collect();
        write_rules(f, &self.lists.exceptions, &wanted)?;
        f.write_str("}\ndevices {\n")?;
        for device in self.hardware.iter().chain(&self.devices) {
            let of = [
                ("vendor", device.vendor.to_string()),
                ("product", device.product.to_string()),
            ];
            write_section(f, "device", &of, &device.attributes)?;
        }
        f.write_str("}\noverrides {\n")?;
        write_words(f, 1, &self.overrides.shown())?;
        for protocol in &self.protocols {
            let of = [("type", protocol.protocol.clone())];
            write_section(f, "protocol", &of, &protocol.attributes)?;
        }
        f.write_str("}\nmultipaths {\n")?;
        for multipath in &self.multipaths {
            let of = [("wwid", multipath.wwid.clone())];
            write_section(f, "multipath", &of, &multipath.attributes)?;
        }
        f.write_str("}\n")
    }
}

impl Config {
    pub(super) fn all_defaults(&self) -> Vec<(&'static str, String)> {
        // No section is for a map without WWID, vendor and product, but for overrides.
        let nothing = Self {
            defaults: self.defaults.clone(),
            ..Self::default()
        };
        let map = MapIdentity::default();
        let mut words = vec![
            ("verbosity", self.verbosity().value.to_string()),
            (
                "polling_interval",
                self.polling_interval_s().value.to_string(),
            ),
            (
                "max_polling_interval",
                self.max_polling_interval_s().value.to_string(),
            ),
            (
                "find_multipaths",
                FindMultipaths::shown(&self.find_multipaths().value),
            ),
            (
                "path_grouping_policy",
                nothing.path_grouping_policy(&map, None).value.shown(),
            ),
            ("detect_pgpolicy", "yes".to_owned()),
            ("path_selector", nothing.path_selector(&map).value.shown()),
            ("prio", nothing.prio(&map).value.shown()),
            ("detect_prio", nothing.detect_prio(&map).value.shown()),
            ("failback", nothing.failback(&map, None).value.shown()),
            ("no_path_retry", nothing.no_path_retry(&map).value.shown()),
            ("features", nothing.features(&map).value.shown()),
            (
                "user_friendly_names",
                nothing.user_friendly_names(&map).value.shown(),
            ),
            ("alias_prefix", nothing.alias_prefix(&map).value),
            (
                "reservation_key",
                nothing.reservation_key(&map).value.shown(),
            ),
            ("all_tg_pt", nothing.all_tg_pt(&map).value.shown()),
            (
                "fast_io_fail_tmo",
                nothing.fast_io_fail(&map, "").value.shown(),
            ),
            ("uxsock_timeout", self.uxsock_timeout_ms().value.to_string()),
        ];
        for (keyword, value) in self.defaults.shown() {
            match words.iter_mut().find(|(known, _)| *known == keyword) {
                Some(_) if keyword == "max_polling_interval" => {}
                Some(word) => word.1 = value,
                None => words.push((keyword, value)),
            }
        }
        words
    }
}

fn write_words(
    f: &mut fmt::Formatter<'_>,
    depth: usize,
    words: &[(&'static str, String)],
) -> fmt::Result {
    for (keyword, value) in words {
        (0..depth).try_for_each(|_| f.write_char('\t'))?;
        writeln!(f, "{keyword} {}", quoted(value))?;
    }
    Ok(())
}

fn write_section(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    of: &[(&'static str, String)],
    attributes: &Attributes,
) -> fmt::Result {
    writeln!(f, "\t{name} {{")?;
    write_words(f, 2, of)?;
    write_words(f, 2, &attributes.shown())?;
    f.write_str("\t}\n")
}

fn write_rules(f: &mut fmt::Formatter<'_>, set: &RuleSet, properties: &[Rule]) -> fmt::Result {
    let lists = [
        ("devnode", &set.devnode[..]),
        ("wwid", &set.wwid),
        ("property", properties),
        ("protocol", &set.protocol),
    ];
    for (keyword, rules) in lists {
        for rule in rules {
            write_words(f, 1, &[(keyword, rule.pattern.to_string())])?;
        }
    }
    for device in &set.device {
        f.write_str("\tdevice {\n")?;
        write_words(f, 2, &patterns(device))?;
        f.write_str("\t}\n")?;
    }
    Ok(())
}

fn patterns(device: &DeviceRule) -> Vec<(&'static str, String)> {
    let vendor = device
        .vendor
        .as_ref()
        .map(|vendor| ("vendor", vendor.to_string()));
    let product = device
        .product
        .as_ref()
        .map(|product| ("product", product.to_string()));
    vendor.into_iter().chain(product).collect()
}

/// Numbers stand bare, all else in quotes, as multipath-tools writes it.
fn quoted(value: &str) -> String {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match is_number {
        true => value.to_owned(),
        false => format!("\"{}\"", value.replace('"', "\"\"")),
    }
}
