//! The `multipathd-lite` command: daemon, or client of one.
#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::time::Instant;

use mpathpersist::Host;
use multipathd_lite::engine::Engine;
use multipathd_lite::event_loop::EventLoop;
use multipathd_lite::rules::{Files, Rules};
use multipathd_lite::tasks::Tools;

fn main() -> io::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_target(false)
        .without_time()
        .init();
    let tools = Tools {
        host: Arc::new(Host::default()),
        files: Arc::new(Files::default()),
    };
    let rules = Rules::load(&tools.host, &tools.files);
    EventLoop::new(Engine::new(rules, Instant::now()), tools)?.run()
}
