//! The `multipathd-lite` command: daemon, or client of one.
#![forbid(unsafe_code)]

use std::io;
use std::time::Instant;

use mpathpersist::Host;
use multipathd_lite::engine::Engine;
use multipathd_lite::event_loop::EventLoop;
use multipathd_lite::rules::Rules;

fn main() -> io::Result<()> {
    let host = Host::default();
    let engine = Engine::new(Rules::load(&host), Instant::now());
    EventLoop::new(engine)?.run()
}
