// AlgorithmChoice.swift: which algorithms convolutions are to take, as callers say it in text and as a training's record keeps it.
// Not here: the rule (rk_conv_plan_init), timing (rk_conv_plan_tuned), who is asked first (Emitter+Parameters).
import CRengaKernels
import RengaNetwork

/// Algorithms to force: "direct" for each convolution that it applies to, "conv1=direct" for the layer conv1, where it must apply; several with
/// commas between them.
struct AlgorithmChoice {
    /// For all convolutions.
    private(set) var all = RK_CONV_AUTO
    /// By layer.
    private(set) var layers: [String: rk_conv_algorithm] = [:]

    /// nil: none. Errors: notFound (no such algorithm).
    init(_ text: String?) throws(RengaError) {
        for entry in (text ?? "auto").split(separator: ",", omittingEmptySubsequences: false) {
            let algorithm = try Self.algorithm(
                entry.lastIndex(of: "=").map { entry[entry.index(after: $0)...] } ?? entry)
            guard let end = entry.lastIndex(of: "=") else {
                all = algorithm
                continue
            }
            layers[String(entry[..<end])] = algorithm
        }
    }

    /// Algorithms are forced upon layers that have them. Errors: notFound.
    func check(_ graph: Graph) throws(RengaError) {
        for name in layers.keys.sorted()
        where !graph.nodes.contains(where: { $0.name == name && ($0.op is Convolution || $0.op is Linear) }) {
            throw RengaError(
                .notFound, "no convolution or fully connected layer '\(name.prefix(80))' to force an algorithm upon")
        }
    }

    private static func algorithm(_ name: Substring) throws(RengaError) -> rk_conv_algorithm {
        let known =
            (RK_CONV_AUTO.rawValue...RK_CONV_WINOGRAD_F4.rawValue).map { rk_conv_algorithm(rawValue: $0) }
            + [RK_CONV_STREAM, RK_CONV_GROUPED]
        let names = known.map { algorithmName($0) }
        guard let index = names.firstIndex(of: String(name)), name != "unknown" else {
            let list = names.filter { $0 != "unknown" }.joined(separator: ", ")
            throw RengaError(.notFound, "unknown algorithm '\(name.prefix(80))'; known: \(list)")
        }
        return known[index]
    }

    /// What a record of algorithms by their names says, kernels' own ones included. Errors: unsupported (a name of another version).
    static func recorded(_ names: [String: String]) throws(RengaError) -> [String: rk_conv_algorithm] {
        var recorded: [String: rk_conv_algorithm] = [:]
        for (pass, name) in names {
            let all = (RK_CONV_REFERENCE.rawValue...RK_CONV_GROUPED.rawValue).map { rk_conv_algorithm(rawValue: $0) }
            guard let known = all.first(where: { algorithmName($0) == name }) else {
                throw RengaError(
                    .unsupported,
                    "'\(pass.prefix(200))' took the algorithm '\(name.prefix(80))', which is not known here")
            }
            recorded[pass] = known
        }
        return recorded
    }
}
