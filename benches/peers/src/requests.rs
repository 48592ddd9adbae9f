//! Clients of an echo, each with one request under way: how many are answered, and what CPU time that
//! takes the server.

use crate::harness::{Child, Figure, Result};
use crate::load::{Clients, Stream};
use std::time::{Duration, Instant};

/// Bytes of a request.
const REQUEST: usize = 64;
const WARM_UP: Duration = Duration::from_millis(200);
const MEASURED: Duration = Duration::from_millis(600);

/// A client's request under way: its number, at both ends of it, and how much of it is back.
struct UnderWay {
    number: u64,
    back: [u8; REQUEST],
    filled: usize,
}

impl UnderWay {
    fn request(&self) -> [u8; REQUEST] {
        let mut bytes = [b'.'; REQUEST];
        bytes[..8].copy_from_slice(&self.number.to_le_bytes());
        bytes[REQUEST - 8..].copy_from_slice(&self.number.to_be_bytes());
        bytes
    }
}

/// The figures `rate_N` and `cpu_N` of the N `clients`.
pub(crate) fn measure<S: Stream>(
    mut clients: Clients<S>,
    count: usize,
    server: &Child,
) -> Result<[Figure; 2]> {
    let mut requests: Vec<UnderWay> = (0..count)
        .map(|client| UnderWay {
            number: (client as u64) << 32,
            back: [0; REQUEST],
            filled: 0,
        })
        .collect();
    for (client, request) in requests.iter().enumerate() {
        clients.write(client, &request.request())?;
    }
    exchange(&mut clients, &mut requests, Instant::now() + WARM_UP)?;

    let (start, cpu) = (Instant::now(), server.cpu_time()?);
    let answered = exchange(&mut clients, &mut requests, start + MEASURED)? as f64;
    let (elapsed, cpu) = (start.elapsed(), server.cpu_time()? - cpu);
    Ok([
        Figure::new(&format!("rate_{count}"), answered / elapsed.as_secs_f64()),
        Figure::new(&format!("cpu_{count}"), cpu.as_secs_f64() * 1e6 / answered),
    ])
}

/// Lets every client send its next request as soon as its last has come back, and says how many came.
fn exchange<S: Stream>(
    clients: &mut Clients<S>,
    requests: &mut [UnderWay],
    until: Instant,
) -> Result<usize> {
    let mut ready = Vec::new();
    let mut answered = 0;
    while Instant::now() < until {
        clients.wait(&mut ready)?;
        for &client in &ready {
            let request = &mut requests[client];
            request.filled += clients.read(client, &mut request.back[request.filled..])?;
            if request.filled < REQUEST {
                continue;
            }
            if request.back != request.request() {
                return Err(format!("client {client} had back what it did not send").into());
            }
            answered += 1;
            request.number += 1;
            request.filled = 0;
            clients.write(client, &request.request())?;
        }
    }
    Ok(answered)
}
