// TrainingPlan.swift: forward, loss and backward of a network for one batch size, as one program in one arena.
// Not here: optimisers, schedules, loops (RengaTraining), the kernels of any operator (Operators/).
import CRengaKernels
import RengaNetwork

/// Bytes that a training plan holds.
package struct TrainingMemory: Equatable, Sendable {
    /// Parameters and running statistics.
    package let parameters: Int
    /// Gradients of the parameters.
    package let gradients: Int
    /// The batch of images and labels.
    package let batch: Int
    /// Activations, their gradients, packed weights: one arena.
    package let activations: Int
    /// What kernels need besides.
    package let scratch: Int
    /// What the largest step alone needs alive of the arena: no plan of these steps can use less.
    package let activationsLowerBound: Int
    /// What is kept and what runs twice under a byte budget.
    package let recomputation: RecomputationReport

    /// Everything that the plan allocates.
    package var total: Int { parameters + gradients + batch + activations + scratch }
}

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
        /// The most bytes that the plan may hold (``TrainingMemory/total``); nil = as many as nothing running twice needs.
        package var memoryBudget: Int?
        /// What activations and their gradients are held in. No scaling of the loss comes with bf16: it has the exponents of f32, so that
        /// gradients do not vanish as they would in f16.
        package var precision = Precision.f32
        /// Whether sums and activations run inside the step before them.
        package var fuse = true
        /// Whether buffers that are never alive together share memory.
        package var reuseMemory = true
        /// Whether work too small to share runs on one thread.
        package var serialWhereSmall = true
        /// Whether work behind closed gates is left out.
        package var skipClosed = true

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
        try TrainingPlan.check(network, options)
        let whole = try Graph(network, n: options.n, h: options.h, w: options.w, .training)
        let output = whole.outputs[0]
        let softmax = whole.node(of: output).flatMap { $0.op is Softmax ? $0 : nil }
        graph = whole.withOutputs([softmax?.inputs[0] ?? output])
        bypassedSoftmax = softmax?.name
        lossLayer = graph.name(of: graph.outputs[0])
        let logits = graph.shapes[graph.outputs[0]]
        guard logits.h == 1, logits.w == 1 else {
            throw RengaError(.unsupported, "training needs an output of [N,1,1,classes], this network makes \(logits)")
        }
        let fused = try Fusion.steps(graph, .training, fuse: options.fuse)
        let graph = graph
        steps = fused.map { $0.description(in: graph) }
        blobs = try ParameterBlobs(network)
        try blobs.load(from: network)
        let needsGradient = try TrainingPlan.trainedValues(graph, blobs)
        guard needsGradient.contains(graph.outputs[0]) else {
            throw RengaError(.unsupported, "the network has no parameter to train")
        }
        (trainable, statistics) = (blobs.trainable, blobs.fixed)
        inputShape = graph.shapes[0]
        cells = try Buffer(bytes: 5 * 8, for: "the results of a step")
        loss = cells.base.bindMemory(to: Double.self, capacity: 1)
        dropout = (cells.base + 24).bindMemory(to: UInt64.self, capacity: 2)
        var settings = EmitterSettings(purpose: .training, isa: options.isa, threads: options.threads)
        settings.precision = options.precision
        settings.reuseMemory = options.reuseMemory
        settings.serialWhereSmall = options.serialWhereSmall
        settings.dropout = (dropout, dropout + 1)
        gates = try GateTable(graph, fused, skips: options.skipClosed)
        settings.gates = gates
        self.settings = settings
        var emission = TrainingEmission(
            steps: fused, needsGradient: needsGradient,
            src: try Buffer(floats: graph.shapes[0].count, for: "a batch of images"),
            labels: try Buffer(floats: options.n, for: "a batch of labels"), smoothing: options.labelSmoothing,
            loss: loss, counts: (cells.base + 8).bindMemory(to: Int64.self, capacity: 2))
        if let budget = options.memoryBudget {
            let fixed = blobs.bytes + emission.bytes
            try emission.fit(budget, besides: fixed, graph, settings, blobs)
        }
        self.emission = emission
        compiled = try CompiledPlan(graph, settings, blobs, needsGradient: needsGradient, emit: emission.emit)
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
    package var memory: TrainingMemory {
        TrainingMemory(
            parameters: blobs.parameters.bytes + blobs.statistics.bytes, gradients: blobs.gradients.bytes,
            batch: emission.bytes, activations: compiled.memory.arena, scratch: compiled.memory.scratch,
            activationsLowerBound: compiled.memory.lowerBound, recomputation: emission.recomputation.report)
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

    private static func check(_ network: Network, _ options: Options) throws(RengaError) {
        guard network.inputs.count == 1, network.outputs.count == 1 else {
            throw RengaError(
                .unsupported,
                "training needs a network with one input and one output, this one has \(network.inputs.count) and "
                    + "\(network.outputs.count)")
        }
        guard (1...Shape.largestExtent).contains(options.n) else {
            throw RengaError(.invalidArgument, "a batch must have 1...\(Shape.largestExtent) images, got \(options.n)")
        }
        guard (1...Int(RK_MAX_THREADS)).contains(options.threads) else {
            throw RengaError(.invalidArgument, "threads must be in 1...\(RK_MAX_THREADS), got \(options.threads)")
        }
        guard options.labelSmoothing >= 0, options.labelSmoothing < 1 else {
            throw RengaError(.invalidArgument, "label smoothing must be in [0, 1), got \(options.labelSmoothing)")
        }
    }

    /// Values that depend on a trained parameter.
    private static func trainedValues(_ graph: Graph, _ blobs: ParameterBlobs) throws(RengaError) -> Set<ValueID> {
        var trained = Set<ValueID>()
        for (index, node) in graph.nodes.enumerated() where graph.isLive[graph.value(ofNode: index)] {
            let specs = try node.op.parameters(node.inputs.map { graph.shapes[$0] })
            let hasOwn = specs.contains { blobs.gradient("\(node.name).\($0.name)") != nil }
            if hasOwn || node.inputs.contains(where: trained.contains) { trained.insert(graph.value(ofNode: index)) }
        }
        return trained
    }
}
