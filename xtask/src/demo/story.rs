//! The story: what is said, and what is typed.

/// A part of it: one sentence, some commands, and how things stand after them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene {
    pub(super) sentence: &'static str,
    pub(super) steps: &'static [Step],
}

/// A part of a scene.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// A command that is run to its end.
    Run(&'static str),
    /// A daemon that goes on in the background.
    Start(&'static str),
    /// What that daemon is to say before the story goes on.
    Await(&'static [&'static str]),
    /// A command that ends the daemon.
    End(&'static str),
}

use Step::{Await, End, Run, Start};

/// The disk's nodes are alice and bob; `san` is their array.
pub(super) const SCENES: &[Scene] = &[
    Scene {
        sentence: "alice and bob register their keys on all their paths, and alice reserves the \
                   disk: who is not registered does not write.",
        steps: &[
            Run("mpathpersist --sandbox san/alice -o -G -S a11ce mpatha"),
            Run("mpathpersist --sandbox san/bob -o -G -S b0b mpatha"),
            Run("mpathpersist --sandbox san/alice -o -R -K a11ce -T 5 mpatha"),
        ],
    },
    Scene {
        sentence: "The path dies through which alice holds the reservation. The array knows \
                   nothing of that: to it she holds it by that path, and by no other.",
        steps: &[Run("mpathpersist sandbox offline san/alice sda")],
    },
    Scene {
        sentence: "She releases it all the same, by the paths that are left.",
        steps: &[Run(
            "mpathpersist --sandbox san/alice -o -L -K a11ce -T 5 mpatha",
        )],
    },
    Scene {
        sentence: "She reserves again, that path dies too, and she changes her key. She still \
                   holds the reservation, and no path keeps the old key.",
        steps: &[
            Run("mpathpersist --sandbox san/alice -o -R -K a11ce -T 5 mpatha"),
            Run("mpathpersist sandbox offline san/alice sdb"),
            Run("mpathpersist --sandbox san/alice -o -G -K a11ce -S a11ce2 mpatha"),
        ],
    },
    Scene {
        sentence: "Her paths come back while multipathd-lite runs: it gives them today's key \
                   before they carry I/O.",
        steps: &[
            Start("multipathd-lite --sandbox san/alice -d &"),
            Await(&[
                "sdc [8:32]: has its key 0xa11ce2",
                "sdd [8:48]: has its key 0xa11ce2",
            ]),
            Run("mpathpersist sandbox up san/alice sda sdb"),
            Await(&[
                "sda [8:0]: registered with 0xa11ce2",
                "sdb [8:16]: registered with 0xa11ce2",
                "sda [8:0] reinstated",
                "sdb [8:16] reinstated",
            ]),
            End("multipathd-lite --sandbox san/alice shutdown"),
        ],
    },
    Scene {
        sentence: "Once more the holding path dies, and alice unregisters. Nothing of hers is \
                   left behind, not even on the dead path.",
        steps: &[
            Run("mpathpersist sandbox gone san/alice sdc"),
            Run("mpathpersist --sandbox san/alice -o -G -K a11ce2 mpatha"),
        ],
    },
    Scene {
        sentence: "alice is back. Two of bob's paths die, and she fences him.",
        steps: &[
            Run("mpathpersist sandbox up san/alice sdc"),
            Run("mpathpersist --sandbox san/alice -o -G -S a11ce mpatha"),
            Run("mpathpersist --sandbox san/alice -o -R -K a11ce -T 5 mpatha"),
            Run("mpathpersist sandbox offline san/bob sdc sdd"),
            Run("mpathpersist --sandbox san/alice -o -A -K a11ce -S b0b -T 5 mpatha"),
        ],
    },
    Scene {
        sentence: "bob's paths come back, and stay out, with a daemon or without: nobody \
                   registers a fenced node again behind the back of who fenced it.",
        steps: &[
            Run("mpathpersist sandbox up san/bob sdc sdd"),
            Run("mpathpersist --sandbox san/bob -o -R -K b0b -T 5 mpatha"),
        ],
    },
];
