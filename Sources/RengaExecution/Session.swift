// Session.swift: a network compiled for inference: checks, conversions and calls from several threads around an inference plan.
// Not here: what the plan does (InferencePlan), profiles (Session+Profile).
import CRengaKernels
import RengaFormats
public import RengaNetwork
import RengaRewrites

/// A network compiled for one batch size, image size and thread count, with its memory. Independent of the network it was made from.
/// Calls from several threads are safe and run one after another; different sessions run at the same time.
public final class Session: @unchecked Sendable {
    /// Shapes of the inputs for a full batch.
    public let inputShapes: [Shape]
    /// Shapes of the outputs for a full batch.
    public let outputShapes: [Shape]
    /// The fused steps of the plan, in order, for people.
    public let steps: [String]
    /// Threads that a run may use.
    public let threads: Int
    /// What activations and packed weights are held in.
    public var precision: Precision { settings.precision }

    let graph: Graph
    let fused: [FusedStep]
    let plan: InferencePlan
    let lock = Lock()
    private let batch: Int
    private let settings: EmitterSettings
    private let weights: ConstantStore
    private let normalization: Normalization?
    /// Plans for fewer images than the batch, most recently used last; they share weights and, where it is large enough, memory.
    private var variants: [(n: Int, plan: InferencePlan)] = []

    /// Most plans kept for batches below the full one.
    static let mostVariants = 4

    /// Compiles: everything that runs with a full batch need is allocated here.
    /// Errors: invalidArgument (options), shapeMismatch (an image size that a layer cannot take), notFound (algorithm, layer),
    /// unsupported (an operator without kernels), corruptData (a normalisation that is none), outOfMemory.
    public convenience init(
        _ network: Network, _ options: SessionOptions = SessionOptions()
    ) throws(RengaError) {
        try self.init(network, pending: [:], options)
    }

    /// Compiles a network straight from its file (``NetworkFile``): faster than reading the network first, with the same bits, and without
    /// memory for its large weights, which are read in pieces and packed at once, by all threads of the session. All or nothing: where
    /// anything in the file is wrong, or becomes so meanwhile, there is no session.
    /// Errors: those of ``init(_:_:)`` and of ``NetworkFile/init(path:)``.
    public convenience init(path: String, _ options: SessionOptions = SessionOptions()) throws(RengaError) {
        let (network, pending) = try NetworkFile.open(path: path)
        try self.init(network, pending: pending, options)
    }

    private init(
        _ network: Network, pending: [String: PendingTensor], _ options: SessionOptions
    ) throws(RengaError) {
        let options = try options.validated()
        let draft = try SessionDraft(network, options)
        (graph, fused, settings, threads) = (draft.graph, draft.fused, draft.settings, draft.settings.threads)
        batch = options.batch
        normalization = try Session.normalization(network)
        weights = ConstantStore(draft.network, pending: pending, scales: draft.scales, threads: threads)
        plan = try InferencePlan(graph, fused, settings, weights)
        try weights.seal()
        let graph = graph
        inputShapes = graph.inputs.indices.map { graph.shapes[$0] }
        outputShapes = graph.outputs.map { graph.shapes[$0] }
        steps = fused.map { $0.description(in: graph) }
    }

    /// Bytes that a session of these options would hold, planned without making it.
    /// Errors: those of ``init(_:_:)``.
    public static func memory(
        of network: Network, _ options: SessionOptions = SessionOptions()
    ) throws(RengaError) -> SessionMemory {
        let draft = try SessionDraft(network, try options.validated())
        let weights = try ConstantStore(planning: draft.network)
        let plan = try InferencePlan.memory(draft.graph, draft.fused, draft.settings, weights)
        return SessionMemory(
            weights: weights.bytes, activations: plan.arena, scratch: plan.scratch,
            activationsLowerBound: plan.lowerBound)
    }

    /// Bytes that the session holds.
    public var memory: SessionMemory {
        lock.locked {
            let plans = [plan] + variants.map(\.plan)
            // Memory of a variant counts only where it is its own.
            let arenas = Dictionary(plans.map { (ObjectIdentifier($0.compiled.buffers.arena), $0) }) { first, _ in first
            }
            let scratches = Dictionary(plans.map { (ObjectIdentifier($0.compiled.buffers.scratch), $0) }) { a, _ in a }
            return SessionMemory(
                weights: weights.bytes,
                activations: arenas.values.reduce(0) { $0 + $1.compiled.buffers.arena.bytes },
                scratch: scratches.values.reduce(0) { $0 + $1.compiled.buffers.scratch.bytes },
                activationsLowerBound: plan.compiled.memory.lowerBound)
        }
    }

