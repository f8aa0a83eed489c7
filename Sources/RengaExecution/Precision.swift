// Precision.swift: what a session or a training computes in, as its caller asks for it.
// Not here: which values of a plan that concerns (ValueTypes).
import CRengaKernels

/// The element type of activations, their gradients and packed weights.
///
/// In every precision products are summed in f32, and parameters (the masters), their gradients, statistics, logits, loss and optimiser
/// are f32; so are a network's inputs and outputs for the caller.
public enum Precision: String, Sendable, CaseIterable {
    /// IEEE single.
    case f32
    /// The upper half of an f32: its range with 8 bits of precision in half the memory, and on processors with AMX or AVX-512-BF16
    /// much faster products.
    case bf16

    /// The kernels' word for it.
    var type: rk_type { self == .f32 ? RK_F32 : RK_BF16 }
}
