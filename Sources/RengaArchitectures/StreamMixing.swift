// StreamMixing.swift: what the shortcuts of merge-and-run blocks make of K streams: their mean, or themselves.
// Not here: the blocks (DMRNet.swift).
import RengaNetwork

/// What each of K streams is added to.
enum StreamMixing: String, CaseIterable {
    /// The mean of all: merge-and-run.
    case merge
    /// Itself: the paper's control.
    case identity

    static let attributes = [
        AttributeSpec(
            "mapping", .choice(allCases.map(\.rawValue)), default: "merge",
            "What joins the branches: the mean of all streams, or each stream itself (the paper's control).")
    ]

    /// Reads the option.
    init(_ options: AttributeReader) throws(RengaError) {
        self = StreamMixing(rawValue: try options.choice("mapping")) ?? .merge
    }

    /// What each stream's branch is added to; `streams` may be empty: then nothing.
    func add(_ stack: inout LayerStack, _ streams: [ValueID]) throws(RengaError) -> [ValueID] {
        guard let first = streams.first, self == .merge else { return streams }
        // Streams that are still one and the same are their own mean.
        let isOne = streams.allSatisfy { $0 == first }
        let mean = isOne ? first : try stack.add(Mean(), "mean", sources: streams)
        return Array(repeating: mean, count: streams.count)
    }

    /// What the sum of all branches is added to where the streams end: the mean, once; streams that never met all count.
    func addCollapsed(_ stack: inout LayerStack, _ streams: [ValueID]) throws(RengaError) -> [ValueID] {
        let mixed = try add(&stack, streams)
        return self == .merge ? Array(mixed.prefix(1)) : mixed
    }
}
