//! What a unit remembers, written down and taken up again. That this is everything is checked
//! after each command of all the other scripts; here, that nonsense is refused.

use scsi_pr::ReservationKey;
use scsi_pr::device_server::{Attention, Attentions, LogicalUnit, Memory, MemoryError, Profile};

use crate::script::{check, nexus};

fn memory() -> Memory {
    check(
        Profile::strict(),
        "a register 0/1: good
         b register 0/2 aptpl: good
         a reserve 1 5: good
         b preempt 2>1 6: good
         = 3 b=2* type 6",
    )
    .memory()
}

fn refused(change: impl FnOnce(&mut Memory)) -> MemoryError {
    let mut memory = memory();
    change(&mut memory);
    LogicalUnit::restore(Profile::strict(), &memory).expect_err("that is nonsense")
}

#[test]
fn it_is_plain_values() {
    let memory = memory();
    assert!(memory.is_aptpl_active);
    assert_eq!((memory.generation, memory.target_ports.len()), (3, 3));
    let told: Vec<Attentions> = memory
        .nexuses
        .iter()
        .map(|known| known.attentions)
        .collect();
    let preempted = Attentions::from_iter([Attention::RegistrationsPreempted]);
    assert_eq!(told, [preempted, Attentions::NONE, Attentions::NONE]);
    let [registration] = memory.registrations.as_slice() else {
        panic!("{memory:?}");
    };
    assert_eq!(memory.nexuses[registration.nexus].nexus, nexus("b"));
    assert!(registration.is_holder);
}

#[test]
fn nonsense_is_refused() {
    let no_registration = MemoryError::Registration { position: 0 };
    assert_eq!(refused(|m| m.registrations[0].nexus = 3), no_registration);
    assert_eq!(
        refused(|m| m.registrations[0].key = ReservationKey::NONE),
        no_registration
    );
    assert_eq!(refused(|m| m.registrations.clear()), MemoryError::Holder);
    assert_eq!(refused(|m| m.held = None), MemoryError::Holder);
    assert_eq!(
        refused(|m| m.registrations[0].is_holder = false),
        MemoryError::Holder
    );
    assert_eq!(
        refused(|m| m.nexuses[2] = m.nexuses[0].clone()),
        MemoryError::NexusTwice { position: 2 }
    );
    let too_many = |m: &mut Memory| m.nexuses = vec![m.nexuses[0].clone(); 65_536];
    assert_eq!(
        refused(too_many),
        MemoryError::TooManyNexuses { count: 65_536 }
    );
}
