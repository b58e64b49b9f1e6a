//! Errors of the kernels that a checked input cannot cause.

/// Value of a kernel that cannot refuse: [`ResNet::check_input`](crate::ResNet::check_input) finds beforehand what a
/// user can ask for, so an error is a defect, or an input that was not checked.
pub(crate) fn sound<T>(result: Result<T, residual_kernels::Error>) -> T {
    result.unwrap_or_else(|error| panic!("a fused layer: {error}"))
}
