//! What registrations amount to, seen from a node with two initiator ports and four paths.

use alloc::vec::Vec;

use scsi_pr::{
    FullStatusDescriptor, IscsiTransportId, ReadFullStatus, ReadKeys, ReservationKey,
    ReservationType, Scope, TransportId,
};

use super::*;
use crate::request::{Preempt, Request, VictimCommands, census_request};
use crate::snapshot::Snapshot;
use crate::transaction::Options;

const KEY: ReservationKey = ReservationKey(0xa);
const OLD: ReservationKey = ReservationKey(0xd);
const THEIRS: ReservationKey = ReservationKey(0xb);
const TYPE: ReservationType = ReservationType::WRITE_EXCLUSIVE_REGISTRANTS_ONLY;

fn sas(address: u64) -> TransportId {
    TransportId::Sas { address }
}

fn session(isid: u64) -> TransportId {
    TransportId::Iscsi(IscsiTransportId::Port {
        name: "iqn.2026-01.example:us".into(),
        isid,
    })
}

/// Paths 0 to 3: port 1 to target ports 1 and 2, port 2 to both; registered with the key.
fn job(ports: [TransportId; 4]) -> Job {
    let paths = ports.into_iter().zip(0..);
    let snapshot = Snapshot {
        paths: paths
            .map(|(port, id)| Path {
                id: PathId(id),
                state: PathState::Usable,
                initiator_port: Some(port),
            })
            .collect(),
        remembered_key: Some(KEY),
        remembered_nexuses: 4,
        ..Snapshot::default()
    };
    let request = census_request();
    let options = Options::for_request(&request);
    Job::new(request, snapshot, options)
}

fn standing(membership: Membership) -> Standing {
    Standing {
        membership,
        holding: None,
        configured: Some(KEY),
        target_ports: (0..4)
            .zip([1, 2, 1, 2])
            .map(|(id, port)| (PathId(id), port))
            .collect(),
        counting: Counting::PerNexus,
    }
}

fn plain() -> Job {
    job([sas(1), sas(1), sas(2), sas(2)])
}

/// Port, target port and key of each registration; the first one holds where that is asked for.
fn census(found: &[(TransportId, u16, ReservationKey)], holder: Option<usize>) -> Census {
    let descriptor = |(at, (port, target, key)): (usize, &(TransportId, u16, ReservationKey))| {
        FullStatusDescriptor {
            key: *key,
            all_tg_pt: false,
            holder: holder == Some(at),
            scope: Scope::LOGICAL_UNIT,
            reservation_type: TYPE,
            relative_target_port: *target,
            transport_id: port.clone(),
        }
    };
    Census::Named(ReadFullStatus::new(
        7,
        found.iter().enumerate().map(descriptor).collect(),
    ))
}

fn verdicts(appraisal: &Appraisal) -> Vec<PathVerdict> {
    appraisal.paths.iter().map(|path| path.verdict).collect()
}

#[test]
fn each_path_has_the_key_of_its_ports() {
    use PathVerdict::{Missing, Other, Right};
    let found = [
        (sas(1), 1, KEY),
        (sas(1), 2, OLD),
        (sas(2), 1, KEY),
        (sas(9), 2, THEIRS),
    ];
    let seen = Appraisal::new(
        &census(&found, Some(3)),
        &plain(),
        &standing(Membership::Lasting),
    );
    assert_eq!(verdicts(&seen), [Right, Other, Right, Missing]);
    let holder = seen.holder.unwrap();
    assert_eq!(
        (holder.owner, holder.evidence),
        (Ownership::Foreign, Evidence::Port)
    );
    assert_eq!(seen.others.len(), 1);
    assert_eq!(seen.keys, [(KEY, 2), (THEIRS, 1), (OLD, 1)]);
    let severities: Vec<Severity> = seen.findings.iter().map(Finding::severity).collect();
    assert_eq!(severities, [Severity::Broken, Severity::Broken]);
}

/// A reservation of all registrants is held by each path.
#[test]
fn whether_this_node_takes_part() {
    let mine = [(sas(1), 1, KEY)];
    let seen = |found: &[_], membership| {
        let mut job = plain();
        if membership != Membership::Lasting {
            job.remembered_key = None;
        }
        Appraisal::new(&census(found, None), &job, &standing(membership))
    };
    assert_eq!(seen(&mine, Membership::Lasting).expected, Some(KEY));
    // After a start of the host there is no record: that a path has a key says enough.
    assert_eq!(seen(&mine, Membership::Never).expected, Some(KEY));
    assert_eq!(seen(&[], Membership::Never).expected, None);
    assert_eq!(seen(&[(sas(9), 1, KEY)], Membership::Never).expected, None);
    let ended = seen(&mine, Membership::Ended);
    assert_eq!(ended.expected, None);
    assert!(
        matches!(ended.findings.as_slice(), [Finding::PathsWithKey { paths }]
        if paths.as_slice() == [(PathId(0), KEY)])
    );
    let out = seen(&[(sas(9), 1, THEIRS)], Membership::Lasting);
    assert!(matches!(
        out.findings.as_slice(),
        [Finding::Preempted { key: KEY, .. }]
    ));
}

#[test]
fn what_no_path_is() {
    let found = [
        (sas(1), 1, KEY),
        (sas(1), 2, KEY),
        (sas(2), 1, KEY),
        (sas(2), 2, KEY),
        (sas(1), 3, OLD),
        (sas(2), 3, KEY),
        (sas(9), 1, KEY),
    ];
    let seen = Appraisal::new(
        &census(&found, None),
        &plain(),
        &standing(Membership::Lasting),
    );
    let leaked = |key, is_current| Finding::LeakedKey {
        key,
        count: 1,
        is_current,
    };
    assert!(seen.findings.contains(&leaked(OLD, false)));
    assert!(seen.findings.contains(&leaked(KEY, true)));
    let shared = Finding::SharedKey {
        key: KEY,
        port: sas(9),
    };
    assert!(seen.findings.contains(&shared), "{:?}", seen.findings);
    assert_eq!(seen.findings.len(), 3);
}

