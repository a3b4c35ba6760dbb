//! Measuring: many maps, the distribution's programs and this project's, one after the other in
//! the same guest with the same configuration. What counts is the ratio within a line: the
//! emulated processor is ten to thirty times slower than a machine.

mod client;
mod commands;
mod cost;
mod daemon;
mod fence;
mod returns;
mod stage;
mod table;

use std::time::Duration;

use clap::Args;

use super::Lab;
use crate::error::Result;
use commands::Commands;
use daemon::{Daemon, Program};
use stage::Stage;
use table::{Row, Table, Unit, median, percentile};

/// How much is measured.
#[derive(Debug, Clone, Args)]
pub struct Scale {
    /// Maps, of four paths each
    #[arg(long, default_value_t = 256)]
    maps: usize,
    /// How many of them have all their paths hang in the end
    #[arg(long, default_value_t = 10)]
    hanging: usize,
    /// Seconds of rest whose CPU time is measured
    #[arg(long, default_value_t = 60)]
    idle: u64,
    /// Rounds of each command
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Without the distribution's programs: for a quick look
    #[arg(long)]
    only_ours: bool,
    /// Instead of all that, which system calls the daemons make until all maps are there
    #[arg(long)]
    trace: bool,
    /// Instead of all that, fence_mpath's whole cycle with so many disks, as in 2,32
    #[arg(long, value_name = "DISKS", value_delimiter = ',')]
    fence: Vec<usize>,
}

impl Scale {
    /// The same, as a command line.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--maps={}", self.maps),
            format!("--hanging={}", self.hanging),
            format!("--idle={}", self.idle),
            format!("--rounds={}", self.rounds),
        ];
        arguments.extend(self.only_ours.then(|| "--only-ours".to_owned()));
        arguments.extend(self.trace.then(|| "--trace".to_owned()));
        let fence = self.fence.iter().map(|disks| format!("--fence={disks}"));
        arguments.extend(fence);
        arguments
    }
}

/// Runs the bench and prints what it found.
///
/// # Errors
/// If the guest does not get that far. No figure is an error.
pub fn run(scale: &Scale) -> Result {
    let lab = Lab::alone("bench")?;
    if !scale.fence.is_empty() {
        return fence::run(&lab, &scale.fence, scale.rounds);
    }
    lab.write_config(CONFIG)?;
    let stage = Stage::make(&lab, scale.maps, scale.hanging.min(scale.maps))?;
    println!("bench: {stage}");
    let programs = match scale.only_ours {
        true => vec![Program::Ours],
        false => vec![Program::Distribution, Program::Ours],
    };
    if scale.trace {
        for program in programs {
            stage.clear()?;
            println!("{}", Daemon::trace(program, &stage)?);
        }
        std::mem::forget((stage, lab));
        return Ok(());
    }
    let mut figures = Vec::new();
    for program in programs {
        figures.push(Figures::measure(program, &stage, scale)?);
    }
    let [first, .., last] = [figures.first(), figures.last()];
    let theirs = first.filter(|_| figures.len() > 1);
    if let Some(ours) = last {
        print(&stage, theirs, ours);
    }
    // The guest ends with this: nothing needs to be taken apart.
    std::mem::forget((stage, lab));
    Ok(())
}

