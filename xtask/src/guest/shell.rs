//! A prompt in the guest, with a map to try things on.

use std::process::Command;

use super::{Fabric, Lab, Lun, Map, Nexus};
use crate::error::{Context, Result};

/// Makes a map and runs a shell until its user leaves it.
///
/// # Errors
/// If the map cannot be made or the shell not be run.
pub fn run() -> Result {
    let lab = Lab::alone("shell")?;
    let mut lun = lab.lun_named("mpatha", Fabric::Loop, 4)?;
    let other = lun.add_nexuses(2, 2)?;
    let map = lun.map()?;
    println!("{}", welcome(&lun, &map, &other)?);
    let shell = Command::new("bash")
        .env("PS1", "lab# ")
        .args(["--norc", "-i"])
        .status();
    shell.map(drop).context(|| "cannot run bash".to_owned())?;
    // The guest ends with the shell: nothing needs to be taken apart.
    std::mem::forget((lun, lab));
    Ok(())
}

fn welcome(lun: &Lun, map: &Map, other: &[Nexus]) -> Result<String> {
    let disks = lun
        .paths()
        .iter()
        .map(Nexus::disk)
        .collect::<Result<Vec<_>>>()?;
    let nodes = other.iter().map(Nexus::sg).collect::<Result<Vec<_>>>()?;
    let (disk, node) = (disks.first(), nodes.first());
    let (disk, node) = (
        disk.map_or("", String::as_str),
        node.map_or("", String::as_str),
    );
    let map = map.node();
    let commands = [
        (
            format!("mpathpersist -o -G -S 0x123abc -d {map}"),
            "register on every path",
        ),
        (
            format!("mpathpersist -o -R -K 0x123abc -T 5 -d {map}"),
            "reserve",
        ),
        (
            format!("mpathpersist -i -s -d {map}"),
            "who is registered, who holds it",
        ),
        (
            format!("sg_persist -n -o -R -K 0xbbb -T 5 {node}"),
            "node 2 tries: conflict",
        ),
        (
            format!("echo offline >/sys/block/{disk}/device/state"),
            "a path goes (running: returns)",
        ),
        (
            format!("sg_persist -n -i -s {node}"),
            "what the disk itself says",
        ),
        (
            format!("mpathpersist -o -L -K 0x123abc -T 5 -d {map}"),
            "release",
        ),
    ];
    let commands: String = commands
        .iter()
        .map(|(command, what)| format!("  {command:60} {what}\n"))
        .collect();
    Ok(format!(
        "
This guest is node 1: it has {map} over {}.
Node 2 has paths of its own to the same disk: {}.

{commands}
The distribution's tools are here as well (/usr/sbin/mpathpersist, multipathd).
exit or Ctrl-D ends the guest.
",
        disks.join(" "),
        nodes.join(" ")
    ))
}
