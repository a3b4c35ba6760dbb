//! What a shell offers when its user presses the tabulator, asked of the shell itself.

use std::fs;
use std::process::{Command, Stdio};

use super::*;
use crate::process::find_program;

/// A sysfs with two multipath maps and a logical volume.
struct Sysfs(tempfile::TempDir);

impl Sysfs {
    fn new() -> Self {
        let sysfs = Self(tempfile::tempdir().expect("temp is writable"));
        let maps = [
            ("mpatha", "mpath-3600a"),
            ("data", "mpath-3600b"),
            ("vg-lv", "LVM-abc"),
        ];
        for (number, (name, uuid)) in maps.into_iter().enumerate() {
            let folder = sysfs.0.path().join(format!("block/dm-{number}/dm"));
            fs::create_dir_all(&folder).expect("temp is writable");
            fs::write(folder.join("name"), format!("{name}\n")).expect("temp is writable");
            fs::write(folder.join("uuid"), format!("{uuid}\n")).expect("temp is writable");
        }
        sysfs
    }

    fn script(&self, program: &str, shell: Shell) -> String {
        let root = self.0.path().to_string_lossy();
        script(program, shell, &root).expect("it can be made").text
    }

    /// What bash offers behind these words, the last of which is begun.
    fn offered(&self, words: &[&str]) -> Vec<String> {
        let program = words[0];
        let asked = "eval \"$0\"; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); \
             function=$(complete -p \"$1\" | grep -o -e '-F [^ ]*'); \
             ${function#-F } \"$1\" \"${COMP_WORDS[-1]}\" \"${COMP_WORDS[-2]}\"; \
             printf '%s\\n' \"${COMPREPLY[@]}\"";
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-c", asked, &self.script(program, Shell::Bash)]);
        let output = bash.args(words).stdin(Stdio::null()).output();
        let output = output.expect("there is bash");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.is_empty(), "{said}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.retain(|line| !line.is_empty());
        lines.sort();
        lines
    }
}

#[test]
fn bash_offers_maps_where_a_device_is_meant() {
    let sysfs = Sysfs::new();
    assert_eq!(
        sysfs.offered(&["mpathpersist", "-d", ""]),
        ["data", "mpatha"]
    );
    assert_eq!(
        sysfs.offered(&["mpathpersist", "-i", "-k", "--device", "m"]),
        ["mpatha"]
    );
    assert_eq!(
        sysfs.offered(&["mpathpersist", "-i", "-d", "/dev/m"]),
        ["/dev/mapper/data", "/dev/mapper/mpatha"]
    );
    assert_eq!(
        sysfs.offered(&["mpathpersist", "-i", "--device", "=", "da"]),
        ["data"]
    );
    assert_eq!(
        sysfs.offered(&["mpathpersist", "-i", "-k", "mpa"]),
        ["mpatha"]
    );
    assert_eq!(
        sysfs.offered(&["multipathd-lite", "show", "map", ""]),
        ["data", "mpatha"]
    );
    assert_eq!(
        sysfs.offered(&["multipathd-lite", "reload", "map", "da"]),
        ["data"]
    );
}

#[test]
fn bash_offers_options_values_and_commands() {
    let sysfs = Sysfs::new();
    assert_eq!(
        sysfs.offered(&["mpathpersist", "-o", "--regi"]),
        ["--register", "--register-ignore", "--register-move"]
    );
    assert_eq!(
        sysfs.offered(&["mpathpersist", "-o", "-T", ""]),
        ["1", "3", "5", "6", "7", "8"]
    );
    assert!(
        sysfs
            .offered(&["mpathpersist", "-o", "--param-rk", "m"])
            .is_empty()
    );
    let shown = sysfs.offered(&["mpathpersist", "sandbox", "o"]);
    assert_eq!(shown, ["offline"]);
    assert_eq!(
        sysfs.offered(&["multipathd-lite", "show", "to"]),
        ["topology"]
    );
    assert_eq!(sysfs.offered(&["multipathd-lite", "getpr"]).len(), 3);
}

#[test]
fn scripts_are_named_as_their_shells_look_for_them() {
    let name = |shell| {
        script("mpathpersist", shell, "/sys")
            .expect("it can be made")
            .file
    };
    assert_eq!(
        SHELLS.map(name),
        ["mpathpersist", "_mpathpersist", "mpathpersist.fish"]
    );
}

#[test]
fn zsh_asks_for_maps() {
    let sysfs = Sysfs::new();
    let text = sysfs.script("mpathpersist", Shell::Zsh);
    assert!(text.starts_with("#compdef mpathpersist\n"), "{text}");
    // -d, --device, and the device without an option.
    assert_eq!(text.matches(":_mpath_pr_maps'").count(), 3, "{text}");
    let daemon = sysfs.script("multipathd-lite", Shell::Zsh);
    assert!(daemon.contains(":_mpath_pr_maps'"), "{daemon}");
    check_syntax("zsh", &["-n"], &text);
    check_syntax("zsh", &["-n"], &daemon);
}

#[test]
fn fish_asks_for_maps() {
    let sysfs = Sysfs::new();
    for program in ["mpathpersist", "multipathd-lite"] {
        check_syntax(
            "fish",
            &["--no-execute"],
            &sysfs.script(program, Shell::Fish),
        );
    }
    if find_program("fish").is_none() {
        return;
    }
    let asked = format!(
        "{}\ncomplete -C 'mpathpersist -i -d m'",
        sysfs.script("mpathpersist", Shell::Fish)
    );
    let output = Command::new("fish")
        .args(["--no-config", "-c", &asked])
        .output();
    let output = output.expect("there is fish");
    let offered = String::from_utf8_lossy(&output.stdout);
    assert!(offered.lines().any(|line| line == "mpatha"), "{offered}");
}

/// Where the shell is installed, it reads the script without complaint.
fn check_syntax(shell: &str, args: &[&str], text: &str) {
    if find_program(shell).is_none() {
        eprintln!("skipped, because {shell} is not installed");
        return;
    }
    let folder = tempfile::tempdir().expect("temp is writable");
    let file = folder.path().join("script");
    fs::write(&file, text).expect("temp is writable");
    let output = Command::new(shell).args(args).arg(&file).output();
    let output = output.expect("it is there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.is_empty(),
        "{shell}: {said}"
    );
}
