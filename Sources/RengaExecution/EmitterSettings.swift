// EmitterSettings.swift: what a plan is compiled for, as every operator may ask.
// Not here: what callers choose and its defaults (SessionOptions, TrainingPlan.Options).
import CRengaKernels
import RengaNetwork

/// What every plan is compiled for.
package struct EmitterSettings {
    /// Inference or training.
    package var purpose: Purpose
    /// Whose kernels.
    package var isa: rk_isa
    /// Threads that a run may use.
    package var threads: Int
    /// What values are held in.
    package var precision = Precision.f32
    /// What the weights of fully connected layers are kept in, in inference.
    package var linearWeights = Precision.f32
    /// The algorithm to force where it applies.
    package var algorithm: rk_conv_algorithm = RK_CONV_AUTO
    /// Algorithms to force by the layer's name, where they must apply.
    package var layerAlgorithms: [String: rk_conv_algorithm] = [:]
    /// Whether algorithms that are not forced are chosen by timing them.
    package var tune = false
    /// Key and counter of dropout's random stream, read when a step runs.
    package var dropout: (key: UnsafeMutablePointer<UInt64>, counter: UnsafeMutablePointer<UInt64>)?
    /// The gates of stochastic depth of a training plan.
    package var gates: GateTable?
    /// False: every buffer has memory of its own (a test's yardstick).
    package var reuseMemory = true
    /// False: all threads work even where one would be faster (a test's way to see them work).
    package var serialWhereSmall = true
    /// Whether chunks of images go through several steps at a time.
    package var bands = BandChoice.never
    /// Bytes of a core's cache that a chunk should stay in.
    package var cache = Int(clamping: rk_second_level_bytes())

    /// Takes a caller's words on algorithms. Errors: notFound (an algorithm, a layer).
    mutating func choose(_ text: String?, tune: Bool, _ graph: Graph) throws(RengaError) {
        let forced = try AlgorithmChoice(text)
        try forced.check(graph)
        (algorithm, layerAlgorithms, self.tune) = (forced.all, forced.layers, tune)
    }

    /// Settings with the rest at their defaults.
    package init(purpose: Purpose, isa: rk_isa, threads: Int) {
        (self.purpose, self.isa, self.threads) = (purpose, isa, threads)
    }
}
