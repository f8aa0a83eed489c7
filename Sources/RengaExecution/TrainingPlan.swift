// TrainingPlan.swift: forward, loss and backward of a network for one batch size, as one program in one arena.
// Not here: optimisers, schedules, loops (RengaTraining), the kernels of any operator (Operators/), what is decided first (TrainingDraft).
import CRengaKernels
import RengaNetwork

/// A network compiled for training. Not safe to share: one call at a time, by its owner.
package final class TrainingPlan {
    /// Where one parameter lies in its blob.
    package typealias Slot = ParameterSlot

    /// What a plan is compiled for.
    package struct Options {
        /// Images in a batch.
        package var n: Int
        /// Rows of the images; nil = the network's own.
        package var h: Int?
        /// Columns of the images; nil = the network's own.
        package var w: Int?
        /// Threads of a run.
        package var threads: Int
        /// Whose kernels.
        package var isa: rk_isa
        /// In [0, 1).
        package var labelSmoothing: Float
        /// The most bytes that plan (``TrainingMemory/total``) and owner may hold; nil = as many as it takes without running anything twice.
        package var memoryBudget: Int?
        /// What activations and their gradients are held in. No scaling of the loss comes with bf16: it has the exponents of f32, so that
        /// gradients do not vanish as they would in f16.
        package var precision = Precision.f32
        /// Algorithms to force, as a session's; nil = the best for each.
        package var algorithm: String?
        /// Whether the best is found by timing.
        package var tune = false
        /// ``TrainingPlan/algorithms`` of an earlier plan of the network: what each pass named in it must take.
        package var algorithms: [String: String] = [:]
        /// Bytes that the plan's owner holds besides, which count too.
        package var bytesBesides = 0
        /// Whether sums and activations run inside the step before them.
        package var fuse = true
        /// Whether buffers that are never alive together share memory.
        package var reuseMemory = true
        /// Whether work too small to share runs on one thread.
        package var serialWhereSmall = true
        /// Whether work behind closed gates is left out.
        package var skipClosed = true
        /// Whether chunks of images go through several layers at a time.
        package var bands = BandChoice.byRule

        /// Options with the rest at their defaults.
        package init(n: Int, threads: Int, isa: rk_isa = rk_isa_best(), labelSmoothing: Float = 0) {
            (self.n, self.threads, self.isa, self.labelSmoothing) = (n, threads, isa, labelSmoothing)
        }
    }

    /// Where each trained parameter lies in `parameters` and its gradient in `gradients`, in order of the layers.
    package let trainable: [Slot]
    /// Where each running statistic (and each parameter of a frozen batch norm) lies in `runningStatistics`.
    package let statistics: [Slot]
    /// `[N,H,W,C]` of the batch: to be filled before a run.
    package let inputShape: Shape
    /// What the loss reads: the network's output, or what goes into it where that is a softmax.
    package let lossLayer: String
    /// The last softmax, which the loss takes over; nil where there is none.
    package let bypassedSoftmax: String?
    /// Forward, loss and backward; the trainer appends its own steps.
    package let program: Program
    /// What the run computes besides gradients. Valid as long as the plan.
    package let loss: UnsafeMutablePointer<Double>
    /// The fused steps, for people.
    package let steps: [String]
    /// The gates of stochastic depth; nil where the network has none. Drawn anew by each run, all open before the first.
    package let gates: GateTable?

    private let blobs: ParameterBlobs
    /// Loss, two counts, dropout's key and counter.
    private let cells: Buffer
    private let dropout: UnsafeMutablePointer<UInt64>
    private let graph: Graph
    private let settings: EmitterSettings
    private let emission: TrainingEmission
    private let compiled: CompiledPlan
    /// Steps of the plan itself: those behind are the trainer's.
    private let ownSteps: Int
    /// The plan for the last batch size below the full one.
    private var variant: (n: Int, plan: CompiledPlan)?

    /// Compiles, allocates everything and loads the network's parameters.
    /// Errors: invalidArgument (also a budget that no plan fits), unsupported (inputs, outputs, nothing to train), outOfMemory.
    package init(_ network: Network, _ options: Options) throws(RengaError) {
        let draft = try TrainingDraft(network, options)
        (graph, settings, emission, blobs) = (draft.graph, draft.settings, draft.emission, draft.blobs)
        (bypassedSoftmax, lossLayer) = (draft.bypassedSoftmax, graph.name(of: graph.outputs[0]))
        (loss, dropout, gates) = (draft.emission.loss, draft.dropout, draft.settings.gates)
        cells = draft.cells
        steps = draft.emission.steps.map { $0.description(in: draft.graph) }
        (trainable, statistics) = (blobs.trainable, blobs.fixed)
        inputShape = graph.shapes[0]
        try blobs.load(from: network)
        compiled = try CompiledPlan(
            graph, settings, blobs, needsGradient: emission.needsGradient, emit: emission.emit)
        program = compiled.program
        ownSteps = compiled.program.count
    }

    /// The trained parameters, `[parameterFloats]`. Valid as long as the plan, as are all of its pointers.
    package var parameters: UnsafeMutablePointer<Float> { blobs.parameters.floats }
    /// Their gradients after a run, `[parameterFloats]`.
    package var gradients: UnsafeMutablePointer<Float> { blobs.gradients.floats }
    /// What is not trained by gradients, `[statisticFloats]`.
    package var runningStatistics: UnsafeMutablePointer<Float> { blobs.statistics.floats }
    /// Floats in `parameters`, padding included.
    package var parameterFloats: Int { blobs.parameterFloats }
    /// Floats in `runningStatistics`, padding included.
    package var statisticFloats: Int { blobs.statisticFloats }
    /// The batch of images, `[N,H,W,C]`: to be filled before a run.
    package var src: UnsafeMutablePointer<Float> { emission.src.floats }
    /// The batch of labels, `[N]`: to be filled before a run.
    package var labels: UnsafeMutablePointer<Int32> { emission.labels.base.assumingMemoryBound(to: Int32.self) }
    /// The key of dropout's random stream.
    package var dropoutKey: UInt64 {
        get { dropout[0] }
        set { dropout[0] = newValue }
    }
    /// The counter of dropout's random stream: another one for each step.
    package var dropoutCounter: UInt64 {
        get { dropout[1] }
        set { dropout[1] = newValue }
    }

    /// The algorithm's name for each pass of a convolution: by "layer:pass".
    package var algorithms: [String: String] { blobs.algorithms.mapValues(algorithmName) }

    /// Takes all parameters and statistics from a network of the same structure; all or nothing.
    package func load(from network: Network) throws(RengaError) { try blobs.load(from: network) }

    /// Puts all parameters and statistics into a network of the same structure; all or nothing.
    package func store(into network: inout Network) throws(RengaError) { try blobs.store(into: &network) }

    /// Runs all steps on the first `n` images and labels: mean loss over those with a valid label, right answers, invalid labels.
    package func run(n: Int) throws(RengaError) -> (loss: Double, correct: Int, invalid: Int) {
        guard (1...inputShape.n).contains(n) else {
            throw RengaError(.invalidArgument, "n must be in 1...\(inputShape.n), got \(n)")
        }
        gates?.draw()
        if n == inputShape.n {
            program.run(threads: compiled.threads)
        } else {
            let plan = try plan(for: n)
            program.run(threads: plan.threads, after: plan.program, from: ownSteps)
        }
        return (loss.pointee, Int(emission.counts[0]), Int(emission.counts[1]))
    }

    /// The least seconds of each step over `runs` runs on the present batch; the trainer's steps included.
    package func profile(runs: Int) -> [(info: StepInfo, seconds: Double)] {
        let seconds = program.profile(threads: compiled.threads, runs: runs)
        return Array(zip(program.infos, seconds)).map { (info: $0.0, seconds: $0.1) }
    }

    /// Bytes held.
    package var memory: TrainingMemory { TrainingMemory(blobs, emission, compiled.memory) }

    /// Floats of all trained parameters and of all that is not trained, padding included.
    package static func floats(of network: Network) throws(RengaError) -> (parameters: Int, statistics: Int) {
        let blobs = try ParameterBlobs(network, allocates: false)
        return (blobs.parameterFloats, blobs.statisticFloats)
    }

    /// Bytes that a plan of these options would hold, planned without making it. Errors: those of ``init(_:_:)``.
    package static func memory(of network: Network, _ options: Options) throws(RengaError) -> TrainingMemory {
        let draft = try TrainingDraft(network, options, allocates: false)
        let measured = try draft.emission.measured(draft.graph, draft.settings, draft.blobs)
        return TrainingMemory(draft.blobs, draft.emission, try ArenaPlan(measured).memory)
    }

    // MARK: - Inside

    private func plan(for n: Int) throws(RengaError) -> CompiledPlan {
        if let variant, variant.n == n { return variant.plan }
        let made = try CompiledPlan(
            graph.withBatch(n), settings, blobs, needsGradient: emission.needsGradient, shared: compiled.buffers,
            emit: emission.emit)
        variant = (n, made)
        return made
    }
}
