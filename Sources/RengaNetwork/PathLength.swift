// PathLength.swift: how long the paths through a network are: what residual networks are compared by (Veit et al. 2016; Zhao et al. 2016).
// Not here: other numbers of a network (NetworkSummary.swift).
import Glibc

/// Over all paths from the inputs to a value: how many layers with weights lie on one, on average and in spread.
///
/// Convolutions and linear layers count; those of shortcuts do not (their names have a part that begins with "shortcut"), as the papers
/// count. A layer that reads a value twice has two paths through it.
public struct PathLength: Sendable, Equatable {
    /// Mean over the paths.
    public let mean: Double
    /// Standard deviation over the paths.
    public let deviation: Double
    /// Logarithm of the number of paths: deep networks have more than any number holds.
    private let logCount: Double

    /// The path that an input is: one, of no layer.
    private init(mean: Double = 0, variance: Double = 0, logCount: Double = 0) {
        (self.mean, deviation, self.logCount) = (mean, max(0, variance).squareRoot(), logCount)
    }

    /// All paths of `ends` together.
    private init(joining ends: [PathLength]) {
        let largest = ends.map(\.logCount).max() ?? 0
        let shares = ends.map { exp($0.logCount - largest) }
        let total = shares.reduce(0, +)
        let mean = zip(ends, shares).reduce(0) { $0 + $1.0.mean * $1.1 } / total
        let variance = zip(ends, shares).reduce(0) { sum, end in
            let (distance, deviation) = (end.0.mean - mean, end.0.deviation)
            return sum + (deviation * deviation + distance * distance) * end.1
        }
        self.init(mean: mean, variance: variance / total, logCount: largest + log(total))
    }

    private func longer(by layers: Double) -> PathLength {
        PathLength(mean: mean + layers, variance: deviation * deviation, logCount: logCount)
    }

    /// For every value of a network, inputs first.
    static func all(in structure: NetworkStructure) -> [PathLength] {
        var lengths = structure.inputs.map { _ in PathLength() }
        for node in structure.nodes {
            let joined = PathLength(joining: node.inputs.map { lengths[$0] })
            lengths.append(joined.longer(by: counts(node) ? 1 : 0))
        }
        return lengths
    }

    /// Over the paths to any of several values.
    static func joined(_ lengths: [PathLength]) -> PathLength { PathLength(joining: lengths) }

    private static func counts(_ node: Node) -> Bool {
        guard node.op is Convolution || node.op is Linear else { return false }
        return !node.name.split(separator: ".").contains { $0.hasPrefix("shortcut") }
    }
}
