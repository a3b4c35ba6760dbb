//! Two things go wrong in one history: those of the checker's finds that needed more than one rule
//! to be mended, each as short as it was found.

use std::rc::Rc;

use pr_policy::world::{Fault, Link, Op, Progress, Setting, Wiring, World};
use pr_policy::{
    Clear, Preempt, Register, RegisterAndMove, RegisterMode, Request, Reserve, VictimCommands,
};
use scsi_pr::device_server::Profile;
use scsi_pr::{ReservationKey, ReservationType};

const HELD: ReservationType = ReservationType::WRITE_EXCLUSIVE_REGISTRANTS_ONLY;

/// Two nodes with three paths each; after every command the promises are judged.
#[derive(Clone)]
struct Stage {
    setting: Rc<Setting>,
    world: World,
}

impl Stage {
    fn new(wiring: Wiring) -> Self {
        Self::on(Profile::strict(), wiring)
    }

    fn on(profile: Profile, wiring: Wiring) -> Self {
        let setting = Rc::new(Setting::new(profile, wiring, &[3, 3]));
        let world = World::new(setting.clone());
        Self { setting, world }
    }

    /// Node 0 has the key 0xa, node 1 another one, or the same.
    fn registered(wiring: Wiring, other: u64) -> Self {
        let mut stage = Self::new(wiring);
        stage.ask(0, register(0, 0xa), &[]);
        stage.ask(1, register(0, other), &[]);
        stage.rest();
        stage
    }

    fn link(&mut self, path: usize, link: Link) {
        let node = 0;
        let ended = self.world.begin(Op::Link { node, path, link });
        assert_eq!(self.unbroken(ended), Progress::Ended);
    }

    /// A command, and what goes wrong before its n-th step.
    fn ask(&mut self, node: usize, request: Request, faults: &[(u32, Fault)]) {
        self.run(Op::Ask { node, request }, faults);
    }

    /// The same of what the node does by itself.
    fn duty(&mut self, faults: &[(u32, Fault)]) {
        if let Some(duty) = self.world.duty() {
            self.run(duty, faults);
        }
    }

    /// Node 0 is out in the end, and node 1 was told that it holds.
    fn expect_other_holder(&mut self) {
        self.rest();
        assert_eq!(self.world.key(0), None);
        let history = self.world.history();
        let told = "    node 1 = Done None Some(Held(ReservationType(5)))";
        assert!(history.iter().any(|line| line == told), "{history:#?}");
    }

    fn run(&mut self, op: Op, faults: &[(u32, Fault)]) {
        let node = op.node();
        let mut progress = self.world.begin(op);
        let mut step = 0;
        while self.unbroken(progress) == Progress::Running {
            for (_, fault) in faults.iter().filter(|(at, _)| *at == step) {
                let injected = self.world.inject(node, fault.clone());
                self.unbroken(injected);
            }
            if !self.world.is_running(node) {
                return;
            }
            progress = self.world.step(node);
            step += 1;
        }
        let last = faults.iter().map(|(at, _)| *at).max();
        assert!(last.is_none_or(|last| last < step), "it ended before");
    }

    /// Everybody does what is left to do.
    fn rest(&mut self) {
        while let Some(duty) = self.world.duty() {
            self.run(duty, &[]);
        }
        let settled = self.world.settle();
        self.unbroken(settled);
        assert!(!self.world.is_torn());
        self.world.calm();
    }

    fn unbroken<T>(&self, result: Result<T, Box<pr_policy::world::Violation>>) -> T {
        result.unwrap_or_else(|violation| panic!("{violation}"))
    }

    /// How the last command of a node ended.
    fn outcome(&self, node: usize) -> String {
        let beginning = format!("    node {node} = ");
        let history = self.world.history();
        let last = history
            .iter()
            .rev()
            .find(|line| line.starts_with(&beginning));
        let rest = last.and_then(|line| line.strip_prefix(&beginning));
        let words = rest.unwrap_or("none").split(' ');
        words.take(1).collect()
    }
}

fn register(key: u64, new_key: u64) -> Request {
    Request::Register(Register {
        mode: RegisterMode::Compare,
        key: ReservationKey(key),
        new_key: ReservationKey(new_key),
        aptpl: false,
        all_tg_pt: false,
        transport_ids: Vec::new(),
    })
}

fn reserve(key: u64) -> Request {
    Request::Reserve(Reserve {
        key: ReservationKey(key),
        reservation_type: HELD,
    })
}

fn preempt(victim: u64) -> Fault {
    Fault::Meddle {
        node: 1,
        request: Request::Preempt(Preempt {
            key: ReservationKey(0xb),
            victim: ReservationKey(victim),
            reservation_type: HELD,
            commands: VictimCommands::Finish,
        }),
    }
}

fn clear() -> Fault {
    let key = ReservationKey(0xb);
    Fault::Meddle {
        node: 1,
        request: Request::Clear(Clear { key }),
    }
}

