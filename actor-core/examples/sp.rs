extern crate actor_core as concurrence;
use concurrence::*; use std::time::*;
fn main()->std::process::ExitCode{ Runtime::builder().workers(1).dispatch(||{
  for _ in 0..30 { let t=Instant::now(); let h:Vec<_>=(0..10_000).map(|i|Tasklet::spawn(move||i)).collect(); for (i,h) in h.iter().enumerate() { assert_eq!(h.join().unwrap(),i); } let _=t; }
  let t=Instant::now(); for _ in 0..3000_000 { Tasklet::spawn(||1u8).join().unwrap(); } println!("spawn+join {:.1} ns",t.elapsed().as_nanos() as f64/3e6);
 }) }
