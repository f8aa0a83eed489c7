// BranchedNetworks.swift: the options and stages that networks of K parallel residual branches share (Zhao et al. 2016, arXiv 1611.07718).
// Not here: how the branches are joined: merge-and-run (DMRNet.swift), inception-like (InceptionLike.swift).
import RengaNetwork

/// The options of a network of parallel branches, resolved.
struct BranchedDesign {
    /// K: branches of each block.
    let branches: Int
    let branch: ResidualBranch
    let stem: Stem
    let depth: Int
    let imageSize: ImageSize
    /// Blocks of each stage.
    let counts: [Int]
    /// Width of each stage before expansion.
    let widths: [Int]

    static let attributes = [
        AttributeSpec(
            "depth", .integer(8...2000), default: "56",
            "Layers along the longest path; a residual network of equal cost has about `branches` times as many."),
        AttributeSpec("branches", .integer(1...Network.mostInputs - 1), default: "2", "Branches of each block."),
        CommonOptions.widen,
        AttributeSpec(
            "block", .choice(["auto"] + ResidualBranch.allCases.map(\.rawValue)), default: "auto",
            "Branches of two 3x3 convolutions, or of 1x1, 3x3, 1x1; auto: bottleneck with stem=imagenet, else basic."),
        Stem.attribute,
        CommonOptions.classes,
        Stem.input,
        CommonOptions.initialization("he_fan_in"),
    ]

    /// Reads the options; `published` has the blocks of each stage for the depths known with stem=imagenet.
    init(_ options: AttributeReader, published: [Int: [Int]]) throws(RengaError) {
        stem = try Stem(options)
        branch =
            ResidualBranch(rawValue: try options.choice("block")) ?? (stem == .imagenet ? .bottleneck : .basic)
        branches = try options.integer("branches")
        depth = try options.integer("depth")
        imageSize = try stem.imageSize(options)
        let widen = try options.integer("widen")
        switch stem {
        case .cifar:
            counts = try StageDepths.cifar(depth: depth, layers: branch.layers, branch.rawValue)
            widths = [16, 32, 64].map { $0 * widen }
        case .imagenet:
            counts = try StageDepths.imagenet(depth: depth, published, branch.rawValue)
            widths = [64, 128, 256, 512].map { $0 * widen }
        }
    }

    /// Options whose default depends on others.
    var resolved: Attributes { ["input": "\(imageSize)", "block": branch.rawValue] }

    /// Channels of the maps around a block.
    func channels(_ place: BlockPlace) -> Int { place.width * branch.expansion }

    /// The branches H_k of a block; branch k reads `sources[k]`.
    func addBranches(
        _ stack: inout LayerStack, _ sources: [ValueID], _ place: BlockPlace
    ) throws(RengaError) -> [ValueID] {
        var residuals: [ValueID] = []
        for (number, source) in sources.enumerated() {
            residuals.append(
                try stack.scope("branch\(number + 1)") { stack throws(RengaError) in
                    try branch.addPost(&stack, source, place)
                })
        }
        return residuals
    }
}