/// PREEMPT gets lost twice, on the only path that there is: the third one ends the old key.
#[test]
fn the_old_key_is_preempted_as_often_as_it_takes() {
    let mut stage = Stage::registered(Wiring::PortPerPath, 0xb);
    stage.link(0, Link::Down);
    stage.link(1, Link::Down);
    stage.ask(
        0,
        register(0xa, 0xaa),
        &[(3, Fault::Lost), (5, Fault::Lost)],
    );
    assert_eq!(stage.outcome(0), "Done");
    stage.rest();
}

/// The paths that have the new key already would look shut out.
#[test]
fn no_path_is_looked_at_before_what_was_cut_off_is_completed() {
    let mut stage = Stage::registered(Wiring::PortPerPath, 0xb);
    stage.link(0, Link::Down);
    stage.link(1, Link::Down);
    stage.ask(0, register(0xa, 0xaa), &[(4, Fault::Crash)]);
    stage.duty(&[(0, Fault::Lost)]);
    assert_eq!(stage.outcome(0), "Unreachable");
    stage.duty(&[]);
    assert_eq!(stage.outcome(0), "Done");
    stage.rest();
}

/// The first recovery has written the new key down: the old one is not forgotten over that.
#[test]
fn a_recovery_that_was_in_vain_does_not_forget_the_old_key() {
    let mut stage = Stage::registered(Wiring::PortPerPath, 0xb);
    let down = Fault::Link {
        node: 0,
        path: 0,
        link: Link::Down,
    };
    stage.ask(0, register(0xa, 0xaa), &[(2, Fault::Crash)]);
    stage.duty(&[(0, down)]);
    assert_eq!(stage.outcome(0), "Unknown");
    stage.rest();
    assert_eq!(stage.world.key(0), Some(ReservationKey(0xaa)));
}

/// The old key is gone from a path out of reach, and this node cannot have done that: it was cut
/// off before it came to it. The device has counted what was.
#[test]
fn who_is_shut_out_before_it_recovers_notices() {
    let mut stage = Stage::registered(Wiring::PortPerPath, 0xb);
    stage.link(0, Link::Down);
    stage.ask(0, register(0xa, 0xaa), &[(3, Fault::Crash)]);
    stage.duty(&[(0, preempt(0xa))]);
    assert_eq!(stage.outcome(0), "Conflict");
    stage.rest();
    assert_eq!(stage.world.key(0), None);
}

/// One disk has changed its key, and then lost it.
#[test]
fn who_loses_everything_after_its_key_was_changed_is_told_that_it_was() {
    let mut stage = Stage::registered(Wiring::PortPerPath, 0xb);
    stage.link(0, Link::Down);
    stage.ask(0, register(0xa, 0xaa), &[(4, preempt(0xaa)), (4, clear())]);
    assert_eq!(stage.outcome(0), "Done");
    stage.rest();
    assert_eq!(stage.world.key(0), None);
}

/// The path that holds changes its key last: whoever preempts the old one meanwhile hits it, and
/// has the reservation.
#[test]
fn who_preempts_a_holder_that_changes_its_key_holds() {
    let mut stage = Stage::registered(Wiring::PortPerPath, 0xb);
    stage.ask(0, reserve(0xa), &[]);
    for step in 2..4 {
        let mut stage = stage.clone();
        stage.ask(0, register(0xa, 0xaa), &[(step, preempt(0xa))]);
        stage.expect_other_holder();
    }
}

/// So it does where the change was cut off before, and goes on; and when all have changed, there is
/// nobody left to be preempted.
#[test]
fn who_preempts_a_holder_that_goes_on_to_change_its_key_holds_or_comes_too_late() {
    let mut stage = Stage::registered(Wiring::PortPerPath, 0xb);
    stage.ask(0, reserve(0xa), &[]);
    stage.ask(0, register(0xa, 0xaa), &[(2, Fault::Crash)]);
    for step in 1..6 {
        let mut stage = stage.clone();
        stage.duty(&[(step, preempt(0xa))]);
        match step {
            1..4 => stage.expect_other_holder(),
            _ => {
                stage.rest();
                assert_eq!(stage.world.key(0), Some(ReservationKey(0xaa)));
            }
        }
    }
}

/// The sender was given the reservation by the other node, which has the same key: nothing but the
/// journal and the named holder tell that it was its to give back.
#[test]
fn what_was_moved_here_is_known_to_have_been_moved_on() {
    let mut stage = Stage::registered(Wiring::PortPerPath, 0xa);
    stage.ask(0, reserve(0xa), &[]);
    let there = stage.move_to(1, false);
    stage.ask(0, there, &[]);
    let back = stage.move_to(0, true);
    stage.ask(1, back, &[(2, Fault::Crash)]);
    stage.rest();
    assert_eq!(stage.outcome(1), "settled");
    assert_eq!(stage.world.key(1), None);
}

