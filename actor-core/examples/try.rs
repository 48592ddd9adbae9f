extern crate actor_core as concurrence;
use concurrence::*; use std::time::*;
#[derive(Message)] struct Ping(u64);
#[derive(Message)] #[message(reply=u64)] struct Ask(u64);
fn main()->std::process::ExitCode{ Runtime::builder().workers(std::env::args().nth(1).map_or(1,|s|s.parse().unwrap())).dispatch(||{
  for n in ["A","B"] { Tasklet::spawn(move||{ println!("Hello {n}"); Tasklet::yield_now(); println!("Goodbye {n}"); }); }
  Tasklet::sleep(Duration::from_millis(10));
  let n=1_000_000u64;
  let me=Tasklet::current();
  let echo=Tasklet::spawn(move||{ for m in Tasklet::receive() { match_message!(match m { Ping(k) => { let _=me.send(Ping(k)); } (Ask(k),r) => r.send(k+1), }); } });
  for _ in 0..3 { let t=Instant::now(); for k in 0..n { echo.send(Ping(k)).unwrap(); let e=Tasklet::receive_one().unwrap(); assert_eq!(e.downcast::<Ping>().unwrap().0,k); } println!("round trip {:.1} ns",t.elapsed().as_nanos() as f64/n as f64); }
  for _ in 0..3 { let t=Instant::now(); for k in 0..n { assert_eq!(echo.call(Ask(k)),Ok(k+1)); } println!("call {:.1} ns",t.elapsed().as_nanos() as f64/n as f64); }
  for _ in 0..3 { let t=Instant::now(); for _ in 0..100_000 { Tasklet::spawn(||1u8).join().unwrap(); } println!("spawn+join {:.1} ns",t.elapsed().as_nanos() as f64/1e5); }
  for _ in 0..3 { let t=Instant::now(); let h:Vec<_>=(0..10_000).map(|i|Tasklet::spawn(move||i)).collect(); for (i,h) in h.iter().enumerate() { assert_eq!(h.join().unwrap(),i); } println!("spawn 10000 + join {:.1} ns",t.elapsed().as_nanos() as f64/1e4); }
  for _ in 0..3 { let t=Instant::now(); let sink=Tasklet::spawn(move||{ let mut c=0u64; for m in Tasklet::receive() { match_message!(match m { Ping(_) => c+=1, }); } c }); for k in 0..n { sink.send(Ping(k)).unwrap(); if k%64==0 {Tasklet::yield_now()} } assert_eq!(sink.join().unwrap(),n); println!("one to one {:.1} M/s",n as f64/t.elapsed().as_secs_f64()/1e6); }
  let y=Tasklet::spawn(||for _ in 0..1_000_000 { Tasklet::yield_now() }); let t=Instant::now(); for _ in 0..1_000_000 { Tasklet::yield_now() } y.join().unwrap(); println!("yield {:.1} ns",t.elapsed().as_nanos() as f64/2e6);
 }) }
