//! What a logical unit does differently from the standard: quirks seen in the field.

use core::ops::BitOr;

/// The ways of one kind of target: a set of quirks, and limits.
///
/// ```
/// use scsi_pr::device_server::{Profile, Quirks};
/// let small_3par = Profile {
///     max_registrants: Some(4),
///     quirks: Profile::per_initiator_port().quirks | Quirks::NO_FULL_STATUS,
/// };
/// assert!(small_3par.has(Quirks::NO_FULL_STATUS));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Profile {
    /// Deviations.
    pub quirks: Quirks,
    /// Most registrations; one more is refused with 55/04.
    pub max_registrants: Option<u16>,
}

impl Profile {
    /// SPC-4, and nothing else.
    #[must_use]
    pub const fn strict() -> Self {
        Self::of(Quirks::NONE)
    }

    /// Linux' target, LIO, as of Linux 6.1 (`drivers/target`).
    ///
    /// Not part of it, since hanging is for whoever has a clock: PREEMPT AND ABORT over
    /// tcm_loop never returns.
    #[must_use]
    pub const fn lio() -> Self {
        Self::of(Quirks::LIO)
    }

    /// One registration per initiator port, as 3PAR has it.
    #[must_use]
    pub const fn per_initiator_port() -> Self {
        Self::of(Quirks::PER_INITIATOR_PORT)
    }

    /// Without READ FULL STATUS, which is optional.
    #[must_use]
    pub const fn no_full_status() -> Self {
        Self::of(Quirks::NO_FULL_STATUS)
    }

    /// Cannot take two registrations at once.
    #[must_use]
    pub const fn one_at_a_time() -> Self {
        Self::of(Quirks::ONE_AT_A_TIME)
    }

    /// Registers only with ALL_TG_PT.
    #[must_use]
    pub const fn needs_all_tg_pt() -> Self {
        Self::of(Quirks::NEEDS_ALL_TG_PT)
    }

    /// Has no persistent reservations at all.
    #[must_use]
    pub const fn no_pr() -> Self {
        Self::of(Quirks::NO_PR)
    }

    /// SPC-4, with room for so many registrations.
    #[must_use]
    pub const fn max_registrants(most: u16) -> Self {
        Self {
            quirks: Quirks::NONE,
            max_registrants: Some(most),
        }
    }

    /// Whether it has all of these quirks.
    #[must_use]
    pub const fn has(self, quirks: Quirks) -> bool {
        self.quirks.contains(quirks)
    }

    const fn of(quirks: Quirks) -> Self {
        Self {
            quirks,
            max_registrants: None,
        }
    }
}

/// A set of deviations from SPC-4, each independent of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Quirks(pub u32);

impl Quirks {
    /// None.
    pub const NONE: Self = Self(0);

    /// Registrations are kept per initiator port, not per nexus: a REGISTER through one target
    /// port replaces the key seen through all, and any nexus of the holder's initiator port
    /// holds. Unit attentions go to all nexuses of the initiator port.
    pub const PER_INITIATOR_PORT: Self = Self(1);

    /// READ FULL STATUS is refused with 24/00.
    pub const NO_FULL_STATUS: Self = Self(1 << 1);

    /// A registration that arrives while another is in progress is answered with BUSY; see
    /// [`begin_registration`](super::LogicalUnit::begin_registration).
    pub const ONE_AT_A_TIME: Self = Self(1 << 2);

    /// REGISTER and REGISTER AND IGNORE EXISTING KEY without ALL_TG_PT are refused with 26/00.
    pub const NEEDS_ALL_TG_PT: Self = Self(1 << 3);

    /// PERSISTENT RESERVE IN and OUT are refused with 20/00.
    pub const NO_PR: Self = Self(1 << 4);

    /// RESERVE, RELEASE, CLEAR and REGISTER AND MOVE from an unregistered nexus end with NOT
    /// READY 08/00 where no reservation stands in their way; PREEMPT with a conflict
    /// (`target_core_pr.c`, `core_scsi3_pro_reserve` and its sisters).
    pub const UNREGISTERED_IS_COMMUNICATION_FAILURE: Self = Self(1 << 5);

    /// RELEASE by a registrant that is no holder does not compare the reservation key
    /// (`target_core_pr.c`, `core_scsi3_emulate_pro_release`).
    pub const RELEASE_BY_NON_HOLDER_IGNORES_KEY: Self = Self(1 << 6);

    /// RELEASE by the holder with another type or scope is a conflict instead of 26/04
    /// (`target_core_pr.c`, `core_scsi3_emulate_pro_release`).
    pub const WRONG_RELEASE_IS_CONFLICT: Self = Self(1 << 7);

    /// Removing registrations under an all-registrants reservation keeps the sender's own
    /// (`target_core_pr.c`, `core_scsi3_pro_preempt`).
    pub const PREEMPT_SPARES_SENDER: Self = Self(1 << 8);

    /// One of the registrants of an all-registrants reservation counts as *the* holder: who
    /// made it, after that one the first registrant. PREEMPT of its key takes the reservation
    /// (`target_core_pr.c`, `dev_pr_res_holder` in `core_scsi3_pro_preempt` and
    /// `__core_scsi3_complete_pro_release`).
    pub const ALL_REGISTRANTS_HAVE_A_FIRST: Self = Self(1 << 9);

    /// A registration made with ALL_TG_PT is changed or removed only with ALL_TG_PT, else 24/00
    /// (`target_core_pr.c`, `core_scsi3_emulate_pro_register`).
    pub const ALL_TG_PT_STICKS: Self = Self(1 << 10);

