extern crate actor_core as concurrence;
use concurrence::*; use std::time::*;
#[derive(Message)] struct Ping(u64);
fn main()->std::process::ExitCode{ Runtime::builder().workers(1).dispatch(||{
  let n=5_000_000u64;
  let me=Tasklet::current();
  let echo=Tasklet::spawn(move||{ for m in Tasklet::receive() { match_message!(match m { Ping(k) => { let _=me.send(Ping(k)); } }); } });
  for _ in 0..3 { let t=Instant::now(); for k in 0..n { echo.send(Ping(k)).unwrap(); let e=Tasklet::receive_one().unwrap(); assert_eq!(e.downcast::<Ping>().unwrap().0,k); } println!("round trip {:.1} ns",t.elapsed().as_nanos() as f64/n as f64); }
 }) }
