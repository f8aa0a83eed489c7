// TrainingDraft.swift: what is decided about a training plan before its large memory is allocated: structure, loss, what is recomputed.
// Not here: the plan (TrainingPlan).
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

    init(_ blobs: ParameterBlobs, _ emission: TrainingEmission, _ plan: PlanMemory) {
        let stride = MemoryLayout<Float>.stride
        parameters = (blobs.parameterFloats + blobs.statisticFloats) * stride
        gradients = blobs.parameterFloats * stride
        batch = emission.bytes
        (activations, scratch, activationsLowerBound) = (plan.arena, plan.scratch, plan.lowerBound)
        recomputation = emission.recomputation.report
    }
}

/// A training plan before it is compiled.
struct TrainingDraft {
    let graph: Graph
    let settings: EmitterSettings
    let emission: TrainingEmission
    let blobs: ParameterBlobs
    let bypassedSoftmax: String?
    /// Loss, two counts, dropout's key and counter.
    let cells: Buffer
    let dropout: UnsafeMutablePointer<UInt64>

    /// allocates false: neither parameters nor a batch: for sizes alone.
    init(_ network: Network, _ options: TrainingPlan.Options, allocates: Bool = true) throws(RengaError) {
        try TrainingDraft.check(network, options)
        let whole = try Graph(network, n: options.n, h: options.h, w: options.w, .training)
        let output = whole.outputs[0]
        let softmax = whole.node(of: output).flatMap { ($0.op as? Softmax)?.isOverChannels == true ? $0 : nil }
        graph = whole.withOutputs([softmax?.inputs[0] ?? output])
        bypassedSoftmax = softmax?.name
        let logits = graph.shapes[graph.outputs[0]]
        guard logits.h == 1, logits.w == 1 else {
            throw RengaError(.unsupported, "training needs an output of [N,1,1,classes], this network makes \(logits)")
        }
        blobs = try ParameterBlobs(network, allocates: allocates)
        let needsGradient = try TrainingDraft.trainedValues(graph, blobs)
        guard needsGradient.contains(graph.outputs[0]) else {
            throw RengaError(.unsupported, "the network has no parameter to train")
        }
        cells = try Buffer(bytes: 5 * 8, for: "the results of a step")
        dropout = (cells.base + 24).bindMemory(to: UInt64.self, capacity: 2)
        var settings = EmitterSettings(purpose: .training, isa: options.isa, threads: options.threads)
        settings.precision = options.precision
        try settings.choose(options.algorithm, tune: options.tune, graph)
        blobs.algorithms = try AlgorithmChoice.recorded(options.algorithms)
        settings.reuseMemory = options.reuseMemory
        settings.serialWhereSmall = options.serialWhereSmall
        settings.dropout = (dropout, dropout + 1)
        let steps = try Fusion.steps(graph, .training, fuse: options.fuse)
        settings.gates = try GateTable(graph, steps, skips: options.skipClosed)
        // Gated steps are emitted for the whole team only.
        let isPlain = settings.isa == RK_ISA_REFERENCE || settings.gates != nil
        settings.bands = isPlain ? .never : options.bands
        // Results of training may depend on the chunks: the same on every machine.
        settings.cache = 2 << 20
        self.settings = settings
        var emission = TrainingEmission(
            steps: steps, needsGradient: needsGradient,
            src: try Buffer(floats: allocates ? graph.shapes[0].count : 0, for: "a batch of images"),
            labels: try Buffer(floats: allocates ? options.n : 0, for: "a batch of labels"),
            smoothing: options.labelSmoothing, loss: cells.base.bindMemory(to: Double.self, capacity: 1),
            counts: (cells.base + 8).bindMemory(to: Int64.self, capacity: 2),
            bytes: (graph.shapes[0].count + options.n) * MemoryLayout<Float>.stride)
        if let budget = options.memoryBudget {
            let fixed = blobs.bytes + emission.bytes + options.bytesBesides
            try emission.fit(budget, besides: fixed, graph, settings, blobs)
        }
        self.emission = emission
    }

    private static func check(_ network: Network, _ options: TrainingPlan.Options) throws(RengaError) {
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
