//! Is the simulated logical unit what the kernel's target is? The same random commands, from
//! several nexuses, go to both; every status, sense code and byte must be the same.
//!
//! A difference is either a fault of the simulation or a [quirk](scsi_pr::device_server::Quirks)
//! that still lacks a name. Its seed repeats it, commands and all.

mod answer;
mod generator;
mod random;
mod step;
mod target;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use scsi_pr::device_server::LogicalUnit;
use scsi_pr::{BasicParameters, InAction, OutAction, ReservationKey};
use xtask::error::Result;
use xtask::guest::{self, Fabric, Lab};

use answer::Answer;
use random::Random;
use step::Step;
use target::Target;

#[test]
fn conformance_over_tcm_loop() -> Result {
    compare(&Lab::shared("conformloop")?, Fabric::Loop, 1..=SEQUENCES)
}

#[test]
fn conformance_over_iscsi() -> Result {
    compare(
        &Lab::shared("conformiscsi")?,
        Fabric::Iscsi,
        1001..=1000 + SEQUENCES,
    )
}

/// A reset by another nexus: it alone is not told, since its initiator expects to be.
#[test]
fn conformance_after_a_reset() -> Result {
    let target = Target::new(&Lab::shared("conformreset")?, Fabric::Loop)?;
    let mut unit = target.reset()?;
    let key = ReservationKey(2);
    let parameters = BasicParameters {
        reservation_key: key,
        ..BasicParameters::default()
    };
    let steps = [
        Step::register_and_ignore(1, key),
        Step::out(1, OutAction::RESERVE, 0x05, parameters.encode()),
    ];
    for step in &steps {
        assert_eq!(target.answer(step)?.to_string(), "GOOD", "{step}");
        simulate(&mut unit, &target, step);
    }
    let node = target.nexuses[0].nexus.sg()?;
    guest::run("sg_reset", ["-d", &node])?.succeeded()?;
    unit.reset();
    for nexus in 1..target.nexuses.len() {
        for step in [
            Step::read(nexus, InAction::READ_KEYS, 1024),
            Step::read(nexus, InAction::READ_KEYS, 1024),
            Step::read(nexus, InAction::READ_FULL_STATUS, 1024),
            Step::test_unit_ready(nexus),
        ] {
            let real = target.answer(&step)?;
            let simulated = simulate(&mut unit, &target, &step);
            assert_eq!(real.to_string(), simulated.to_string(), "{step}");
        }
    }
    Ok(())
}

/// Random sequences per fabric; each has its number as seed.
const SEQUENCES: u64 = 20;

/// Commands of each.
const LENGTH: usize = 120;

/// Last commands shown of a sequence that went wrong.
const SHOWN: usize = 25;

/// Differences after which there is enough to think about.
const MOST_DIFFERENCES: usize = 6;

fn compare(lab: &Lab, fabric: Fabric, seeds: impl IntoIterator<Item = u64>) -> Result {
    let target = Target::new(lab, fabric)?;
    let mut sequences = 0;
    let mut tally = Tally::default();
    let mut differences = Vec::new();
    for seed in seeds {
        sequences += 1;
        differences.extend(run_sequence(&target, seed, &mut tally)?);
        if differences.len() >= MOST_DIFFERENCES {
            break;
        }
    }
    let commands: usize = tally.0.values().sum();
    println!("{commands} commands in {sequences} sequences over {fabric:?}\n{tally}");
    let count = differences.len();
    assert_eq!(count, 0, "\n{}", differences.join("\n"));
    Ok(())
}

/// How often which command had which end.
#[derive(Default)]
struct Tally(BTreeMap<(&'static str, String), usize>);

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((command, end), count) in &self.0 {
            writeln!(f, "{count:>6}  {command}: {end}")?;
        }
        Ok(())
    }
}

/// How the two differed in the end, if they did.
fn run_sequence(target: &Target, seed: u64, tally: &mut Tally) -> Result<Option<String>> {
    let mut random = Random(seed);
    let mut unit = target.reset()?;
    let mut history = VecDeque::new();
    for number in 1..=LENGTH {
        let step = Step::random(&mut random, target, &unit);
        let real = target.answer(&step)?;
        let simulated = simulate(&mut unit, target, &step);
        history.push_back(format!("  {number:>3} {step}: {real}"));
        if history.len() > SHOWN {
            history.pop_front();
        }
        if real != simulated {
            let history = Vec::from(history).join("\n");
            let text = format!("seed {seed}\n{history}\n      simulated: {simulated}\n");
            return Ok(Some(text));
        }
        *tally.0.entry((step.kind(), real.end())).or_default() += 1;
    }
    Ok(None)
}

fn simulate(unit: &mut LogicalUnit, target: &Target, step: &Step) -> Answer {
    let nexus = &target.nexuses[step.nexus].identity;
    if step.cuts_link {
        unit.lose_nexus(nexus);
        return Answer::good(Vec::new());
    }
    let response = unit.execute(nexus, &step.cdb, &step.data_out);
    let sense = response.sense;
    Answer {
        status: response.status,
        sense: sense.map(|sense| (sense.key.0, sense.asc, sense.ascq)),
        data: step.padded(response.data),
    }
}
