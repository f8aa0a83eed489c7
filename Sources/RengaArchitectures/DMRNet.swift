// DMRNet.swift: merge-and-run networks (Zhao et al. 2016, arXiv 1611.07718v2; IJCAI 2018): K streams that meet in their mean in each block.
// Not here: branches that are summed at once (InceptionLike.swift), other ways to mix the streams (StreamMixing.swift).
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
        BranchedDesign.attributes(
            StreamMixing.attributes + [
                Shortcut.attribute("project, one for each stream; none with stem=imagenet,depth=50")
            ])
        + [
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
        let begun = try design.base.frame.begin(
            &stack, width: design.base.widths[0], large: design.isBare ? .convolution : .activation)
        let streams = try stack.stages(
            widths: design.base.widths, counts: design.base.frame.counts,
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
enum Collapse: String, CaseIterable {
    /// relu(m + sum of H_k).
    case once
    /// relu(sum of (m + H_k)).
    case twice
    /// The finished streams side by side.
    case concat
}

/// The options, resolved.
struct MergeAndRunDesign {
    let base: BranchedDesign
    let mixing: StreamMixing
    let shortcut: Shortcut
    let collapse: Collapse
    let hasRelu: Bool

    init(_ options: AttributeReader) throws(RengaError) {
        base = try BranchedDesign(options, published: [44: [2, 2, 8, 2], 50: [1, 2, 11, 2]])
        mixing = try StreamMixing(options, streams: base.branches)
        hasRelu = try options.flag("relu")
        let isLarge = base.frame.stem == .imagenet
        shortcut = try Shortcut(options) ?? (isLarge && base.frame.depth == 50 ? .none : .project)
        let asPublished: Collapse = !isLarge ? .once : base.frame.depth == 44 ? .twice : .concat
        collapse = Collapse(rawValue: try options.choice("collapse")) ?? asPublished
    }

    /// The stem of the IJCAI version has no norm.
    var isBare: Bool { base.frame.stem == .imagenet && base.frame.depth == 50 }

    var resolved: Attributes {
        base.frame.resolved.merging(["collapse": collapse.rawValue, "shortcut": shortcut.rawValue]) { $1 }
    }

    /// One block: K streams in; K out, or those that the last block leaves.
    func addBlock(
        _ stack: inout LayerStack, _ streams: [ValueID], _ place: BlockPlace
    ) throws(RengaError) -> [ValueID] {
        let present = try stack.channels(streams[0])
        let changes = place.stride != 1 || present != base.frame.channels(place)
        let residuals = try base.addBranches(
            &stack, streams, place, isGated: shortcut != .none || !changes)
        let projected = try addShortcuts(&stack, streams, place)
        guard place.isLast, collapse != .concat else {
            let around = try mixing.add(&stack, projected)
            return try finished(&stack, residuals, around)
        }
        let around = try collapse == .once ? mixing.addCollapsed(&stack, projected) : mixing.add(&stack, projected)
        let sum = try stack.merged(Add(), "add", residuals + around)
        return [try relu(&stack, "relu", sum)]
    }

    /// The streams as the shortcuts carry them: each its own projection where shapes change; none where there is no shortcut.
    private func addShortcuts(
        _ stack: inout LayerStack, _ streams: [ValueID], _ place: BlockPlace
    ) throws(RengaError) -> [ValueID] {
        var projected: [ValueID] = []
        for (number, stream) in streams.enumerated() {
            let around = try shortcut.add(
                &stack, stream, channels: base.frame.channels(place), stride: place.stride, norm: true,
                name: "shortcut\(number + 1)")
            if let around { projected.append(around) }
        }
        return projected
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
    mutating func merged(
        _ op: any Operator, _ name: String, _ sources: [ValueID]
    ) throws(RengaError) -> ValueID {
        sources.count == 1 ? sources[0] : try add(op, name, sources: sources)
    }
}
