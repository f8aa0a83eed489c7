// BatchNorm.swift: batch normalisation (Ioffe and Szegedy 2015): options, shape rule, parameters.
// Not here: how it runs and trains (kernels, RengaExecution), its folding (RengaRewrites).

/// Batch normalisation over N, H, W per channel: dst = gamma (src - mean) / sqrt(variance + epsilon) + beta.
///
/// src, dst `[N,H,W,C]`; gamma, beta, running_mean, running_variance `[C]`. Inference always uses the running statistics.
public struct BatchNorm {
    /// What training does with it.
    public enum Mode: String, Sendable, CaseIterable {
        /// Statistics of the batch; gamma and beta learn; running statistics move.
        case train
        /// Running statistics, and gamma and beta stay as they are.
        case frozen
        /// Running statistics; gamma and beta still learn.
        case frozenStatistics = "frozen_statistics"
    }

    /// Added to the variance.
    public var epsilon: Double
    /// Weight of a new batch in the running statistics, as PyTorch counts it: running = (1 - momentum) running + momentum batch.
    public var momentum: Double
    /// What training does with it.
    public var mode: Mode
    /// Whether it has gamma and beta; without, they are 1 and 0.
    public var isAffine: Bool

    /// Makes a batch norm; numbers out of bounds are errors of the shape rule.
    public init(epsilon: Double = 1e-5, momentum: Double = 0.1, mode: Mode = .train, affine: Bool = true) {
        self.epsilon = epsilon
        self.momentum = momentum
        self.mode = mode
        isAffine = affine
    }
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension BatchNorm: Operator {
    public static let name = "batch_norm"
    public static let arity = Arity.exactly(1)
    public static let attributes = [
        AttributeSpec("epsilon", .number(1e-12...1), default: "1e-05", "Added to the variance."),
        AttributeSpec("momentum", .number(0...1), default: "0.1", "Weight of a new batch in the running statistics."),
        AttributeSpec(
            "mode", .choice(Mode.allCases.map(\.rawValue)), default: Mode.train.rawValue,
            "In training: batch statistics; or running statistics with all fixed; or running statistics with gamma and beta "
                + "trained."),
        AttributeSpec("affine", .flag, default: "yes", "Whether it has gamma and beta."),
    ]

    public init(attributes: Attributes) throws(RengaError) {
        let reader = try AttributeReader(attributes, Self.attributes, owner: Self.name)
        epsilon = try reader.number("epsilon")
        momentum = try reader.number("momentum")
        mode = Mode(rawValue: try reader.choice("mode")) ?? .train
        isAffine = try reader.flag("affine")
    }

    public var encoded: Attributes {
        var attributes: Attributes = [:]
        if epsilon != 1e-5 { attributes["epsilon"] = "\(epsilon)" }
        if momentum != 0.1 { attributes["momentum"] = "\(momentum)" }
        if mode != .train { attributes["mode"] = mode.rawValue }
        if !isAffine { attributes["affine"] = "no" }
        return attributes
    }

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape {
        let src = try Self.single(inputs)
        try Self.check("epsilon", epsilon, in: 1e-12...1)
        try Self.check("momentum", momentum, in: 0...1)
        return src
    }

    public func parameters(_ inputs: [Shape]) throws(RengaError) -> [ParameterSpec] {
        let c = try outputShape(inputs).c
        let affine = [ParameterSpec("gamma", .gamma, [c]), ParameterSpec("beta", .beta, [c])]
        let statistics = [
            ParameterSpec("running_mean", .runningMean, [c]),
            ParameterSpec("running_variance", .runningVariance, [c]),
        ]
        return isAffine ? affine + statistics : statistics
    }
}