/// Both initiator ports are there once, although each has two paths: that is the array's way.
#[test]
fn an_array_that_counts_initiator_ports() {
    let found = [(sas(1), 1, KEY), (sas(2), 1, KEY), (sas(9), 1, THEIRS)];
    let seen = Appraisal::new(
        &census(&found, None),
        &plain(),
        &standing(Membership::Lasting),
    );
    assert_eq!(verdicts(&seen), [PathVerdict::Right; 4]);
    // One port alone proves nothing: its other path may have lost its key.
    let seen = Appraisal::new(
        &census(&found[..1], None),
        &plain(),
        &standing(Membership::Lasting),
    );
    assert_eq!(verdicts(&seen)[1..], [PathVerdict::Missing; 3]);
    let mut known = standing(Membership::Lasting);
    known.counting = Counting::PerInitiatorPort;
    let seen = Appraisal::new(&census(&found[..1], None), &plain(), &known);
    assert_eq!(verdicts(&seen)[..2], [PathVerdict::Right; 2]);
}

/// A session that was set up again has another ISID: the registration of the old one is this
/// node's, and not that of the path. Where the device has named none of the ISIDs that this host
/// takes for its own, it may be wrong about them, and the name has to do.
#[test]
fn a_session_that_was_set_up_again() {
    let job = || job([session(1), session(2), session(3), session(9)]);
    let found = [
        (session(1), 1, KEY),
        (session(2), 2, KEY),
        (session(3), 1, KEY),
        (session(4), 2, KEY),
    ];
    let standing = standing(Membership::Lasting);
    let seen = Appraisal::new(&census(&found, Some(3)), &job(), &standing);
    assert_eq!(verdicts(&seen)[3], PathVerdict::Missing);
    assert!(seen.findings.contains(&Finding::HolderOnLostPath));
    let unknown = [(session(71), 1, KEY), (session(72), 2, KEY)];
    let seen = Appraisal::new(&census(&unknown, None), &job(), &standing);
    assert_eq!(verdicts(&seen), [PathVerdict::Right; 4]);
}

#[test]
fn a_host_that_does_not_know_its_ports() {
    let mut job = plain();
    for path in &mut job.paths {
        path.initiator_port = None;
    }
    let seen = Appraisal::new(
        &census(&[(sas(1), 1, KEY)], Some(0)),
        &job,
        &standing(Membership::Lasting),
    );
    assert_eq!(verdicts(&seen), [PathVerdict::Unclear; 4]);
    assert_eq!(seen.holder.unwrap().owner, Ownership::Unclear);
    let seen = Appraisal::new(&census(&[], None), &job, &standing(Membership::Lasting));
    assert_eq!(verdicts(&seen), [PathVerdict::Missing; 4]);
}

#[test]
fn keys_alone() {
    let counted = |count: usize, holder| Census::Counted {
        keys: ReadKeys::new(7, [KEY].repeat(count)),
        reservation: Some(Reservation {
            key: holder,
            scope: Scope::LOGICAL_UNIT,
            reservation_type: TYPE,
        }),
    };
    let owner = |census: &Census, holding| {
        let mut job = plain();
        job.remembered_holding = holding;
        let seen = Appraisal::new(census, &job, &standing(Membership::Lasting));
        (seen.holder.clone().unwrap().owner, seen.findings)
    };
    assert_eq!(owner(&counted(4, KEY), true).0, Ownership::Ours);
    assert_eq!(
        owner(&counted(5, KEY), true).0,
        Ownership::Unclear,
        "one too many"
    );
    assert_eq!(owner(&counted(4, KEY), false).0, Ownership::Unclear);
    let (foreign, findings) = owner(&counted(3, THEIRS), true);
    assert_eq!(foreign, Ownership::Foreign);
    assert!(findings.contains(&Finding::HolderNotRegistered { key: THEIRS }));
    let few = Finding::TooFewRegistrations {
        key: KEY,
        count: 3,
        usable: 4,
    };
    assert!(findings.contains(&few), "{findings:?}");
}

/// A session to target port 1 has come back with another ISID: what the old one has registered
/// is ended where this node is the holder, and else left for later.
#[test]
fn a_session_that_another_has_taken_the_place_of() {
    let all: Vec<TransportId> = (0..5).map(session).collect();
    let found: Vec<_> = all
        .iter()
        .zip([1, 1, 2, 1, 2])
        .map(|(session, port)| (session.clone(), port, KEY))
        .collect();
    let mut job = job([session(1), session(2), session(3), session(4)]);
    job.own_ports = all;
    let remedies = |job: &Job, holder| {
        let census = census(&found, holder);
        Appraisal::new(&census, job, &standing(Membership::Lasting)).remedies()
    };
    let own_key = Remedy::Purge(Request::Preempt(Preempt {
        key: KEY,
        victim: KEY,
        reservation_type: TYPE,
        commands: VictimCommands::Finish,
    }));
    // Whether the old session holds, or another.
    assert!(remedies(&job, Some(0)).0.contains(&own_key));
    assert!(remedies(&job, Some(1)).0.contains(&own_key));
    let later = Vec::from([Reluctance::Superseded(KEY)]);
    assert_eq!(remedies(&job, None).1, later);
    // One that is not remembered may be of a host with the same name.
    job.own_ports.remove(0);
    let (remedies, reluctant) = remedies(&job, Some(0));
    assert!(!remedies.contains(&own_key) && reluctant.is_empty());
}
