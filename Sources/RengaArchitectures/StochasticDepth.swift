// StochasticDepth.swift: gates on residual branches, for every family of residual blocks: options, and what block l of N gets.
// One gate: Huang et al. 2016 (arXiv 1603.09382); one for the channels with a shortcut and one for the new ones: Yamada et al. 2016
// (arXiv 1612.01230). Not here: the gate itself (RengaNetwork: StochasticGate), where a family puts it.
import RengaNetwork

/// The options of stochastic depth, resolved.
struct StochasticDepth {
    /// Which gates a branch has.
    enum Kind: String {
        case none
        /// One for all channels.
        case joint
        /// One for the channels with a shortcut ("upper") and one for the others ("lower").
        case separate
    }

    let kind: Kind
    /// Whether each half of a separated convolution begins as a layer of its own.
    let beginsByHalves: Bool
    /// p_N of each gate.
    private let survivals: (upper: Double, lower: Double)
    private let decays: Bool
    private let correlation: Double
    private let scope: StochasticGate.Scope
    private let closed: StochasticGate.Closed

    /// The options of a family; `branches`: it has several in a block; `separates`: the width grows inside its blocks.
    static func attributes(branches: Bool = false, separates: Bool = false) -> [AttributeSpec] {
        let survivals = AttributeKind.number(StochasticGate.survivals)
        var specs = [
            AttributeSpec(
                "stochastic_depth",
                .choice([Kind.none.rawValue, Kind.joint.rawValue] + (separates ? [Kind.separate.rawValue] : [])),
                default: Kind.none.rawValue,
                "Gates that close residual branches at random in training; in inference a branch counts by its survival probability, "
                    + "folded into its last layer. joint: one gate for a branch"
                    + (separates ? "; separate: one for the channels with a shortcut and one for the new ones." : ".")),
            AttributeSpec(
                "survival", survivals, default: "0.5", "Probability that the branches of the last block are open."),
        ]
        if separates {
            specs += [
                AttributeSpec(
                    "survival_upper", survivals, default: "survival", "The same for the channels with a shortcut."),
                AttributeSpec("survival_lower", survivals, default: "survival", "The same for the new channels."),
            ]
        }
        specs.append(
            AttributeSpec(
                "survival_decay", .choice(["linear", "none"]), default: "linear",
                "linear: block l of N survives with probability 1 - l/N (1 - survival); none: all blocks as the last."))
        if branches || separates {
            specs.append(
                AttributeSpec(
                    "gate_correlation", .number(0...1), default: "0",
                    "Of the gates in one block: 0 = independent, 1 = open and closed together; each keeps its probability."
                ))
        }
        specs += [
            AttributeSpec(
                "gate_scope", .choice(StochasticGate.Scope.allCases.map(\.rawValue)),
                default: StochasticGate.Scope.batch.rawValue, "Whether gates are drawn for a batch or for each sample."),
            AttributeSpec(
                "gate_closed", .choice(StochasticGate.Closed.allCases.map(\.rawValue)),
                default: StochasticGate.Closed.run.rawValue,
                "run: closed branches still run forward and move their running statistics, as in the papers' later code; "
                    + "skip: they do not. Nothing runs backward behind a closed gate."),
        ]
        if separates {
            specs.append(
                AttributeSpec(
                    "gate_init", .choice(["half", "whole"]), default: "half",
                    "With separate gates and init=he_fan_out: each half of a branch's last convolution begins as a layer of its own "
                        + "(the paper's code), or both as one."))
        }
        return specs
    }

    init(_ options: AttributeReader, branches: Bool = false, separates: Bool = false) throws(RengaError) {
        kind = Kind(rawValue: try options.choice("stochastic_depth")) ?? .none
        survivals =
            try separates
            ? (options.number("survival_upper"), options.number("survival_lower"))
            : (options.number("survival"), options.number("survival"))
        decays = try options.choice("survival_decay") == "linear"
        correlation = branches || separates ? try options.number("gate_correlation") : 0
        scope = StochasticGate.Scope(rawValue: try options.choice("gate_scope")) ?? .batch
        closed = StochasticGate.Closed(rawValue: try options.choice("gate_closed")) ?? .run
        let isFanOut = try options.choice("init") == "he_fan_out"
        let byHalves = try separates ? options.choice("gate_init") == "half" : false
        beginsByHalves = byHalves && isFanOut && kind == .separate
    }

    /// The branch behind its gate; as it is where there are none. `shortcut`: channels that have one.
    func gated(
        _ stack: inout LayerStack, _ branch: ValueID, _ place: BlockPlace, shortcut: Int? = nil, grouped: Bool = false,
        name: String = "gate"
    ) throws(RengaError) -> ValueID {
        guard kind != .none else { return branch }
        let split = split(try stack.channels(branch), shortcut: shortcut)
        let gate = StochasticGate(
            survival: survival(survivals.upper, place), split: split,
            survivalLower: split == 0 ? nil : survival(survivals.lower, place), correlation: correlation,
            group: grouped && correlation > 0 ? place.number : 0, scope: scope, closed: closed)
        return try stack.add(gate, name, branch)
    }

    /// The first channel of the second gate, or 0: without new channels one gate is all.
    func split(_ channels: Int, shortcut: Int?) -> Int {
        guard kind == .separate, let shortcut, shortcut < channels else { return 0 }
        return shortcut
    }

    /// p_l = 1 - l/N (1 - p_N), or p_N.
    private func survival(_ last: Double, _ place: BlockPlace) -> Double {
        decays ? 1 - Double(place.number) / Double(place.count) * (1 - last) : last
    }
}
