//! How criterion is fed: nanoseconds per operation as `f64`, at operation counts of our choice.

use std::time::{Duration, Instant};

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BenchmarkGroup, Criterion, SamplingMode};

/// Nanoseconds with fractions: criterion's own measure has none, too coarse for one yield.
pub struct Nanoseconds;

impl Measurement for Nanoseconds {
    type Intermediate = Instant;
    type Value = f64;

    fn start(&self) -> Instant {
        Instant::now()
    }

    fn end(&self, start: Instant) -> f64 {
        start.elapsed().as_nanos() as f64
    }

    fn add(&self, left: &f64, right: &f64) -> f64 {
        left + right
    }

    fn zero(&self) -> f64 {
        0.0
    }

    fn to_f64(&self, value: &f64) -> f64 {
        *value
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        // It formats a number of nanoseconds.
        WallTime.formatter()
    }
}

/// Criterion as all groups use it: short, since the ratios sought are large.
pub fn criterion() -> Criterion<Nanoseconds> {
    Criterion::default()
        .with_measurement(Nanoseconds)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1_200))
        .sample_size(12)
        .without_plots()
        .configure_from_args()
}

/// One workload; its contenders are added one by one, and run as they are added.
pub struct Group<'a> {
    name: &'static str,
    inner: BenchmarkGroup<'a, Nanoseconds>,
}

impl<'a> Group<'a> {
    pub fn new(criterion: &'a mut Criterion<Nanoseconds>, name: &'static str) -> Self {
        let mut inner = criterion.benchmark_group(name);
        inner.sampling_mode(SamplingMode::Flat);
        Self { name, inner }
    }

    /// As few samples as criterion takes, for workloads that are long by nature.
    pub fn few_samples(mut self) -> Self {
        self.inner.sample_size(10);
        self
    }

    /// Adds a contender: `measure` does about as many operations as it is told, and returns the
    /// nanoseconds of one.
    pub fn add(&mut self, contender: &str, mut measure: impl FnMut(usize) -> f64) {
        self.inner.bench_function(contender, |bencher| {
            bencher.iter_custom(|iterations| {
                iterations as f64 * measure(usize::try_from(iterations).unwrap_or(usize::MAX))
            });
        });
    }

    /// Adds a contender, or says in one line why this machine or this peer cannot.
    pub fn add_unless(
        &mut self,
        obstacle: Option<String>,
        contender: &str,
        measure: impl FnMut(usize) -> f64,
    ) {
        match obstacle {
            None => self.add(contender, measure),
            Some(reason) => self.skip(contender, &reason),
        }
    }

    /// Says why a contender is missing.
    pub fn skip(&self, contender: &str, reason: &str) {
        eprintln!("{}/{contender} is skipped: {reason}", self.name);
    }
}

/// What an operation took if `count` took `elapsed`.
pub fn per_operation(elapsed: Duration, count: usize) -> f64 {
    elapsed.as_nanos() as f64 / count as f64
}

/// What an operation took in each lap of `count`, the laps being between the stamps.
pub fn laps_between(stamps: &[Instant], count: usize) -> Vec<f64> {
    stamps
        .windows(2)
        .map(|pair| per_operation(pair[1] - pair[0], count))
        .collect()
}

/// The processor time of this process so far, all OS threads together.
pub fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("a process has used no less than no time")
}
