// StochasticGate.swift: the gate of stochastic depth (Huang et al. 2016, arXiv 1603.09382; separated: Yamada et al. 2016, arXiv 1612.01230):
// options, shape rule, and the law by which it opens.
// Not here: how it runs, what is skipped behind a closed gate (RengaExecution), its folding into other layers (RengaRewrites).

/// A gate behind a residual branch: in training dst = b src with b drawn anew for each step, in inference dst = p src. src, dst `[N,H,W,C]`.
///
/// With `split` the channels below it (those with a shortcut) and the others have a gate each, with survival probabilities of their own.
///
/// The law: gate k has numbers u_k, w_k of its own and shares a number u with the other gates of its group, all uniform in (0, 1). It takes
/// u in the place of u_k where w_k < sqrt(correlation), and is open where the number taken is > 1 - p_k. So every gate is open with
/// probability p_k exactly, and two of one group together with probability rho min(p_1, p_2) + (1 - rho) p_1 p_2: where p_1 = p_2 rho is
/// their correlation, else it is the part of the largest correlation that such gates can have. No rho is impossible.
public struct StochasticGate {
    /// What a draw is for.
    public enum Scope: String, Sendable, CaseIterable {
        /// All images of a step.
        case batch
        /// Each image.
        case sample
    }

    /// What training does with a branch that is closed for all images.
    public enum Closed: String, Sendable, CaseIterable {
        /// It runs, and its running statistics move, as in the separated paper's code.
        case run
        /// It does not run, and its running statistics stay, as in the first paper's code.
        case skip
    }

    /// Probability that the gate (of the channels below `split`) is open.
    public var survival: Double
    /// The first channel of the second gate; 0: there is one gate for all channels.
    public var split: Int
    /// Probability that the second gate is open.
    public var survivalLower: Double
    /// rho of the law above.
    public var correlation: Double
    /// Gates of the same number, in any layers, are one group; 0: this layer's gates alone.
    public var group: Int
    /// What a draw is for.
    public var scope: Scope
    /// What becomes of closed work.
    public var closed: Closed

    /// Makes a gate; numbers out of bounds are errors of the shape rule. survivalLower: nil = survival.
    public init(
        survival: Double, split: Int = 0, survivalLower: Double? = nil, correlation: Double = 0, group: Int = 0,
        scope: Scope = .batch, closed: Closed = .run
    ) {
        (self.survival, self.split, self.survivalLower) = (survival, split, survivalLower ?? survival)
        (self.correlation, self.group, self.scope, self.closed) = (correlation, group, scope, closed)
    }

    /// Survival probabilities that a gate may have: a gate that never opens is no gate.
    public static let survivals = 1e-6...1.0

    /// Survival probability of each gate: one, or two with `split`.
    public var survivals: [Double] { split == 0 ? [survival] : [survival, survivalLower] }

    /// The channels of each gate on a map of `c` channels.
    public func channels(_ c: Int) -> [Range<Int>] {
        split == 0 ? [0..<c] : [0..<min(split, c), min(split, c)..<c]
    }
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension StochasticGate: Operator {
    public static let name = "stochastic_gate"
    public static let arity = Arity.exactly(1)
    public static let attributes = [
        AttributeSpec("survival", .number(survivals), default: "0.5", "Probability that the gate is open."),
        AttributeSpec(
            "split", .integer(0...Shape.largestExtent), default: "0",
            "First channel of a second gate; 0: one gate for all channels."),
        AttributeSpec(
            "survival_lower", .number(survivals), default: "survival", "Probability that the second gate is open."),
        AttributeSpec(
            "correlation", .number(0...1), default: "0",
            "Of the gates of a group: 0 = independent, 1 = open and closed together as far as their probabilities allow."
        ),
        AttributeSpec(
            "group", .integer(0...1_000_000_000), default: "0",
            "Gates of the same number are a group; 0: the gates of this layer alone."),
        AttributeSpec(
            "scope", .choice(Scope.allCases.map(\.rawValue)), default: Scope.batch.rawValue,
            "Whether a gate is drawn for a batch or for each sample."),
        AttributeSpec(
            "closed", .choice(Closed.allCases.map(\.rawValue)), default: Closed.run.rawValue,
            "Whether a closed branch runs forward and moves its running statistics, or is skipped and leaves them."),
    ]

    public init(attributes: Attributes) throws(RengaError) {
        let reader = try AttributeReader(attributes, Self.attributes, owner: Self.name)
        survival = try reader.number("survival")
        split = try reader.integer("split")
        survivalLower = try reader.number("survival_lower")
        correlation = try reader.number("correlation")
        group = try reader.integer("group")
        scope = Scope(rawValue: try reader.choice("scope")) ?? .batch
        closed = Closed(rawValue: try reader.choice("closed")) ?? .run
    }

    public var encoded: Attributes {
        var attributes: Attributes = [:]
        if survival != 0.5 { attributes["survival"] = "\(survival)" }
        if split != 0 { attributes["split"] = "\(split)" }
        if survivalLower != survival { attributes["survival_lower"] = "\(survivalLower)" }
        if correlation != 0 { attributes["correlation"] = "\(correlation)" }
        if group != 0 { attributes["group"] = "\(group)" }
        if scope != .batch { attributes["scope"] = scope.rawValue }
        if closed != .run { attributes["closed"] = closed.rawValue }
        return attributes
    }

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape {
        let src = try Self.single(inputs)
        try Self.check("survival", survival, in: Self.survivals)
        try Self.check("survival_lower", survivalLower, in: Self.survivals)
        try Self.check("correlation", correlation, in: 0...1)
        try Self.check("group", group, in: 0...1_000_000_000)
        guard split >= 0, split < src.c else {
            throw RengaError(
                .shapeMismatch, "\(Self.name): option 'split' must be below the \(src.c) channels, got \(split)")
        }
        return src
    }
}

// MARK: - Drawing

extension StochasticGate {
    /// The numbers that decide the gates of one layer: functions of the seed, the layer's name (and the group's) and the draw's index alone.
    /// Renaming another layer, or adding one, changes nothing.
    public struct Draws: Sendable {
        private let survivals: [Double]
        private let shares: Double
        private let own: [UInt64]
        private let common: UInt64

        /// The draws of the gate in the layer `name`.
        public init(_ gate: StochasticGate, name: String) {
            survivals = gate.survivals
            shares = gate.correlation.squareRoot()
            // No name of a layer has a space in it: the streams are apart whatever layers are called.
            own = survivals.indices.map { RandomStream.stream(named: "\(name) gate \($0)") }
            common = RandomStream.stream(named: (gate.group == 0 ? name : "group \(gate.group)") + " common")
        }

        /// Whether each gate is open in draw `index`: the step, or the step times the batch plus the image.
        public func open(seed: UInt64, index: UInt64) -> [Bool] {
            survivals.indices.map { gate in
                var stream = RandomStream(
                    seed: seed, purpose: .gates, stream: own[gate], position: index &* 2)
                var number = stream.openUniform()
                if stream.openUniform() < shares {
                    var shared = RandomStream(seed: seed, purpose: .gates, stream: common, position: index)
                    number = shared.openUniform()
                }
                return number > 1 - survivals[gate]
            }
        }
    }
}
