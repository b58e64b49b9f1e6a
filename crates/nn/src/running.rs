//! A running statistic.

use std::sync::{Mutex, PoisonError};

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param,
    ParamId,
};
use burn::tensor::{Device, Tensor};

/// A vector of statistics, `[channels]`, that a forward pass moves under `&self`.
///
/// Unlike Burn's `RunningState` it is up to date as soon as [`update`](Self::update) returns, a clone is
/// independent of its original, and several threads move it one after the other instead of averaging.
/// It is never part of a graph.
#[derive(Debug)]
pub struct Running {
    id: ParamId,
    value: Mutex<Tensor<1>>,
}

impl Running {
    /// Starts at `value`.
    pub fn new(value: Tensor<1>) -> Self {
        Self { id: ParamId::new(), value: Mutex::new(value.inner()) }
    }

    /// The value now, without autodiff.
    pub fn value(&self) -> Tensor<1> {
        self.lock().clone()
    }

    /// Replaces the value `v` by `f(v)`, as one step that no other thread can come between.
    pub fn update(&self, f: impl FnOnce(Tensor<1>) -> Tensor<1>) {
        let mut value = self.lock();
        *value = f(value.clone()).inner();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Tensor<1>> {
        // A panic inside `update` leaves the old value in place, so a poisoned lock is sound.
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, value: Tensor<1>) -> Self {
        Self { id: self.id, value: Mutex::new(value.inner()) }
    }
}

impl Clone for Running {
    fn clone(&self) -> Self {
        self.with(self.value())
    }
}

impl Module for Running {
    /// None: statistics are saved and moved with a module's parameters, and are not trained.
    fn num_params(&self) -> usize {
        0
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        visitor.visit_float(&Param::initialized(self.id, self.value()));
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let mapped = mapper.map_float(Param::initialized(self.id, self.value()));
        self.with(mapped.val())
    }

    fn to_device(self, device: &Device) -> Self {
        self.with(self.value().to_device(device))
    }

    fn fork(self, device: &Device) -> Self {
        self.to_device(device)
    }

    fn collect_devices(&self, mut devices: Devices) -> Devices {
        let device = self.value().device();
        if !devices.contains(&device) {
            devices.push(device);
        }
        devices
    }

    fn materialize(self) -> Self {
        self
    }

    fn valid(&self) -> Self {
        self.clone()
    }

    fn train(self) -> Self {
        self
    }
}

impl std::fmt::Display for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Running([{}])", self.value().dims()[0])
    }
}

impl ModuleDisplayDefault for Running {
    fn content(&self, content: Content) -> Option<Content> {
        content.add_formatted(&self.to_string()).optional()
    }
}

impl ModuleDisplay for Running {}
