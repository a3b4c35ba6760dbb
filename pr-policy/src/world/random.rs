//! Few histories, very long ones, chosen by a seed; and the shortest part of one that still
//! breaks its promise.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;

use super::alphabet::Alphabet;
use super::op::{Fault, Op};
use super::promise::Violation;
use super::search::Kinds;
use super::setting::Setting;
use super::stage::{Progress, World};

/// How a random history is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// Operations.
    pub ops: u32,
    /// One in so many points of an operation gets a fault.
    pub rarity: u32,
    /// Most faults in one operation, and in what comes of it by itself.
    pub faults_per_op: u32,
    /// Which faults.
    pub kinds: Kinds,
}

/// What a random history came to.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// Operations.
    pub ops: u64,
    /// Actions carried out.
    pub steps: u64,
    /// Faults.
    pub faults: u64,
    /// Times a command left the map without a definite answer.
    pub torn: u64,
    /// Most states that one disk may have been in at once.
    pub most_candidates: usize,
    /// The broken promise, with the shortest history that was found for it.
    pub violation: Option<Violation>,
}

/// A history, to be played again.
type Script = Vec<Scene>;

/// An operation and when which fault strikes, counted in points.
#[derive(Debug, Clone)]
struct Scene {
    op: Op,
    faults: Vec<(u32, usize, Fault)>,
}

/// Plays one random history, and shortens it if it breaks a promise.
#[must_use]
pub fn run(setting: &Rc<Setting>, alphabet: &Alphabet, course: Course, seed: u64) -> Run {
    let mut player = Player {
        world: World::new(Rc::clone(setting)),
        alphabet,
        course,
        dice: Dice::new(seed),
        script: Vec::new(),
        run: Run::default(),
    };
    if let Err(violation) = player.play() {
        let script = core::mem::take(&mut player.script);
        let rules = Rules {
            setting,
            alphabet,
            kinds: course.kinds,
        };
        player.run.violation = Some(rules.shortened(script, *violation));
    }
    player.run
}

struct Player<'a> {
    world: World,
    alphabet: &'a Alphabet,
    course: Course,
    dice: Dice,
    script: Script,
    run: Run,
}

impl Player<'_> {
    fn play(&mut self) -> Result<(), Box<Violation>> {
        for _ in 0..self.course.ops {
            let mut ops = self.alphabet.ops(&self.world);
            let Some(at) = self.dice.below(ops.len()) else {
                return Ok(());
            };
            let op = ops.swap_remove(at);
            self.run.ops += 1;
            self.script.push(Scene {
                op: op.clone(),
                faults: Vec::new(),
            });
            let mut scene = Staged::new(op);
            while let Some(node) = scene.next(&mut self.world)? {
                self.tempt(node, &mut scene)?;
                scene.step(&mut self.world, node)?;
                self.run.steps += 1;
            }
            self.world.settle()?;
            self.run.torn += u64::from(self.world.is_torn());
            let candidates = self.world.reference.candidates().len();
            self.run.most_candidates = self.run.most_candidates.max(candidates);
            self.world.forget();
        }
        Ok(())
    }

    fn tempt(&mut self, node: usize, scene: &mut Staged) -> Result<(), Box<Violation>> {
        let is_spared = scene.faults >= self.course.faults_per_op
            || self.world.has_mishap(node)
            || self.dice.below(self.course.rarity as usize) != Some(0);
        if is_spared {
            return Ok(());
        }
        let mut faults = self.alphabet.faults(&self.world, node, self.course.kinds);
        let Some(at) = self.dice.below(faults.len()) else {
            return Ok(());
        };
        let fault = faults.swap_remove(at);
        if let Some(last) = self.script.last_mut() {
            last.faults.push((scene.point, node, fault.clone()));
        }
        self.run.faults += 1;
        scene.faults += 1;
        self.world.inject(node, fault)
    }
}

