// Trainer+Memory.swift: what a training holds in bytes, asked of a trainer or before there is one.
// Not here: how plans are laid out and what is recomputed under a budget (RengaExecution).
import CRengaKernels
import RengaExecution
import RengaNetwork

/// Bytes that a training holds.
public struct TrainerMemory: Sendable, Equatable {
    /// Parameters and running statistics (these twice: as they were before the step).
    public let parameters: Int
    /// Gradients of the parameters.
    public let gradients: Int
    /// The optimiser's state.
    public let optimizer: Int
    /// The batch of images and labels.
    public let batch: Int
    /// Activations and their gradients, packed weights.
    public let activations: Int
    /// What kernels need besides.
    public let scratch: Int
    /// What the largest step alone needs alive of the activations: no plan of these steps can use less.
    public let activationsLowerBound: Int
    /// Under a budget: bytes of activations that stay from the forward to the backward pass.
    public let keptBytes: Int
    /// Under a budget: layers that run twice in a step, and their multiply-accumulates.
    public let recomputedLayers, recomputedMACs: Int

    /// All bytes.
    public var total: Int { parameters + gradients + optimizer + batch + activations + scratch }

    init(_ plan: TrainingMemory, optimizer: Int, statisticsBefore: Int) {
        parameters = plan.parameters + statisticsBefore
        (gradients, self.optimizer, batch) = (plan.gradients, optimizer, plan.batch)
        (activations, scratch) = (plan.activations, plan.scratch)
        activationsLowerBound = plan.activationsLowerBound
        keptBytes = plan.recomputation.keptBytes
        (recomputedLayers, recomputedMACs) = (plan.recomputation.steps, plan.recomputation.macs)
    }
}

extension Trainer {
    /// Bytes of the training.
    public var memory: TrainerMemory {
        TrainerMemory(
            plan.memory, optimizer: Optimizer.bytes(recipe, floats: plan.parameterFloats),
            statisticsBefore: statisticsBefore.bytes)
    }

    /// All bytes of ``memory``: allocated at the start, never more. Data sets and evaluations come on top.
    public var peakBytes: Int { memory.total }

    /// Bytes that a trainer of these arguments would hold, planned without making it. Errors: those of ``init(_:recipe:options:)``.
    public static func memory(
        of network: Network, recipe: Recipe = Recipe(), options: TrainerOptions = TrainerOptions()
    ) throws(RengaError) -> TrainerMemory {
        let recipe = try recipe.validated()
        let plan = try TrainingPlan.memory(of: network, try planOptions(network, recipe, options))
        let floats = try TrainingPlan.floats(of: network)
        return TrainerMemory(
            plan, optimizer: Optimizer.bytes(recipe, floats: floats.parameters),
            statisticsBefore: floats.statistics * MemoryLayout<Float>.stride)
    }

    static func planOptions(
        _ network: Network, _ recipe: Recipe, _ options: TrainerOptions
    ) throws(RengaError) -> TrainingPlan.Options {
        let threads = options.threads ?? min(Int(rk_default_threads()), Int(RK_MAX_THREADS))
        guard (1...Int(RK_MAX_THREADS)).contains(threads) else {
            throw RengaError(.invalidArgument, "threads must be in 1...\(RK_MAX_THREADS), got \(threads)")
        }
        if let budget = options.memoryBudget, budget < 1 {
            throw RengaError(.invalidArgument, "a memory budget must be at least 1 byte, got \(budget)")
        }
        var planned = TrainingPlan.Options(
            n: recipe.batchSize, threads: threads, isa: options.isa ?? rk_isa_best(),
            labelSmoothing: Float(recipe.labelSmoothing))
        planned.precision = recipe.precision
        (planned.algorithm, planned.tune, planned.algorithms) = (options.algorithm, options.tune, options.algorithms)
        let floats = try TrainingPlan.floats(of: network)
        planned.memoryBudget = options.memoryBudget
        planned.bytesBesides =
            Optimizer.bytes(recipe, floats: floats.parameters) + floats.statistics * MemoryLayout<Float>.stride
        return planned
    }
}
