//! What no compiler and no linter checks: the house rules that can be seen in the files and in the
//! arrows between crates.

pub mod crates;
pub mod source;

use std::fs;
use std::path::Path;

use crate::error::{Context, Result};
use crate::process;

/// A rule that is not kept, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file, relative to the workspace.
    pub file: String,
    /// The line, from 1; 0 for the whole file.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, line, what } = self;
        if *line == 0 {
            write!(f, "{file}: {what}")
        } else {
            write!(f, "{file}:{line}: {what}")
        }
    }
}

/// Checks the whole workspace.
///
/// # Errors
/// If a file cannot be read or cargo does not describe the workspace.
pub fn check(workspace: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    check_folder(workspace, workspace, &mut findings)?;
    let mut cargo = process::tool("cargo");
    cargo
        .args(["metadata", "--no-deps", "--format-version=1"])
        .current_dir(workspace);
    let metadata = process::output(&mut cargo)?;
    let architecture = workspace.join("ARCHITECTURE.md");
    let architecture = fs::read_to_string(&architecture)
        .context(|| format!("cannot read {}", architecture.display()))?;
    findings.extend(crates::check(&metadata, &architecture)?);
    Ok(findings)
}

/// Checks the Rust files below a folder, in the order of their names.
fn check_folder(workspace: &Path, folder: &Path, findings: &mut Vec<Finding>) -> Result {
    let cannot = || format!("cannot read {}", folder.display());
    let entries = fs::read_dir(folder).context(cannot)?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.context(cannot)?.path());
    }
    paths.sort();
    for path in paths {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                check_folder(workspace, &path, findings)?;
            }
        } else if name.ends_with(".rs") {
            let text =
                fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))?;
            let file = path
                .strip_prefix(workspace)
                .unwrap_or(&path)
                .to_string_lossy();
            findings.extend(source::check(&file, &text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_place_that_editors_can_open() {
        let mut finding = Finding {
            file: "a/b.rs".into(),
            line: 3,
            what: "wrong".into(),
        };
        assert_eq!(finding.to_string(), "a/b.rs:3: wrong");
        finding.line = 0;
        assert_eq!(finding.to_string(), "a/b.rs: wrong");
    }

    #[test]
    fn files_are_found_below_folders_but_not_in_what_was_built() {
        let folder = std::env::temp_dir().join(format!("tidy-{}", std::process::id()));
        for file in ["a/src/lib.rs", "target/x.rs", ".git/x.rs", "a/README.md"] {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().expect("it has one")).expect("temp is writable");
            fs::write(path, "fn f() {}\n").expect("temp is writable");
        }
        let mut findings = Vec::new();
        check_folder(&folder, &folder, &mut findings).expect("all is readable");
        fs::remove_dir_all(&folder).expect("it is ours");
        let files: Vec<&str> = findings
            .iter()
            .map(|finding| finding.file.as_str())
            .collect();
        assert_eq!(files, ["a/src/lib.rs"]);
    }
}
