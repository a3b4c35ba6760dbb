//! The story: what is said, and what is typed.

/// A part of it: one sentence, some commands, and how things stand after them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene {
    pub(super) sentence: &'static str,
    pub(super) lines: &'static [&'static str],
}

/// The disk's nodes are alice and bob; `san` is their array.
pub(super) const SCENES: &[Scene] = &[
    Scene {
        sentence: "alice and bob register their keys on all their paths, and alice reserves the \
                   disk: who is not registered does not write.",
        lines: &[
            "mpathpersist --sandbox san/alice -o -G -S a11ce mpatha",
            "mpathpersist --sandbox san/bob -o -G -S b0b mpatha",
            "mpathpersist --sandbox san/alice -o -R -K a11ce -T 5 mpatha",
        ],
    },
    Scene {
        sentence: "The path dies through which alice holds the reservation. The array knows \
                   nothing of that: to it she holds it by that path, and by no other.",
        lines: &["mpathpersist sandbox offline san/alice sda"],
    },
    Scene {
        sentence: "She releases it all the same, by the paths that are left.",
        lines: &["mpathpersist --sandbox san/alice -o -L -K a11ce -T 5 mpatha"],
    },
    Scene {
        sentence: "She reserves again, that path dies too, and she changes her key. She still \
                   holds the reservation, and no path keeps the old key.",
        lines: &[
            "mpathpersist --sandbox san/alice -o -R -K a11ce -T 5 mpatha",
            "mpathpersist sandbox offline san/alice sdb",
            "mpathpersist --sandbox san/alice -o -G -K a11ce -S a11ce2 mpatha",
        ],
    },
    Scene {
        sentence: "Her paths come back: they get today's key before they carry I/O.",
        lines: &["mpathpersist sandbox up san/alice sda sdb"],
    },
    Scene {
        sentence: "Once more the holding path dies, and alice unregisters. Nothing of hers is \
                   left behind, not even on the dead path.",
        lines: &[
            "mpathpersist sandbox gone san/alice sdc",
            "mpathpersist --sandbox san/alice -o -G -K a11ce2 mpatha",
        ],
    },
    Scene {
        sentence: "alice is back. Two of bob's paths die, and she fences him.",
        lines: &[
            "mpathpersist sandbox up san/alice sdc",
            "mpathpersist --sandbox san/alice -o -G -S a11ce mpatha",
            "mpathpersist --sandbox san/alice -o -R -K a11ce -T 5 mpatha",
            "mpathpersist sandbox offline san/bob sdc sdd",
            "mpathpersist --sandbox san/alice -o -A -K a11ce -S b0b -T 5 mpatha",
        ],
    },
    Scene {
        sentence: "bob's paths come back, and stay out: nobody registers a fenced node again \
                   behind the back of who fenced it.",
        lines: &[
            "mpathpersist sandbox up san/bob sdc sdd",
            "mpathpersist --sandbox san/bob -o -R -K b0b -T 5 mpatha",
        ],
    },
];
