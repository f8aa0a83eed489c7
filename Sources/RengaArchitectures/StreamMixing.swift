// StreamMixing.swift: what the shortcuts of merge-and-run blocks make of K streams: their mean, themselves, or any other idempotent mixture.
// Not here: the blocks (DMRNet.swift), the weighted sum itself (RengaNetwork).
import RengaNetwork

/// m_k = sum over j of M[k][j] x_j with M M = M: what one block mixed, the next ones leave as it is.
enum StreamMixing {
    /// M[k][j] = 1/K: merge-and-run.
    case merge
    /// M = I: the paper's control.
    case identity
    /// Any idempotent matrix, by rows (beyond the paper).
    case custom([[Double]])

    static let attributes = [
        AttributeSpec(
            "mapping", .choice(["merge", "identity", "custom"]), default: "merge",
            "What each branch is added to: the mean of all streams, its own stream (the paper's control), or what `mixing` says."
        ),
        AttributeSpec(
            "mixing", .numbers(0...64), default: "",
            "With mapping=custom the K x K matrix M, row after row: stream k is added to the sum of M[k][j] x_j; M M = M, "
                + "such as 0.5 0.5 0; 0.5 0.5 0; 0 0 1."),
    ]

    /// Reads the options; a custom matrix is checked.
    init(_ options: AttributeReader, streams: Int) throws(RengaError) {
        let numbers = try options.numbers("mixing")
        switch try options.choice("mapping") {
        case "merge": self = .merge
        case "identity": self = .identity
        default:
            guard numbers.count == streams * streams else {
                throw RengaError(
                    .invalidArgument,
                    "option 'mixing' must be a matrix of \(streams) x \(streams) numbers with branches=\(streams), "
                        + "got \(numbers.count) numbers")
            }
            let rows = (0..<streams).map { Array(numbers[$0 * streams..<($0 + 1) * streams]) }
            try StreamMixing.check(rows)
            self = .custom(rows)
            return
        }
        guard numbers.isEmpty else {
            throw RengaError(.invalidArgument, "option 'mixing' is for mapping=custom, got \(numbers.count) numbers")
        }
    }

    /// What rounding may leave between M M and M, as a share of M's largest number.
    private static let tolerance = 1e-6

    private static func check(_ matrix: [[Double]]) throws(RengaError) {
        let largest = matrix.joined().map(abs).max() ?? 0
        for (k, row) in matrix.enumerated() {
            for (j, value) in row.enumerated() {
                let squared = zip(row, matrix).reduce(0) { $0 + $1.0 * $1.1[j] }
                guard abs(squared - value) <= tolerance * max(1, largest) else {
                    throw RengaError(
                        .invalidArgument,
                        "option 'mixing' must be an idempotent matrix (M M = M), got \(value) in row \(k + 1), column \(j + 1), "
                            + "where M M has \(squared)")
                }
            }
        }
    }

    /// What each stream's branch is added to; `streams` may be empty: then nothing.
    func add(_ stack: inout LayerStack, _ streams: [ValueID]) throws(RengaError) -> [ValueID] {
        guard !streams.isEmpty else { return [] }
        switch self {
        case .identity: return streams
        case .merge:
            return Array(repeating: try StreamMixing.mean(&stack, streams), count: streams.count)
        case .custom(let matrix):
            var mixed: [ValueID] = []
            for (k, row) in matrix.enumerated() {
                if let same = matrix[..<k].firstIndex(of: row) {
                    mixed.append(mixed[same])
                } else {
                    mixed.append(try StreamMixing.sum(&stack, "mix\(k + 1)", row, streams))
                }
            }
            return mixed
        }
    }

    /// What the sum of all branches is added to where the streams end: the mean of what ``add`` gives. Streams that never met all count.
    func addCollapsed(_ stack: inout LayerStack, _ streams: [ValueID]) throws(RengaError) -> [ValueID] {
        guard !streams.isEmpty else { return [] }
        switch self {
        case .identity: return streams
        case .merge: return [try StreamMixing.mean(&stack, streams)]
        case .custom(let matrix):
            let means = streams.indices.map { j in matrix.reduce(0) { $0 + $1[j] } / Double(matrix.count) }
            return [try StreamMixing.sum(&stack, "mix", means, streams)]
        }
    }

    /// Streams that are still one and the same are their own mean.
    private static func mean(_ stack: inout LayerStack, _ streams: [ValueID]) throws(RengaError) -> ValueID {
        streams.allSatisfy { $0 == streams[0] } ? streams[0] : try stack.add(Mean(), "mean", sources: streams)
    }

    /// The sum of weights[j] x_j, each map once; a map of weight 1 alone is itself.
    private static func sum(
        _ stack: inout LayerStack, _ name: String, _ weights: [Double], _ streams: [ValueID]
    ) throws(RengaError) -> ValueID {
        var terms: [(map: ValueID, weight: Double)] = []
        for (stream, weight) in zip(streams, weights) {
            if let known = terms.firstIndex(where: { $0.map == stream }) {
                terms[known].weight += weight
            } else {
                terms.append((stream, weight))
            }
        }
        let counted = terms.filter { $0.weight != 0 }
        if counted.count == 1, counted[0].weight == 1 { return counted[0].map }
        let used = counted.isEmpty ? Array(terms.prefix(1)) : counted
        return try stack.add(WeightedSum(weights: used.map(\.weight)), name, sources: used.map(\.map))
    }
}
