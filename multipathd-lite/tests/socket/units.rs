//! The units of the service manager, as `systemd-analyze` reads them where there is one.

use std::path::Path;
use std::process::Command;

#[test]
fn the_service_manager_understands_the_units() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    let mut units = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        // It looks for the program as well.
        assert!(text.contains(INSTALLED), "{}", path.display());
        let text = text.replace(INSTALLED, env!("CARGO_BIN_EXE_multipathd-lite"));
        let unit = dir.path().join(path.file_name().unwrap());
        std::fs::write(&unit, text).unwrap();
        units.push(unit);
    }
    assert_eq!(units.len(), 2);
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .args(&units)
        .output();
    match verified {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said: Vec<&str> = said.lines().filter(|line| is_ours(line)).collect();
            assert!(output.status.success() && said.is_empty(), "{said:?}");
        }
        Err(error) => eprintln!("skipped, because systemd-analyze cannot be run: {error}"),
    }
}

/// Of a machine's other units it may complain as it likes.
fn is_ours(line: &str) -> bool {
    line.contains("multipathd-lite") || line.contains("mpath-pr")
}

const INSTALLED: &str = "/usr/sbin/multipathd-lite";