    /// An invalid SCOPE of RESERVE and PREEMPT is 26/00, and only for a registrant with the
    /// right key (`target_core_pr.c`, `core_scsi3_pro_reserve`, `core_scsi3_pro_preempt`).
    pub const SCOPE_IN_PARAMETER_LIST: Self = Self(1 << 11);

    /// Unregistering does not move the generation (`target_core_pr.c`,
    /// `core_scsi3_emulate_pro_register`).
    pub const UNREGISTER_KEEPS_GENERATION: Self = Self(1 << 12);

    /// With ALL_TG_PT and SPEC_I_PT each registration made moves the generation, not each
    /// command (`target_core_pr.c`, `__core_scsi3_add_registration`).
    pub const GENERATION_COUNTS_REGISTRATIONS: Self = Self(1 << 13);

    /// An allocation length below 8 is refused with 24/00, and so is one below 6 for REPORT
    /// CAPABILITIES; READ KEYS and READ RESERVATION leave out what does not fit whole; READ
    /// FULL STATUS leaves out descriptors, and does not count them in ADDITIONAL LENGTH
    /// (`target_core_pr.c`, `core_scsi3_pri_read_full_status` and its sisters).
    pub const SHORT_ALLOCATION_LENGTHS: Self = Self(1 << 14);

    /// A nexus has one pending unit attention: the first, until one of a reset, or of a later
    /// code of that family, takes its place (`target_core_ua.c`, `core_scsi3_ua_allocate`, and
    /// `core_scsi3_ua_for_check_condition`, which drops all but the one it reports).
    pub const ONE_ATTENTION: Self = Self(1 << 15);

    /// PERSISTENT RESERVE OUT by a nexus that is no holder is checked against the reservation
    /// before its parameter list is (`target_core_pr.c`, `core_scsi3_pr_seq_non_holder`).
    pub const CONFLICT_BEFORE_PARAMETERS: Self = Self(1 << 16);

    /// CLEAR ends APTPL (`target_core_pr.c`, `core_scsi3_emulate_pro_clear`).
    pub const CLEAR_ENDS_APTPL: Self = Self(1 << 17);

    /// ALL_TG_PT registers the initiator at the other target ports where it is connected, over
    /// iSCSI without a session, and again if it is registered there; that counts as a
    /// registration of every session there. Changing the key changes that of one target port;
    /// unregistering by REGISTER removes those with the same key, and is a conflict while
    /// another of them holds the reservation. Access is decided per initiator and target port,
    /// by whether a registration was made or removed last (`target_core_pr.c`,
    /// `__core_scsi3_alloc_registration`, `__core_scsi3_locate_pr_reg`,
    /// `core_scsi3_check_implicit_release`, `DEF_PR_REG_ACTIVE`).
    pub const SIBLINGS_WITHOUT_SESSION: Self = Self(1 << 18);

    /// A transfer of less than PARAMETER LIST LENGTH is refused with 24/00 before anything else
    /// is looked at; a longer one is the list, as long as it is, and so is none at all
    /// (`target_core_transport.c`, `target_cmd_size_check`).
    pub const TRANSFER_IS_THE_LIST: Self = Self(1 << 19);

    /// SPEC_I_PT registers an initiator port at the first target port where its initiator is
    /// connected, not at the one that the command came through (`target_core_pr.c`,
    /// `core_scsi3_decode_spec_i_port`). Over iSCSI that must be the unit's first: looking for
    /// it there spoils the TransportID for the others (`target_core_fabric_lib.c`,
    /// `iscsi_parse_pr_out_transport_id`). One without a session is refused.
    pub const SPEC_I_PT_AT_FIRST_PORT: Self = Self(1 << 20);

    /// Over iSCSI every session of the holder's initiator with the holder's target port has the
    /// holder's access if its ISID begins with the same eight of twelve hex digits: the ISIDs
    /// are compared as numbers that were made of the first eight characters of their text
    /// (`target_core_pr.c`, `pr_reg_bin_isid` in `target_scsi3_pr_reservation_check`).
    pub const SESSIONS_BY_EIGHT_DIGITS: Self = Self(1 << 21);

    /// All of Linux' target.
    pub const LIO: Self = Self(
        Self::UNREGISTERED_IS_COMMUNICATION_FAILURE.0
            | Self::RELEASE_BY_NON_HOLDER_IGNORES_KEY.0
            | Self::WRONG_RELEASE_IS_CONFLICT.0
            | Self::PREEMPT_SPARES_SENDER.0
            | Self::ALL_REGISTRANTS_HAVE_A_FIRST.0
            | Self::ALL_TG_PT_STICKS.0
            | Self::SCOPE_IN_PARAMETER_LIST.0
            | Self::UNREGISTER_KEEPS_GENERATION.0
            | Self::GENERATION_COUNTS_REGISTRATIONS.0
            | Self::SHORT_ALLOCATION_LENGTHS.0
            | Self::ONE_ATTENTION.0
            | Self::CONFLICT_BEFORE_PARAMETERS.0
            | Self::CLEAR_ENDS_APTPL.0
            | Self::SIBLINGS_WITHOUT_SESSION.0
            | Self::TRANSFER_IS_THE_LIST.0
            | Self::SPEC_I_PT_AT_FIRST_PORT.0
            | Self::SESSIONS_BY_EIGHT_DIGITS.0,
    );

    /// Whether all of `other` are among these.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Quirks {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