impl Stage {
    fn move_to(&self, receiver: usize, unregister: bool) -> Request {
        let nexus = self.setting.nexus(receiver, 0);
        Request::RegisterAndMove(RegisterAndMove {
            key: ReservationKey(0xa),
            new_key: ReservationKey(0xa),
            aptpl: false,
            unregister,
            relative_target_port: nexus.relative_target_port,
            transport_id: nexus.initiator_port.clone(),
        })
    }
}

/// The device does not say whose the registrations are: what is left on the path that hangs is
/// known by its number.
#[test]
fn who_is_shut_out_while_it_recovers_leaves_nothing_on_a_path_that_hangs() {
    let mut stage = Stage::registered(Wiring::Nameless, 0xb);
    stage.link(1, Link::Hanging);
    stage.ask(0, register(0xa, 0xaa), &[(4, Fault::Crash)]);
    stage.duty(&[(1, preempt(0xaa))]);
    assert_eq!(stage.outcome(0), "Conflict");
    stage.rest();
}

impl Stage {
    /// Both nodes are registered, and a path that was not there comes to node 0.
    fn with_newcomer(wiring: Wiring) -> Self {
        let mut stage = Self::new(wiring);
        stage.link(0, Link::Down);
        stage.ask(0, register(0, 0xa), &[]);
        stage.ask(1, register(0, 0xb), &[]);
        stage.link(0, Link::Up);
        stage
    }
}

/// The path was registered after this node was shut out, and to give that up is cut off as well:
/// the third look does not take it for a registration that was in time.
#[test]
fn a_late_registration_that_is_not_given_up_yet_is_not_taken_for_one_in_time() {
    let mut stage = Stage::with_newcomer(Wiring::PortPerPath);
    stage.duty(&[(2, preempt(0xa)), (3, Fault::Crash)]);
    stage.duty(&[]);
    stage.duty(&[(4, Fault::Crash)]);
    stage.rest();
    assert_eq!(stage.world.key(0), None);
}

/// One that comes before the late registration is given up does not take it for a witness.
#[test]
fn a_late_registration_does_not_let_another_path_in() {
    let mut stage = Stage::new(Wiring::PortPerPath);
    stage.link(0, Link::Down);
    stage.link(1, Link::Down);
    stage.ask(0, register(0, 0xa), &[]);
    stage.ask(1, register(0, 0xb), &[]);
    stage.link(1, Link::Up);
    stage.duty(&[(2, preempt(0xa)), (3, Fault::Crash)]);
    stage.link(0, Link::Up);
    stage.rest();
    assert_eq!(stage.world.key(0), None);
}

/// The path is registered, and the program is killed before it has entered that among what is
/// registered: the path is not forgotten when the key is changed without it.
#[test]
fn a_registration_that_no_record_names_yet_is_not_left_behind() {
    for step in 4..=5 {
        let mut stage = Stage::with_newcomer(Wiring::Nameless);
        stage.duty(&[(step, Fault::Crash)]);
        stage.link(0, Link::Gone);
        stage.ask(0, register(0xa, 0xaa), &[]);
        stage.rest();
    }
}

/// The device has no room for all of a node's paths, and one that has a registration dies before it
/// gives that back: the node was refused, and its other paths are not registered for that.
#[test]
fn who_found_no_room_is_not_registered_because_a_path_has_a_key() {
    let mut stage = Stage::on(Profile::max_registrants(4), Wiring::PortPerPath);
    stage.ask(1, register(0, 0xb), &[]);
    let hangs = Fault::Link {
        node: 0,
        path: 0,
        link: Link::Hanging,
    };
    stage.ask(0, register(0, 0xa), &[(2, hangs)]);
    assert_eq!(stage.outcome(0), "Answered");
    stage.link(1, Link::Down);
    stage.link(1, Link::Up);
    stage.link(0, Link::Up);
    stage.rest();
    assert_eq!(stage.world.key(0), None);
}

/// As when a guest has moved away: the other node has preempted the key that both had. One path
/// that may hold does not answer, and there are as many registrations as this node had.
#[test]
fn who_lost_everything_to_a_node_with_its_key_does_not_hold() {
    let mut stage = Stage::registered(Wiring::Nameless, 0xa);
    stage.ask(0, reserve(0xa), &[]);
    stage.link(0, Link::Down);
    let itself = Request::Preempt(Preempt {
        key: ReservationKey(0xa),
        victim: ReservationKey(0xa),
        reservation_type: HELD,
        commands: VictimCommands::Finish,
    });
    stage.ask(1, itself, &[]);
    // Nobody tells this node of it any more.
    stage.world.calm();
    let down = Fault::Link {
        node: 0,
        path: 1,
        link: Link::Down,
    };
    stage.ask(0, reserve(0xa), &[(0, down)]);
    assert_eq!(stage.outcome(0), "Conflict");
    stage.rest();
}