    /// Runs `n` images, at most the batch. One view for each input and output, in their order; inputs and outputs must not overlap.
    /// u8 images are normalised as the network's metadata says. The same bits for any thread count and for an image in any batch of this
    /// session; NaN in gives NaN out.
    /// Errors: shapeMismatch (shapes, too little room), invalidArgument (n, number of views), outOfMemory (a first run of `n`).
    public func run(_ inputs: [InputView], outputs: [OutputView], n: Int) throws(RengaError) {
        try check(inputs, outputs, n)
        try lock.locked { () throws(RengaError) in
            let plan = try plan(for: n)
            try withNormalization { mean, scale in
                for (args, view) in zip(plan.imports, inputs) { view.describe(to: &args.pointee, mean, scale) }
                for (args, view) in zip(plan.exports, outputs) {
                    args.pointee.dst = view.data
                    args.pointee.layout = rk_layout(rawValue: UInt32(view.layout.rawValue))
                }
                plan.compiled.program.run(threads: plan.compiled.threads)
            }
        }
    }

    // MARK: - Inside

    private func withNormalization(_ body: (UnsafePointer<Float>?, UnsafePointer<Float>?) -> Void) throws(RengaError) {
        guard let normalization else { return body(nil, nil) }
        normalization.mean.withUnsafeBufferPointer { mean in
            normalization.scale.withUnsafeBufferPointer { body(mean.baseAddress, $0.baseAddress) }
        }
    }

    /// The plan for `n` images: the full one, one made before, or a new one.
    private func plan(for n: Int) throws(RengaError) -> InferencePlan {
        if n == batch { return plan }
        if let index = variants.firstIndex(where: { $0.n == n }) {
            let known = variants.remove(at: index)
            variants.append(known)
            return known.plan
        }
        let made = try InferencePlan(
            graph.withBatch(n), fused, settings, weights, shared: plan.compiled.buffers)
        if variants.count == Session.mostVariants { variants.removeFirst() }
        variants.append((n, made))
        return made
    }

    private func check(_ inputs: [InputView], _ outputs: [OutputView], _ n: Int) throws(RengaError) {
        guard (1...batch).contains(n) else {
            throw RengaError(.invalidArgument, "n must be in 1...\(batch) (the session's batch), got \(n)")
        }
        guard inputs.count == inputShapes.count, outputs.count == outputShapes.count else {
            throw RengaError(
                .invalidArgument,
                "the network has \(inputShapes.count) inputs and \(outputShapes.count) outputs, got \(inputs.count) and "
                    + "\(outputs.count)")
        }
        for (index, view) in inputs.enumerated() {
            var expected = inputShapes[index]
            expected.n = n
            try view.check("input '\(graph.inputs[index].name)'", is: expected)
        }
        for (index, view) in outputs.enumerated() {
            let needed = n * outputShapes[index].countPerImage
            guard view.count >= needed else {
                throw RengaError(
                    .shapeMismatch,
                    "output \(index) ('\(graph.name(of: graph.outputs[index]))'): \(needed) floats are written, "
                        + "there is room for \(view.count)")
            }
        }
    }

    /// The network's normalisation, checked against its inputs.
    private static func normalization(_ network: Network) throws(RengaError) -> Normalization? {
        guard let normalization = try network.normalization() else { return nil }
        try network.checkNormalization(channels: normalization.mean.count)
        return normalization
    }
}

/// What is decided before anything is allocated.
private struct SessionDraft {
    let network: Network
    /// What folded weights have yet to be multiplied by.
    let scales: [String: [Double]]
    let graph: Graph
    let fused: [FusedStep]
    let settings: EmitterSettings

    init(_ network: Network, _ options: SessionOptions) throws(RengaError) {
        (self.network, scales) = options.foldBatchNorm ? try FoldBatchNorm.deferred(network) : (network, [:])
        graph = try Graph(self.network, n: options.batch, h: options.height, w: options.width, .inference)
        fused = try Fusion.steps(graph, .inference, fuse: options.fuse)
        var settings = EmitterSettings(
            purpose: .inference, isa: options.isa ?? rk_isa_best(),
            threads: options.threads ?? min(Int(rk_default_threads()), SessionOptions.mostThreads))
        try settings.choose(options.algorithm, tune: options.tune, graph)
        settings.precision = options.precision
        settings.linearWeights = options.linearWeights
        settings.reuseMemory = options.reuseMemory
        settings.serialWhereSmall = options.serialWhereSmall
        settings.bands = settings.isa == RK_ISA_REFERENCE ? .never : options.bands
        self.settings = settings
    }
}
