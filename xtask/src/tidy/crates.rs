//! The rules for crates: who may know whom, and that each dependency is accounted for.

use serde_json::Value;

use super::Finding;
use crate::error::{Error, Result};

/// Checks what `cargo metadata` says of the workspace against the arrows of the design and the
/// text of ARCHITECTURE.md.
///
/// # Errors
/// If the metadata is not what cargo documents.
pub fn check(metadata: &str, architecture: &str) -> Result<Vec<Finding>> {
    let packages =
        parse(metadata).ok_or_else(|| Error::unexpected("cargo metadata is not as documented"))?;
    let mut findings = Vec::new();
    for package in &packages {
        let file = format!("{}/Cargo.toml", package.name);
        let faults = package.dependencies.iter().filter_map(|dependency| {
            if packages.iter().any(|other| other.name == *dependency) {
                arrow_fault(&package.name, dependency)
            } else {
                unnamed_fault(dependency, architecture)
            }
        });
        findings.extend(faults.map(|what| Finding {
            file: file.clone(),
            line: 0,
            what,
        }));
    }
    Ok(findings)
}

struct Package {
    name: String,
    /// Of every kind, ordinary, for tests and for builds.
    dependencies: Vec<String>,
}

fn parse(metadata: &str) -> Option<Vec<Package>> {
    let metadata: Value = serde_json::from_str(metadata).ok()?;
    let packages = metadata.get("packages")?.as_array()?.iter();
    packages.map(parse_package).collect()
}

fn parse_package(package: &Value) -> Option<Package> {
    let name = |value: &Value| Some(value.get("name")?.as_str()?.to_owned());
    let dependencies = package.get("dependencies")?.as_array()?.iter();
    let mut dependencies = dependencies.map(name).collect::<Option<Vec<String>>>()?;
    dependencies.sort();
    dependencies.dedup();
    Some(Package {
        name: name(package)?,
        dependencies,
    })
}

fn arrow_fault(from: &str, to: &str) -> Option<String> {
    match ARROWS.iter().find(|(name, _)| *name == from) {
        None => Some(format!(
            "{from} has no place in the design yet: give it one in {}",
            file!()
        )),
        Some((_, allowed)) if allowed.contains(&to) => None,
        Some(_) => Some(format!("{from} must not know {to}")),
    }
}

fn unnamed_fault(dependency: &str, architecture: &str) -> Option<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let named = architecture
        .split(|c| !is_name(c))
        .any(|word| word == dependency);
    (!named).then(|| format!("ARCHITECTURE.md does not say why {dependency} is depended on"))
}

/// Who may know whom: leaves know nobody, judgement and memory know the wire, only the hands see
/// everything.
const ARROWS: &[(&str, &[&str])] = &[
    ("scsi-pr", &[]),
    ("dm-multipath", &[]),
    ("mpath-state", &["scsi-pr"]),
    ("pr-policy", &["scsi-pr"]),
    (
        "mpathpersist",
        &["scsi-pr", "dm-multipath", "mpath-state", "pr-policy"],
    ),
    (
        "multipathd-lite",
        &[
            "scsi-pr",
            "dm-multipath",
            "mpath-state",
            "pr-policy",
            "mpathpersist",
        ],
    ),
    (
        "xtask",
        &[
            "scsi-pr",
            "dm-multipath",
            "mpath-state",
            "pr-policy",
            "mpathpersist",
            "multipathd-lite",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The faults of a workspace of all the crates, in which `from` depends on `to`.
    fn check_arrow(from: &str, to: &str) -> Vec<String> {
        let package = |name: &str| {
            let dependencies = if name == from {
                format!(r#"{{"name":"{to}"}}"#)
            } else {
                "".into()
            };
            format!(r#"{{"name":"{name}","dependencies":[{dependencies}]}}"#)
        };
        let names = ARROWS.iter().map(|(name, _)| *name).chain(["newcomer"]);
        let packages: Vec<String> = names.map(package).collect();
        let metadata = format!(r#"{{"packages":[{}]}}"#, packages.join(","));
        let findings = check(&metadata, "`serde`: for JSON.").expect("it is well formed");
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn leaves_know_nobody() {
        for leaf in ["scsi-pr", "dm-multipath"] {
            for (other, _) in ARROWS.iter().filter(|(other, _)| *other != leaf) {
                assert_eq!(
                    check_arrow(leaf, other),
                    [format!("{leaf} must not know {other}")]
                );
            }
        }
    }

    #[test]
    fn memory_and_judgement_know_only_the_wire() {
        for room in ["mpath-state", "pr-policy"] {
            assert_eq!(check_arrow(room, "scsi-pr"), [""; 0]);
            assert_eq!(check_arrow(room, "dm-multipath").len(), 1);
            assert_eq!(check_arrow(room, "mpathpersist").len(), 1);
        }
        assert_eq!(check_arrow("mpath-state", "pr-policy").len(), 1);
    }

    #[test]
    fn the_command_does_not_know_the_daemon() {
        assert_eq!(check_arrow("mpathpersist", "multipathd-lite").len(), 1);
        assert_eq!(check_arrow("multipathd-lite", "mpathpersist"), [""; 0]);
    }

    #[test]
    fn a_new_crate_needs_a_place() {
        assert_eq!(check_arrow("newcomer", "scsi-pr").len(), 1);
    }

    #[test]
    fn each_dependency_is_accounted_for() {
        assert_eq!(check_arrow("scsi-pr", "serde"), [""; 0]);
        let unnamed = ["ARCHITECTURE.md does not say why serde_json is depended on"];
        assert_eq!(check_arrow("scsi-pr", "serde_json"), unnamed);
    }

    #[test]
    fn metadata_that_is_none_is_an_error() {
        assert!(check("{}", "").is_err());
    }
}
