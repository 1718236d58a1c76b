//! The clock of the drivers: CPU time of the whole process, all threads, to the nanosecond.

use std::{error::Error, fs};

use rustix::time::{ClockId, clock_gettime};

/// Runs `work` once for the peak of memory and to warm up, then `repeat` times for the clock.
pub fn measure(
    repeat: u32,
    mut work: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    work()?;
    println!("peak {}", peak()?);
    for _ in 0..repeat {
        let before = cpu();
        work()?;
        println!("cpu {:.3}", cpu() - before);
    }
    Ok(())
}

fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

/// The most memory this process ever had in RAM, in bytes, as the kernel counts it.
fn peak() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kilobytes
        .ok_or("no VmHWM in /proc/self/status")?
        .parse::<u64>()?
        * 1024)
}
