extern crate actor_core as concurrence;
use concurrence::*; use std::time::*;
fn main()->std::process::ExitCode{ Runtime::builder().workers(1).dispatch(||{
  for _ in 0..3 { let y=Tasklet::spawn(||for _ in 0..10_000_000 { Tasklet::yield_now() }); let t=Instant::now(); for _ in 0..10_000_000 { Tasklet::yield_now() } y.join().unwrap(); println!("yield {:.1} ns",t.elapsed().as_nanos() as f64/2e7); }
 }) }