/// What was found of one implementation.
struct Figures {
    start: Duration,
    restart: Duration,
    end: Duration,
    resident_kib: u64,
    proportional_kib: u64,
    cpu: Duration,
    cpu_registered: Option<Duration>,
    resting: Vec<Duration>,
    hanging: Vec<Duration>,
    hanging_kib: u64,
    returns: Vec<(&'static str, Vec<Duration>)>,
    commands: Commands,
}

impl Figures {
    fn measure(program: Program, stage: &Stage, scale: &Scale) -> Result<Self> {
        println!("bench: {program}");
        stage.clear()?;
        let idle = Duration::from_secs(scale.idle);
        let (mut daemon, start) = Daemon::start(program, stage)?;
        daemon.say(&format!("all maps after {:.1} s", start.as_secs_f64()));
        let commands = Commands::measure(program, stage, scale.rounds)?;
        std::thread::sleep(UNTIL_AT_REST);
        let cpu = daemon.cpu_of(idle)?;
        let memory = daemon.memory()?;
        let resting = daemon.show_maps(SHOWN)?;
        let cpu_registered = match program {
            Program::Ours => Some(commands::while_registered(stage, || {
                std::thread::sleep(UNTIL_AT_REST);
                daemon.cpu_of(idle)
            })?),
            Program::Distribution => None,
        };
        let returns = returns::measure(program, stage, scale.rounds);
        let returns = returns.unwrap_or_else(|error| {
            daemon.say(&format!("a path does not come back: {error}"));
            Vec::new()
        });
        let end = daemon.end()?;
        let (mut daemon, restart) = Daemon::restart(program, stage)?;
        // Else what it does after a start would be measured.
        std::thread::sleep(UNTIL_AT_REST);
        stage.hang()?;
        let hanging = daemon.show_maps(SHOWN)?;
        let hanging_kib = daemon.memory()?.proportional_kib;
        daemon.say("the paths that hang go on");
        stage.resume()?;
        daemon.end()?;
        Ok(Self {
            start,
            restart,
            end,
            resident_kib: memory.resident_kib,
            proportional_kib: memory.proportional_kib,
            cpu: per_minute(cpu, idle),
            cpu_registered: cpu_registered.map(|cpu| per_minute(cpu, idle)),
            resting,
            hanging,
            hanging_kib,
            returns,
            commands,
        })
    }

    fn rows(&self) -> Vec<(&'static str, Unit, Option<f64>)> {
        let time = |name, duration: Duration| (name, Unit::Time, Some(duration.as_secs_f64()));
        let size = |name, kib: u64| (name, Unit::Mebibytes, Some(kib as f64 / 1024.0));
        let registered = self.cpu_registered.map(|cpu| cpu.as_secs_f64());
        let mut rows = vec![
            time("start until all maps are made", self.start),
            time("start until all maps that exist are known", self.restart),
            time("SIGTERM to its end", self.end),
            size("memory, resident (RSS)", self.resident_kib),
            size("memory, shared pages shared (PSS)", self.proportional_kib),
            size("the same while paths hang", self.hanging_kib),
            time("CPU time a minute at rest", self.cpu),
            (
                "CPU time a minute at rest, maps registered",
                Unit::Time,
                registered,
            ),
            time("show maps, median", median(&self.resting)),
            time("show maps, 99 of 100", percentile(&self.resting, 99)),
            time("show maps while paths hang, median", median(&self.hanging)),
            time(
                "show maps while paths hang, 99 of 100",
                percentile(&self.hanging, 99),
            ),
        ];
        let returns = self.returns.iter();
        rows.extend(returns.map(|(way, times)| time(way, median(times))));
        rows
    }
}

fn print(stage: &Stage, theirs: Option<&Figures>, ours: &Figures) {
    let mut table = Table::new(&format!("{stage}"), &["distribution", "ours"]);
    let other = theirs.map(Figures::rows).unwrap_or_default();
    for (at, (name, unit, value)) in ours.rows().into_iter().enumerate() {
        let theirs = other.get(at).and_then(|(_, _, value)| *value);
        table.add(Row::new(name, unit, vec![theirs, value]));
    }
    println!("\n{table}");
    let mut table = Table::new(
        "one command, median",
        &["sg_persist", "distribution", "ours"],
    );
    for (at, name) in Commands::NAMES.iter().enumerate() {
        let theirs = theirs.and_then(|figures| figures.commands.median(at));
        let (bare, own) = (ours.commands.bare_median(at), ours.commands.median(at));
        table.add(Row::new(name, Unit::Time, vec![bare, theirs, own]));
    }
    println!("{table}");
}

fn per_minute(cpu: Duration, of: Duration) -> Duration {
    cpu.mul_f64(60.0 / of.as_secs_f64())
}

/// All defaults, but for what LIO's entry in the table of hardware sets: it reads the disk to
/// check it, and queues for ever.
const CONFIG: &str = "\
defaults {
	find_multipaths greedy
	reservation_key file
}
overrides {
	no_path_retry fail
	path_grouping_policy multibus
	path_checker tur
}
";

/// The intervals of the checker grow from 5 s over 10 to 20.
const UNTIL_AT_REST: Duration = Duration::from_secs(40);

/// How often maps are shown.
const SHOWN: usize = 200;