/// An operation and the duties that follow, on their way.
struct Staged {
    op: Option<Op>,
    point: u32,
    faults: u32,
}

impl Staged {
    fn new(op: Op) -> Self {
        Self {
            op: Some(op),
            point: 0,
            faults: 0,
        }
    }

    /// Which node comes next; `None` when all is at rest.
    fn next(&mut self, world: &mut World) -> Result<Option<usize>, Box<Violation>> {
        loop {
            let running = (0..world.setting().nodes()).find(|node| world.is_running(*node));
            if running.is_some() {
                return Ok(running);
            }
            let Some(op) = self.op.take().or_else(|| world.duty()) else {
                return Ok(None);
            };
            world.begin(op)?;
        }
    }

    fn step(&mut self, world: &mut World, node: usize) -> Result<Progress, Box<Violation>> {
        self.point += 1;
        world.step(node)
    }
}

/// What histories are made by: a shorter one must be a history too.
#[derive(Clone, Copy)]
struct Rules<'a> {
    setting: &'a Rc<Setting>,
    alphabet: &'a Alphabet,
    kinds: Kinds,
}

impl Rules<'_> {
    /// Plays a script. What nobody would do any more, and faults that cannot strike any more or are
    /// left out by name, are left out.
    fn replay(self, script: &[Scene]) -> Result<(), Box<Violation>> {
        let mut world = World::new(Rc::clone(self.setting));
        for scene in script {
            if !self.alphabet.ops(&world).contains(&scene.op) {
                continue;
            }
            let mut staged = Staged::new(scene.op.clone());
            while let Some(node) = staged.next(&mut world)? {
                let due = scene.faults.iter().filter(|(at, ..)| *at == staged.point);
                for (_, struck, fault) in due {
                    if self.can_strike(&world, *struck, fault) {
                        world.inject(*struck, fault.clone())?;
                    }
                }
                staged.step(&mut world, node)?;
            }
            world.settle()?;
            world.forget();
        }
        Ok(())
    }

    fn can_strike(self, world: &World, node: usize, fault: &Fault) -> bool {
        let faults = || self.alphabet.faults(world, node, self.kinds);
        !world.has_mishap(node) && faults().contains(fault)
    }

    /// Leaves out whatever is not needed to break the same promise.
    fn shortened(self, mut script: Script, violation: Violation) -> Violation {
        let promise = violation.promise;
        let breaks = |script: &[Scene]| {
            let broken = self.replay(script).err();
            broken.filter(|found| found.promise == promise)
        };
        let Some(mut best) = breaks(&script) else {
            return violation;
        };
        let mut chunk = script.len() / 2;
        while chunk > 0 {
            let mut at = 0;
            while at < script.len() {
                let mut candidate = script.clone();
                candidate.drain(at..(at + chunk).min(script.len()));
                match breaks(&candidate) {
                    Some(found) => (best, script) = (found, candidate),
                    None => at += chunk,
                }
            }
            chunk /= 2;
        }
        for at in 0..script.len() {
            let mut fault = 0;
            while let Some(candidate) = without_fault(&script, at, fault) {
                match breaks(&candidate) {
                    Some(found) => (best, script) = (found, candidate),
                    None => fault += 1,
                }
            }
        }
        *best
    }
}

/// The script without one fault of a scene; `None` if the scene has no such fault.
fn without_fault(script: &[Scene], scene: usize, fault: usize) -> Option<Script> {
    let mut candidate = script.to_vec();
    let faults = &mut candidate.get_mut(scene)?.faults;
    if fault >= faults.len() {
        return None;
    }
    faults.remove(fault);
    Some(candidate)
}

/// Numbers that look random (SplitMix64, Steele, Lea and Flood, 2014).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, unless there is none.
    fn below(&mut self, end: usize) -> Option<usize> {
        let end = u64::try_from(end).ok().filter(|end| *end > 0)?;
        usize::try_from(self.roll() % end).ok()
    }
}
