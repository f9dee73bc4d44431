//! Tests of the scheduler: the kernel as a plain value, and whole runs with kills at every step.
mod bounds;
mod budget;
mod kernel;
mod kills;
mod model;
mod primitives;
mod programs;
mod random;
mod simulator;
mod sleeper;
mod tables;
mod world;
