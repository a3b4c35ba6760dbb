//! The demonstration: the main job of `mpathpersist` on the real kernel, told step by step. Each
//! step says what it shows, and the demonstration fails if the step does not show it.

use super::{Fabric, Finished, Lab, Map, Nexus, Run};
use crate::error::{Error, Result};
use crate::process;

/// Runs the demonstration of this program; titles stand out if `color`.
///
/// # Errors
/// If anything is not as the text says.
pub fn run(program: &str, color: Color) -> Result {
    let lab = Lab::alone("demo")?;
    let mut lun = lab.lun_named("mpatha", Fabric::Loop, 4)?;
    let other = lun.add_nexuses(2, 2)?;
    let map = lun.map()?;
    let mut demo = Demo {
        program,
        map: &map,
        other: &other,
        color,
        step: 0,
    };
    demo.introduce()?;
    demo.register()?;
    demo.reserve()?;
    demo.read()?;
    demo.shut_out()?;
    demo.release()?;
    println!("\nDone: what held on one disk held on the map.");
    Ok(())
}

/// Whether titles stand out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// They do, on a terminal.
    On,
    /// They do not, in a file.
    Off,
}

struct Demo<'a> {
    program: &'a str,
    map: &'a Map,
    other: &'a [Nexus],
    color: Color,
    step: usize,
}

impl Demo<'_> {
    fn introduce(&mut self) -> Result {
        let kernel = super::run("uname", ["-r"])?.succeeded()?.stdout;
        println!(
            "SCSI persistent reservations on a dm-multipath map\n\n\
             Linux {}, its own SCSI target, and two nodes that share one disk:\n\
             node 1 by four paths, together {}; node 2 by two others.",
            kernel.trim(),
            self.map.node()
        );
        self.title("The map");
        let shown = self
            .show("dmsetup", &["status", self.map.name()])?
            .succeeded()?;
        require(
            "the map has four active paths",
            shown.stdout.matches(" A ").count() >= 4,
        )
    }

    fn register(&mut self) -> Result {
        self.title("Node 1 registers its key: one command, all four paths");
        self.mpathpersist(&["-o", "--register", "--param-sark=0x123abc", "-d"])?
            .succeeded()?;
        self.witness(&["-i", "-k"])?;
        let keys = self.other_nexus()?.witness().read_keys_by_port()?;
        let all = [1, 2, 3, 4].map(|port| (port, KEY));
        require("every path is registered", keys == all)
    }

    fn reserve(&mut self) -> Result {
        self.title("Node 1 reserves the disk for registrants (Write Exclusive, type 5)");
        let reserve = [
            "-o",
            "--reserve",
            "--param-rk=0x123abc",
            "--prout-type=5",
            "-d",
        ];
        self.mpathpersist(&reserve)?.succeeded()?;
        self.witness(&["-i", "-r"])?;
        let held = self.other_nexus()?.witness().read_reservation()?;
        let right = held.is_some_and(|held| (held.key, held.reservation_type) == (KEY, 5));
        require("node 1 holds the reservation", right)
    }

    fn read(&mut self) -> Result {
        self.title("What the disk says, read through the map");
        for action in ["--read-keys", "--read-reservation", "--read-full-status"] {
            let read = self.mpathpersist(&["-i", action, "-d"])?.succeeded()?;
            require("the key is shown", read.stdout.contains("0x123abc"))?;
        }
        Ok(())
    }

    fn shut_out(&mut self) -> Result {
        self.title("Node 2 is shut out: it may neither reserve nor write");
        self.other_nexus()?.witness().read_keys()?;
        let node = self.other_nexus()?.sg()?;
        let reserve = ["-n", "-o", "-R", "-K", "0xbbb", "-T", "5", &node];
        let refused = self.show("sg_persist", &reserve)?;
        require("node 2 cannot reserve", refused.code() == CONFLICT)?;
        let to = format!("of={node}");
        let write = ["if=/dev/zero", &to, "bs=512", "count=8"];
        let refused = self.show("sg_dd", &write)?;
        require("node 2 cannot write", refused.code() != 0)?;

        self.title("Node 1 writes as before");
        let to = format!("of={}", self.map.node());
        let write = [
            "if=/dev/zero",
            &to,
            "bs=4k",
            "count=8",
            "oflag=direct",
            "status=none",
        ];
        self.show("dd", &write)?.succeeded()?;
        Ok(())
    }

    fn release(&mut self) -> Result {
        self.title("Node 1 releases the disk and takes its key away");
        let release = [
            "-o",
            "--release",
            "--param-rk=0x123abc",
            "--prout-type=5",
            "-d",
        ];
        self.mpathpersist(&release)?.succeeded()?;
        self.witness(&["-i", "-r"])?;
        let held = self.other_nexus()?.witness().read_reservation()?;
        require("nobody holds a reservation", held.is_none())?;
        self.mpathpersist(&["-o", "--register-ignore", "--param-sark=0", "-d"])?
            .succeeded()?;
        self.witness(&["-i", "-k"])?;
        let keys = self.other_nexus()?.witness().read_keys()?.keys;
        require("no key is left", keys.is_empty())
    }

    fn title(&mut self, text: &str) {
        self.step += 1;
        let (bold, plain) = match self.color {
            Color::On => ("\x1b[1m", "\x1b[0m"),
            Color::Off => ("", ""),
        };
        println!("\n{bold}{}. {text}{plain}", self.step);
    }

    /// The demonstrated command, shown by its own name, on the map.
    fn mpathpersist(&self, args: &[&str]) -> Result<Finished> {
        let args = [args, &[self.map.node()]].concat();
        shown(
            "mpathpersist",
            Run::new(self.program).args(&args).run()?,
            &args,
        )
    }

    /// sg_persist by a path of node 2, as the independent witness. A first command takes the unit
    /// attentions, so that the one that is shown is answered.
    fn witness(&self, args: &[&str]) -> Result {
        println!("   node 2, by sg_persist:");
        let node = self.other_nexus()?.sg()?;
        self.other_nexus()?.witness().read_keys()?;
        self.show("sg_persist", &[&["-n"], args, &[node.as_str()]].concat())?
            .succeeded()?;
        Ok(())
    }

    fn show(&self, program: &str, args: &[&str]) -> Result<Finished> {
        shown(program, super::run(program, args)?, args)
    }

    fn other_nexus(&self) -> Result<&Nexus> {
        self.other
            .first()
            .ok_or_else(|| Error::unexpected("node 2 has no path"))
    }
}

/// Prints a command, what it wrote, and its exit status if that is not 0.
fn shown(program: &str, finished: Finished, args: &[&str]) -> Result<Finished> {
    let words: Vec<String> = args.iter().map(|word| process::quoted(word)).collect();
    println!("   $ {program} {}", words.join(" "));
    for line in finished.stdout.lines().chain(finished.stderr.lines()) {
        if !line.trim().is_empty() {
            println!("     {}", line.trim_end());
        }
    }
    if finished.code() != 0 {
        println!("     (exit status {})", finished.code());
    }
    Ok(finished)
}

fn require(what: &str, holds: bool) -> Result {
    if holds {
        return Ok(());
    }
    Err(Error::unexpected(format!(
        "this should have been shown, and was not: {what}"
    )))
}

const KEY: u64 = 0x12_3abc;

/// What sg_persist ends with for a reservation conflict, see sg3_utils(8).
const CONFLICT: i32 = 24;
