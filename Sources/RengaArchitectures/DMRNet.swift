// DMRNet.swift: merge-and-run networks (Zhao et al. 2016, arXiv 1611.07718v2; IJCAI 2018): K streams that meet in their mean in each block.
// Not here: branches that are summed at once (InceptionLike.swift).
public import RengaNetwork

/// Merge-and-run networks: m = mean of the streams x_k; x'_k = relu(H_k(x_k) + m).
public enum DMRNet {}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension DMRNet: Architecture {
    public static let name = "dmrnet"
    public static let documentation =
        "Merge-and-run network (Zhao et al. 2016): parallel residual streams that share their mean. "
        + "stem=cifar: depth 6n+2 (basic) or 9n+2 (bottleneck); "
        + "stem=imagenet: depth 44 (arXiv v2) or 50 (IJCAI 2018: no shortcut where channels change, bare stem, streams concatenated)."
    public static let attributes =
        BranchedDesign.attributes + [
            AttributeSpec(
                "mapping", .choice(["merge", "identity"]), default: "merge",
                "What joins the branches: the mean of all streams, or each stream itself (the paper's control)."),
            AttributeSpec(
                "collapse", .choice(["auto"] + Collapse.allCases.map(\.rawValue)), default: "auto",
                "How the last block makes one map: m + sum of H_k (once), sum of (m + H_k) (twice), streams side by side (concat); "
                    + "auto: once, but twice for stem=imagenet,depth=44 and concat for 50, as in the authors' code."),
            AttributeSpec(
                "relu", .flag, default: "yes",
                "Whether a ReLU follows every sum; without, the mean is preserved exactly."),
        ]

    public static func blueprint(_ options: AttributeReader) throws(RengaError) -> Blueprint {
        let design = try MergeAndRunDesign(options)
        var stack = LayerStack()
        let image = try stack.input(design.base.imageSize)
        let begun = try design.addStem(&stack, image)
        let streams = try stack.stages(
            widths: design.base.widths, counts: design.base.counts,
            from: Array(repeating: begun, count: design.base.branches)
        ) { stack, streams, place throws(RengaError) in
            try design.addBlock(&stack, streams, place)
        }
        let features = try stack.merged(Concat(), "join", streams)
        let logits = try stack.head(features, classes: options.integer("classes"))
        return stack.blueprint(output: logits, try options.initialization(), resolved: design.resolved)
    }
}

/// How the last block makes one map of K streams.
private enum Collapse: String, CaseIterable {
    /// relu(m + sum of H_k).
    case once
    /// relu(sum of (m + H_k)).
    case twice
    /// The finished streams side by side.
    case concat
}

/// The options, resolved.
private struct MergeAndRunDesign {
    let base: BranchedDesign
    let merges: Bool
    let collapse: Collapse
    let hasRelu: Bool

    /// The networks of the IJCAI version: no shortcut where channels change, no norm in the stem.
    private var isBare: Bool { base.stem == .imagenet && base.depth == 50 }

    init(_ options: AttributeReader) throws(RengaError) {
        base = try BranchedDesign(options, published: [44: [2, 2, 8, 2], 50: [1, 2, 11, 2]])
        merges = try options.choice("mapping") == "merge"
        hasRelu = try options.flag("relu")
        let asPublished: Collapse = base.stem == .cifar ? .once : base.depth == 44 ? .twice : .concat
        collapse = Collapse(rawValue: try options.choice("collapse")) ?? asPublished
    }

    var resolved: Attributes { base.resolved.merging(["collapse": collapse.rawValue]) { $1 } }

    func addStem(_ stack: inout LayerStack, _ image: ValueID) throws(RengaError) -> ValueID {
        switch base.stem {
        case .cifar: try stack.smallStem(image, base.widths[0], ends: .activation)
        case .imagenet: try stack.largeStem(image, base.widths[0], ends: isBare ? .convolution : .activation)
        }
    }

    /// One block: K streams in; K out, or those that the last block leaves.
    func addBlock(
        _ stack: inout LayerStack, _ streams: [ValueID], _ place: BlockPlace
    ) throws(RengaError) -> [ValueID] {
        let residuals = try base.addBranches(&stack, streams, place)
        let around = try addShortcuts(&stack, streams, place)
        guard place.isLast, collapse != .concat else {
            return try finished(&stack, residuals, around)
        }
        // Of equal shortcuts (the mean) `once` counts one; each stream's own are all different and all count.
        let counted = collapse == .once && merges ? Array(around.prefix(1)) : around
        let sum = try stack.merged(Add(), "add", residuals + counted)
        return [try relu(&stack, "relu", sum)]
    }

    /// What each branch is added to: the mean of the (projected) streams for all, or each stream; none where a bare net changes channels.
    private func addShortcuts(
        _ stack: inout LayerStack, _ streams: [ValueID], _ place: BlockPlace
    ) throws(RengaError) -> [ValueID] {
        let channels = base.channels(place)
        let present = try stack.channels(streams[0])
        if isBare, present != channels { return [] }
        var projected: [ValueID] = []
        for (number, stream) in streams.enumerated() {
            projected.append(
                try Shortcut.project.add(
                    &stack, stream, channels: channels, stride: place.stride, norm: true,
                    name: "shortcut\(number + 1)"))
        }
        guard merges else { return projected }
        // Streams that are still one and the same are their own mean.
        let isOne = projected.allSatisfy { $0 == projected[0] }
        let mean = isOne ? projected[0] : try stack.merged(Mean(), "mean", projected)
        return Array(repeating: mean, count: streams.count)
    }

    private func finished(
        _ stack: inout LayerStack, _ residuals: [ValueID], _ around: [ValueID]
    ) throws(RengaError) -> [ValueID] {
        var streams: [ValueID] = []
        for (number, residual) in residuals.enumerated() {
            let sum = around.isEmpty ? residual : try stack.add(Add(), "add\(number + 1)", residual, around[number])
            streams.append(try relu(&stack, "relu\(number + 1)", sum))
        }
        return streams
    }

    private func relu(_ stack: inout LayerStack, _ name: String, _ src: ValueID) throws(RengaError) -> ValueID {
        hasRelu ? try stack.add(ReLU(), name, src) : src
    }
}

extension LayerStack {
    /// An operator of several maps, left out where there is only one.
    fileprivate mutating func merged(
        _ op: any Operator, _ name: String, _ sources: [ValueID]
    ) throws(RengaError) -> ValueID {
        sources.count == 1 ? sources[0] : try add(op, name, sources: sources)
    }
}
